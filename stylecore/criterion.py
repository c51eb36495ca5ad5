"""What is asked of a painting: named losses of a picture, by content and by styles in regions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecore import losses
from stylecore.encoders import Encoder
from stylecore.images import fit, resize_long_side
from stylecore.numbers import refuse_odd_numbers

STYLE_LAYERS = MappingProxyType(
    {"relu1_1": 1.0, "relu2_1": 1.0, "relu3_1": 1.0, "relu4_1": 1.0, "relu5_1": 1.0}
)
CONTENT_LAYERS = MappingProxyType({"relu4_2": 1.0})
HISTOGRAM_LAYERS = MappingProxyType({"relu1_1": 1.0, "relu4_1": 1.0})
"""Risser 2017's first and fourth."""


@dataclass(frozen=True)
class Wishes:
    """Weights of the losses, and of the layers among which each kind of loss divides its weight."""

    style_loss: str = "moments"
    """One of `losses.STYLE_LOSSES`."""
    style_weight: float = 1.0
    content_weight: float = 0.05
    histogram_weight: float = 0.0
    smooth_weight: float = 2.0
    style_layers: Mapping[str, float] = field(default_factory=lambda: dict(STYLE_LAYERS))
    content_layers: Mapping[str, float] = field(default_factory=lambda: dict(CONTENT_LAYERS))
    histogram_layers: Mapping[str, float] = field(default_factory=lambda: dict(HISTOGRAM_LAYERS))
    style_scale: float = 1.0
    """Side of a style picture against the painting's; areas alike at 1."""

    def __post_init__(self) -> None:
        if self.style_loss not in losses.STYLE_LOSSES:
            raise ValueError(
                f"style loss must be one of {', '.join(losses.STYLE_LOSSES)}, got {self.style_loss!r}"
            )
        for layers in (self.style_layers, self.content_layers, self.histogram_layers):
            if any(weight < 0 for weight in layers.values()) or sum(layers.values()) <= 0:
                raise ValueError(
                    f"weights of layers {', '.join(layers)} must be 0 or more, and one of them more"
                )
        if not 0.1 <= self.style_scale <= 10:
            raise ValueError(f"style scale must be between 0.1 and 10, got {self.style_scale}")
        refuse_odd_numbers(self)

    @property
    def listened_layers(self) -> list[str]:
        """Layers at which styles are measured."""
        histogram = self.histogram_layers if self.histogram_weight else {}
        return [*dict.fromkeys([*self.style_layers, *histogram])]


@dataclass(frozen=True)
class Style:
    """A style picture (3,H,W), its share, and the part of it that counts (H,W), all of it if None."""

    picture: Tensor
    weight: float = 1.0
    matte: Tensor | None = None


@dataclass(frozen=True)
class Region:
    """A part of the painting (H,W) in 0..1, all of it if None, and the styles it is painted in."""

    styles: Sequence[Style]
    matte: Tensor | None = None


@dataclass(frozen=True)
class Wanted:
    """What one layer of a region shall be like: mean (1,C), second moments (1,C,C), quantiles (C,K)."""

    mean: Tensor
    second: Tensor
    quantiles: Tensor

    @classmethod
    def measure(cls, features: Tensor, weight: Tensor | None = None) -> "Wanted":
        """The statistics of features (1,C,H,W), each position counted by `weight` (1,1,H,W)."""
        return cls(*losses.moments(features, weight), losses.feature_quantiles(features, picked(weight)))

    @classmethod
    def mixed(cls, parts: Sequence[tuple[float, "Wanted"]]) -> "Wanted":
        """The mean of several by weight; raw moments and quantile functions may be mixed so."""
        total = sum(weight for weight, _ in parts)

        def mean(name: str) -> Tensor:
            return torch.stack([weight / total * getattr(each, name) for weight, each in parts]).sum(0)

        return cls(mean("mean"), mean("second"), mean("quantiles"))


@torch.no_grad()
def measure_styles(
    styles: Sequence[Style], content: Tensor, encoder: Encoder, wishes: Wishes
) -> dict[str, Wanted]:
    """What styles ask of each layer, at the size that suits a painting of `content`."""
    found: dict[str, list[tuple[float, Wanted]]] = {name: [] for name in wishes.listened_layers}
    for style in styles:
        picture = _as_large(style.picture, content, wishes.style_scale)
        matte = None if style.matte is None else fit(style.matte[None], picture)
        for name, features in encoder(picture[None], found).items():
            found[name].append((style.weight, Wanted.measure(features, shrunk(matte, features))))
    return {name: Wanted.mixed(parts) for name, parts in found.items()}


