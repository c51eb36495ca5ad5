"""Fit a network and its style vectors to paintings: perceptual losses (Johnson 2016), no flow data.

Each step paints one crop per style, and a second, shifted and noisy look at one of them that must come
out the same (the synthetic-motion idea of ReReVST, Wang 2020, reduced to shifts). Dark, flat and fading crops
are part of the mix, and ask for less style the flatter they are: titles and fades must stay quiet.
"""

import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecore import losses
from stylecore.encoders import Encoder
from stylecore.images import load_picture, resize_short_side
from stylecore.normalize import LiveNorm, NormPrior
from stylecore.pack import StylePack

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
CONTENT_LAYER = "relu4_2"
MOTION_PX = 8
PRIOR_MOMENTUM = 0.02
AVERAGE_MOMENTUM = 0.005


@dataclass(frozen=True)
class TrainSpec:
    """How to train; every number that shapes the result is here and goes into the pack's recipe."""

    steps: int = 5000
    crop_px: int = 224
    painting_short_side_px: int = 512
    learning_rate: float = 2e-3
    content_weight: float = 1.0
    style_weight: float = 12.0
    palette_weight: float = 12.0
    tone_weight: float = 24.0
    motion_weight: float = 20.0
    smooth_weight: float = 0.05
    seed: int = 7


@dataclass(frozen=True)
class TrainStep:
    """Progress: the step just done and its losses by name, weighted, mean over the batch."""

    step: int
    losses: Mapping[str, float]


