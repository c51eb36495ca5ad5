"""Frames and time: the frame index is identity, timestamps are integer ticks. Standard library only."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True, order=True)
class FrameRange:
    """Frames start, start + 1, ..., stop - 1, in presentation order."""

    start: int
    stop: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop:
            raise ValueError(f"a frame range needs 0 <= start < stop, got {self.start}:{self.stop}")

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start, self.stop))

    def __contains__(self, frame: object) -> bool:
        return isinstance(frame, int) and self.start <= frame < self.stop

    def __str__(self) -> str:
        return f"{self.start}:{self.stop}"

    def overlap(self, other: "FrameRange") -> "FrameRange | None":
        """The frames that are in both, if any."""
        start, stop = max(self.start, other.start), min(self.stop, other.stop)
        return FrameRange(start, stop) if start < stop else None

    def split(self, pieces: int) -> list["FrameRange"]:
        """Consecutive pieces whose lengths differ by at most one frame."""
        edges = [self.start + len(self) * index // pieces for index in range(pieces + 1)]
        return [FrameRange(start, stop) for start, stop in zip(edges, edges[1:], strict=False)]

    def batches(self, most: int) -> list["FrameRange"]:
        """Consecutive pieces of so many frames, and one of what is left."""
        starts = range(self.start, self.stop, most)
        return [FrameRange(start, min(start + most, self.stop)) for start in starts]


@dataclass(frozen=True, slots=True)
class Shot:
    """Frames between two cuts: the unit of model state and of reprocessing. `number` counts from 1."""

    number: int
    frames: FrameRange


@dataclass(frozen=True, slots=True)
class Timeline:
    """When each frame is shown: `pts[i]` ticks of `time_base` seconds, strictly increasing."""

    time_base: Fraction
    pts: Sequence[int]
    last_duration: int
    """Ticks for which the last frame stays."""

    def __post_init__(self) -> None:
        for frame, (before, after) in enumerate(zip(self.pts, self.pts[1:], strict=False), start=1):
            if after <= before:
                raise ValueError(f"frame {frame} is at tick {after}, not after tick {before}")

    def __len__(self) -> int:
        return len(self.pts)

    def seconds(self, frame: int) -> Fraction:
        """When a frame is shown, counted from the first one."""
        return (self.pts[frame] - self.pts[0]) * self.time_base

    def duration_ticks(self, frame: int) -> int:
        """Ticks for which one frame stays."""
        if frame + 1 < len(self.pts):
            return self.pts[frame + 1] - self.pts[frame]
        return self.last_duration

    @property
    def duration(self) -> Fraction:
        """Seconds from the first frame's start to the last one's end."""
        return (self.pts[-1] + self.last_duration - self.pts[0]) * self.time_base

    @property
    def mean_rate(self) -> Fraction:
        """Frames per second, for people and encoders; never used to compute a time."""
        return Fraction(len(self.pts)) / self.duration


def touching(shots: Sequence[Shot], frames: FrameRange) -> slice:
    """Where among consecutive shots are those that hold any of the frames."""
    first = bisect_right(shots, frames.start, key=lambda shot: shot.frames.stop)
    stop = bisect_left(shots, frames.stop, key=lambda shot: shot.frames.start)
    return slice(first, stop)


def shots_from_cuts(cuts: Iterable[int], frames: int) -> list[Shot]:
    """Shots of a film of `frames` frames; a cut is the first frame of a new shot."""
    inner = sorted({cut for cut in cuts if 0 < cut < frames})
    edges = [0, *inner, frames]
    ranges = zip(edges, edges[1:], strict=False)
    return [Shot(number, FrameRange(start, stop)) for number, (start, stop) in enumerate(ranges, start=1)]


def parse_numbers(text: str) -> list[int]:
    """Numbers of a list like `3,7-9`: [3, 7, 8, 9]."""
    numbers: set[int] = set()
    for item in text.split(","):
        first, dash, last = item.strip().partition("-")
        try:
            low, high = int(first), int(last) if dash else int(first)
        except ValueError:
            raise ValueError(f"expected numbers like 3,7-9, got {text!r}") from None
        if low > high:
            raise ValueError(f"{item.strip()!r} runs backward")
        numbers.update(range(low, high + 1))
    return sorted(numbers)
