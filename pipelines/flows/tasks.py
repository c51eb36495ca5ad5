"""Tasks: thin shells around the product's functions. They exchange small values, never frames."""

import datetime
import os
import shutil
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run

from pipelines import attempts, progress
from pipelines.attempts import FAILED, OK, ShardResult
from pipelines.cores import shards_at_once, share_cores
from pipelines.credentials import scrub
from pipelines.delivery import Published, assemble_delivery, conform_delivery, publish_delivery
from pipelines.errors import OutageError, StorageError, UnreadError
from pipelines.faults import Fault, fault_of, message, patient, transient_pauses, trust_in
from pipelines.jobs import TitleJob
from pipelines.media.assemble import PartFile
from pipelines.media.conform import ConformReport
from pipelines.prepare import FilmPlan
from pipelines.render import RenderedShard, render_shard
from pipelines.room import await_space, rendering_bytes
from pipelines.store_errors import explained
from pipelines.timeline import FrameRange, touching
from pipelines.work import (
    Work,
    find_source,
    finished_parts,
    load_film,
    open_work,
    pending,
    record_plan,
)
from stylecore.digest import file_sha256


@task(task_run_name="fetch", cache_policy=NO_CACHE, persist_result=False)
def fetch_title(job: TitleJob) -> Path:
    """The source as a local file."""
    with patient():
        return find_source(job, open_work(job.work))


@task(task_run_name="plan", cache_policy=NO_CACHE, persist_result=False)
def plan_title(job: TitleJob, source: Path) -> list[int]:
    """Index, find shots, plan, record the plan; the numbers of the shards still to be rendered."""
    work = open_work(job.work)
    film = load_film(job, work, source)
    with patient():
        record_plan(job, work, film)
        attempts.compact(work.store)
        left = pending(work, film)
    ranges = [film.shards[number - 1].frames for number in left]
    shots_left = sum(
        film.ends_in(shot, frames) for frames in ranges for shot in film.shots[touching(film.shots, frames)]
    )
    total, shots = len(film.frames), len(film.shots)
    done = total - sum(map(len, ranges))
    progress.begin("render", total, done, shots=shots, shots_done=shots - shots_left)
    return left


@task(task_run_name="render-{shard:05d}", cache_policy=NO_CACHE, persist_result=False)
def render_title_shard(job: TitleJob, source: Path, shard: int) -> str:
    """Render one shard and record the attempt; returns the error text, empty when all is well."""
    trust, pauses = trust_in(str(flow_run.id)), transient_pauses()
    with patient():
        while not trust.refusal:
            try:
                failed = _attempt(job, source, shard)
            except (StorageError, UnreadError) as err:  # no manifest to write to, or no film to plan
                key, fault, text = f"shard {shard}", fault_of(err), str(err)
            else:
                if failed is None:
                    return ""
                key, fault, text = failed.key, Fault(failed.fault), failed.error_text
            pause = next(pauses, None) if fault == Fault.TRANSIENT else None
            if pause is None:
                trust.note(key, fault, text)
                return text
            time.sleep(pause)
    return trust.refusal


def _attempt(job: TitleJob, source: Path, shard: int) -> ShardResult | None:
    """One try at a shard: None when it is rendered and recorded, else the record of its failure.

    An outage that outlasts our patience is not this shard's failure: the attempt stays without an outcome.
    """
    work = open_work(job.work)
    film = load_film(job, work, source)
    share_cores(shards_at_once(job, film))
    mine = attempts.claim(work.store, _wish(job, film, shard))
    began = time.perf_counter()
    target = work.scratch / "rendering" / f"{mine.key}-{mine.attempt:04d}{film.encoding.part_suffix}"
    try:
        with explained("writing", str(target)):
            target.parent.mkdir(parents=True, exist_ok=True)
            await_space(target.parent, rendering_bytes(job, film, shard))
            made = render_shard(film, film.shards[shard - 1], source, job.engine_spec, target)
            done = _published(work, mine, target, made)
    except OutageError:
        raise
    except Exception as err:
        # Whatever it is, it is this shard's: it is recorded, and the film's other shards go on.
        failed = _failure(mine, err, time.perf_counter() - began)
        attempts.record(work.store, failed)
        return failed
    finally:
        target.unlink(missing_ok=True)
    attempts.record(work.store, done)
    return None


