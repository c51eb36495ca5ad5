"""What is missing or made up in a damaged film, told from its clock; and how that is said. Pure."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise

_PLACES_NAMED = 6


def in_order(ticks: Sequence[int | None]) -> list[int]:
    """Places of the longest run of ticks that rises, and of those without one; the others stand wrong."""
    tails: list[int] = []
    heads: list[int] = []
    before: dict[int, int] = {}
    for place, tick in enumerate(ticks):
        if tick is None:
            continue
        rank = bisect_left(tails, tick)
        tails[rank : rank + 1] = [tick]
        heads[rank : rank + 1] = [place]
        before[place] = heads[rank - 1] if rank else -1
    kept, place = set[int](), heads[-1] if heads else -1
    while place >= 0:
        kept.add(place)
        place = before[place]
    return [place for place, tick in enumerate(ticks) if tick is None or place in kept]


def lost_before(ticks: Sequence[int], undecoded: Iterable[int]) -> list[int]:
    """Frames lost before each frame and, last, after them all.

    `undecoded` are the ticks of packets that gave no picture. Where frames come evenly, the clock tells more:
    packets may be gone without a trace.
    """
    lost = [0] * (len(ticks) + 1)
    for tick in undecoded:
        lost[bisect_left(ticks, tick)] += 1
    step = _even_step(ticks)
    if step:
        for frame, (before, after) in enumerate(pairwise(ticks), start=1):
            lost[frame] = max(0, round((after - before) / step) - 1)
    return lost


def _even_step(ticks: Sequence[int]) -> Fraction:
    """Ticks from frame to frame in a film of constant rate; 0 if it has none."""
    gaps = sorted(after - before for before, after in pairwise(ticks))
    if not gaps:
        return Fraction(0)
    middle = gaps[len(gaps) // 2]
    even = [gap for gap in gaps if abs(gap - middle) <= 1]
    return Fraction(sum(even), len(even)) if 3 * len(even) >= 2 * len(gaps) else Fraction(0)


def describe(
    concealed: Sequence[int], lost: Sequence[int], seconds: Sequence[Fraction], cut_short: str
) -> str:
    """One line: frames concealed, frames lost (as `lost_before` counts them), and where the file ends."""
    found = []
    if concealed:
        found.append(f"{_frames(len(concealed))} concealed ({_listed(_ranges(concealed))})")
    places = [(count, frame) for frame, count in enumerate(lost) if count]
    if places:
        found.append(_listed([_loss(count, frame, seconds) for count, frame in places]))
    damaged = f"damaged: {', '.join(found)}" if found else ""
    return "; ".join(part for part in (damaged, cut_short) if part)


def _loss(count: int, frame: int, seconds: Sequence[Fraction]) -> str:
    if frame == 0:
        return f"{_frames(count)} lost before frame 0"
    return f"{_frames(count)} lost after frame {frame - 1} at {_timecode(seconds[frame - 1])}"


def _frames(count: int) -> str:
    return f"{count} frame{'s' * (count != 1)}"


def _ranges(numbers: Sequence[int]) -> list[str]:
    known = set(numbers)
    starts = [number for number in numbers if number - 1 not in known]
    stops = [number for number in numbers if number + 1 not in known]
    return [
        str(first) if first == last else f"{first}-{last}" for first, last in zip(starts, stops, strict=True)
    ]


def _listed(items: Sequence[str]) -> str:
    more = len(items) - _PLACES_NAMED
    return ", ".join([*items[:_PLACES_NAMED], *([f"and {more} more places"] if more > 0 else [])])


def _timecode(seconds: Fraction) -> str:
    milliseconds = round(seconds * 1000)
    whole, rest = divmod(milliseconds, 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}.{rest:03}"
