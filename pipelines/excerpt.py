"""A range of a film's frames on a clock of its own, and what of the other tracks goes with it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from pipelines.timeline import FrameRange, Timeline

_FOREVER = Fraction(10**9)


@dataclass(frozen=True)
class Window:
    """The time in which an excerpt's frames are shown, in seconds of the source's clock.

    An end that is None is open: the excerpt ends there with the film, and what sounds beyond stays.
    """

    start: Fraction | None = None
    stop: Fraction | None = None
    origin: Fraction = Fraction(0)
    """What becomes time 0."""
    first_frame: int = 0
    elapsed: Fraction = Fraction(0)
    """How long after the film's first frame that one is shown."""
    early: bool = True
    """Whether a packet that begins before the start goes along when it lasts into the window."""

    @property
    def whole(self) -> bool:
        """Whether nothing is cut away or moved."""
        return not self.cuts and self.origin == 0

    @property
    def cuts(self) -> bool:
        """Whether something may be cut away."""
        return self.start is not None or self.stop is not None

    def overlaps(self, begin: Fraction, end: Fraction) -> bool:
        """Whether anything of `begin` to `end` is in the window."""
        after = self.start is None or end > self.start or begin >= self.start
        return after and (self.stop is None or begin < self.stop)

    def takes(self, begin: Fraction, end: Fraction) -> bool:
        """Whether a packet that cannot be cut goes along."""
        late = self.early or self.start is None or begin >= self.start
        return late and self.overlaps(begin, end)

    def cut(self, begin: Fraction, end: Fraction) -> tuple[Fraction, Fraction]:
        """What of `begin` to `end` is in the window, on the excerpt's clock."""
        begin = begin if self.start is None else max(begin, self.start)
        end = end if self.stop is None else min(end, self.stop)
        return begin - self.origin, end - self.origin


WHOLE = Window()


def excerpt(timeline: Timeline, frames: FrameRange, zero_pts: int = 0) -> tuple[Timeline, Window]:
    """When the frames of a range are shown, from time 0, and their window on the source's clock.

    A range that begins with the film keeps the film's clock, counted from `zero_pts`.
    """
    opens, closes = frames.start == 0, frames.stop == len(timeline)
    first = zero_pts if opens else timeline.pts[frames.start]
    cut = Timeline(
        timeline.time_base,
        tuple(pts - first for pts in timeline.pts[frames.start : frames.stop]),
        timeline.duration_ticks(frames.stop - 1),
    )
    window = Window(
        start=None if opens else first * timeline.time_base,
        stop=None if closes else timeline.pts[frames.stop] * timeline.time_base,
        origin=first * timeline.time_base,
        first_frame=frames.start,
        elapsed=(timeline.pts[frames.start] - timeline.pts[0]) * timeline.time_base,
    )
    return cut, window


def pictures_excerpt(timeline: Timeline, frames: FrameRange) -> tuple[Timeline, Window]:
    """The same for pictures, whose first is always shown at time 0.

    What lies beside them then cannot begin earlier: without a picture in it, nothing would tell by how much.
    """
    first = timeline.pts[frames.start]
    cut, window = excerpt(timeline, frames)
    moved = tuple(pts - cut.pts[0] for pts in cut.pts)
    begin = first * timeline.time_base
    return replace(cut, pts=moved), replace(window, start=begin, origin=begin, early=False)


def ends(begins: Sequence[Fraction], durations: Sequence[Fraction]) -> list[Fraction]:
    """When each packet of a track is over; one that does not say how long it lasts stays until the next."""
    found: list[Fraction] = []
    following = _FOREVER
    for begin, duration in zip(reversed(begins), reversed(durations), strict=True):
        found.append(begin + duration if duration > 0 else max(begin, following))
        following = begin
    return found[::-1]
