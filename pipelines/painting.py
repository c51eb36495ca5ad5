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
from stylecore.stylize import ShotState, Stylizer, survey_positions

DEPTH = 4
"""Frames that wait between two stages."""
PAINTERS: dict[str, type[FrameByFrame] | type[Inserted]] = {"optimize": FrameByFrame, "harmonize": Inserted}
"""Of shots that are painted in their own order."""

Moments = tuple[VideoFrame, ...]
"""The pictures of a frame: one, or that of its top and that of its bottom field."""


def open_stylizer(style: StyleSpec, form: YuvFormat, engine: EngineSpec) -> Stylizer:
    """One stylizer per look and thread: it keeps what its shot is painted with. Weights are loaded once."""
    return _stylizer(style, form, engine, get_ident())


@lru_cache(maxsize=16)
def _stylizer(style: StyleSpec, form: YuvFormat, engine: EngineSpec, _thread: int) -> Stylizer:
    pack, name = find_style(style.style)
    if style.keys:
        pack, _ = find_styles(key.style for key in style.keys)
    return Stylizer(pack, name, form, engine, style.strength, style.color, style.brush, style.keys)


def painted_frames(
    film: FilmPlan, shard: Shard, reader: FrameReader, engine: EngineSpec, clock: Clock
) -> Iterator[list[PlaneArray]]:
    """The planes of a shard's frames as they are delivered, in order."""
    keep_freed_memory()
    keep_convolutions_exact()
    frames = ahead(timed(_moments(film, reader, shard.frames), clock), DEPTH + engine.batch)
    held = touching(film.shots, shard.frames)
    for shot, style in zip(film.shots[held], film.styles[held], strict=True):
        mine = shot.frames.overlap(shard.frames)
        assert mine is not None, "it was asked for by its frames"
        mine_read = islice(frames, len(mine))
        paint = _in_order if style.method in PAINTERS else _painted
        yield from paint(film, shot, style, engine, reader, mine, mine_read, clock)
        if film.ends_in(shot, mine):
            progress.advance(0, shots=1)


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
    """This shot's frames, each painted by itself; on a GPU some travel back while the next are painted."""
    stylizer = open_stylizer(style, film.painted_format, engine)
    state = survey_shot(film, shot, reader, stylizer, clock)
    moments = 2 if film.encoding.field_order else 1
    at_once = max(1, engine.batch // moments)
    mattes, drifts, first = _mattes(film, style, mine), drifts_of(film, shot), mine.start - shot.frames.start

    def begun() -> Iterator[list[Arrival]]:
        place = first
        while batch := list(islice(mine_read, at_once)):
            pictures = [planes_of(film, picture) for frame in batch for picture in frame]
            allowed = [matte for matte in islice(mattes, len(batch)) for _ in batch[0]] or None
            moved = [drift for drift in drifts[place : place + len(batch)] for _ in batch[0]]
            with painting(clock):
                arrivals = stylizer.begin(pictures, state, place, allowed, moved)
            yield arrivals
            place += len(batch)

    for arrivals in late(begun(), stylizer.bus.late):
        with painting(clock):
            made = [painted_arrays(arrival.take()) for arrival in arrivals]
        yield from _as_frames(made, moments)


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
    mattes: Iterator[Any] = repeat(None)
    if style.matte:
        mattes = _mattes(film, style, FrameRange(lead_in.start, rest.stop))
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


def _as_frames(pictures: list[list[PlaneArray]], moments: int) -> list[list[PlaneArray]]:
    """Frames as they are encoded: of two moments, each gives its own lines."""
    if moments == 1:
        return pictures
    pairs = zip(pictures[0::2], pictures[1::2], strict=True)
    return [[weave(*planes) for planes in zip(top, bottom, strict=True)] for top, bottom in pairs]


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


def _mattes(film: FilmPlan, style: StyleSpec, frames: FrameRange) -> Iterator[Tensor]:
    """One matte a frame; none at all where the whole picture is painted."""
    if style.matte is None:
        return iter(())
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