class Criterion:
    """Named, weighted losses of a picture (3,H,W) of the content's size."""

    def __init__(
        self,
        content: Tensor,
        wanted: Sequence[Mapping[str, Wanted]],
        mattes: Sequence[Tensor | None],
        encoder: Encoder,
        wishes: Wishes,
    ) -> None:
        self.encoder, self.wishes, self.wanted = encoder, wishes, wanted
        self.mattes = [None if matte is None else fit(matte[None], content) for matte in mattes]
        self.areas = [1.0 if matte is None else float(matte.mean()) for matte in self.mattes]
        self.layers = {*wishes.listened_layers, *wishes.content_layers}
        with torch.no_grad():
            self.content = encoder(content[None], wishes.content_layers)

    @classmethod
    def of_regions(
        cls, content: Tensor, regions: Sequence[Region], encoder: Encoder, wishes: Wishes, rim_px: int = 0
    ) -> "Criterion":
        """The criterion of a content with a rim around it; strokes keep the size they have without one."""
        wanted = [measure_styles(region.styles, content, encoder, wishes) for region in regions]
        mattes = [each.matte if each.matte is None else fit(each.matte[None], content) for each in regions]
        framed = [each if each is None else with_rim(each, rim_px)[0] for each in mattes]
        return cls(with_rim(content, rim_px), wanted, framed, encoder, wishes)

    def __call__(self, picture: Tensor) -> dict[str, Tensor]:
        wishes = self.wishes
        made = self.encoder(picture[None], self.layers)
        return {
            **self._content(made),
            **self._style(made),
            **(self._histogram(made) if wishes.histogram_weight else {}),
            "smooth": wishes.smooth_weight * losses.roughness(picture[None])[0],
        }

    def _content(self, made: Mapping[str, Tensor]) -> dict[str, Tensor]:
        shares = _shares(self.wishes.content_layers, self.wishes.content_weight)
        return {
            f"content {name}": share * losses.content_loss(made[name], self.content[name])[0]
            for name, share in shares.items()
        }

    def _style(self, made: Mapping[str, Tensor]) -> dict[str, Tensor]:
        error = losses.STYLE_LOSSES[self.wishes.style_loss]

        def over_regions(name: str) -> Tensor:
            """Regions weigh by their area."""
            seen = made[name]
            parts = [
                area * error(losses.moments(seen, shrunk(matte, seen)), each[name].mean, each[name].second)[0]
                for each, matte, area in zip(self.wanted, self.mattes, self.areas, strict=True)
            ]
            return torch.stack(parts).sum()

        shares = _shares(self.wishes.style_layers, self.wishes.style_weight)
        return {f"style {name}": share * over_regions(name) for name, share in shares.items()}

    def _histogram(self, made: Mapping[str, Tensor]) -> dict[str, Tensor]:
        def over_regions(name: str) -> Tensor:
            parts = [
                area
                * losses.histogram_error(made[name], each[name].quantiles, picked(shrunk(matte, made[name])))[
                    0
                ]
                for each, matte, area in zip(self.wanted, self.mattes, self.areas, strict=True)
            ]
            return torch.stack(parts).sum()

        shares = _shares(self.wishes.histogram_layers, self.wishes.histogram_weight)
        return {f"histogram {name}": share * over_regions(name) for name, share in shares.items()}


def with_rim(picture: Tensor, rim_px: int) -> Tensor:
    """(C,H,W) with its own mirror image all around."""
    return F.pad(picture[None], (rim_px, rim_px, rim_px, rim_px), mode="reflect")[0]


def shrunk(matte: Tensor | None, features: Tensor) -> Tensor | None:
    """A matte (1,H,W) at a layer's size, (1,1,H,W)."""
    return None if matte is None else F.interpolate(matte[None], features.shape[-2:], mode="area")


def picked(weight: Tensor | None) -> Tensor | None:
    """Positions (H,W) that count; of a matte too small for a layer all do."""
    if weight is None or not (weight > 0.5).any():
        return None
    return weight[0, 0] > 0.5


def _as_large(style: Tensor, content: Tensor, scale: float) -> Tensor:
    """A style picture with the content's area, times `scale` squared (Ruder 2016)."""
    ratio = (content[0].numel() / style[0].numel()) ** 0.5 * scale
    return resize_long_side(style, round(max(style.shape[-2:]) * ratio))


def _shares(layers: Mapping[str, float], weight: float) -> dict[str, float]:
    total = sum(layers.values())
    return {name: weight * each / total for name, each in layers.items()}
