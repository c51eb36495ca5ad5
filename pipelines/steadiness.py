"""How steady each shot of a finished part is, measured on a few frames of it against the source, and kept."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import nan
from pathlib import Path, PurePosixPath

import av
from torch import Tensor

from pipelines.attempts import ShardResult
from pipelines.media.frames import FrameReader
from pipelines.media.layouts import in_format
from pipelines.plan import Shard
from pipelines.planes import frame_planes
from pipelines.prepare import FilmPlan
from pipelines.rows import read_rows, write_rows
from pipelines.timeline import FrameRange
from pipelines.work import Work
from stylecore.metrics import error_along, luma_flicker
from stylecore.motion import track
from stylecore.pixels import YuvFormat, to_rgb
from stylecore.scaling import resize, work_size

VERSION = 1
SAMPLE_FRAMES = 8
"""Consecutive frames of a shot that are measured, from its middle."""
SAMPLE_HEIGHT_PX = 270
_ONE_CODE = (1 / 255) ** 2
"""Squared error of one code value: below it nothing is seen, and a still source has none at all."""


@dataclass(frozen=True)
class Steadiness:
    """Of one shot in one part; columns of steadiness/*.parquet."""

    shot: int
    warp_ratio: float
    """Change along the source's motion, relative to the source's own: 1 is as steady as the film."""
    flicker: float
    """Mean change of brightness where the source stands still, in code values of 255."""


def steadiness_of(
    work: Work, film: FilmPlan, shard: Shard, result: ShardResult, source: Path
) -> list[Steadiness]:
    """Of each shot in the part of a result; measured once, then kept. None where the part is lost."""
    name = f"steadiness/{PurePosixPath(result.part).stem}.parquet"
    rows = read_rows(work.store, name, Steadiness, VERSION)
    if rows is not None:
        return rows
    part = work.part(result)
    rows = list(_measured(film, shard, part, source)) if part else []
    if part:
        write_rows(work.store, name, Steadiness, rows, VERSION)
    return rows


def _measured(film: FilmPlan, shard: Shard, part: Path, source: Path) -> Iterator[Steadiness]:
    reader = FrameReader(source, film.info, film.index)
    pieces = [(shot, piece) for shot in film.shots if (piece := shot.frames.overlap(shard.frames))]
    samples = [_middle(piece) for _, piece in pieces]
    painted = _decoded(film, part, shard.frames.start, samples)
    for (shot, _), sample, made in zip(pieces, samples, painted, strict=True):
        old = [_small(frame, film.yuv_format) for frame in reader.read(sample)]
        yield Steadiness(shot.number, *_compared(old, made))


def _compared(old: Sequence[Tensor], made: Sequence[Tensor]) -> tuple[float, float]:
    """Warp ratio and flicker; `nan` of a single frame."""
    if len(old) < 2:
        return nan, nan
    motion = track(old, gap=1)
    ratio = (error_along(made, motion) + _ONE_CODE) / (error_along(old, motion) + _ONE_CODE)
    return ratio, luma_flicker(made, old)


def _middle(frames: FrameRange) -> FrameRange:
    spare = max(0, len(frames) - SAMPLE_FRAMES) // 2
    return FrameRange(frames.start + spare, min(frames.stop, frames.start + spare + SAMPLE_FRAMES))


def _decoded(film: FilmPlan, part: Path, first: int, samples: Sequence[FrameRange]) -> Iterator[list[Tensor]]:
    """The painted frames of each sample; `first` is the part's first frame in the film."""
    with av.open(str(part)) as container:
        frames = enumerate(container.decode(video=0), start=first)
        for sample in samples:
            coming = (frame for number, frame in frames if number in sample)
            chosen = islice(coming, len(sample))
            unpacked = (in_format(frame, film.encoding.pixel_format) for frame in chosen)
            yield [_small(frame, film.painted_format) for frame in unpacked]


def _small(frame: av.VideoFrame, form: YuvFormat) -> Tensor:
    """A frame as RGB (3,H,W), small enough to be measured quickly."""
    rgb = to_rgb(frame_planes(frame), form)
    return resize(rgb, work_size(rgb.shape[-2], rgb.shape[-1], SAMPLE_HEIGHT_PX, 1.0))[0]
