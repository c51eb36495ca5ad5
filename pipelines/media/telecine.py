"""Film won back from telecine: which fields make each film frame, and when it begins. Pure.

The A, B, C and D of a cycle (`cadence`) begin 0, 1 1/4, 2 1/2 and 3 3/4 stored frames after it does: evenly,
as film runs, and never more than a quarter of a frame from where their first field was shown.
"""

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from pipelines.media.cadence import CYCLE, Cadence
from pipelines.media.fields import Picture
from pipelines.media.index import FilmIndex, FrameFacts
from pipelines.media.rates import nominal_rate
from pipelines.timeline import Timeline

_QUARTERS = 4
_STANDS_OUT = 6.0
"""Combing, and twice the film's own, above which a woven picture is not whole."""

_Film = tuple[Picture, int]
"""A film frame: what it is made of and its start, in quarters of stored frames."""


def first_field(index: FilmIndex, frame: int) -> Picture:
    """The picture of a stored frame's first field alone."""
    return Picture(frame, None) if index.frames[frame].top_first else Picture(None, frame)


def win_film_back(index: FilmIndex, cadence: Cadence) -> FilmIndex:
    """Four film frames of every five stored, evenly spaced on the source's clock in quarters of its ticks."""
    made, total = _mended(index, _film_frames(index, cadence.phase)), len(index.frames)
    pts = [max(start, 0) for _, start in made]
    base, stored = index.timeline.time_base / _QUARTERS, index.timeline
    ticks = [
        stored.pts[start // _QUARTERS] * _QUARTERS
        + stored.duration_ticks(start // _QUARTERS) * (start % _QUARTERS)
        for start in [0, *pts[1:]]
    ]
    end = (stored.pts[-1] + stored.last_duration) * _QUARTERS
    timeline = Timeline(base, tuple(ticks), end - ticks[-1])
    rate = nominal_rate(stored.mean_rate * (CYCLE - 1) / CYCLE)
    apart = sum(picture.made_up for picture, _ in made)
    note = f"telecined 2:3: {total} frames -> {len(made)} film frames of {rate}, evenly spaced"
    if apart:
        note += f"; {apart} of them from one field, the other is missing or does not match"
    facts, scores = _facts(index, [picture for picture, _ in made], ticks)
    return replace(
        index,
        frames=facts,
        cut_scores=scores,
        timeline=timeline,
        scan_note=note,
        pictures=tuple(picture for picture, _ in made),
        stored=index,
    )


def _film_frames(index: FilmIndex, phase: int) -> list[_Film]:
    """All film frames of a telecined film, those at its ends from what is left of them."""
    total = len(index.frames)

    def there(frame: int) -> int | None:
        return frame if 0 <= frame < total else None

    made = []
    for start in range(phase - CYCLE, total, CYCLE):
        # First and second field of A, B, C and D; B and D have one field twice.
        fields = [
            (there(start), there(start)),
            (there(start + 1), there(start + 1))
            if there(start + 1) is not None
            else (there(start + 2), None),
            (there(start + 3), there(start + 2)),
            (there(start + 4), there(start + 4))
            if there(start + 4) is not None
            else (None, there(start + 3)),
        ]
        for number, (first, second) in enumerate(fields):
            if first is None and second is None:
                continue
            known = first if first is not None else second
            top_first = index.frames[known].top_first if known is not None else True
            picture = Picture(first, second) if top_first else Picture(second, first)
            made.append((picture, start * _QUARTERS + number * CYCLE))
    return made


def _mended(index: FilmIndex, made: Sequence[_Film]) -> list[_Film]:
    """Pictures whose fields turn out not to go together are made from their first field alone."""
    usual = median(_combing(index, picture) for picture, _ in made)
    most = max(_STANDS_OUT, 2 * usual)
    return [
        (picture if _combing(index, picture) <= most else first_field(index, max(picture.known)), start)
        for picture, start in made
    ]


def _combing(index: FilmIndex, picture: Picture) -> float:
    if picture.made_up:
        return 0.0
    facts = index.frames[max(picture.known)]
    return facts.combing if picture.top == picture.bottom else facts.combing_before


def _facts(
    index: FilmIndex, pictures: Sequence[Picture], ticks: Sequence[int]
) -> tuple[tuple[FrameFacts, ...], tuple[float, ...]]:
    """Facts and cut scores of pictures: their last stored frame's, and all motion since the one before."""
    facts, scores, seen = [], [], 0
    for picture, tick in zip(pictures, ticks, strict=True):
        last = max(picture.known)
        span = slice(min(seen, last), last + 1)
        since, seen = index.frames[span], last + 1
        moved = (sum(f.moved_down for f in since), sum(f.moved_right for f in since))
        own = index.frames[last]
        facts.append(replace(own, pts=tick, interlaced=False, moved_down=moved[0], moved_right=moved[1]))
        scores.append(max(index.cut_scores[span]))
    return tuple(facts), tuple(scores)
