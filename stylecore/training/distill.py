"""A small loss network that sees what large ones see: knowledge distillation of features (Romero 2015).

The student's features, through one linear map per layer, are to give the teachers' features and their Gram
matrices, which style losses are made of. The maps are not learned in steps but solved for, by least squares
over the latest batches. Afterwards each channel is scaled by how much of its teacher it stands for, so that
the student's own Gram matrices weigh alike what the teacher's weigh.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from stylecore.encoders import LAYOUTS, Encoder
from stylecore.training.contents import ContentCrops

STUDENT = LAYOUTS["compact"]
_MAP_MOMENTUM = 0.1


@dataclass(frozen=True)
class DistillSpec:
    """Steps, sizes and weights of one run."""

    steps: int = 4000
    batch: int = 4
    crop_px: int = 128
    widths: tuple[int, ...] = (16, 32, 64, 128, 128)
    """Channels of each stage."""
    learning_rate: float = 2e-3
    gram_weight: float = 0.5
    seed: int = 7


@dataclass(frozen=True)
class Teacher:
    """A loss network, and which of its layers each of the student's learns from."""

    encoder: Encoder
    layers: Mapping[str, str]


class Distiller:
    """The state of one run; step n depends on the seed, n and the weights alone, so it can be resumed."""

    def __init__(self, teachers: Sequence[Teacher], pictures: Sequence[Tensor], spec: DistillSpec) -> None:
        self.teachers, self.spec = teachers, spec
        for teacher in teachers:
            teacher.encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.source = ContentCrops(pictures, spec.crop_px, spec.seed)
        self.student = Encoder(STUDENT, first_weights(spec))
        self.parameters = list(self._convolutions().values())
        for each in self.parameters:
            each.requires_grad_(True)
        self.optimizer = torch.optim.Adam(self.parameters, lr=spec.learning_rate, betas=(0.9, 0.99))
        self.seen: dict[str, tuple[Tensor, Tensor]] = {}
        """Of each pair of layers: the student's second moments, and the teacher's with the student's."""
        self.step = 0

    def _convolutions(self) -> dict[str, Tensor]:
        return {name: each for name, each in self.student.named_buffers() if name.startswith("conv")}

    def learning_rate(self) -> float:
        """A short warm-up, then a cosine down to a hundredth."""
        warm = min(1.0, (self.step + 1) / 100)
        turn = math.cos(math.pi * min(self.step, self.spec.steps) / self.spec.steps)
        return self.spec.learning_rate * warm * (0.505 + 0.495 * turn)

    def advance(self) -> dict[str, float]:
        """One step; its losses by name."""
        self.source.random.seed(f"{self.spec.seed}-{self.step}")
        torch.manual_seed(self.spec.seed * 1_000_003 + self.step)
        crops = torch.stack([self.source.draw() for _ in range(self.spec.batch)]).clamp(0, 1)
        parts = self._losses(crops.contiguous(memory_format=torch.channels_last))
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate()
        self.optimizer.zero_grad(set_to_none=True)
        torch.stack(list(parts.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 5.0)
        self.optimizer.step()
        self.step += 1
        return {name: value.item() for name, value in parts.items()}

    def _losses(self, crops: Tensor) -> dict[str, Tensor]:
        made = self.student(crops, {layer for teacher in self.teachers for layer in teacher.layers})
        parts: dict[str, Tensor] = {}
        for number, teacher in enumerate(self.teachers):
            with torch.no_grad():
                wanted = teacher.encoder(crops, set(teacher.layers.values()))
            for mine, other in teacher.layers.items():
                parts[f"{number}.{mine}"] = self._error(
                    f"{number}.{mine}",
                    made[mine].transpose(0, 1).flatten(1),
                    wanted[other].transpose(0, 1).flatten(1),
                )
        return parts

    def _error(self, pair: str, made: Tensor, wanted: Tensor) -> Tensor:
        """Relative squared errors of features (C,M), about their mean, and of their Gram matrices."""
        self._learn_map(pair, made.detach(), wanted)
        told = self._map(pair) @ made
        spread = (wanted - wanted.mean(1, keepdim=True)).square().mean()
        grams = wanted @ wanted.T
        gram_error = (told @ told.T - grams).square().mean() / grams.square().mean()
        return (told - wanted).square().mean() / spread + self.spec.gram_weight * gram_error

    def _learn_map(self, pair: str, made: Tensor, wanted: Tensor) -> None:
        now = (made @ made.T / made.shape[1], wanted @ made.T / made.shape[1])
        before = self.seen.get(pair, now)
        own, cross = (torch.lerp(old, new, _MAP_MOMENTUM) for old, new in zip(before, now, strict=True))
        self.seen[pair] = own, cross

    def _map(self, pair: str) -> Tensor:
        """The least-squares map (teacher's channels, student's channels) of a pair of layers."""
        own, cross = self.seen[pair]
        ridge = 1e-3 * own.diagonal().mean() * torch.eye(len(own))
        return torch.linalg.solve(own + ridge, cross.T).T

    @torch.no_grad()
    def finished(self) -> dict[str, Tensor]:
        """The student's weights by name; each layer's mean activation is about 1, each channel its worth.

        A gain of one layer's channels, undone by the next, leaves the network what it is.
        """
        self.source.random.seed(self.spec.seed)
        seen = self.student(torch.stack([self.source.draw() for _ in range(16)]), self.student.layers)
        weights, before = {}, torch.ones(3)
        for layer, name in zip(self.student.layers, STUDENT.convolutions, strict=True):
            worth = self._worth(layer, seen[layer].shape[1])
            gain = worth / (seen[layer].mean((0, 2, 3)) * worth).mean()
            weight, bias = (self.student.get_buffer(f"{name}_{part}") for part in ("weight", "bias"))
            weights[f"{name}.weight"] = (weight * gain[:, None, None, None] / before[:, None, None]).half()
            weights[f"{name}.bias"] = (bias * gain).half()
            before = gain
        return weights

    def _worth(self, layer: str, channels: int) -> Tensor:
        """How much of its teachers each channel of a layer stands for: its column's length in their maps."""
        columns = [self._map(pair) for pair in self.seen if pair.endswith(layer)]
        return torch.cat(columns).norm(dim=0).clamp(min=1e-9) if columns else torch.ones(channels)

    def state(self) -> dict[str, Any]:
        """Everything a resumed run needs, for `torch.save`."""
        return {
            "step": self.step,
            "parameters": [each.detach() for each in self.parameters],
            "optimizer": self.optimizer.state_dict(),
            "seen": self.seen,
        }

    @torch.no_grad()
    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from `state()` of a run of the same spec and teachers."""
        self.step = state["step"]
        for each, saved in zip(self.parameters, state["parameters"], strict=True):
            each.copy_(saved)
        self.optimizer.load_state_dict(state["optimizer"])
        self.seen = dict(state["seen"])


def first_weights(spec: DistillSpec) -> dict[str, Tensor]:
    """Random convolutions that keep the size of what they are given (He 2015): also the baseline to beat."""
    generator = torch.Generator().manual_seed(spec.seed)
    weights, inputs = {}, 3
    for width, names in zip(spec.widths, STUDENT.stages, strict=True):
        for name in names:
            weight = torch.randn(width, inputs, 3, 3, generator=generator)
            weights[f"{name}.weight"] = weight * math.sqrt(2 / (9 * inputs))
            weights[f"{name}.bias"] = torch.zeros(width)
            inputs = width
    return weights


def distill(distiller: Distiller) -> Iterator[dict[str, float]]:
    """Advance to the spec's last step, yielding the losses of each."""
    while distiller.step < distiller.spec.steps:
        yield distiller.advance()
