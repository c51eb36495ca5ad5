"""A small loss network that sees what a larger one sees: distillation of features (Romero 2015, FitNets).

The student has fewer convolutions than its teacher and as many channels at the layers that are asked for, so
its features are compared with the teacher's channel by channel; and so are their Gram matrices, which style
losses are made of. Targets are scaled to a mean activation of 1 at every layer.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from stylecore.encoders import LAYOUTS, Encoder
from stylecore.losses import gram
from stylecore.training.contents import ContentCrops

STUDENT = LAYOUTS["compact"]
TAUGHT_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu3_2", "relu4_1", "relu4_2", "relu5_1")
"""Those that style and content losses ask for."""
_PROBES = 24
_WARM_UP = 0.05
"""Of all steps."""
_LEAK = 0.25
"""Slope below zero at first, none at the end: a channel that does not fire would never learn to."""


@dataclass(frozen=True)
class DistillSpec:
    """Steps, sizes and weights of one run."""

    steps: int = 900
    batch: int = 6
    crop_px: int = 64
    widths: tuple[int, ...] = (16, 32, 64, 128, 128)
    """Channels of each stage: the teacher's."""
    learning_rate: float = 4e-3
    gram_weight: float = 0.2
    seed: int = 7


@dataclass(frozen=True)
class _Yardstick:
    """What is usual at a layer of the teacher; by their own numbers dark crops would outweigh the rest."""

    scale: float
    """Makes the mean activation 1."""
    spread: float
    gram_power: float

    @classmethod
    def of(cls, features: Tensor) -> "_Yardstick":
        scale = 1 / float(features.mean())
        scaled = features * scale
        spread = (scaled - scaled.mean((0, 2, 3), keepdim=True)).square().mean()
        return cls(scale, float(spread), float(gram(scaled).square().mean()))


class Distiller:
    """The state of one run; step n depends on the seed, n and the weights alone, so it can be resumed."""

    def __init__(self, teacher: Encoder, pictures: Sequence[Tensor], spec: DistillSpec) -> None:
        self.spec = spec
        self.teacher = teacher.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.source = ContentCrops(pictures, spec.crop_px, spec.seed)
        self.student = Encoder(STUDENT, first_weights(spec))
        self.weights = {name: each for name, each in self.student.named_buffers() if name.startswith("conv")}
        for each in self.weights.values():
            each.requires_grad_(True)
        self.optimizer = torch.optim.Adam(self.weights.values(), lr=spec.learning_rate, betas=(0.9, 0.99))
        self.yardsticks = self._measure()
        self.step = 0

    @torch.no_grad()
    def _measure(self) -> dict[str, _Yardstick]:
        found = self.teacher(self._crops(0, _PROBES), TAUGHT_LAYERS)
        return {name: _Yardstick.of(features) for name, features in found.items()}

    def _crops(self, step: int, count: int) -> Tensor:
        self.source.random.seed(f"{self.spec.seed}-{step}")
        torch.manual_seed(self.spec.seed * 1_000_003 + step)
        crops = torch.stack([self.source.draw() for _ in range(count)]).clamp(0, 1)
        return crops.contiguous(memory_format=torch.channels_last)

    def learning_rate(self) -> float:
        """A short warm-up, then a cosine down to a hundredth."""
        warm = min(1.0, (self.step + 1) / (1 + _WARM_UP * self.spec.steps))
        turn = math.cos(math.pi * min(self.step, self.spec.steps) / self.spec.steps)
        return self.spec.learning_rate * warm * (0.505 + 0.495 * turn)

    def advance(self) -> dict[str, float]:
        """One step; its losses by layer."""
        parts = self._losses(self._crops(self.step + 1, self.spec.batch))
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate()
        self.optimizer.zero_grad(set_to_none=True)
        torch.stack(list(parts.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(self.weights.values(), 5.0)
        self.optimizer.step()
        self.step += 1
        return {name: value.item() for name, value in parts.items()}

    def _losses(self, crops: Tensor) -> dict[str, Tensor]:
        self.student.leak = _LEAK * max(0.0, 1 - 1.25 * self.step / self.spec.steps)
        made = self.student(crops, TAUGHT_LAYERS)
        with torch.no_grad():
            wanted = self.teacher(crops, TAUGHT_LAYERS)
        return {name: self._error(made[name], wanted[name], self.yardsticks[name]) for name in TAUGHT_LAYERS}

    def _error(self, made: Tensor, wanted: Tensor, by: _Yardstick) -> Tensor:
        """Squared errors of features and of Gram matrices, relative to what is usual."""
        wanted = wanted * by.scale
        of_grams = (gram(made) - gram(wanted)).square().mean() / by.gram_power
        return (made - wanted).square().mean() / by.spread + self.spec.gram_weight * of_grams

    def finished(self) -> dict[str, Tensor]:
        """The student's weights by name, in half precision."""
        named = [name.rpartition("_")[::2] for name in self.weights]
        return {f"{conv}.{part}": self.weights[f"{conv}_{part}"].detach().half() for conv, part in named}

    def state(self) -> dict[str, Any]:
        """Everything a resumed run needs, for `torch.save`."""
        weights = {name: each.detach() for name, each in self.weights.items()}
        return {"step": self.step, "weights": weights, "optimizer": self.optimizer.state_dict()}

    @torch.no_grad()
    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from `state()` of a run of the same spec and teacher."""
        self.step = state["step"]
        for name, each in self.weights.items():
            each.copy_(state["weights"][name])
        self.optimizer.load_state_dict(state["optimizer"])


def first_weights(spec: DistillSpec) -> dict[str, Tensor]:
    """Random convolutions that keep the size of what they are given (He 2015): also the baseline to beat."""
    generator = torch.Generator().manual_seed(spec.seed)
    weights, inputs = {}, 3
    for width, names in zip(spec.widths, STUDENT.stages, strict=True):
        for name in names:
            weight = torch.randn(width, inputs, 3, 3, generator=generator)
            weights[f"{name}.weight"] = weight * math.sqrt(2 / (9 * inputs))
            weights[f"{name}.bias"] = torch.full((width,), 0.1)
            inputs = width
    return weights


def distill(distiller: Distiller) -> Iterator[dict[str, float]]:
    """Advance to the spec's last step, yielding the losses of each."""
    while distiller.step < distiller.spec.steps:
        yield distiller.advance()
