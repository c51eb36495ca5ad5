"""Tasks: thin shells around the product's functions. They exchange small values, never frames."""

import datetime
import platform
import socket
import time
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from pipelines import manifest, progress
from pipelines.config import TitleJob
from pipelines.credentials import scrub
from pipelines.delivery import assemble_delivery, conform_delivery, publish_delivery
from pipelines.room import await_space, likely_bytes
from pipelines.errors import EngineError, StylereelError
from pipelines.manifest import FAILED, OK, ShardResult
from pipelines.media.assemble import PartFile
from pipelines.media.conform import ConformReport
from pipelines.prepare import FilmPlan
from pipelines.render import RenderedShard, render_shard
from pipelines.storage import explained
from pipelines.timeline import FrameRange
from pipelines.work import (
    Work,
    file_sha256,
    find_source,
    finished_parts,
    load_film,
    open_work,
    pending,
    record_plan,
)


@task(task_run_name="fetch", cache_policy=NO_CACHE, persist_result=False)
def fetch_title(job: TitleJob) -> Path:
    """The source as a local file."""
    return find_source(job, open_work(job.work))


@task(task_run_name="plan", cache_policy=NO_CACHE, persist_result=False)
def plan_title(job: TitleJob, source: Path) -> list[int]:
    """Index, find shots, plan, record the plan; the numbers of the shards still to be rendered."""
    work = open_work(job.work)
    film = load_film(job, work, source)
    record_plan(job, work, film)
    left = pending(work, film)
    ranges = [film.shards[number - 1].frames for number in left]
    shots_left = sum(1 for shot in film.shots if any(film.ends_in(shot, frames) for frames in ranges))
    total, shots = len(film.frames), len(film.shots)
    done = total - sum(map(len, ranges))
    progress.begin("render", total, done, shots=shots, shots_done=shots - shots_left)
    return left


@task(task_run_name="render-{shard:05d}", cache_policy=NO_CACHE, persist_result=False)
def render_title_shard(job: TitleJob, source: Path, shard: int) -> str:
    """Render one shard and record the attempt; returns the error text, empty when all is well."""
    work = open_work(job.work)
    film = load_film(job, work, source)
    chosen, key = film.shards[shard - 1], film.shard_keys[shard - 1]
    attempt = manifest.next_attempt(work.store, key)
    base = ShardResult(
        key=key,
        shard=shard,
        attempt=attempt,
        state=FAILED,
        worker=f"{socket.gethostname()}:{platform.machine()}",
        device=job.device,
        start=chosen.frames.start,
        stop=chosen.frames.stop,
        started_utc=datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
    )
    began = time.perf_counter()
    target = work.scratch / "rendering" / f"{key}-{attempt:04d}{film.encoding.part_suffix}"
    try:
        with explained("writing", str(target)):
            target.parent.mkdir(parents=True, exist_ok=True)
            await_space(target.parent, likely_bytes(film.encoding, len(chosen.frames)))
            made = render_shard(film, chosen, source, job.engine_spec, target)
            facts = _published(work, base, target, made)
        manifest.record(work.store, facts)
    except Exception as err:
        # Whatever it is, it is this shard's: it is recorded, and the film's other shards go on.
        target.unlink(missing_ok=True)
        _record_failure(work, base, err, time.perf_counter() - began)
        text = scrub(str(err))
        return text if isinstance(err, StylereelError) else f"{type(err).__name__}: {text}"
    return ""


def _published(work: Work, base: ShardResult, target: Path, made: RenderedShard) -> ShardResult:
    """Put the part in its place, then describe it: a recorded part always exists."""
    size, sha256 = target.stat().st_size, file_sha256(target)
    name = f"parts/{base.key}-{base.attempt:04d}-{sha256[:12]}{target.suffix}"
    work.store.publish(target, name)
    return ShardResult(
        **{
            **vars(base),
            "state": OK,
            "part": name,
            "part_bytes": size,
            "part_sha256": sha256,
            "frames_sha256": made.frames_sha256,
            "packet_crcs": made.facts.packet_crcs,
            "reorder": made.facts.reorder,
            "wall_seconds": made.wall_seconds,
            "decode_seconds": made.clock.decode,
            "network_seconds": made.clock.network,
            "encode_seconds": made.clock.encode,
        }
    )


def _record_failure(work: Work, base: ShardResult, err: Exception, seconds: float) -> None:
    facts = {
        **vars(base),
        "wall_seconds": seconds,
        "error_class": type(err).__name__,
        "error_text": scrub(str(err)),
    }
    try:
        manifest.record(work.store, ShardResult(**facts))
    except StylereelError:
        progress.note("the failure could not be recorded either")


@task(task_run_name="assemble", cache_policy=NO_CACHE, persist_result=False)
def assemble_title(job: TitleJob, source: Path) -> Path:
    """Join the parts with everything else of the source; not yet proved."""
    work = open_work(job.work)
    film = load_film(job, work, source)
    progress.begin("assemble", unit="")
    parts = _parts(work, film)
    target = work.scratch / "delivery" / f"{film.key}{Path(job.output).suffix}"
    with explained("writing", str(target)):
        target.parent.mkdir(parents=True, exist_ok=True)
        await_space(target.parent, sum(part.path.stat().st_size for part in parts))
        assemble_delivery(film, parts, source, target)
    return target


def _parts(work: Work, film: FilmPlan) -> list[PartFile]:
    """All parts of a film, whole, on this machine."""
    parts, first = [], film.frames.start
    for shard, found in zip(film.shards, finished_parts(work, film), strict=True):
        if found is None:
            raise EngineError(f"shard {shard.number} is missing or altered; run again to render it anew")
        result, path = found
        shown = FrameRange(shard.frames.start - first, shard.frames.stop - first)
        parts.append(PartFile(path, shown, result.reorder))
    return parts


@task(task_run_name="conform", cache_policy=NO_CACHE, persist_result=False)
def conform_title(job: TitleJob, source: Path, delivery: Path) -> ConformReport:
    """Prove the delivery against the source and the rendered packets."""
    work = open_work(job.work)
    film = load_film(job, work, source)
    progress.begin("conform", unit="")
    rows = manifest.standing(manifest.attempts(work.store))
    crcs = [crc for key in film.shard_keys for crc in rows[key].packet_crcs]
    return conform_delivery(film, _parts(work, film) if film.pictures else [], crcs, source, delivery)


@task(task_run_name="publish", cache_policy=NO_CACHE, persist_result=False)
def publish_title(job: TitleJob, source: Path, delivery: Path) -> tuple[str, int]:
    """Put the proved delivery in its place; its sha256 and size."""
    film = load_film(job, open_work(job.work), source)
    progress.begin("publish", unit="")
    return publish_delivery(job, film, delivery)
