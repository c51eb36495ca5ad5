"""Where a film cuts, from what the index saw of every frame.

The score of a frame is its change against the frame before, in units of the changes near it. Biased to
recall: a false cut costs one new survey, a missed one lets two pictures share their statistics.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from pipelines.media.layouts import PlaneArray

THUMBNAIL = (18, 32)
"""Rows and columns of the luminance thumbnail."""
CUT_SCORE = 1.0
"""Frames that score at least this begin a new shot."""
_MIN_CHANGE = 5.0
_BESIDE_FACTOR = 2.2
_AROUND_FACTOR = 2.0
_WINDOW = 8
_REPEATED = 2.0
"""What changes by less shows the same drawing again, grain and all."""
_STANDS = 3
"""Frames that a drawing stands for in animation."""


@dataclass(frozen=True)
class Signature:
    """A frame in a few numbers: a thumbnail of Y (18,32), its histogram (32,), mean and contrast."""

    thumbnail: NDArray[np.float32]
    histogram: NDArray[np.float32]
    mean: float
    contrast: float


def sign(luma: PlaneArray, bits: int = 8) -> Signature:
    """The signature of a luminance plane (H,W), in code values of 8 bits whatever its depth."""
    rows, columns = THUMBNAIL
    height, width = luma.shape
    # A regular subset of pixels, averaged in cells: as good as a full average here, and far cheaper.
    step_y, step_x = max(1, height // (rows * 4)), max(1, width // (columns * 4))
    step_y -= step_y % 2 if step_y > 1 else 0  # one field alone: the other may show another picture
    sparse = luma[::step_y, ::step_x]
    rows, columns = min(rows, sparse.shape[0]), min(columns, sparse.shape[1])
    cells_y = np.linspace(0, sparse.shape[0], rows, endpoint=False).astype(int)
    cells_x = np.linspace(0, sparse.shape[1], columns, endpoint=False).astype(int)
    sums = np.add.reduceat(np.add.reduceat(sparse, cells_y, 0, dtype=np.float32), cells_x, 1)
    counts = np.outer(np.diff([*cells_y, sparse.shape[0]]), np.diff([*cells_x, sparse.shape[1]]))
    thumbnail = (sums / counts / 2 ** (bits - 8)).astype(np.float32)
    histogram = (np.bincount(sparse.ravel() >> (bits - 5), minlength=32) / sparse.size).astype(np.float32)
    return Signature(thumbnail, histogram, float(thumbnail.mean()), float(thumbnail.std()))


def change(before: Signature, after: Signature) -> float:
    """How different two frames look, in code values: thumbnail difference plus histogram movement."""
    pixels = float(np.abs(after.thumbnail - before.thumbnail).mean())
    moved = float(np.abs(np.cumsum(after.histogram - before.histogram)).sum()) * 8
    return pixels + 0.5 * moved


def cut_scores(changes_of: Sequence[float]) -> NDArray[np.float32]:
    """A score per frame from its change against the frame before; `CUT_SCORE` and more is a cut.

    A cut changes more than both frames beside it and than the frames around it. Fades and fast motion
    change every frame alike, a flash changes twice in a row: neither stands out. Frames that show a drawing
    once more are left out: twos and threes would look like a cut at every drawing.
    """
    changes = np.array(changes_of, np.float32)
    scores, shown = np.zeros_like(changes), _shown_first(changes)
    scores[shown] = _scores(changes[shown])
    return scores


def _shown_first(changes: NDArray[np.float32]) -> NDArray[np.bool_]:
    """All frames but those that repeat the one before and are soon followed by another picture."""
    moves = np.flatnonzero(changes >= _REPEATED)
    shown = np.ones(len(changes), np.bool_)
    if len(moves):
        stands = np.diff(moves)
        shown[moves[0] : moves[-1]] = np.repeat(stands > _STANDS, stands)
    shown[moves] = True
    return shown


def _scores(changes_of: NDArray[np.float32]) -> NDArray[np.float32]:
    changes = np.append(changes_of, np.float32(0))
    scores = np.zeros_like(changes_of)
    beside = np.maximum(changes[:-2], changes[2:])
    least = np.maximum(_BESIDE_FACTOR * beside, _AROUND_FACTOR * _medians_around(changes)[1:-1])
    scores[1:] = changes[1:-1] / np.maximum(np.float32(_MIN_CHANGE), least)
    return scores


def _medians_around(changes: NDArray[np.float32]) -> NDArray[np.float32]:
    """For each place the median of those within the window, the first of all left out."""
    medians = np.zeros_like(changes)
    whole = range(_WINDOW + 1, len(changes) - _WINDOW)
    if whole:
        windows = sliding_window_view(changes[1:], 2 * _WINDOW + 1)
        medians[whole.start : whole.stop] = np.median(windows, axis=1)
    for place in set(range(1, len(changes))) - set(whole):
        medians[place] = np.median(changes[max(1, place - _WINDOW) : place + _WINDOW + 1])
    return medians


def find_cuts(scores: Sequence[float]) -> list[int]:
    """First frames of new shots."""
    return [frame for frame, score in enumerate(scores) if score >= CUT_SCORE]
