"""Timecodes: frames named HH:MM:SS:FF at a film's nominal rate, counted from its first frame (SMPTE ST 12-1).

Drop-frame counting, written with `;` before the frames, skips names, never frames: two a minute at 29.97
frames per second (four at 59.94), but not in every tenth minute, so that names keep up with the clock.
"""

import re
from bisect import bisect_right
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import ceil

from pipelines.timeline import FrameRange, Timeline

_DROPPED = {Fraction(30000, 1001): 2, Fraction(60000, 1001): 4}
"""Names skipped at the start of a minute, for the rates that have drop-frame counting."""
_RECOUNTED = (Fraction(4, 5), Fraction(2, 5), Fraction(2))
"""A film's rate of its video's: won back from telecine at 29.97 or 59.94, or a picture of each field."""
_TIMECODE = re.compile(r"(\d+):(\d\d):(\d\d)([:;])(\d\d+)")


def counted_rate(rate: Fraction) -> int:
    """Names in a second of timecode: the nearest whole number of frames."""
    return max(1, int(rate + Fraction(1, 2)))


def format_timecode(frame: int, rate: Fraction, drop: bool = False) -> str:
    """The name of a frame."""
    base, dropped = counted_rate(rate), _dropped(rate) if drop else 0
    tens, rest = divmod(frame, 600 * base - 9 * dropped)
    minutes = 0 if rest < 60 * base else 1 + (rest - 60 * base) // (60 * base - dropped)
    seconds, count = divmod(frame + dropped * (9 * tens + minutes), base)
    hour, minute, second = seconds // 3600, seconds // 60 % 60, seconds % 60
    return f"{hour:02}:{minute:02}:{second:02}{';' if drop else ':'}{count:02}"


def parse_timecode(text: str, rate: Fraction) -> int:
    """The frame of a name; ValueError if no frame has it."""
    seconds, count, drop = _read(text, counted_rate(rate))
    dropped, minutes = _dropped(rate) if drop else 0, seconds // 60
    if count < dropped and seconds % 60 == 0 and minutes % 10:
        raise ValueError(f"{text}: drop-frame counting skips this name; the next is {text[:-2]}{dropped:02}")
    return seconds * counted_rate(rate) + count - dropped * (minutes - minutes // 10)


def _read(text: str, base: int) -> tuple[int, int, bool]:
    """Whole seconds, frames beyond, and whether the name is a drop-frame one."""
    found = _TIMECODE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is neither a frame number nor a timecode HH:MM:SS:FF")
    hour, minute, second, count = (int(found[place]) for place in (1, 2, 3, 5))
    if minute > 59 or second > 59 or count >= base:
        raise ValueError(f"{text} is no timecode: minutes and seconds go to 59, frames here to {base - 1}")
    return hour * 3600 + minute * 60 + second, count, found[4] == ";"


def _dropped(rate: Fraction) -> int:
    if rate not in _DROPPED:
        raise ValueError("drop-frame timecodes (with ;) are for films of 29.97 or 59.94 frames per second")
    return _DROPPED[rate]


def parse_span(text: str) -> tuple[str, str]:
    """Both ends of `A-B` as they are written; an open one is empty. ValueError if it is nothing like that."""
    first, dash, stop = (piece.strip() for piece in text.partition("-"))
    if not dash or not (first or stop):
        raise ValueError("write FIRST-END, such as 240-480, 00:00:10:00-00:00:20:00, 240- or -480")
    for end in filter(None, (first, stop)):
        if not end.isdecimal() and not _TIMECODE.fullmatch(end):
            raise ValueError(f"{end!r} is neither a frame number nor a timecode HH:MM:SS:FF")
    return first, stop


@dataclass(frozen=True)
class Counting:
    """How the frames of one film are counted, at its nominal rate.

    Where the rate varies there is nothing to count: a timecode then is a time, and names the frame shown.
    """

    timeline: Timeline
    rate: Fraction

    @cached_property
    def constant(self) -> bool:
        """Whether each frame lies within half a frame of where its count says."""
        step = self.timeline.time_base * self.rate
        ticks, frames = step.numerator, step.denominator
        first = self.timeline.pts[0]
        return all(
            abs((pts - first) * ticks - number * frames) * 2 < frames
            for number, pts in enumerate(self.timeline.pts)
        )

    def range(self, text: str) -> FrameRange:
        """The frames of `A-B`: A is the first, B the first that is left out."""
        first, stop = parse_span(text)
        start = self._frame(first) if first else 0
        end = self._frame(stop) if stop else len(self.timeline)
        if start >= len(self.timeline) or end > len(self.timeline):
            raise ValueError(f"{first if start >= len(self.timeline) else stop} is past the end")
        if start >= end:
            raise ValueError("holds no frame" if start == end else "runs backward")
        return FrameRange(start, end)

    def name(self, frame: int) -> str:
        """The timecode of a frame, or of the end after the last one."""
        if self.constant:
            return format_timecode(frame, self.rate)
        end = self.timeline.duration
        seconds = end if frame == len(self.timeline) else self.timeline.seconds(frame)
        base = counted_rate(self.rate)
        # Rounded up: the name's own time must not lie before the frame is shown.
        return format_timecode(ceil(seconds * base), Fraction(base))

    def _frame(self, text: str) -> int:
        if text.isdecimal():
            return int(text)
        if self.constant:
            return parse_timecode(text, self.rate)
        seconds, count, drop = _read(text, counted_rate(self.rate))
        if drop:
            raise ValueError(
                f"{text}: drop-frame counting (with ;) needs a constant rate; this film's varies"
            )
        return self._shown_at(seconds + Fraction(count, counted_rate(self.rate)))

    def _shown_at(self, seconds: Fraction) -> int:
        """The frame on the screen at a time after the first frame's; one past the last from the end on."""
        if seconds >= self.timeline.duration:
            return len(self.timeline) + (seconds > self.timeline.duration)
        tick = self.timeline.pts[0] + int(seconds / self.timeline.time_base)
        return bisect_right(self.timeline.pts, tick) - 1


def counted_at(text: str, source_rate: Fraction, rate: Fraction) -> str:
    """A first timecode as it is written at another rate: frames are dropped at 29.97 and 59.94 only.

    It is counted anew where film was won from video, or a picture made of each field; any other difference
    of rates may be a container's guess.
    """
    found = _TIMECODE.fullmatch(text)
    if found is None:
        return text
    mark = found[4] if rate in _DROPPED else ":"
    count = int(found[5])
    if rate / source_rate in _RECOUNTED:
        count = count * counted_rate(rate) // counted_rate(source_rate)
    return f"{text[: found.start(4)]}{mark}{count:02}"
