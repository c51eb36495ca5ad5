"""The canvas: still marks of a brush, for strokes to follow where the picture itself says nothing.

A network that sees only the picture has nothing to set a stroke by in a plain sky; it draws bands along the
light there, or blows grain up into flicker. The canvas stays where the scene is: it drifts with the camera,
or goes along with all that moves (see `advection`).
Two kinds of marks: bristles, noise smeared along a field of slow swirls (line integral convolution, Cabral &
Leedom 1993), and specks, the noise itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from stylecore.bus import send
from stylecore.scaling import enlarge

Drift = tuple[float, float]
"""How far the scene has moved down and right since the shot began, in fractions of the frame's height."""
CANVAS_CHANNELS = 2
"""Bristles, specks."""
_REACH = 4
"""Cells that a bristle mark goes to either side."""
_SWIRLS = ((1.3, 0.061, 0.037, 0.0), (0.9, -0.029, 0.083, 1.7), (0.6, 0.13, 0.11, 4.1))
"""Waves of the field's angle: radians, per column, per row, at the origin."""
_SLANT = 0.4
_BRISTLE_DEVIATION = 2.5
"""Of the sum along a mark, as measured: it brings bristles to the strength of specks."""
_ROW, _COLUMN, _MIX = 73_856_093, 19_349_663, 1_274_126_177
_BITS = (1 << 31) - 1


@dataclass(frozen=True)
class Layer:
    """A canvas that went along with a film, and how much of the mixture it is."""

    share: float
    places: Tensor
    """Where on it the pixels of a small view of the frame stand: down, right, in frame heights, (1,2,h,w)."""


@dataclass(frozen=True)
class Placement:
    """How the canvas lies under a frame: in one or two layers; with none, as the scene has drifted."""

    drift: Drift = (0.0, 0.0)
    layers: Sequence[Layer] = ()


def canvas_under(placement: Placement, height: int, width: int, cell_px: int, device: str = "cpu") -> Tensor:
    """The marks under a frame of `height` by `width` pixels, a value per cell, (1,2,rows,columns)."""
    # Rounded up without negative numbers: other programs divide those another way.
    rows, columns = (height + cell_px - 1) // cell_px, (width + cell_px - 1) // cell_px
    if not placement.layers:
        down, right = (way * height / cell_px for way in placement.drift)
        return canvas(rows, columns, device, down, right)
    places = [enlarge(layer.places, (rows, columns), "bilinear")[0] for layer in placement.layers]
    cells = [each * (height / cell_px) - 0.5 for each in places]
    if len(cells) == 1:
        return send(_marks(*cells[0]), device)
    return send(_mixed(placement.layers[-1].share, *cells), device)


def _mixed(share: float, older: Tensor, newer: Tensor) -> Tensor:
    """The marks at two places (2,rows,columns) in cells, mixed, with the deviation of one alone."""
    # Marks of the same place are the same and add up; a cell apart they know nothing of each other.
    apart = (older - newer).norm(dim=0).clamp(max=1)
    power = 1 - 2 * share * (1 - share) * apart
    return torch.lerp(_marks(*older), _marks(*newer), share) / power.sqrt()


@lru_cache(maxsize=8)
def canvas(rows: int, columns: int, device: str = "cpu", down: float = 0.0, right: float = 0.0) -> Tensor:
    """Marks (1,2,rows,columns), one value per cell, mean 0, variance about 1; the same on every machine.

    Every cell depends on its place alone: a larger canvas begins with the smaller one, and one that drifted
    by so many cells `down` and `right` is another window on the same.
    """
    y, x = torch.meshgrid(torch.arange(rows) - down, torch.arange(columns) - right, indexing="ij")
    return send(_marks(y, x), device)


def _marks(y: Tensor, x: Tensor) -> Tensor:
    """Both kinds at places in cells, (1,2,rows,columns)."""
    noise = _Noise(y, x)
    specks = noise(y, x)
    return torch.stack([_bristles(noise, specks, y, x), specks])[None]


def _bristles(noise: "_Noise", specks: Tensor, y: Tensor, x: Tensor) -> Tensor:
    total = specks
    for way in (1, -1):
        row, column = y, x
        for _ in range(_REACH):
            angle = _angle(row, column)
            row, column = row + way * torch.sin(angle), column + way * torch.cos(angle)
            total = total + noise(row, column)
    return total / _BRISTLE_DEVIATION


def _angle(y: Tensor, x: Tensor) -> Tensor:
    angle = torch.full_like(x, _SLANT)
    for size, across, down, phase in _SWIRLS:
        angle = angle + size * torch.sin(across * x + down * y + phase)
    return angle


class _Noise:
    """Noise around some places, to be asked for between cells too: bilinear."""

    def __init__(self, y: Tensor, x: Tensor) -> None:
        room = _REACH + 2
        self.top, self.left = (int(axis.min().floor()) - room for axis in (y, x))
        rows, columns = (int(axis.max()) + room + 2 for axis in (y, x))
        row, column = torch.arange(self.top, rows), torch.arange(self.left, columns)
        self.width = len(column)
        self.cells = _noise(row[:, None], column[None]).flatten()

    def __call__(self, y: Tensor, x: Tensor) -> Tensor:
        top, left = y.floor(), x.floor()
        # Whole numbers, exact in floats, which are quicker to count in.
        place = ((top - self.top) * self.width + (left - self.left)).long().flatten()
        across, down = x - left, y - top

        def beside(step: int) -> Tensor:
            return self.cells.index_select(0, place + step).view_as(y)

        upper = torch.lerp(beside(0), beside(1), across)
        lower = torch.lerp(beside(self.width), beside(self.width + 1), across)
        return torch.lerp(upper, lower, down)


def _noise(row: Tensor, column: Tensor) -> Tensor:
    """White noise of variance 1 by a hash of row and column (Teschner 2003).

    Random generators change between versions and devices; a hash does not.
    """
    mixed = ((row + 1) * _ROW) ^ ((column + 1) * _COLUMN)
    for _ in range(2):
        mixed = ((mixed ^ (mixed >> 13)) & _BITS) * _MIX
        mixed = mixed ^ (mixed >> 15)
    return ((mixed & _BITS).float() / _BITS - 0.5) * 12**0.5
