"""What a style network must not do: grids, glowing blacks, bubbles, dead zones, jumps in a fade.

Each check paints small drawn pictures the way a film is painted (statistics of the shot, masks) and
returns how far it is from its limit: a `Finding` per style and fault, with the measure and the limit.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecore.color import luma
from stylecore.pack import StylePack
from stylecore.stills import paint_shot, paint_still

_SIDE_PX = 192
_CODE = 1 / 255
_DISCS = ((0.3, 0.3, 0.15, (0.95, 0.8, 0.3)), (0.7, 0.65, 0.2, (0.6, 0.15, 0.1)))
"""Row, column and radius as parts of the side, and colour."""


@dataclass(frozen=True)
class Finding:
    """One measure of one style; a fault if it is above its limit."""

    check: str
    value: float
    limit: float

    @property
    def is_fault(self) -> bool:
        return not self.value <= self.limit


def check_style(pack: StylePack, style: str) -> list[Finding]:
    """Every check of one style, faults or not."""
    return [Finding(name, measure(pack, style), limit) for name, (measure, limit) in CHECKS.items()]


def scene(level: float = 1.0) -> Tensor:
    """A drawn picture (3,P,P): sky, ground, discs and bars, smooth and sharp, light and dark."""
    steps = torch.linspace(0, 1, _SIDE_PX)
    rows, columns = steps[:, None], steps[None]
    sky = torch.stack([0.45 + 0.2 * rows, 0.6 + 0.1 * rows, 0.9 - 0.2 * rows]).expand(3, -1, _SIDE_PX)
    ground = torch.stack([0.5 - 0.2 * columns, 0.45 + 0.1 * columns, 0.2 + 0.1 * columns])
    picture = torch.where(rows + 0.08 * torch.sin(9 * columns) > 0.6, ground.expand(3, _SIDE_PX, -1), sky)
    for row, column, radius, color in _DISCS:
        edge = ((rows - row).square() + (columns - column).square()).sqrt() - radius
        inside = torch.sigmoid(-edge * _SIDE_PX)
        picture = torch.lerp(picture, torch.tensor(color).view(3, 1, 1).expand_as(picture), inside)
    bars = (torch.sin(60 * columns) > 0) & (rows > 0.85)
    return (picture * torch.where(bars, 0.5, 1.0)).clamp(0, 1) * level


def _grid(pack: StylePack, style: str) -> float:
    """How far a 4 px lattice stands out of the frequencies near it, in a smooth picture, in codes.

    In codes, since brush marks have power everywhere: a lattice of half a code is none that anybody can see.
    """
    smooth = F.avg_pool2d(F.pad(scene()[None], (12,) * 4, mode="reflect"), 25, 1)[0]
    painted = luma(paint_still(smooth, pack, style)[None])[0, 0]
    window = torch.hann_window(_SIDE_PX, periodic=False)
    window = window * window[:, None]
    waves = torch.fft.fft2((painted - painted.mean()) * window).abs() * (2 / window.sum() / _CODE)
    quarter = _SIDE_PX // 4
    peaks = [(quarter, 0), (0, quarter), (quarter, quarter), (2 * quarter, 0), (0, 2 * quarter)]
    return max(float(waves[peak] - _around(waves, *peak).median()) for peak in peaks)


def _around(waves: Tensor, row: int, column: int) -> Tensor:
    """Bins at 4 to 9 steps from one, along both axes."""
    steps = [step for step in range(-9, 10) if abs(step) > 3]
    size = waves.shape[0]
    return torch.stack([waves[(row + a) % size, (column + b) % size] for a in steps for b in steps])


def _black(pack: StylePack, style: str) -> float:
    """Brightest pixel of a painted black picture, in codes of 255."""
    return float(paint_still(torch.zeros(3, _SIDE_PX, _SIDE_PX), pack, style).max() / _CODE)


def _flat_fields(pack: StylePack, style: str) -> list[Tensor]:
    """What is left of painted flat fields without their mean, away from the border, in codes."""
    fields = []
    for level in (0.02, 0.2, 0.5, 0.8, 1.0):
        painted = paint_still(torch.full((3, _SIDE_PX, _SIDE_PX), level), pack, style)[:, 48:-48, 48:-48]
        fields.append((painted - painted.mean((1, 2), keepdim=True)) / _CODE)
    return fields


def _flat(pack: StylePack, style: str) -> float:
    """How far the worst spot of a flat field stands out of its marks (four deviations of them), in codes."""
    return max(float(field.abs().max() - 4 * field.std()) for field in _flat_fields(pack, style))


def _marks(pack: StylePack, style: str) -> float:
    """Deviation of the brush marks on a flat field, in codes: titles must stay legible."""
    return max(float(field.std()) for field in _flat_fields(pack, style))


def _noisy(pack: StylePack, style: str) -> float:
    """How much noise of 2 codes on grey grows: standard deviation out over in."""
    noise = torch.randn(3, _SIDE_PX, _SIDE_PX, generator=torch.Generator().manual_seed(1)) * 2 * _CODE
    shot = [scene(), torch.full_like(noise, 0.5), (noise + 0.5).clamp(0, 1)]
    clean, noisy = (each[:, 48:-48, 48:-48] for each in paint_shot(shot, pack, style)[1:])
    grown = noisy - clean  # the brush marks are in both
    return float((grown - grown.mean((1, 2), keepdim=True)).std() / (2 * _CODE))


def _dead(pack: StylePack, style: str) -> float:
    """Share of the 16 px blocks with detail whose paint has none."""
    source = scene()
    blocks = [
        F.unfold(luma(picture[None]), 16, stride=16)[0].std(0)
        for picture in (source, paint_still(source, pack, style))
    ]
    busy = blocks[0] > 8 * _CODE
    return float(((blocks[1] < _CODE) & busy).sum() / busy.sum())


def _fade(pack: StylePack, style: str) -> float:
    """Largest step of mean luma in a fade from black, over the largest step of the source's own."""
    levels = [step / 24 for step in range(25)]
    painted = paint_shot([scene(level) for level in levels], pack, style)
    means = [float(luma(picture[None]).mean()) for picture in painted]
    largest = max(abs(after - before) for before, after in zip(means, means[1:], strict=False))
    return largest / (float(luma(scene()[None]).mean()) / 24)


def _finite(pack: StylePack, style: str) -> float:
    """Values that are no number, over all extreme inputs."""
    extremes = [torch.zeros(3, 64, 64), torch.ones(3, 64, 64), scene()[:, :64, :64].round()]
    return float(sum((~torch.isfinite(paint_still(each, pack, style))).sum() for each in extremes))


CHECKS: dict[str, tuple[Callable[[StylePack, str], float], float]] = {
    "grid": (_grid, 0.5),
    "black": (_black, 1.0),
    "flat": (_flat, 24.0),
    "marks": (_marks, 24.0),
    "noise": (_noisy, 6.0),
    "dead": (_dead, 0.05),
    "fade": (_fade, 4.0),
    "finite": (_finite, 0.0),
}
"""Name -> (measure, limit). Limits lie between what our good styles and planted faults measure."""
