"""A film's work folder: what is already there, what still counts, and what is missing."""

import hashlib
import shutil
import time
from collections.abc import Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from filelock import FileLock, Timeout

from pipelines import attempts, manifest, tables
from pipelines.attempts import OK, WITHDRAWN, ShardResult
from pipelines.belongings import OURS, refuse_foreign_work
from pipelines.companions import companion_suffix, fates_of
from pipelines.config import make_job
from pipelines.credentials import hide_secrets
from pipelines.disk import mark
from pipelines.environment import cache_folder
from pipelines.errors import BusyError, EngineError, UsageError
from pipelines.faults import OUTAGE_SECONDS
from pipelines.indexed import ensure_index
from pipelines.jobs import TitleJob
from pipelines.looks import looks_mark
from pipelines.media.probe import probe
from pipelines.media.rehearsal import refused_tracks
from pipelines.prepare import FilmPlan, plan_film, refuse_by_head
from pipelines.sources import fetch_source
from pipelines.storage import Store
from pipelines.store_errors import explained
from stylecore.digest import file_sha256

_KEPT = ("lock", "source", "parts")
"""Of the scratch folder: what was fetched, which is known by its identity, and the lock."""


@dataclass(frozen=True)
class Work:
    """One film's work: a store that may be anywhere, and a scratch folder on this machine."""

    store: Store
    scratch: Path

    def holds(self, result: ShardResult | None, sizes: Mapping[str, int]) -> bool:
        """Whether a result counts: its part is there, of the recorded size and, if on this disk, unaltered.

        What lies elsewhere is hashed when it is fetched for assembly, not by fetching all of it beforehand.
        """
        if result is None or result.state != OK or sizes.get(result.part) != result.part_bytes:
            return False
        return self.store.local_folder() is None or self.part(result) is not None

    def part(self, result: ShardResult) -> Path | None:
        """The part of a result on this machine, or None unless it is whole and unaltered."""
        if self.store.size(result.part) != result.part_bytes:
            return None
        path = self.store.fetch(result.part, self.scratch / "parts")
        if file_sha256(path) == result.part_sha256:
            return path
        if path.is_relative_to(self.scratch):
            path.unlink()
        return None


def open_work(url: str) -> Work:
    """The work at a URL; its scratch lies inside when the work is on this disk."""
    store = Store(url)
    folder = store.local_folder()
    scratch = folder / "scratch" if folder else cache_folder() / "scratch" / _short(url)
    return Work(store, scratch)


def lock_work(work: Work) -> FileLock:
    """Make sure nobody else on this machine renders into the same work; the kernel frees it on any death."""
    refuse_foreign_work(work.store)
    with explained("writing", str(work.scratch)):
        work.scratch.mkdir(parents=True, exist_ok=True)
        lock = FileLock(work.scratch / "lock")
    shared = work.store.local_folder() is not None  # a folder that the user chose
    strange = _strange(work) if shared and not (work.scratch / "lock").exists() else []
    if strange:
        raise UsageError(
            f"{work.scratch}: holds {strange[0]}, which is not stylereel's; choose another place for the work"
        )
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise BusyError(f"{hide_secrets(work.store.url)}: another stylereel is at work here") from None
    (work.scratch / "lock").touch()
    return lock


def _strange(work: Work) -> list[str]:
    """What lies in a scratch folder in which no run of ours has been."""
    names = sorted(each.name for each in work.scratch.iterdir())
    return [name for name in names if name not in _KEPT and not name.startswith("calibration")]


def forget_others(work: Work) -> None:
    """Delete copies of what lies elsewhere, of works that nobody on this machine has used for a while.

    A title on a pool writes nothing here while others paint it, for days maybe: it holds its lock.
    """
    folder = work.scratch.parent
    if work.store.local_folder() is not None or not folder.is_dir():
        return
    kept_seconds = _kept_seconds(folder)
    for other in folder.iterdir():
        if other == work.scratch or not other.is_dir() or _last_used(other) >= time.time() - kept_seconds:
            continue
        with suppress(Timeout, OSError), FileLock(other / "lock").acquire(timeout=0):
            shutil.rmtree(other, ignore_errors=True)


def _kept_seconds(folder: Path) -> float:
    """A day, in case shots are to be redone; less where the disk fills, as by a season overnight.

    Not so little that a batch which waits, for a store or its turn, finds its film gone.
    """
    usage = shutil.disk_usage(folder)
    return 86_400 if usage.free > usage.total / 3 else 3 * OUTAGE_SECONDS