def _wish(job: TitleJob, film: FilmPlan, shard: int) -> ShardResult:
    """Who is about to do what; it fails until it is done."""
    frames = film.shards[shard - 1].frames
    return ShardResult(
        key=film.shard_keys[shard - 1],
        shard=shard,
        attempt=0,
        state=FAILED,
        worker=f"{socket.gethostname()}:{os.getpid()}",
        device=job.device,
        start=frames.start,
        stop=frames.stop,
        started_utc=_now_utc(),
    )


def _now_utc() -> str:
    now = datetime.datetime.fromtimestamp(time.time(), datetime.UTC)
    return now.isoformat(timespec="milliseconds")


def _published(work: Work, mine: ShardResult, target: Path, made: RenderedShard) -> ShardResult:
    """Put the part in its place, then describe it: a recorded part always exists."""
    size, sha256 = target.stat().st_size, file_sha256(target)
    name = f"parts/{mine.key}-{mine.attempt:04d}-{sha256[:12]}{target.suffix}"
    work.store.publish(target, name)
    return replace(
        mine,
        state=OK,
        part=name,
        part_bytes=size,
        part_sha256=sha256,
        frames_sha256=made.frames_sha256,
        packet_crcs=made.facts.packet_crcs,
        reorder=made.facts.reorder,
        wall_seconds=made.wall_seconds,
        decode_seconds=made.clock.decode,
        network_seconds=made.clock.network,
        encode_seconds=made.clock.encode,
    )


def _failure(mine: ShardResult, err: Exception, seconds: float) -> ShardResult:
    return replace(
        mine,
        wall_seconds=seconds,
        fault=fault_of(err),
        error_class=type(err).__name__,
        error_text=scrub(message(err)),
    )


@dataclass(frozen=True)
class Assembled:
    """A delivery that is not yet proved, and the attempts it is made of: what ends later does not count."""

    path: Path
    attempts: tuple[int, ...]


@task(task_run_name="assemble", cache_policy=NO_CACHE, persist_result=False)
def assemble_title(job: TitleJob, source: Path) -> Assembled:
    """Join the parts with everything else of the source; not yet proved."""
    work = open_work(job.work)
    film = load_film(job, work, source)
    progress.begin("assemble", unit="")
    target = work.scratch / "delivery" / f"{film.key}{Path(job.output).suffix}"
    with patient():
        attempts.compact(work.store)
        found = finished_parts(work, film)
    with explained("writing", str(target)):
        shutil.rmtree(target.parent, ignore_errors=True)  # what an interrupted run left of it
        target.parent.mkdir(parents=True, exist_ok=True)
        await_space(target.parent, sum(row.part_bytes for row, _ in found))
        assemble_delivery(film, _part_files(film, found), source, target)
    return Assembled(target, tuple(row.attempt for row, _ in found))


def _part_files(film: FilmPlan, found: Sequence[tuple[ShardResult, Path]]) -> list[PartFile]:
    """The parts and the frames of the delivery that they show."""
    first = film.frames.start
    return [
        PartFile(path, FrameRange(shard.frames.start - first, shard.frames.stop - first), row.reorder)
        for shard, (row, path) in zip(film.shards, found, strict=True)
    ]


@task(task_run_name="conform", cache_policy=NO_CACHE, persist_result=False)
def conform_title(job: TitleJob, source: Path, delivery: Assembled) -> ConformReport:
    """Prove the delivery against the source and the rendered packets."""
    work = open_work(job.work)
    film = load_film(job, work, source)
    progress.begin("conform", unit="")
    with patient():
        recorded = {(row.key, row.attempt): row for row in attempts.ended(work.store)}
        rows = [recorded[made] for made in zip(film.shard_keys, delivery.attempts, strict=True)]
        parts = _part_files(film, finished_parts(work, film)) if film.pictures else []
    crcs = [crc for row in rows for crc in row.packet_crcs]
    return conform_delivery(film, parts, crcs, source, delivery.path)


@task(task_run_name="publish", cache_policy=NO_CACHE, persist_result=False)
def publish_title(job: TitleJob, source: Path, delivery: Assembled) -> Published:
    """Put the proved delivery in its place."""
    film = load_film(job, open_work(job.work), source)
    progress.begin("publish", unit="")
    with patient():
        return publish_delivery(job, film, delivery.path)
