"""Strokes are tied to the frame's height: a network works at its design height, whatever the film's.

A network's strokes are a fixed number of pixels long. Painting 480, 1080 and 2160 lines at their own size
would give three different pictures, the largest with strokes too fine to see and the highest price. So the
frame is painted at the design height and the *change* is carried back to full size, together with as much
of the source's own fine detail as the paint has left standing there.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from stylecore.color import luma
from stylecore.opencv import opencv
from stylecore.window import window_mean

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


def resize(x: Tensor, size: Sequence[int]) -> Tensor:
    """(N,C,H,W) at another size, antialiased; the same tensor if the size is the same."""
    if x.shape[-2:] == tuple(size):
        return x
    twice = x.shape[-2:] == (2 * size[0], 2 * size[1]) and min(size) > 1
    if twice and x.device.type == "cpu" and not x.requires_grad:
        return _halved(x)
    return F.interpolate(x, tuple(size), mode="bilinear", antialias=True)


def _halved(x: Tensor) -> Tensor:
    """The same by OpenCV, in a third of the time: weights of 1, 3, 3, 1, without what lies outside."""
    cv2, made = opencv(), x.new_empty(*x.shape[:2], x.shape[-2] // 2, x.shape[-1] // 2)
    mix = np.array([0.25, 0.5, 0.25], np.float32)
    for large, half in zip(x.flatten(0, 1).numpy(), made.flatten(0, 1).numpy(), strict=True):
        soft = cv2.sepFilter2D(large, -1, mix, mix, borderType=cv2.BORDER_CONSTANT)
        cv2.resize(soft, half.shape[::-1], half, interpolation=cv2.INTER_AREA)
    for edge in (made[..., 0, :], made[..., -1, :], made[..., 0], made[..., -1]):
        edge.mul_(8 / 7)
    return made


def carry(change: Tensor, small: Tensor, lost: Tensor, source: Tensor) -> Tensor:
    """What paint changes in one part of a frame (N,1,H,W), of what it changed at the working size.

    change + lost * (up(small) - source): what is finer in the source than in `small`, the same part at the
    working size, stays where the paint followed the source and goes where it did not.
    """
    size = source.shape[-2:]
    if size[0] <= small.shape[-2] and size[1] <= small.shape[-1]:
        return resize(change, size)
    covered = enlarge(lost, size, "bilinear")
    finer = enlarge(small, size, "bicubic").sub_(source)
    return enlarge(change, size, "bicubic").addcmul_(covered, finer)


def lost_detail(paint: Tensor, small: Tensor) -> Tensor:
    """How much of the finer detail (N,1,h,w) paint has covered: 0 where edges were kept, 1 where they went.

    One less the slope of painted against source in a small window, the local linear model of the guided
    filter (He 2013), on luma.
    """
    guide = luma(small)
    result = guide + luma(paint)
    stack = torch.cat([guide, result, guide * guide, guide * result], 1)
    mean_guide, mean_result, square, product = window_mean(stack, _WINDOW_PX).split(1, 1)
    covariance = product.addcmul_(mean_guide, mean_result, value=-1)
    variance = square.addcmul_(mean_guide, mean_guide, value=-1)
    return 1 - covariance.div_(variance.add_(_NOISE)).clamp_(0, 1)


def enlarge(x: Tensor, size: Sequence[int], kernel: str) -> Tensor:
    """(N,C,h,w) at a larger size, `bilinear` or `bicubic`; on a CPU by OpenCV, an eighth of torch's time."""
    if x.device.type != "cpu":
        return F.interpolate(x, tuple(size), mode=kernel)
    cv2, made = opencv(), x.new_empty(*x.shape[:2], *size)
    how = cv2.INTER_LINEAR if kernel == "bilinear" else cv2.INTER_CUBIC
    for small, large in zip(x.flatten(0, 1).numpy(), made.flatten(0, 1).numpy(), strict=True):
        cv2.resize(small, (size[1], size[0]), large, interpolation=how)
    return made
