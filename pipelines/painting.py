"""The frames of a shard as they are delivered: read, surveyed shot by shot, painted by the look's method."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, islice, repeat
from threading import get_ident
from typing import Any

from av import VideoFrame
from torch import Tensor

from pipelines import progress
from pipelines.mattes import read_matte
from pipelines.media.fields import weave
from pipelines.media.frames import FrameReader
from pipelines.media.layouts import PlaneArray
from pipelines.overlap import ahead, late
from pipelines.plan import Shard
from pipelines.planes import frame_planes, painted_arrays
from pipelines.prepare import FilmPlan
from pipelines.stopwatch import Clock, painted, timed
from pipelines.timeline import FrameRange, Shot, touching
from stylecore.advection import laid_before
from stylecore.bus import Planes
from stylecore.canvas import Drift
from stylecore.catalog import find_style, find_styles
from stylecore.frame_by_frame import FrameByFrame
from stylecore.inserted import Inserted
from stylecore.pixels import YuvFormat
from stylecore.refit import refit
from stylecore.runtime import (
    IN_ORDER_THREADS,
    computing_with,
    keep_arithmetic_exact,
    keep_freed_memory,
    spare_memory,
)
from stylecore.spec import EngineSpec, StyleSpec
from stylecore.stylize import ShotState, Stylizer, survey_positions

DEPTH = 4
"""Frames that wait between two stages."""
PAINTERS: dict[str, type[FrameByFrame] | type[Inserted]] = {"optimize": FrameByFrame, "harmonize": Inserted}
"""Of shots that are painted in their own order."""
_LEAST_MAPPED_BYTES = 1 << 20
"""Of memory asked for apart from the rest; in small films, more than a picture."""

FieldPictures = tuple[VideoFrame, ...]
"""The pictures of a frame: one, or that of its top and that of its bottom field."""


def open_stylizer(style: StyleSpec, film: FilmPlan, engine: EngineSpec) -> Stylizer:
    """One stylizer per look and thread: it keeps what its shot is painted with. Weights are loaded once."""
    return _stylizer(style, film.painted_format, engine, style.steady * moments_of(film), get_ident())


def moments_of(film: FilmPlan) -> int:
    """Pictures that are painted of each frame: two where fields are kept."""
    return 2 if film.encoding.field_order else 1


@lru_cache(maxsize=16)
def _stylizer(style: StyleSpec, form: YuvFormat, engine: EngineSpec, steady: int, _thread: int) -> Stylizer:
    pack, name = find_style(style.style)
    if style.keys:
        pack, _ = find_styles(key.style for key in style.keys)
    how = (style.strength, style.color, style.brush, style.keys, steady)
    return Stylizer(pack, name, form, engine, *how)


def painted_frames(
    film: FilmPlan, shard: Shard, reader: FrameReader, engine: EngineSpec, clock: Clock
) -> Iterator[list[PlaneArray]]:
    """The planes of a shard's frames as they are delivered, in order."""
    keep_freed_memory(max(_LEAST_MAPPED_BYTES, 12 * film.info.height * film.info.width))  # a picture in fp32
    painter = ShardPainter(film, reader, engine, clock)
    read_ahead = DEPTH + engine.batch
    frames = ahead(timed(_field_pictures(film, reader, read_for(film, shard.frames)), clock), read_ahead)
    held = touching(film.shots, shard.frames)
    for shot, style in zip(film.shots[held], film.styles[held], strict=True):
        mine = shot.frames.overlap(shard.frames)
        assert mine is not None, "it was asked for by its frames"
        share = Share(shot, style, mine)
        paint = painter.in_order if style.method in PAINTERS else painter.by_network
        yield from painted(paint(share, islice(frames, len(share.read))), clock)
        if film.ends_in(shot, mine):
            progress.advance(0, shots=1)


def read_for(film: FilmPlan, frames: FrameRange) -> FrameRange:
    """The frames to read for a shard's own."""
    return _over(film, frames, read_of)


def painted_for(film: FilmPlan, frames: FrameRange) -> FrameRange:
    """The frames to paint for a shard's own."""
    return _over(film, frames, painted_of)


def _over(
    film: FilmPlan, frames: FrameRange, of: Callable[[Shot, StyleSpec, FrameRange], FrameRange]
) -> FrameRange:
    held = touching(film.shots, frames)
    each = [of(*look, frames) for look in zip(film.shots[held], film.styles[held], strict=True)]
    return FrameRange(each[0].start, each[-1].stop)


def painted_of(shot: Shot, style: StyleSpec, frames: FrameRange) -> FrameRange:
    """The frames of a shot that must be painted for some: those around them lend their strokes."""
    wide = FrameRange(max(0, frames.start - style.steady), frames.stop + style.steady)
    painted = shot.frames.overlap(wide)
    assert painted is not None, "it was asked for by its frames"
    return painted


def read_of(shot: Shot, style: StyleSpec, frames: FrameRange) -> FrameRange:
    """The frames of a shot that must be read for some: the canvas comes along those before."""
    painted, first = painted_of(shot, style, frames), shot.frames.start
    start = first + laid_before(painted.start - first) if style.steady else painted.start
    return FrameRange(start, painted.stop)


