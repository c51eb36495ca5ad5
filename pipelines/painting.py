"""The frames of a shard as they are delivered: read, surveyed shot by shot, painted by the look's method."""

import time
from collections.abc import Iterator
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
from pipelines.stopwatch import Clock, painting, timed
from pipelines.timeline import FrameRange, Shot, touching
from stylecore.bus import Arrival, Planes
from stylecore.canvas import Drift
from stylecore.catalog import find_style, find_styles
from stylecore.frame_by_frame import FrameByFrame
from stylecore.inserted import Inserted
from stylecore.pixels import YuvFormat
from stylecore.refit import refit
from stylecore.runtime import IN_ORDER_THREADS, computing_with, keep_convolutions_exact, keep_freed_memory
from stylecore.spec import EngineSpec, StyleSpec
from stylecore.steady import Steadier, Strokes
from stylecore.stylize import ShotState, Stylizer, survey_positions

DEPTH = 4
"""Frames that wait between two stages."""
PAINTERS: dict[str, type[FrameByFrame] | type[Inserted]] = {"optimize": FrameByFrame, "harmonize": Inserted}
"""Of shots that are painted in their own order."""

Moments = tuple[VideoFrame, ...]
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
    keep_freed_memory()
    read_ahead = DEPTH + engine.batch
    frames = ahead(timed(_moments(film, reader, seen_for(film, shard.frames)), clock), read_ahead)
    held = touching(film.shots, shard.frames)
    for shot, style in zip(film.shots[held], film.styles[held], strict=True):
        mine = shot.frames.overlap(shard.frames)
        assert mine is not None, "it was asked for by its frames"
        read = islice(frames, len(seen_of(shot, style, mine)))
        paint = _in_order if style.method in PAINTERS else _painted
        yield from paint(film, shot, style, engine, reader, mine, read, clock)
        if film.ends_in(shot, mine):
            progress.advance(0, shots=1)


def seen_for(film: FilmPlan, frames: FrameRange) -> FrameRange:
    """The frames to read for a shard's own."""
    held = touching(film.shots, frames)
    seen = [seen_of(*look, frames) for look in zip(film.shots[held], film.styles[held], strict=True)]
    return FrameRange(seen[0].start, seen[-1].stop)


def seen_of(shot: Shot, style: StyleSpec, frames: FrameRange) -> FrameRange:
    """The frames of a shot that must be seen to paint some: those around them lend their strokes."""
    wide = FrameRange(max(0, frames.start - style.steady), frames.stop + style.steady)
    seen = shot.frames.overlap(wide)
    assert seen is not None, "it was asked for by its frames"
    return seen


def _painted(
    film: FilmPlan,
    shot: Shot,
    style: StyleSpec,
    engine: EngineSpec,
    reader: FrameReader,
    mine: FrameRange,
    mine_read: Iterator[Moments],
    clock: Clock,
) -> Iterator[list[PlaneArray]]:
    """This shot's frames, steady with those around them; on a GPU some travel back as others are painted."""
    stylizer, moments = open_stylizer(style, film, engine), moments_of(film)
    state = survey_shot(film, shot, reader, stylizer, clock)
    seen = seen_of(shot, style, mine)
    strokes = _strokes(film, shot, stylizer, state, mine_read, seen, clock)
    first = (mine.start - seen.start) * moments
    wanted = islice(strokes, first, first + len(mine) * moments)
    mattes = (matte for matte in _mattes(film, style, mine) for _ in range(moments))

    def begun() -> Iterator[Arrival]:
        for each in wanted:
            matte = next(mattes)
            with painting(clock):
                arrival = stylizer.lay(each, matte)
            yield arrival

    made = late(begun(), stylizer.bus.late * engine.batch)
    for _ in mine:
        arrivals = [next(made) for _ in range(moments)]
        with painting(clock):
            frame = _as_frame([painted_arrays(arrival.take()) for arrival in arrivals])
        yield frame


def _strokes(
    film: FilmPlan,
    shot: Shot,
    stylizer: Stylizer,
    state: ShotState,
    read: Iterator[Moments],
    seen: FrameRange,
    clock: Clock,
) -> Iterator[Strokes]:
    """What is painted of all that is seen, picture by picture."""
    moments, drifts, steadier = moments_of(film), drifts_of(film, shot), Steadier(stylizer.steady)
    # Full but for the last: on a GPU what is missing in a batch is painted all the same.
    for batch in seen.batches(max(1, stylizer.engine.batch // moments)):
        pictures = [planes_of(film, picture) for frame in islice(read, len(batch)) for picture in frame]
        places = [frame - shot.frames.start for frame in batch for _ in range(moments)]
        with painting(clock):
            painted = stylizer.strokes(pictures, state, places, [drifts[place] for place in places])
            steady = steadier.add(painted)
        yield from steady
    with painting(clock):
        steady = steadier.rest()
    yield from steady


def _in_order(
    film: FilmPlan,
    shot: Shot,
    style: StyleSpec,
    engine: EngineSpec,
    reader: FrameReader,
    mine: FrameRange,
    mine_read: Iterator[Moments],
    clock: Clock,
) -> Iterator[list[PlaneArray]]:
    """This shard's frames of a shot that is painted in its own order, from its first frame on."""
    lead_in = range(shot.frames.start, mine.start)
    rest = range(mine.stop, mine.stop if style.passes == 1 else shot.frames.stop)
    pictures = (picture for (picture,) in mine_read)
    read = chain(timed(reader.pick(lead_in), clock), pictures, timed(reader.pick(rest), clock))
    mattes: Iterator[Any] = _mattes(film, style, FrameRange(lead_in.start, rest.stop))
    keep_convolutions_exact()
    with computing_with(IN_ORDER_THREADS):
        painter = PAINTERS[style.method](style, film.painted_format, engine)
        made = painter.paint((planes_of(film, frame) for frame in read), mattes)
        began = time.perf_counter()
        for planes in islice(made, len(lead_in), len(lead_in) + len(mine)):
            clock.network += time.perf_counter() - began
            yield painted_arrays(planes)
            began = time.perf_counter()


def _moments(film: FilmPlan, reader: FrameReader, frames: FrameRange) -> Iterator[Moments]:
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
    waited, began = clock.decode, time.perf_counter()
    state = stylizer.survey(planes_of(film, frame) for frame in timed(reader.pick(wanted), clock))
    clock.network += time.perf_counter() - began - (clock.decode - waited)
    return state
