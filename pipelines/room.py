"""Room on the disk: what a film will need of it, and waiting for it before a shard is lost for want of it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines import progress
from pipelines.cores import shards_at_once
from pipelines.disk import disk_of, free_bytes
from pipelines.errors import DiskFullError
from pipelines.forecast import Forecast
from pipelines.jobs import TitleJob
from pipelines.media.encoding import Encoding
from pipelines.prepare import FilmPlan
from pipelines.storage import split_url
from pipelines.work import Work

SPARE_BYTES = 64 << 20
"""Left for tables, logs and whoever else writes."""
_PATIENCE_SECONDS = 24 * 3600
_LOOK_EVERY_SECONDS = 5.0
_LOSSY_SHARE = 1 / 8
"""More of their samples' size than painted frames take at a quality that anybody asks for."""


@dataclass(frozen=True)
class Need:
    """The most that a film will add to one disk before it is delivered."""

    folder: Path
    needed_bytes: int
    free_bytes: int

    def __str__(self) -> str:
        return f"{self.folder} needs {size(self.needed_bytes)}, {size(self.free_bytes)} are free"


def size(count: int) -> str:
    """Bytes for people: 950 kB, 1.2 GB."""
    value, units = count / 1000, ["kB", "MB", "GB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.0f} {units[0]}" if value >= 10 else f"{value:.1f} {units[0]}"


def needs(job: TitleJob, work: Work, film: FilmPlan, left: Sequence[int], told: Forecast) -> list[Need]:
    """By disk: the parts and the film while they are joined; the film where it goes, if that is another.

    Not less than any of the shards `left` will wait for.
    """
    place = split_url(job.place)[0].local_folder()
    waited_for = max((rendering_bytes(job, film, shard) for shard in left), default=0)
    wanted = [(work.scratch, max(told.part_bytes + told.delivery_bytes, waited_for))]
    if place and disk_of(place) != disk_of(work.scratch):
        wanted.append((place, told.delivery_bytes))
    return [Need(folder, count, free_bytes(folder)) for folder, count in wanted]


def refuse_what_will_not_fit(wanted: Sequence[Need]) -> None:
    """Raise before any work if a disk is too small."""
    for need in wanted:
        if need.needed_bytes + SPARE_BYTES > need.free_bytes:
            raise DiskFullError(f"{need}; free some space, or put --work on a larger disk")


def likely_bytes(encoding: Encoding, frames: int) -> int:
    """What a part of so many frames hardly exceeds."""
    lossy = any(name == "crf" for name, _ in encoding.options) and "lossless=1" not in str(encoding.options)
    return round(frames * encoding.raw_frame_bytes * (_LOSSY_SHARE if lossy else 1))


def rendering_bytes(job: TitleJob, film: FilmPlan, shard: int) -> int:
    """Bytes that must be free before a shard starts: for it and for those beside it, still unwritten."""
    frames = len(film.shards[shard - 1].frames)
    return shards_at_once(job, film) * likely_bytes(film.encoding, frames)


def await_space(
    folder: Path,
    needed_bytes: int,
    every_seconds: float = _LOOK_EVERY_SECONDS,
    patience_seconds: float = _PATIENCE_SECONDS,
) -> None:
    """Return once there is room; waits while there is not, and gives up after a day."""
    deadline, told = time.monotonic() + patience_seconds, False
    while (free := free_bytes(folder)) < needed_bytes + SPARE_BYTES:
        need = Need(folder, needed_bytes, free)
        if time.monotonic() > deadline:
            raise DiskFullError(f"{need}; waited for {patience_seconds:.0f} s: free some and run again")
        if not told:
            progress.note(f"{need}: waiting until there is room")
            told = True
        time.sleep(every_seconds)
    if told:
        progress.note(f"{folder}: there is room again")
