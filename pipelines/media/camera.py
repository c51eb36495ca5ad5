"""Where the camera looks: how far the picture moved since the frame before, so that paint can move along.

One translation for the whole picture, in fractions of its height: the motion most of it shares. Turning and
zooming have none, and neither has a cut.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.media.layouts import PlaneArray

_HEIGHT_PX = 90
"""Height that pictures are compared at, about."""
_NARROWEST_PX = 16
"""A film is at least this wide, and stays so."""
_REACH = 0.12
"""Farthest motion from frame to frame, as a fraction of the picture."""
_STILL_PX = 0.04
"""Motion below this is measuring error."""
_GAIN = 0.9
"""A motion must leave less than this of the change between frames, or the camera stood still."""
_STEPS = 4

Small = NDArray[np.float32]


@dataclass(frozen=True)
class Move:
    """The picture's motion since the frame before, down and right, in fractions of its height."""

    down: float
    right: float


STILL = Move(0.0, 0.0)


def shrink(luma: PlaneArray, bits: int = 8) -> Small:
    """A plane (H,W) as means of square blocks, about 90 rows, in code values of 8 bits."""
    step = max(1, min(luma.shape[0] // _HEIGHT_PX, luma.shape[1] // _NARROWEST_PX))
    rows, columns = luma.shape[0] // step, luma.shape[1] // step
    blocks = luma[: rows * step, : columns * step].reshape(rows, step, columns, step)
    return blocks.mean((1, 3), dtype=np.float32) / np.float32(2 ** (bits - 8))


def move_between(before: Small, after: Small) -> Move:
    """The shared motion from one frame to the next."""
    start = _leap(before, after)
    found = _refine(before, after, *start)
    if max(abs(found[0]), abs(found[1])) < _STILL_PX:
        return STILL
    left, stood = _residual(before, after, *found), _residual(before, after, 0.0, 0.0)
    if not left < _GAIN * stood:
        return STILL
    height = before.shape[0]
    return Move(found[0] / height, found[1] / height)


def _leap(before: Small, after: Small) -> tuple[float, float]:
    """Whole pixels, by phase correlation (Kuglin & Hines 1975)."""
    window = np.outer(np.hanning(before.shape[0]), np.hanning(before.shape[1]))
    first, second = (np.fft.rfft2((each - each.mean()) * window) for each in (before, after))
    cross = np.conj(first) * second
    peaks = np.fft.irfft2(cross / (np.abs(cross) + 1e-3 * np.abs(cross).max() + 1e-9), s=before.shape)
    reach = [max(1, int(size * _REACH)) for size in before.shape]
    near = np.roll(peaks, reach, (0, 1))[: 2 * reach[0] + 1, : 2 * reach[1] + 1]
    row, column = np.unravel_index(int(near.argmax()), near.shape)
    return float(row - reach[0]), float(column - reach[1])


def _refine(before: Small, after: Small, down: float, right: float) -> tuple[float, float]:
    """Parts of a pixel, by least squares on the gradient (Lucas & Kanade 1981), outliers weighing little."""
    for _ in range(_STEPS):
        moved, inside = _moved(before, down, right)
        y, x = np.gradient(moved)
        error = after - moved
        weight = inside / (1 + np.abs(error) / (1.5 * np.median(np.abs(error[inside > 0])) + 0.2))
        pairs = ((y, y), (y, x), (x, x), (y, error), (x, error))
        a, b, c, d, e = (float((weight * one * other).sum()) for one, other in pairs)
        determinant = a * c - b * b
        if determinant < 1e-6 * (a + c) ** 2 + 1e-6:
            break
        down -= (c * d - b * e) / determinant
        right -= (a * e - b * d) / determinant
        if abs(down) > _REACH * before.shape[0] + 1 or abs(right) > _REACH * before.shape[1] + 1:
            return 0.0, 0.0  # led astray: nothing moves as one
    return down, right


def _moved(picture: Small, down: float, right: float) -> tuple[Small, Small]:
    """The picture shifted, and 1 where it came from inside; bilinear."""
    rows = np.arange(picture.shape[0], dtype=np.float32) - down
    columns = np.arange(picture.shape[1], dtype=np.float32) - right
    inside = np.outer(
        (rows >= 0) & (rows <= picture.shape[0] - 1), (columns >= 0) & (columns <= picture.shape[1] - 1)
    )
    return _along(_along(picture, rows, 0), columns, 1), inside.astype(np.float32)


def _along(picture: Small, places: Small, axis: int) -> Small:
    last = picture.shape[axis] - 1
    clipped = np.clip(places, 0, last)
    low = np.minimum(clipped.astype(int), last)
    share = np.expand_dims(clipped - low, 1 - axis).astype(np.float32)
    first, second = picture.take(low, axis), picture.take(np.minimum(low + 1, last), axis)
    return first + share * (second - first)


def _residual(before: Small, after: Small, down: float, right: float) -> float:
    moved, inside = _moved(before, down, right)
    return float(np.median(np.abs(after - moved)[inside > 0]))