def _last_used(folder: Path) -> float:
    try:
        return max(each.stat().st_mtime for each in (folder, *folder.rglob("*")))
    except OSError:  # it changes under our eyes
        return time.time()


def clear_scratch(work: Work) -> None:
    """Remove what an interrupted run left half done; the lock stays, and what was fetched from elsewhere."""
    for left in work.scratch.iterdir():
        if left.name in _KEPT:
            continue
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def erase(work: Work, spared: Set[str] = frozenset()) -> None:
    """Remove what stylereel put into a work folder, and the folder if nothing else is in it."""
    for name in (each for each in OURS if each not in spared):
        work.store.remove(name)
    shutil.rmtree(work.scratch, ignore_errors=True)
    folder = work.store.local_folder()
    if folder is not None:
        with suppress(OSError):
            folder.rmdir()


def find_source(job: TitleJob, work: Work) -> Path:
    """The film on this machine."""
    return fetch_source(job.source, work.scratch / "source")


def load_film(job: TitleJob, work: Work, source: Path) -> FilmPlan:
    """Everything that has to be done, from the stored index; planned once per process and content."""
    if not source.exists():
        probe(source)
    return _cached_film(job, work, source, mark(source), looks_mark(job))


@lru_cache(maxsize=4)
def _cached_film(job: TitleJob, work: Work, source: Path, _mark: object, _looks: object) -> FilmPlan:
    info = probe(source)
    refused = refused_tracks(source, info, fates_of(job, info), companion_suffix(job))
    refuse_by_head(job, info, refused)
    return plan_film(job, info, ensure_index(work.store, source, info), refused)


def record_plan(job: TitleJob, work: Work, film: FilmPlan) -> None:
    """Store the plan and remember the job as the latest of this work."""
    styles = [
        {
            "style": style.style,
            "style_digest": style.style_digest,
            "strength": style.strength,
            "color": style.color,
            "brush": style.brush,
            "look_digest": style.digest,
        }
        for style in film.styles
    ]
    manifest.save_plan(work.store, film.key, film.index, film.shots, styles, film.shards, film.shard_keys)
    manifest.save_json(work.store, "job.json", {**job.model_dump(), "plan": film.key})


def latest_job(work: Work) -> tuple[TitleJob, str]:
    """The job this work was last used for, which goes on where the work lies now, and its plan's key."""
    facts = manifest.load_json(work.store, "job.json")
    if facts is None:
        raise UsageError(
            f"{hide_secrets(work.store.url)}: no work of stylereel here; start with `stylereel render`"
        )
    plan = facts.pop("plan")
    return make_job({**facts, "work": work.store.url}), plan


def finished_parts(work: Work, film: FilmPlan) -> list[tuple[ShardResult, Path]]:
    """For each shard the attempt that counts and its whole part, on this machine; EngineError if one is not.

    A part that was altered where it lies is withdrawn, so that another run renders it anew.
    """
    rows = attempts.finished(work.store)
    found: list[tuple[ShardResult, Path]] = []
    for shard, key in zip(film.shards, film.shard_keys, strict=True):
        row = rows.get(key)
        path = work.part(row) if row else None
        if row is None or path is None:
            if row is not None:
                withdraw(work, film, [shard.number])
            raise EngineError(f"shard {shard.number} is missing or altered; run again to render it anew")
        found.append((row, path))
    return found


def pending(work: Work, film: FilmPlan) -> list[int]:
    """Numbers of the shards that still have to be rendered."""
    rows, sizes = attempts.finished(work.store), work.store.sizes("parts")
    return [
        shard.number
        for shard, key in zip(film.shards, film.shard_keys, strict=True)
        if not work.holds(rows.get(key), sizes)
    ]


def standing_parts(work: Work, plan: str) -> set[str]:
    """Names of the parts that a stored plan's delivery is made of."""
    rows = attempts.finished(work.store)
    return {rows[key].part for key in _shard_keys(work, plan) if key in rows}


def is_complete(work: Work, plan: str) -> bool:
    """Whether every shard of a stored plan is done; one that is withdrawn is not."""
    return set(_shard_keys(work, plan)) <= attempts.finished(work.store).keys()


def _shard_keys(work: Work, plan: str) -> list[str]:
    return tables.column(manifest.plan_table(work.store, plan, "shards"), "key")


def withdraw(work: Work, film: FilmPlan, shards: Sequence[int]) -> None:
    """Declare the results of some shards void, so that they are rendered again."""
    for number in shards:
        wish = ShardResult(key=film.shard_keys[number - 1], shard=number, attempt=0, state=WITHDRAWN)
        attempts.record(work.store, attempts.claim(work.store, wish))


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
