"""When frames are shown if the container does not rightly say: AVI, raw streams, broken recordings. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

REORDER = 16
"""Frames may be shown at most this far from where their timestamps lie: codecs hold no more."""


class ClockError(ValueError):
    """Timestamps that no rule mends; says where."""


@dataclass(frozen=True)
class Clock:
    """A tick for every frame, strictly increasing, and what had to be mended."""

    ticks: tuple[int, ...]
    note: str = ""


def mend(stamps: Sequence[int | None], step: Fraction) -> Clock:
    """Ticks from the timestamps of frames in the order in which the decoder shows them.

    `step` is the ticks between frames that the container declares; 0 if it does not say.
    """
    missing = sum(stamp is None for stamp in stamps)
    if missing and step <= 0:
        raise ClockError(f"{missing} frames have no timestamp, and the file declares no frame rate")
    known = _filled(stamps, step)
    ordered = sorted(known)
    notes = [f"{missing} missing timestamps filled in"] if missing else []
    if ordered != known:
        _refuse_jumps(known, ordered)
        notes.append("timestamps put in the order of the pictures")
    for frame, (before, after) in enumerate(zip(ordered, ordered[1:], strict=False), start=1):
        if after == before:
            raise ClockError(f"frames {frame - 1} and {frame} are both at tick {after}")
    return Clock(tuple(ordered), "; ".join(notes))


def _filled(stamps: Sequence[int | None], step: Fraction) -> list[int]:
    """Missing ones set evenly after the last known, or before the first; from tick 0 if none is known."""
    known = ((place, stamp) for place, stamp in enumerate(stamps) if stamp is not None)
    anchor, base = next(known, (0, 0))
    filled: list[int] = []
    for place, stamp in enumerate(stamps):
        if stamp is not None:
            anchor, base = place, stamp
        filled.append(base + round((place - anchor) * step))
    return filled


def _refuse_jumps(known: Sequence[int], ordered: Sequence[int]) -> None:
    """Small swaps are a codec's reordering; a frame far from its place is a clock that jumped."""
    rank = {stamp: place for place, stamp in enumerate(ordered)}
    for frame, stamp in enumerate(known):
        if abs(rank[stamp] - frame) > REORDER:
            raise ClockError(f"the clock jumps at frame {frame}, tick {stamp}")
