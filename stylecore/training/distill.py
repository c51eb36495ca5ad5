"""A small loss network that sees what a larger one sees, solved layer by layer instead of trained by steps.

Each channel of the student stands for a cluster of the teacher's channels that fire together (weighted by
1/sqrt of the cluster's size: orthonormal, so distances between Gram matrices are kept). Its convolution is
the least-squares answer, given what the student's layers before it really give, to the teacher's activation
before rectification; the student has fewer layers, so some stand for two or three of the teacher's.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecore.encoders import LAYOUTS, Encoder
from stylecore.training.contents import ContentCrops

STUDENT = LAYOUTS["compact"]
_BATCH = 20
_RIDGE = 1e-4


@dataclass(frozen=True)
class DistillSpec:
    """What is looked at, and how wide the student is."""

    crops: int = 200
    crop_px: int = 96
    widths: tuple[int, ...] = (12, 24, 48, 96, 96)
    """Channels of each stage; not more than the teacher's."""
    samples: int = 40_000
    """Places that each layer is solved over, about."""
    seed: int = 7


class Distiller:
    """The state of one run: the layers solved so far. One step solves one, so it can be resumed."""

    def __init__(self, teacher: Encoder, pictures: Sequence[Tensor], spec: DistillSpec) -> None:
        self.spec = spec
        self.teacher = teacher.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        source = ContentCrops(pictures, spec.crop_px, spec.seed)
        torch.manual_seed(spec.seed)
        self.crops = torch.stack([source.draw() for _ in range(spec.crops)]).clamp(0, 1)
        self.weights: dict[str, Tensor] = {}

    @property
    def step(self) -> int:
        """How many layers are solved."""
        return len(self.weights) // 2

    @torch.no_grad()
    def advance(self) -> tuple[str, float]:
        """Solve the next layer; its name, and the share of its target's variance left unexplained."""
        name = STUDENT.convolutions[self.step]
        merge = self._clusters(name)
        squares = products = power = spread = torch.zeros(())
        for crops in self.crops.split(_BATCH):
            inputs, wanted = self._pair(name, crops, merge)
            squares, products = squares + inputs @ inputs.T, products + inputs @ wanted.T
            power, spread = (
                power + wanted.square().sum(),
                spread + (wanted - wanted.mean(1, True)).square().sum(),
            )
        lift = _RIDGE * squares.diagonal().mean() * torch.eye(len(squares))
        solved = torch.linalg.solve(squares + lift, products)
        left = power - 2 * (solved * products).sum() + (solved * (squares @ solved)).sum()
        self.weights[f"{name}.weight"] = solved[:-1].T.reshape(len(solved.T), -1, 3, 3).contiguous()
        self.weights[f"{name}.bias"] = solved[-1].clone()
        return name, float(left / spread)

    def _clusters(self, name: str) -> Tensor:
        """Which of the teacher's channels (C*) each of the student's (C) stands for; mean output 1."""
        layer = name.replace("conv", "relu")
        seen = self.teacher(self.crops[:_BATCH], [layer])[layer].transpose(0, 1).flatten(1)
        merge = clusters(seen, self.spec.widths[int(name[4]) - 1])
        return merge / (merge @ seen).mean().clamp(min=1e-9)

    def _pair(self, name: str, crops: Tensor, merge: Tensor) -> tuple[Tensor, Tensor]:
        """Neighbourhoods (9C+1,M) of the student's own activations, and what they shall give (C,M)."""
        patches = F.unfold(F.pad(self._before(name, crops), (1, 1, 1, 1), mode="reflect"), 3)
        wanted = self.teacher(crops, [name])[name].flatten(2)
        every = max(1, self.spec.crops * wanted.shape[-1] // self.spec.samples)
        inputs = patches[..., ::every].transpose(0, 1).flatten(1)
        ones = torch.ones(1, inputs.shape[1])
        return torch.cat([inputs, ones]), merge @ wanted[..., ::every].transpose(0, 1).flatten(1)

    def _before(self, name: str, crops: Tensor) -> Tensor:
        """What the layer is given by those before it."""
        student = Encoder(STUDENT, self.weights)
        if not student.layers:
            return student.enter(crops)
        found = student(crops, student.layers[-1:])[student.layers[-1]]
        return student.pool(found) if name.endswith("_1") else found

    def finished(self) -> dict[str, Tensor]:
        """The student's weights by name, in half precision."""
        return {name: each.half() for name, each in self.weights.items()}

    def state(self) -> dict[str, Any]:
        """Everything a resumed run needs, for `torch.save`."""
        return {"weights": dict(self.weights)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from `state()` of a run of the same spec and teacher."""
        self.weights = dict(state["weights"])


def clusters(seen: Tensor, count: int) -> Tensor:
    """Rows (count,C) that add up channels (C,M) most correlated with each other; orthonormal."""
    groups = torch.eye(len(seen))
    while len(groups) > count:
        alike = torch.corrcoef(groups @ seen).nan_to_num(nan=1.0).fill_diagonal_(-2)
        sizes = (groups > 0).sum(1)
        # Large clusters grow last: one of everything would see nothing.
        place = int((alike - 0.1 * (sizes[:, None] + sizes)).argmax())
        first, second = sorted(divmod(place, len(groups)))
        groups[first] += groups[second]
        groups = torch.cat([groups[:second], groups[second + 1 :]])
    return groups / groups.norm(dim=1, keepdim=True)


def random_weights(spec: DistillSpec) -> dict[str, Tensor]:
    """Random convolutions of the same shape (He 2015): the baseline to beat."""
    generator = torch.Generator().manual_seed(spec.seed)
    weights, inputs = {}, 3
    for width, names in zip(spec.widths, STUDENT.stages, strict=True):
        for name in names:
            weight = torch.randn(width, inputs, 3, 3, generator=generator)
            weights[f"{name}.weight"] = weight * (2 / (9 * inputs)) ** 0.5
            weights[f"{name}.bias"] = torch.zeros(width)
            inputs = width
    return weights


def distill(distiller: Distiller) -> Iterator[tuple[str, float]]:
    """Solve what is left, layer by layer, yielding each one's name and unexplained share."""
    while distiller.step < len(STUDENT.convolutions):
        yield distiller.advance()
