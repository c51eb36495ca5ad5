"""Shots -> segments -> shards. Pure.

A segment is what one encoder run encodes: a shot, or an even piece of a long one. Segments follow from
the shots alone, never from how the work is spread, so any shard plan gives the same packets. A shard is
a run of whole segments: what one task renders.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil
from operator import itemgetter

from pipelines.timeline import FrameRange, Shot

SHARD_FRAMES = 480
"""About a minute or two of work for one task, on a CPU at small sizes or a GPU at large ones."""
USUAL_SHARDS = 120
"""Long films have about so many: a server of Prefect's likes hundreds of task runs, not thousands."""
SEGMENT_MAX_FRAMES = 240
SEGMENT_MIN_FRAMES = 8
"""x265 cannot open a file with fewer than three frames; a few more keep quality even."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Consecutive whole segments rendered by one task. `number` counts from 1."""

    number: int
    segments: tuple[FrameRange, ...]

    @property
    def frames(self) -> FrameRange:
        """All its frames."""
        return FrameRange(self.segments[0].start, self.segments[-1].stop)


def plan_segments(shots: Sequence[Shot]) -> list[FrameRange]:
    """Long shots split evenly; one too short to encode alone joins the next (the last, the one before)."""
    joined: list[FrameRange] = []
    for shot in shots:
        if joined and len(joined[-1]) < SEGMENT_MIN_FRAMES:
            joined[-1] = FrameRange(joined[-1].start, shot.frames.stop)
        else:
            joined.append(shot.frames)
    if len(joined) > 1 and len(joined[-1]) < SEGMENT_MIN_FRAMES:
        joined[-2:] = [FrameRange(joined[-2].start, joined[-1].stop)]
    return [piece for whole in joined for piece in whole.split(-(-len(whole) // SEGMENT_MAX_FRAMES))]


def usual_shard_frames(frames: int) -> int:
    """Most frames of a shard in a film of so many."""
    return max(SHARD_FRAMES, ceil(frames / USUAL_SHARDS))


def plan_shards(segments: Sequence[FrameRange], shard_frames: int) -> list[Shard]:
    """Greedy runs of segments of at most `shard_frames` frames (one segment at least)."""
    if shard_frames < 1:
        raise ValueError(f"shard_frames must be at least 1, got {shard_frames}")
    runs: list[list[FrameRange]] = []
    for segment in segments:
        if runs and segment.stop - runs[-1][0].start <= shard_frames:
            runs[-1].append(segment)
        else:
            runs.append([segment])
    return [Shard(number, tuple(run)) for number, run in enumerate(runs, start=1)]


def cut_shards(shards: Sequence[Shard], frames: FrameRange) -> list[Shard]:
    """The film's shards cut to a range of its frames: those wholly inside stay as they are, and so do their
    parts. A first or last segment too short to encode alone joins its neighbour."""
    owned = [
        (shard.number, piece)
        for shard in shards
        for segment in shard.segments
        if (piece := segment.overlap(frames)) is not None
    ]
    if len(owned) > 1 and len(owned[0][1]) < SEGMENT_MIN_FRAMES:
        owner, second = owned[1]
        owned[:2] = [(owner, FrameRange(frames.start, second.stop))]
    if len(owned) > 1 and len(owned[-1][1]) < SEGMENT_MIN_FRAMES:
        owner, before = owned[-2]
        owned[-2:] = [(owner, FrameRange(before.start, frames.stop))]
    runs = [tuple(piece for _, piece in run) for _, run in groupby(owned, itemgetter(0))]
    return [Shard(number, run) for number, run in enumerate(runs, start=1)]
