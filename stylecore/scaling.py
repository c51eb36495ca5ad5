"""Strokes are tied to the frame's height: a network works at its design height, whatever the film's.

A network's strokes are a fixed number of pixels long. Painting 480, 1080 and 2160 lines at their own size
would give three different pictures, the largest with strokes too fine to see and the highest price. So the
frame is painted at the design height and the *change* is carried back to full size, together with as much
of the source's own fine detail as the paint has left standing there.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecore.color import luma

_WINDOW_PX = 5
_NOISE = (2 / 255) ** 2
"""Variance of luma below which detail counts as noise."""


def work_size(height: int, width: int, design_height_px: int, brush: float) -> tuple[int, int]:
    """Rows and columns to paint at; `brush` 2 makes strokes twice as large. 0 as design height: as it is.

    A film smaller than the design height is painted as it is: its strokes are as fine as it can hold.
    """
    if not design_height_px:
        return height, width
    scale = min(design_height_px / height, 1.0) / brush
    rows = max(16, round(height * scale))
    return rows, max(16, round(width * rows / height))


def resize(rgb: Tensor, size: tuple[int, int]) -> Tensor:
    """(N,C,H,W) at another size, antialiased; the same tensor if the size is the same."""
    if rgb.shape[-2:] == size:
        return rgb
    return F.interpolate(rgb, size, mode="bilinear", antialias=True).clamp(0, 1)


def carry(painted: Tensor, small: Tensor, source: Tensor) -> Tensor:
    """The change of `source` (N,3,H,W) that `painted` made of `small`, the source at the working size.

    change = up(painted - small) - up(1 - kept) (source - up(small)): what is finer than the working size
    stays where the paint followed the source and goes where it did not.
    """
    change = painted - small
    size = source.shape[-2:]
    if small.shape[-2:] == size:
        return change
    detail = source - _up(small, size)
    lost = F.interpolate(1 - kept_detail(painted, small), size, mode="bilinear")
    return _up(change, size) - lost * detail


def kept_detail(painted: Tensor, small: Tensor) -> Tensor:
    """Slope, 0..1, of paint against source in a small window: 1 where edges were kept, 0 where painted over.

    The local linear model of the guided filter (He 2013), on luma.
    """
    guide, result = luma(small), luma(painted)
    stack = torch.cat([guide, result, guide * guide, guide * result], 1)
    mean_guide, mean_result, square, product = _box(stack).split(1, 1)
    covariance = product - mean_guide * mean_result
    variance = square - mean_guide * mean_guide
    return (covariance / (variance + _NOISE)).clamp(0, 1)


def _box(x: Tensor) -> Tensor:
    margin = _WINDOW_PX // 2
    padded = F.pad(x, (margin,) * 4, mode="replicate")
    across = F.avg_pool2d(padded, (1, _WINDOW_PX), stride=1)
    return F.avg_pool2d(across, (_WINDOW_PX, 1), stride=1)


def _up(x: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    # Antialiasing does nothing on the way up; its kernels are separable, twice as fast.
    return F.interpolate(x, tuple(size), mode="bicubic", antialias=True)
