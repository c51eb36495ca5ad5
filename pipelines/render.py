"""Render one shard: reader -> engine -> encoder, three threads, a handful of frames between them."""

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipelines import progress
from pipelines.media.frames import FrameReader
from pipelines.media.layouts import PlaneArray
from pipelines.media.parts import PartFacts, write_part
from pipelines.overlap import behind
from pipelines.painting import DEPTH, painted_frames
from pipelines.plan import Shard
from pipelines.prepare import FilmPlan
from pipelines.stopwatch import Clock, Waits
from stylecore.spec import EngineSpec


@dataclass(frozen=True)
class RenderedShard:
    """A finished part file and how it came about."""

    facts: PartFacts
    frames_sha256: str
    wall_seconds: float
    clock: Clock


def render_shard(
    film: FilmPlan, shard: Shard, source: Path, engine: EngineSpec, target: Path
) -> RenderedShard:
    """Write the shard's part to `target`; every source frame is proved against the index on the way."""
    reader = FrameReader(source, film.info, film.index)
    clock, hashed = Clock(), hashlib.sha256()
    started = time.perf_counter()

    def encode(frames: Iterator[list[PlaneArray]]) -> PartFacts:
        waits = Waits(frames)
        facts = write_part(target, shard.segments, waits, film.encoding)
        clock.encode = time.perf_counter() - started - waits.seconds
        return facts

    def painted() -> Iterator[list[PlaneArray]]:
        for planes in painted_frames(film, shard, reader, engine, clock):
            for plane in planes:
                hashed.update(plane.data)
            progress.advance()
            yield planes

    facts = behind(encode, painted(), DEPTH)
    return RenderedShard(facts, hashed.hexdigest(), time.perf_counter() - started, clock)
