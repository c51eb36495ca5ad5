"""Means over small windows; on a CPU by OpenCV's running sums, else by sums of neighbours, four for nine."""

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecore.opencv import opencv


def window_mean(x: Tensor, side_px: int) -> Tensor:
    """The mean of the square of `side_px` (odd) about each pixel of (N,C,H,W); the border is repeated."""
    return (by_running_sums if x.device.type == "cpu" else by_neighbours)(x, side_px)


def by_neighbours(x: Tensor, side_px: int) -> Tensor:
    """The same, on any device."""
    padded = F.pad(x, (side_px // 2,) * 4, mode="replicate")
    return _sums(_sums(padded, side_px, -2), side_px, -1) / side_px**2


def by_running_sums(x: Tensor, side_px: int) -> Tensor:
    """The same, on a CPU."""
    cv2, made = opencv(), torch.empty(x.shape, dtype=x.dtype)
    for plane, mean in zip(x.flatten(0, 1).numpy(), made.flatten(0, 1).numpy(), strict=True):
        cv2.blur(plane, (side_px, side_px), mean, borderType=cv2.BORDER_REPLICATE)
    return made


def _sums(x: Tensor, count: int, axis: int) -> Tensor:
    """Every sum of `count` neighbours, put together from sums of 1, 2, 4, ... of them."""
    length, width, start = x.shape[axis] - count + 1, 1, 0
    total = None
    while width <= count:
        if count & width:
            piece = x.narrow(axis, start, length)
            total, start = piece if total is None else total + piece, start + width
        if 2 * width <= count:
            rest = x.shape[axis] - width
            x = x.narrow(axis, 0, rest) + x.narrow(axis, width, rest)
        width *= 2
    assert total is not None
    return total
