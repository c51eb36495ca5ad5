"""A small loss network that sees what larger ones see: solved layer by layer, then refined as a whole.

Each channel of the student stands for a cluster of the teachers' channels that fire together (weighted by
1/sqrt of the cluster's size: orthonormal, so distances between Gram matrices are kept). Its convolution is
at first the least-squares answer, given what the student's layers before it really give, to a teacher's
activation before rectification; the student has fewer layers, so some stand for two or three of a teacher's.
Then all layers learn together to give what the teachers give after it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from math import cos, pi
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecore.digest import digest
from stylecore.encoders import LAYOUTS, Encoder, Panel, rectified
from stylecore.training.contents import ContentCrops, in_light

STUDENT = LAYOUTS["compact"]
_BATCH = 20
_RIDGE = 1e-4


@dataclass(frozen=True)
class DistillSpec:
    """What is looked at, how wide the student is, and how long it is refined."""

    crops: int = 200
    crop_px: int = 96
    widths: tuple[int, ...] = (24, 48, 96, 96, 96)
    """Channels of each stage; not more than a teacher's."""
    samples: int = 40_000
    """Places that each layer is solved over, about."""
    steps: int = 1500
    """Of refinement."""
    batch: int = 8
    learning_rate: float = 2e-4
    """Of Adam; it falls to nothing along half a cosine."""
    seed: int = 7


class Distiller:
    """The state of one run: layers solved, then steps of refinement. It can be resumed between any two.

    A layer is learned from the first teacher that has it.
    """

    def __init__(self, teachers: Sequence[Encoder], pictures: Sequence[Tensor], spec: DistillSpec) -> None:
        self.spec = spec
        self.teacher = Panel(teachers)
        self.pictures = pictures
        self.crops = self._draw(spec.crops, spec.seed)
        self.weights: dict[str, Tensor] = {}
        self.merges: dict[str, Tensor] = {}
        self.refined = 0
        self.optimizer: torch.optim.Adam | None = None
        asked = json.dumps({**asdict(spec), "steps": 0})
        self.identity = digest(asked, chain(self.teacher.buffers(), map(in_light, pictures)))

    @property
    def step(self) -> int:
        """How many layers are solved and how often they were refined."""
        return len(self.merges) + self.refined

    @property
    def steps(self) -> int:
        """Of the whole run."""
        return len(STUDENT.convolutions) + self.spec.steps

    def advance(self) -> None:
        """Solve the next layer; once all are solved, refine them by one step."""
        if len(self.merges) < len(STUDENT.convolutions):
            self._solve(STUDENT.convolutions[len(self.merges)])
        else:
            self._refine()

    @torch.no_grad()
    def _solve(self, name: str) -> None:
        merge = self._clusters(name)
        squares = products = torch.zeros(())
        for crops in self.crops.split(_BATCH):
            inputs, wanted = self._pair(name, crops, merge)
            squares, products = squares + inputs @ inputs.T, products + inputs @ wanted.T
        lift = _RIDGE * squares.diagonal().mean() * torch.eye(len(squares))
        solved = torch.linalg.solve(squares + lift, products)
        self.weights[f"{name}.weight"] = solved[:-1].T.reshape(len(solved.T), -1, 3, 3).contiguous()
        self.weights[f"{name}.bias"] = solved[-1].clone()
        self.merges[name] = merge

    def _refine(self) -> None:
        optimizer = self._adam()
        for group in optimizer.param_groups:
            group["lr"] = self.spec.learning_rate * (1 + cos(pi * self.refined / self.spec.steps)) / 2
        crops = self._draw(self.spec.batch, self.spec.seed + 1 + self.refined)
        optimizer.zero_grad()
        torch.stack(list(self._unexplained(crops).values())).sum().backward()
        optimizer.step()
        self.refined += 1

    def _adam(self) -> torch.optim.Adam:
        if self.optimizer is None:
            self.weights = {name: each.detach().requires_grad_(True) for name, each in self.weights.items()}
            self.optimizer = torch.optim.Adam(list(self.weights.values()))
        return self.optimizer

    @torch.no_grad()
    def unexplained(self) -> dict[str, float]:
        """The share of each layer's variance that the student does not give, on crops it never saw."""
        found = self._unexplained(self._draw(self.spec.crops // 4 + 1, self.spec.seed - 1))
        return {name: float(share) for name, share in found.items()}

    def _unexplained(self, crops: Tensor) -> dict[str, Tensor]:
        layers = [rectified(name) for name in self.merges]
        made = Encoder(STUDENT, self.weights)(crops, layers)
        seen = self.teacher(crops, layers)
        return {
            name: _share(made[layer], torch.einsum("sc,nchw->nshw", merge, seen[layer]))
            for layer, (name, merge) in zip(layers, self.merges.items(), strict=True)
        }

    def _draw(self, count: int, seed: int) -> Tensor:
        torch.manual_seed(seed)
        source = ContentCrops(self.pictures, self.spec.crop_px, seed)
        return torch.stack([source.draw() for _ in range(count)]).clamp(0, 1)

    def _clusters(self, name: str) -> Tensor:
        """Which of a teacher's channels (C*) each of the student's (C) stands for; mean output 1."""
        layer = rectified(name)
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
        return {name: each.detach().half() for name, each in self.weights.items()}

    def state(self) -> dict[str, Any]:
        """Everything a resumed run needs, for `torch.save`."""
        adam = self.optimizer.state_dict() if self.optimizer else None
        weights = {name: each.detach() for name, each in self.weights.items()}
        return {
            "identity": self.identity,
            "weights": weights,
            "merges": dict(self.merges),
            "refined": self.refined,
            "adam": adam,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from `state()` of the same run, if of fewer steps; ValueError if it is another's."""
        if state["identity"] != self.identity:
            raise ValueError("of other teachers, pictures or sizes")
        self.weights, self.merges = dict(state["weights"]), dict(state["merges"])
        self.refined, self.optimizer = state["refined"], None
        if state["adam"]:
            self._adam().load_state_dict(state["adam"])


def _share(made: Tensor, wanted: Tensor) -> Tensor:
    """The share of the variance of features (N,C,H,W) that is missed."""
    return (made - wanted).square().sum() / (wanted - wanted.mean((0, 2, 3), True)).square().sum()


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


def distill(distiller: Distiller) -> Iterator[int]:
    """Do what is left, yielding the number of steps done after each."""
    while distiller.step < distiller.steps:
        distiller.advance()
        yield distiller.step
