"""Where the camera looks: how far the picture moved since the frame before, so that paint can move along.

One translation for the whole picture, in fractions of its height: the motion most of it shares. Turning and
zooming have none, and neither has a cut.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

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
_SETTLED_PX = 0.002
"""Steps below this change nothing."""

Small = NDArray[np.float32]
Spectrum = NDArray[np.complexfloating]


@dataclass(frozen=True)
class View:
    """A frame as motion is seen by: small, and its spectrum."""

    picture: Small
    spectrum: Spectrum


@dataclass(frozen=True)
class Move:
    """The picture's motion since the frame before, down and right, in fractions of its height."""

    down: float
    right: float


STILL = Move(0.0, 0.0)


def shrink(luma: PlaneArray, bits: int) -> Small:
    """A plane (H,W) as means of square blocks, about 90 rows, in code values of 8 bits."""
    step = max(1, min(luma.shape[0] // _HEIGHT_PX, luma.shape[1] // _NARROWEST_PX))
    rows, columns = luma.shape[0] // step, luma.shape[1] // step
    whole = luma[: rows * step, : columns * step].reshape(rows, step, columns * step)
    # Lines first: adding whole lines is ten times faster than adding neighbours.
    blocks = whole.sum(1, dtype=np.uint32).reshape(rows, columns, step).sum(2)
    return blocks.astype(np.float32) / np.float32(step**2 * 2 ** (bits - 8))


def spectrum(picture: Small) -> Spectrum:
    """What phase correlation compares: of the picture without its edges."""
    return np.fft.rfft2((picture - picture.mean()) * _window(*picture.shape))


@lru_cache(maxsize=1)
def _window(rows: int, columns: int) -> Small:
    return np.outer(np.hanning(rows), np.hanning(columns)).astype(np.float32)


def view(luma: PlaneArray, bits: int = 8) -> View:
    """What is kept of a plane (H,W) to see motion by."""
    picture = shrink(luma, bits)
    return View(picture, spectrum(picture))


def move_between(before: View, after: View) -> Move:
    """The shared motion from one frame to the next."""
    found = _refine(before.picture, after.picture, *_leap(before, after))
    if max(abs(found[0]), abs(found[1])) < _STILL_PX:
        return STILL
    left, stood = (_middle(*_overlap(before.picture, after.picture, *way)) for way in (found, (0.0, 0.0)))
    if not left < _GAIN * stood:
        return STILL
    height = before.picture.shape[0]
    return Move(found[0] / height, found[1] / height)


def _leap(before: View, after: View) -> tuple[float, float]:
    """Whole pixels, by phase correlation (Kuglin & Hines 1975)."""
    shape = before.picture.shape
    cross = np.conj(before.spectrum) * after.spectrum
    power = np.abs(cross)
    peaks = np.fft.irfft2(cross / (power + 1e-3 * power.max() + 1e-9), s=shape)
    reach = [max(1, int(size * _REACH)) for size in shape]
    near = np.roll(peaks, reach, (0, 1))[: 2 * reach[0] + 1, : 2 * reach[1] + 1]
    row, column = np.unravel_index(int(near.argmax()), near.shape)
    return float(row - reach[0]), float(column - reach[1])


def _refine(before: Small, after: Small, down: float, right: float) -> tuple[float, float]:
    """Parts of a pixel, by least squares on the gradient (Lucas & Kanade 1981), outliers weighing little."""
    for _ in range(_STEPS):
        moved, seen = _overlap(before, after, down, right)
        y, x = np.gradient(moved)
        error = seen - moved
        usual = _middle(moved[::2, ::2], seen[::2, ::2])
        weight = 1 / (1 + np.abs(error) / np.float32(1.5 * usual + 0.2))
        pairs = ((y, y), (y, x), (x, x), (y, error), (x, error))
        a, b, c, d, e = (float(np.einsum("ij,ij,ij", weight, one, other)) for one, other in pairs)
        determinant = a * c - b * b
        if determinant < 1e-6 * (a + c) ** 2 + 1e-6:
            break
        step = (c * d - b * e) / determinant, (a * e - b * d) / determinant
        down, right = down - step[0], right - step[1]
        if abs(down) > _REACH * before.shape[0] + 1 or abs(right) > _REACH * before.shape[1] + 1:
            return 0.0, 0.0  # led astray: nothing moves as one
        if max(map(abs, step)) < _SETTLED_PX:
            break
    return down, right


def _middle(one: Small, other: Small) -> float:
    """How far two pictures are apart in half of their places."""
    return float(np.median(np.abs(one - other)))


def _overlap(before: Small, after: Small, down: float, right: float) -> tuple[Small, Small]:
    """What of the first picture, moved, can be seen in the second, and the second there; bilinear."""
    # A hair from a whole number, sums would round to it here and not there.
    down, right = round(down, 6), round(right, 6)
    rows, down_to = _span(before.shape[0], down)
    columns, right_to = _span(before.shape[1], right)
    lines = _between(before, rows - down, down_to - rows)
    moved = _between(lines.T, columns - right, right_to - columns).T
    return moved, after[rows:down_to, columns:right_to]


def _span(size: int, shift: float) -> tuple[int, int]:
    """Places, from and to, that were within 0 to `size - 1` before they moved."""
    return max(0, math.ceil(shift)), min(size, math.floor(size - 1 + shift) + 1)


def _between(picture: Small, start: float, count: int) -> Small:
    """Rows from a place that may lie between two."""
    low = math.floor(start)
    share, first = np.float32(start - low), picture[low : low + count]
    return first + share * (picture[low + 1 : low + 1 + count] - first) if share else first
