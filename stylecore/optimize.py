"""Painting by optimization (Gatys 2015): the pixels themselves are changed until the features fit.

Deviations from the paper, each because it paints better or sooner: style errors are relative, so that
layers and loss networks weigh alike; the default error is mean and covariance apart; coarse to fine, as
strokes larger than the network's view are not found otherwise (Gatys 2017); and pixels are held as a
pyramid, so that one step can move a whole region's colour (Kolkin 2019).
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecore.color import luma
from stylecore.criterion import Criterion, Region, Wishes, with_rim
from stylecore.encoders import Encoder
from stylecore.errors import DivergedError
from stylecore.images import fit, resize_long_side
from stylecore.numbers import refuse_odd_numbers
from stylecore.palette import Tint
from stylecore.spec import COLOR_MODES

STARTS = ("ground", "content", "noise", "color-noise")
"""The content in the style's palette; the content; random pixels; the style's own pixels, shuffled."""
OPTIMIZERS = ("lbfgs", "adam")
_SMALLEST_PX = 48
_RIM = 1 / 16
"""Of the longest side: painted around the picture and cut off again. Edges catch what fits nowhere else."""
_LEVELS = 4
_HISTORY = 20

Ask = Callable[[Tensor], dict[str, Tensor]]
"""Named losses of a picture (3,H,W)."""


@dataclass(frozen=True)
class OptimizeSpec:
    """Every number of one painting."""

    size_px: int = 512
    """Longest side of the painting."""
    smallest_px: int = 128
    """Longest side of the coarsest scale, at least; each next one is twice as large."""
    steps: int = 80
    """On each scale."""
    optimizer: str = "lbfgs"
    learning_rate: float = 0.02
    """Of Adam, in units of full scale; it falls to a tenth along each scale. L-BFGS takes whole steps."""
    start: str = "ground"
    """One of STARTS."""
    color: str = "style"
    """One of COLOR_MODES."""
    seed: int = 7
    wishes: Wishes = field(default_factory=Wishes)

    def __post_init__(self) -> None:
        for name, choices in (("optimizer", OPTIMIZERS), ("start", STARTS), ("color", COLOR_MODES)):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}")
        if not _SMALLEST_PX <= self.smallest_px <= self.size_px:
            raise ValueError(
                f"scales go from {_SMALLEST_PX} px at least up to the size, "
                f"got {self.smallest_px} to {self.size_px}"
            )
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, got {self.steps}")
        refuse_odd_numbers(self, positive=("learning_rate",))

    @property
    def scales_px(self) -> list[int]:
        """Longest side of each scale, coarse to fine."""
        scales = [self.size_px]
        while scales[-1] >= 2 * self.smallest_px:
            scales.append(scales[-1] // 2)
        return scales[::-1]


@dataclass(frozen=True)
class Iterate:
    """The painting after a step: (3,H,W) in 0..1, and the losses by name that the step began with."""

    step: int
    steps: int
    losses: Mapping[str, float]
    picture: Tensor


def last_picture(iterates: Iterable[Iterate]) -> Tensor:
    """The painting at the end; those on the way are let go one by one."""
    return deque(iterates, maxlen=1).pop().picture


def optimize(
    content: Tensor,
    regions: Sequence[Region],
    encoder: Encoder,
    spec: OptimizeSpec,
    start: Tensor | None = None,
) -> Iterator[Iterate]:
    """Paint (3,H,W), coarse to fine, yielding after each step; the last is the painting.

    `start` is a picture to begin with, in place of `spec.start`.
    """
    encoder = encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    regions = [in_palette(each, content) for each in regions] if spec.color == "matched" else regions
    picture = first_picture(content, regions, spec) if start is None else start
    scales = spec.scales_px
    for number, side_px in enumerate(scales):
        shown = resize_long_side(content, side_px)
        rim = min(round(_RIM * side_px), min(shown.shape[-2:]) - 1)
        criterion = Criterion.of_regions(shown, regions, encoder, spec.wishes, rim)
        for each in descend(with_rim(fit(picture, shown), rim), criterion, spec):
            picture = each.picture[:, rim:-rim, rim:-rim]
            made = in_own_colors(picture, shown) if spec.color == "source" else picture
            yield Iterate(number * spec.steps + each.step, len(scales) * spec.steps, each.losses, made)


def descend(picture: Tensor, ask: Ask, spec: OptimizeSpec) -> Iterator[Iterate]:
    """`spec.steps` steps from a picture, all at its size."""
    pyramid = Pyramid(picture)
    optimizer, rate = _optimizer(pyramid.levels, spec)
    parts: dict[str, Tensor] = {}

    def evaluate() -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        parts.update(ask(pyramid.picture()))
        total = torch.stack(list(parts.values())).sum()
        total.backward()
        return total.detach()

    for step in range(1, spec.steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        optimizer.step(evaluate)  # type: ignore[arg-type]
        with torch.no_grad():
            made = pyramid.picture().clamp(0, 1)
        losses = {name: value.item() for name, value in parts.items()}
        if not (math.isfinite(sum(losses.values())) and made.isfinite().all()):
            raise DivergedError(
                f"optimization broke at step {step}: no finite loss; lower weights or learning rate"
            )
        yield Iterate(step, spec.steps, losses, made)


def _optimizer(
    levels: Sequence[Tensor], spec: OptimizeSpec
) -> tuple[torch.optim.Optimizer, Callable[[int], float]]:
    """The optimizer, and its rate at each step."""
    if spec.optimizer == "lbfgs":
        return torch.optim.LBFGS(levels, max_iter=1, history_size=_HISTORY), lambda step: 1.0
    adam = torch.optim.Adam(levels, lr=spec.learning_rate, betas=(0.9, 0.99))
    return adam, lambda step: spec.learning_rate * (1 - 0.9 * step / spec.steps)


class Pyramid:
    """A picture (3,H,W) held as a sum of levels, each half as large as the one before."""

    def __init__(self, picture: Tensor) -> None:
        self.levels: list[Tensor] = []
        rest = picture[None].contiguous()
        while len(self.levels) < _LEVELS - 1 and min(rest.shape[-2:]) >= _SMALLEST_PX:
            size = [-(-side // 2) for side in rest.shape[-2:]]
            low = F.interpolate(rest, size, mode="bilinear", antialias=True)
            self.levels.append(rest - _up(low, rest))
            rest = low
        self.levels.append(rest.clone())
        for level in self.levels:
            level.requires_grad_(True)

    def picture(self) -> Tensor:
        """The sum of all levels, (3,H,W)."""
        found = self.levels[-1]
        for level in self.levels[-2::-1]:
            found = level + _up(found, level)
        return found[0]


def _up(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, like.shape[-2:], mode="bilinear", align_corners=False)


def first_picture(content: Tensor, regions: Sequence[Region], spec: OptimizeSpec) -> Tensor:
    """What the painting begins with, at the coarsest scale."""
    small = resize_long_side(content, spec.scales_px[0])
    generator = torch.Generator().manual_seed(spec.seed)
    if spec.start == "content":
        return small
    if spec.start == "noise":
        return torch.rand(small.shape, generator=generator)
    if spec.start == "color-noise":
        pixels = regions[0].styles[0].picture.flatten(1)
        chosen = torch.randint(pixels.shape[1], (small[0].numel(),), generator=generator)
        return pixels[:, chosen].view_as(small)
    return _ground(small, regions)


def _ground(content: Tensor, regions: Sequence[Region]) -> Tensor:
    """The content in the palette of each region's first style."""
    made = content
    for region in regions:
        tinted = _recolored(content, region.styles[0].picture)
        made = tinted if region.matte is None else torch.lerp(made, tinted, fit(region.matte[None], content))
    return made


def _recolored(picture: Tensor, palette: Tensor) -> Tensor:
    return Tint.between(picture[None], palette[None])(picture[None])[0]


def in_palette(region: Region, content: Tensor) -> Region:
    """The region with its styles in the content's palette (Gatys 2016, colour matching)."""
    styles = [replace(each, picture=_recolored(each.picture, content)) for each in region.styles]
    return replace(region, styles=styles)


def in_own_colors(painted: Tensor, content: Tensor) -> Tensor:
    """The painting's light and shade in the content's colours."""
    return (content + luma(painted[None])[0] - luma(content[None])[0]).clamp(0, 1)
