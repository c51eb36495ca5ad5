"""Telecine: film of 24 frames a second carried in 30 interlaced ones. Pure.

Film frames A, B, C, D are shown for two and three fields in turn: four of them fill five stored frames.

    stored    0  1  2  3  4
    first     A  B  B  C  D
    second    A  B  C  D  D

The third stored frame repeats the first field of the one before, the fifth the second field: that is how
the cadence is told, and that it holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CYCLE = 5
_REPEATS = (2, 4)
"""Places in the cycle where the first field repeats, and where the second does."""
_WINDOW = 2 * CYCLE
_LEAST_CHANGE = 0.5
"""Code values: a window that changes less on average tells nothing."""
_OVER_NOISE = 2.0
"""How far over the coding noise, as the repeated fields show it, a window must change to tell."""
_LEAST_CONTRAST = 0.2
"""How much less than the other field a repeated one must change, over the film: 1 is not at all."""
_HOLDS = 0.4
"""Part of the film's contrast that every window must show."""
_LEAST_WINDOWS = 3

_Changes = NDArray[np.float64]


@dataclass(frozen=True)
class Cadence:
    """2:3 pulldown: which stored frame is the first of a cycle (0..4), and how well the pattern holds."""

    phase: int
    windows: int
    """Stretches of the film that move enough to tell."""
    broken: int
    """Those of them that do not follow the pattern."""


def find_cadence(first: Sequence[float], second: Sequence[float]) -> Cadence | None:
    """The cadence of a film from how much each first and second field changed since the frame before.

    None where there is none; one that does not hold all along has broken windows.
    """
    changes = np.array([first, second], np.float64)
    contrasts = [_contrast(changes, phase, 0, len(first)) for phase in range(CYCLE)]
    phase = int(np.argmax(contrasts))
    if contrasts[phase] < _LEAST_CONTRAST:
        return None
    enough = max(_LEAST_CHANGE, _OVER_NOISE * _noise(changes, phase))
    starts = range(phase, len(first) - _WINDOW + 1, CYCLE)
    telling = [start for start in starts if changes[:, start : start + _WINDOW].max(0).mean() > enough]
    least = _HOLDS * contrasts[phase]
    broken = sum(_contrast(changes, phase, start, start + _WINDOW) < least for start in telling)
    return Cadence(phase, len(telling), broken) if len(telling) - broken >= _LEAST_WINDOWS else None


def _noise(changes: _Changes, phase: int) -> float:
    """How much repeated fields change all the same."""
    first, second = (changes[field, phase + place :: CYCLE] for field, place in enumerate(_REPEATS))
    return float(np.median(np.concatenate([first, second])))


def _contrast(changes: _Changes, phase: int, start: int, stop: int) -> float:
    """By how much the fields that should repeat change less than those that should not, 1 at most."""
    places = (np.arange(start, stop) - phase) % CYCLE
    first, second = changes[:, start:stop]
    less = (second - first)[places == _REPEATS[0]].sum() + (first - second)[places == _REPEATS[1]].sum()
    most = np.maximum(first, second)[np.isin(places, _REPEATS)].sum()
    return float(less / most) if most else 0.0
