"""Render one shard: reader -> Stylizer -> encoder, three threads, a handful of frames between them."""

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from av import VideoFrame
from numpy.typing import NDArray

from pipelines import progress
from pipelines.media.frames import FrameReader
from pipelines.media.index import plane_arrays
from pipelines.media.parts import PartFacts, write_part
from pipelines.overlap import ahead, behind
from pipelines.plan import Shard
from pipelines.prepare import FilmPlan
from pipelines.timeline import Shot
from stylecore.pack import find_style
from stylecore.pixels import YuvFormat
from stylecore.runtime import keep_freed_memory
from stylecore.spec import EngineSpec, StyleSpec
from stylecore.stylize import Planes, ShotState, Stylizer, survey_positions

_DEPTH = 4


@dataclass
class Clock:
    """Seconds spent in each stage; stages run at the same time, so they may add up to more than the wall."""

    decode: float = 0.0
    network: float = 0.0
    encode: float = 0.0


class Waits:
    """The same items, and the seconds that were spent waiting for them."""

    def __init__(self, items: Iterator[list[NDArray[np.uint8]]]) -> None:
        self.items = items
        self.seconds = 0.0

    def __iter__(self) -> Iterator[list[NDArray[np.uint8]]]:
        while True:
            asked = time.perf_counter()
            item = next(self.items, None)
            self.seconds += time.perf_counter() - asked
            if item is None:
                return
            yield item


@dataclass(frozen=True)
class RenderedShard:
    """A finished part file and how it came about."""

    facts: PartFacts
    frames_sha256: str
    wall_seconds: float
    clock: Clock


@lru_cache(maxsize=4)
def open_stylizer(style: StyleSpec, form: YuvFormat, engine: EngineSpec) -> Stylizer:
    """One stylizer per look and process: weights are loaded once."""
    keep_freed_memory()
    pack, name = find_style(style.style)
    return Stylizer(pack, name, form, engine, style.strength, style.keep_color)


def render_shard(
    film: FilmPlan, shard: Shard, source: Path, engine: EngineSpec, target: Path
) -> RenderedShard:
    """Write the shard's part to `target`; every source frame is proved against the index on the way."""
    reader = FrameReader(source, film.info, film.index)
    clock, hashed = Clock(), hashlib.sha256()
    started = time.perf_counter()

    def encode(frames: Iterator[list[NDArray[np.uint8]]]) -> PartFacts:
        waits = Waits(frames)
        facts = write_part(target, shard.segments, waits, film.encoding)
        clock.encode = time.perf_counter() - started - waits.seconds
        return facts

    def painted() -> Iterator[list[NDArray[np.uint8]]]:
        for planes in _painted(film, shard, reader, engine, clock):
            for plane in planes:
                hashed.update(plane.data)
            progress.advance()
            yield planes

    facts = behind(encode, painted(), _DEPTH)
    return RenderedShard(facts, hashed.hexdigest(), time.perf_counter() - started, clock)


def _painted(
    film: FilmPlan, shard: Shard, reader: FrameReader, engine: EngineSpec, clock: Clock
) -> Iterator[list[NDArray[np.uint8]]]:
    frames = ahead(_timed(reader.read(shard.frames), clock), _DEPTH + engine.batch)
    for shot, style in zip(film.shots, film.styles, strict=True):
        inside = min(shot.frames.stop, shard.frames.stop) - max(shot.frames.start, shard.frames.start)
        if inside <= 0:
            continue
        stylizer = open_stylizer(style, film.yuv_format, engine)
        state = _survey(film, shot, reader, stylizer, clock)
        mine = islice(frames, inside)
        while batch := [_planes(frame) for frame in islice(mine, engine.batch)]:
            began = time.perf_counter()
            made = stylizer.stylize(batch, state)
            clock.network += time.perf_counter() - began
            yield from ([plane.numpy() for plane in planes] for planes in made)
        if shot.frames.stop <= shard.frames.stop:
            progress.advance(0, shots=1)


def _survey(film: FilmPlan, shot: Shot, reader: FrameReader, stylizer: Stylizer, clock: Clock) -> ShotState:
    """The shot's constants, from frames spread over the whole shot: every shard of it gets the same."""
    contrasts = [film.index.frames[frame].contrast for frame in shot.frames]
    wanted = [shot.frames.start + position for position in survey_positions(contrasts)]
    chosen = [_planes(frame) for frame in _timed(reader.pick(wanted), clock)]
    began = time.perf_counter()
    state = stylizer.survey(chosen)
    clock.network += time.perf_counter() - began
    return state


def _timed(frames: Iterator[VideoFrame], clock: Clock) -> Iterator[VideoFrame]:
    while True:
        began = time.perf_counter()
        frame = next(frames, None)
        clock.decode += time.perf_counter() - began
        if frame is None:
            return
        yield frame


def _planes(frame: VideoFrame) -> Planes:
    return [torch.from_numpy(np.array(view)) for view in plane_arrays(frame)]