class ContentCrops:
    """Endless random crops (3,P,P) of the content pictures, with the hard cases of film mixed in."""

    def __init__(self, pictures: Sequence[Path], crop_px: int, seed: int) -> None:
        self.pictures = [load_picture(path) for path in pictures]
        self.crop_px = crop_px
        self.random = random.Random(seed)

    def draw(self) -> Tensor:
        kind = self.random.random()
        if kind < 0.04:
            return self._flat()
        crop = self._crop(self.random.choice(self.pictures))
        if kind < 0.16:
            return crop * self.random.uniform(0.02, 0.5)
        if kind < 0.20:
            return crop * self.random.uniform(0.1, 0.6) + self.random.uniform(0.3, 0.4)
        if kind < 0.26:
            return self._letterbox(crop)
        if kind < 0.36:
            return self._spotlight(crop)
        return crop.clamp(0, 1).pow(self.random.uniform(0.75, 1.4))

    def _crop(self, picture: Tensor) -> Tensor:
        height, width = picture.shape[-2:]
        smallest = self.crop_px / min(height, width)
        scale = self.random.uniform(min(1.0, smallest), max(1.0, smallest))
        side = min(round(self.crop_px / scale), height, width)
        top, left = self.random.randint(0, height - side), self.random.randint(0, width - side)
        crop = picture[:, top : top + side, left : left + side]
        if self.random.random() < 0.5:
            crop = crop.flip(-1)
        size = (self.crop_px, self.crop_px)
        return F.interpolate(crop[None], size, mode="bilinear", antialias=True)[0]

    def _flat(self) -> Tensor:
        level = self.random.choice([0.0, 0.02, self.random.random(), 1.0])
        noise = torch.randn(3, self.crop_px, self.crop_px) * self.random.choice([0.0, 0.01])
        return (noise + level).clamp(0, 1)

    def _spotlight(self, crop: Tensor) -> Tensor:
        """A small lit subject in the dark, as on a stage or in space."""
        side = self.crop_px
        row, column = (self.random.uniform(0, side) for _ in range(2))
        radius = self.random.uniform(0.15, 0.5) * side
        steps = torch.arange(side, dtype=torch.float32)
        distance = (steps[:, None] - row).square() + (steps[None] - column).square()
        return crop * torch.exp(-distance / (2 * radius**2)) * self.random.uniform(0.4, 1.2)

    def _letterbox(self, crop: Tensor) -> Tensor:
        bar = self.random.randint(self.crop_px // 10, self.crop_px // 3)
        boxed = crop.clone()
        boxed[:, :bar] = 0
        return boxed if self.random.random() < 0.5 else boxed.flip(1)


@dataclass(frozen=True)
class Targets:
    """What the paintings ask for: Gram matrices by layer (S,C,C) and palette quantiles (S,D,K)."""

    grams: Mapping[str, Tensor]
    palettes: Tensor
    directions: Tensor

    @classmethod
    def measure(cls, paintings: Sequence[Tensor], encoder: Encoder, spec: TrainSpec) -> "Targets":
        generator = torch.Generator().manual_seed(spec.seed)
        directions = F.normalize(torch.randn(24, 3, generator=generator), dim=1)
        scaled = [resize_short_side(painting, spec.painting_short_side_px) for painting in paintings]
        found = [encoder(painting[None], STYLE_LAYERS) for painting in scaled]
        grams = {name: torch.cat([losses.gram(item[name]) for item in found]) for name in STYLE_LAYERS}
        palettes = torch.stack([losses.palette_quantiles(painting, directions) for painting in scaled])
        return cls(grams, palettes, directions)


class Trainer:
    """The state of one training run; `state()` and `restore()` make it resumable to the bit of its seed."""

    def __init__(
        self, pack: StylePack, paintings: Mapping[str, Tensor], encoder: Encoder, spec: TrainSpec
    ) -> None:
        self.pack, self.spec, self.encoder = pack, spec, encoder
        self.names = list(paintings)
        self.network = pack.network.train().requires_grad_(True)
        self.vectors = torch.stack([pack.vectors[name] for name in self.names]).requires_grad_(True)
        self.prior = pack.prior
        parameters = [*self.network.parameters(), self.vectors]
        self.optimizer = torch.optim.Adam(parameters, lr=spec.learning_rate, betas=(0.9, 0.99))
        self.average = [parameter.detach().clone() for parameter in parameters]
        self.parameters = parameters
        self.step = 0
        with torch.no_grad():
            self.targets = Targets.measure(list(paintings.values()), encoder, spec)

    def learning_rate(self) -> float:
        """A short warm-up, then a cosine down to a hundredth."""
        warm = min(1.0, (self.step + 1) / 50)
        return (
            self.spec.learning_rate * warm * (0.505 + 0.495 * math.cos(math.pi * self.step / self.spec.steps))
        )

    def advance(self, crops: Tensor, shift: tuple[int, int]) -> TrainStep:
        """One optimizer step on one crop per style, (S,3,P+8,P+8); `shift` is the second look's offset."""
        side = self.spec.crop_px
        first = crops[..., :side, :side]
        top, left = shift
        second = crops[..., top : top + side, left : left + side]
        second = (second + 0.02 * torch.randn_like(second)).clamp(0, 1)
        moved = self.step % len(self.names)
        second = second[moved : moved + 1]
        norm = LiveNorm(torch.cat([self.vectors, self.vectors[moved : moved + 1]]), self.prior)
        painted, again = self.network(torch.cat([first, second]), norm).split([len(first), 1])
        steady = painted[moved : moved + 1, :, top:, left:] - again[..., : side - top, : side - left]
        parts = self._losses(first, painted)
        parts["motion"] = self.spec.motion_weight * steady.square().mean()
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate()
        self.optimizer.zero_grad(set_to_none=True)
        torch.stack(list(parts.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 10.0)
        self.optimizer.step()
        self._remember(norm)
        self.step += 1
        return TrainStep(self.step, {name: value.item() for name, value in parts.items()})

    def _losses(self, source: Tensor, painted: Tensor) -> dict[str, Tensor]:
        spec = self.spec
        made = self.encoder(painted, (*STYLE_LAYERS, CONTENT_LAYER))
        with torch.no_grad():
            wanted = self.encoder(source, (CONTENT_LAYER,))[CONTENT_LAYER]
            appetite = (losses.contrast(source) / 0.12).clamp(0.03, 1)
        grams = {name: losses.gram(made[name]) for name in STYLE_LAYERS}
        parts = {
            "content": spec.content_weight * losses.content_loss(made[CONTENT_LAYER], wanted),
            "style": spec.style_weight * appetite * losses.style_loss(grams, dict(self.targets.grams)),
            "palette": spec.palette_weight
            * appetite
            * losses.palette_loss(painted, self.targets.palettes, self.targets.directions),
            "tone": spec.tone_weight * losses.tone_loss(painted, source),
            "smooth": spec.smooth_weight * losses.total_variation(painted),
        }
        return {name: value.mean() for name, value in parts.items()}

    @torch.no_grad()
    def _remember(self, norm: LiveNorm) -> None:
        """Fold this step into the population statistics and the averaged weights."""
        mean = torch.cat([mean.mean(0) for mean, _ in norm.moments])
        spread = torch.cat([mean.var(0, correction=0) for mean, _ in norm.moments])
        var = torch.cat([var.mean(0) for _, var in norm.moments]) + spread
        momentum = max(PRIOR_MOMENTUM, 1 / (self.step + 1))
        self.prior = replace(
            self.prior,
            mean=torch.lerp(self.prior.mean, mean, momentum),
            var=torch.lerp(self.prior.var, var, momentum),
        )
        momentum = max(AVERAGE_MOMENTUM, 1 / (self.step + 1))
        for average, parameter in zip(self.average, self.parameters, strict=True):
            average.lerp_(parameter.detach(), momentum)

    def finished_pack(self, cards: Mapping[str, Mapping[str, Any]], recipe: Mapping[str, Any]) -> StylePack:
        """The averaged weights as a pack."""
        state = dict(zip(self._weight_names(), self.average, strict=False))
        network = type(self.network)(**self.pack.network_arguments)
        network.load_state_dict(state)
        vectors = dict(zip(self.names, self.average[-1], strict=True))
        network.eval().requires_grad_(False)
        return replace(
            self.pack,
            network=network,
            prior=self.prior,
            vectors=vectors,
            cards=cards,
            recipe={**recipe, **asdict(self.spec)},
        )

    def _weight_names(self) -> list[str]:
        return [name for name, _ in self.network.named_parameters()]

    def state(self) -> dict[str, Any]:
        """Everything a resumed run needs, for `torch.save`."""
        return {
            "spec": json.dumps(asdict(self.spec)),
            "step": self.step,
            "network": self.network.state_dict(),
            "vectors": self.vectors.detach(),
            "prior": (self.prior.mean, self.prior.var),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from `state()` of a run with the same styles."""
        self.step = state["step"]
        self.network.load_state_dict(state["network"])
        with torch.no_grad():
            self.vectors.copy_(state["vectors"])
        self.prior = NormPrior(self.prior.channels, *state["prior"])
        self.average = [tensor.clone() for tensor in state["average"]]
        self.optimizer.load_state_dict(state["optimizer"])


def train(trainer: Trainer, contents: Sequence[Path]) -> Iterator[TrainStep]:
    """Advance to the spec's last step, yielding after each; resumable because step n draws from seed + n."""
    spec = trainer.spec
    source = ContentCrops(contents, spec.crop_px + MOTION_PX, spec.seed)
    while trainer.step < spec.steps:
        source.random.seed(f"{spec.seed}-{trainer.step}")
        torch.manual_seed(spec.seed * 1_000_003 + trainer.step)
        crops = torch.stack([source.draw() for _ in trainer.names]).clamp(0, 1)
        shift = (source.random.randint(0, MOTION_PX), source.random.randint(0, MOTION_PX))
        yield trainer.advance(crops, shift)