@dataclass(frozen=True)
class Share:
    """What a shard paints of one shot."""

    shot: Shot
    style: StyleSpec
    frames: FrameRange

    @property
    def painted(self) -> FrameRange:
        """What must be painted of the shot for it."""
        return painted_of(self.shot, self.style, self.frames)

    @property
    def read(self) -> FrameRange:
        """What must be read of the shot for it."""
        return read_of(self.shot, self.style, self.frames)


@dataclass(frozen=True)
class ShardPainter:
    """Paints one shot's share after another, given the frames that must be read for it."""

    film: FilmPlan
    reader: FrameReader
    engine: EngineSpec
    clock: Clock

    def by_network(self, share: Share, read: Iterator[FieldPictures]) -> Iterator[list[PlaneArray]]:
        """Steady with the frames around them; on a GPU some travel back as others are painted."""
        film, moments = self.film, moments_of(self.film)
        stylizer = open_stylizer(share.style, film, self.engine)
        if not stylizer.has_room(film.info.height, film.info.width):
            spare_memory()
        state = survey_shot(film, share.shot, self.reader, stylizer, self.clock)
        places = [frame - share.shot.frames.start for frame in share.read for _ in range(moments)]
        drifts = drifts_of(film, share.shot)
        pictures = (planes_of(film, picture) for frame in read for picture in frame)
        lead = (share.painted.start - share.read.start) * moments
        shown = stylizer.shown(pictures, places, [drifts[place] for place in places])
        strokes = stylizer.steadied(islice(shown, lead, None), state)
        first = (share.frames.start - share.painted.start) * moments
        wanted = islice(strokes, first, first + len(share.frames) * moments)
        mattes = (matte for matte in _mattes(film, share.style, share.frames) for _ in range(moments))
        begun = (stylizer.lay(each, matte) for each, matte in zip(wanted, mattes, strict=False))
        made = late(begun, stylizer.bus.late * self.engine.batch)
        for _ in share.frames:
            yield _as_frame([painted_arrays(next(made).take()) for _ in range(moments)])

    def in_order(self, share: Share, read: Iterator[FieldPictures]) -> Iterator[list[PlaneArray]]:
        """Of a shot that is painted in its own order, from its first frame on."""
        shot, style, mine = share.shot, share.style, share.frames
        lead_in = range(shot.frames.start, mine.start)
        rest = range(mine.stop, mine.stop if style.passes == 1 else shot.frames.stop)
        before, after = (timed(self.reader.pick(frames), self.clock) for frames in (lead_in, rest))
        pictures = chain(before, (picture for (picture,) in read), after)
        mattes: Iterator[Any] = _mattes(self.film, style, FrameRange(lead_in.start, rest.stop))
        keep_arithmetic_exact()
        with computing_with(IN_ORDER_THREADS):
            painter = PAINTERS[style.method](style, self.film.painted_format, self.engine)
            made = painter.paint((planes_of(self.film, frame) for frame in pictures), mattes)
            for planes in islice(made, len(lead_in), len(lead_in) + len(mine)):
                yield painted_arrays(planes)


def _field_pictures(film: FilmPlan, reader: FrameReader, frames: FrameRange) -> Iterator[FieldPictures]:
    if film.encoding.field_order:
        return reader.read_fields(frames)
    return ((frame,) for frame in reader.read(frames))


def _as_frame(pictures: list[list[PlaneArray]]) -> list[PlaneArray]:
    """A frame as it is encoded: of two moments, each gives its own lines."""
    if len(pictures) == 1:
        return pictures[0]
    top, bottom = pictures
    return [weave(*planes) for planes in zip(top, bottom, strict=True)]


def planes_of(film: FilmPlan, frame: VideoFrame) -> Planes:
    """A frame in the delivery's depth and sampling: paint is added there, and dithered once."""
    return refit(frame_planes(frame), film.yuv_format, film.painted_format)


def drifts_of(film: FilmPlan, shot: Shot) -> list[Drift]:
    """How far the scene of each frame has moved since the shot began, as it is seen."""
    held, height = film.yuv_format.orientation, film.info.height
    seen_height, _ = held.upright_size(height, film.info.width)
    down = right = 0.0
    drifts: list[Drift] = []
    for facts in film.index.frames[shot.frames.start : shot.frames.stop]:
        if drifts:
            down, right = down + facts.moved_down, right + facts.moved_right
        seen_down, seen_right = held.upright_move(down * height, right * height)
        drifts.append((seen_down / seen_height, seen_right / seen_height))
    return drifts


def _mattes(film: FilmPlan, style: StyleSpec, frames: FrameRange) -> Iterator[Tensor | None]:
    """A matte for each frame; None, without end, where the whole picture is painted."""
    if style.matte is None:
        return repeat(None)
    height, width = film.yuv_format.orientation.upright_size(film.info.height, film.info.width)
    return read_matte(style.matte, frames, height, width)


def survey_shot(
    film: FilmPlan, shot: Shot, reader: FrameReader, stylizer: Stylizer, clock: Clock
) -> ShotState:
    """The shot's constants, from frames spread over the whole shot: every shard of it gets the same."""
    contrasts = [film.index.frames[frame].contrast for frame in shot.frames]
    wanted = [shot.frames.start + position for position in survey_positions(contrasts)]
    return stylizer.survey(planes_of(film, frame) for frame in timed(reader.pick(wanted), clock))
