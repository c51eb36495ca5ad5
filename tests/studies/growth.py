"""What planning, tables, manifest and assembly cost as films grow: made-up films, one table.

    PYTHONPATH=.:tests python tests/studies/growth.py --frames 10000 50000 200000

A shot has a hundred frames and is a shard of its own, so 200,000 frames are 2,000 shots and shards: the worst
case of a manifest. The parts are one real part over and over; nothing is decoded.
"""

import argparse
import hashlib
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import av
from conftest import draw

from pipelines import attempts, manifest
from pipelines.attempts import OK, ShardResult
from pipelines.config import make_job
from pipelines.flows.tasks import Assembled
from pipelines.jobs import TitleJob
from pipelines.media.assemble import PartFile, assemble
from pipelines.media.conform import conform
from pipelines.media.encoding import Encoding
from pipelines.media.frames import FrameReader
from pipelines.media.index import FilmIndex, FrameFacts, PacketFacts
from pipelines.media.layouts import plane_arrays
from pipelines.media.parts import PartFacts, write_part
from pipelines.media.probe import probe
from pipelines.media.shots import cut_scores
from pipelines.media.source_info import SourceInfo
from pipelines.prepare import FilmPlan, plan_film
from pipelines.storage import Store
from pipelines.timeline import FrameRange, Timeline
from pipelines.work import Work, finished_parts, pending, record_plan

SHOT_FRAMES = 100
Value = TypeVar("Value")


@dataclass
class Watch:
    """CPU seconds of each step, in the order taken: other work on the machine does not count."""

    seconds: dict[str, float]

    def __call__(self, step: str, call: Callable[[], Value]) -> Value:
        began = time.process_time()
        value = call()
        self.seconds[step] = time.process_time() - began
        return value


def made_up_index(frames: int) -> FilmIndex:
    """An index of a film that nobody ever shot, with a cut every hundred frames."""
    chance = random.Random(frames)
    ticks = tuple(range(0, frames * 512, 512))
    facts = tuple(
        FrameFacts(frame, ticks[frame], chance.getrandbits(32), frame % 24 == 0, 100.0, 40.0, False, 0.0, 0.0)
        for frame in range(frames)
    )
    packets = tuple(
        PacketFacts(tick, tick, 512, frame % 24 == 0, 1000, chance.getrandbits(32))
        for frame, tick in enumerate(ticks)
    )
    scores = tuple(2.0 if frame and frame % SHOT_FRAMES == 0 else 0.1 for frame in range(frames))
    return FilmIndex(packets, facts, scores, Timeline(Fraction(1, 12288), ticks, 512))


def part_of(encoding: Encoding, drawn: Path, path: Path) -> PartFacts:
    """One real part of a shot's frames."""
    with av.open(str(drawn)) as container:
        frame = next(container.decode(video=0))
        planes = [plane.copy() for plane in plane_arrays(frame)]
    return write_part(path, [FrameRange(0, SHOT_FRAMES)], [planes] * SHOT_FRAMES, encoding)


def measure(frames: int, source: Path, info: SourceInfo, folder: Path) -> dict[str, float]:
    """Every step of a film of so many frames but decoding, painting and encoding."""
    watch = Watch({})
    store = Store(str(folder / "work"))
    watch("cuts", lambda: cut_scores([1.0] * frames))
    index = made_up_index(frames)
    watch("index stored", lambda: manifest.save_index(store, "key", index))
    again = watch("index read", lambda: manifest.load_index(store, "key"))
    assert again is not None and again.timeline == index.timeline
    job = make_job({
        "source": str(source), "output": str(folder / "out.mp4"), "work": store.url, "style": "identity",
        "shard_frames": SHOT_FRAMES, "preset": "ultrafast", "device": "cpu",
    })  # fmt: skip
    film = watch("planned", lambda: plan_film(job, info, index))
    work = Work(store, folder / "scratch")
    watch("plan stored", lambda: record_plan(job, work, film))
    watch("notes", lambda: film.notes)
    _render(watch, work, film, source, folder)
    _deliver(watch, job, work, film, source)
    return watch.seconds


def _render(watch: Watch, work: Work, film: FilmPlan, source: Path, folder: Path) -> None:
    """All that is done for a shard but rendering it, for every shard."""
    made = part_of(film.encoding, source, folder / "made.mp4")
    content = (folder / "made.mp4").read_bytes()
    digest = hashlib.sha256(content).hexdigest()

    def shard(number: int) -> None:
        key = film.shard_keys[number - 1]
        mine = attempts.claim(work.store, ShardResult(key, number, 0, OK))
        part = f"parts/{key}-{mine.attempt:04d}-{digest[:12]}.mp4"
        work.store.write(part, content)
        facts = {"part": part, "part_bytes": len(content), "part_sha256": digest, "reorder": made.reorder}
        attempts.record(work.store, replace(mine, packet_crcs=made.packet_crcs, **facts))

    watch("first pending", lambda: pending(work, film))
    watch("readers opened", lambda: [FrameReader(source, film.info, film.index) for _ in film.shards])
    watch("shards recorded", lambda: [shard(item.number) for item in film.shards])
    watch("results read", lambda: attempts.ended(work.store))
    watch("compacted", lambda: attempts.compact(work.store))
    rows = watch("results read, compacted", lambda: attempts.ended(work.store))
    assert len(rows) == len(film.shards)
    assert watch("last pending", lambda: pending(work, film)) == []


def _deliver(watch: Watch, job: TitleJob, work: Work, film: FilmPlan, source: Path) -> None:
    found = watch("parts proved", lambda: finished_parts(work, film))
    parts = [
        PartFile(path, shard.frames, row.reorder)
        for shard, (row, path) in zip(film.shards, found, strict=True)
    ]
    target = work.scratch / "out.mp4"
    target.parent.mkdir(parents=True)
    original = film.original(source)
    watch("assembled", lambda: assemble(parts, original, target))
    delivery = Assembled(target, tuple(row.attempt for row, _ in found))
    crcs = [crc for row, _ in found for crc in row.packet_crcs]
    report = watch("proved", lambda: conform(delivery.path, original, crcs))
    assert report.frames == len(film.frames)


def main() -> None:
    """Print seconds per step and film, and how cost grew against how the film grew."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, nargs="+", default=[10_000, 50_000, 200_000])
    sizes = parser.parse_args().frames
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "film.mp4"
        draw(source, size="32x32", shots=(20,), sound=False)
        info = probe(source)
        found = []
        for frames in sizes:
            place = Path(folder) / str(frames)
            place.mkdir()
            found.append(measure(frames, source, info, place))
    print(f"{'seconds for frames':26}" + "".join(f"{frames:>10}" for frames in sizes) + f"{'growth':>9}")
    for step in found[0]:
        grown = found[-1][step] / max(found[0][step], 1e-4) / (sizes[-1] / sizes[0])
        print(f"{step:26}" + "".join(f"{row[step]:10.3f}" for row in found) + f"{grown:8.2f}x")


if __name__ == "__main__":
    main()
