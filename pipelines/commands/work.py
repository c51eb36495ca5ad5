"""`stylereel status`, `report` and `clean`: what a WORK holds."""

import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict
from datetime import timedelta
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import click

from pipelines import attempts, manifest
from pipelines.belongings import DELIVERY
from pipelines.catalogue import runs
from pipelines.commands.common import AGE, json_option, print_result, span
from pipelines.commands.render import JOB_SUFFIXES
from pipelines.commands.season import say_season
from pipelines.config import load_season_file
from pipelines.credentials import hide_secrets
from pipelines.errors import StylereelError, UsageError
from pipelines.jobs import TitleJob
from pipelines.page import write_report
from pipelines.places import absolute_url
from pipelines.selection import Piece, load_pieces
from pipelines.sources import find_files
from pipelines.storage import Store
from pipelines.timeline import FrameRange
from pipelines.work import Work, erase, is_complete, latest_job, lock_work, open_work, standing_parts


def open_latest(url: str) -> tuple[Work, TitleJob, str]:
    """A work, its latest job and the key of that job's plan."""
    work = open_work(absolute_url(url))
    return work, *latest_job(work)


@click.command()
@click.argument("place", metavar="WORK|SEASON.yaml")
@json_option
def status(place: str, as_json: bool) -> None:
    """Say what of a film, or of a season, is done, failed or still to do. Needs no server.

    Example: stylereel status painted.mp4.stylereel
    """
    if place.endswith(JOB_SUFFIXES):
        return say_season(load_season_file(Path(place)), [], as_json)
    work, job, plan = open_latest(place)
    pieces = load_pieces(work.store, plan)
    delivery = manifest.load_json(work.store, DELIVERY)
    delivered = bool(delivery and delivery["plan"] == plan)
    shards = [_shard(list(group)) for _, group in groupby(pieces, attrgetter("shard"))]
    facts = {
        "source": job.source,
        "output": job.output,
        "delivered": delivered,
        "shards": shards,
        "shots": [asdict(piece) for piece in pieces],
    }
    print_result(
        facts,
        [f"{job.source} -> {job.output}", *_state_lines(shards, delivered, job.shards_at_once)],
        as_json,
    )


def _shard(pieces: Sequence[Piece]) -> dict[str, Any]:
    first = pieces[0]
    return {
        "shard": first.shard,
        "frames": str(FrameRange(first.start, pieces[-1].stop)),
        "count": sum(piece.frames for piece in pieces),
        "state": first.state,
        "attempts": first.attempts,
        "seconds": round(first.seconds, 3),
        "error": first.error,
    }


def _state_lines(shards: Sequence[Mapping[str, Any]], delivered: bool, at_once: int) -> list[str]:
    counts = Counter(shard["state"] for shard in shards)
    told = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    done = [shard for shard in shards if shard["state"] == attempts.OK]
    seconds, ready = sum(shard["seconds"] for shard in done), sum(shard["count"] for shard in done)
    frames = sum(shard["count"] for shard in shards)
    to_go = seconds / max(1, ready) * (frames - ready) / min(at_once, max(1, len(shards) - len(done)))
    left = f", about {span(to_go)} to go on one machine" if 0 < ready < frames else ""
    return [
        f"  shards: {told}; delivered: {'yes' if delivered else 'no'}",
        f"  {ready} of {frames} frames, painted in {span(seconds)}{left}",
        *(
            f"  shard {shard['shard']}, frames {shard['frames']}: {shard['state']} {shard['error']}".rstrip()
            for shard in shards
            if shard["state"] != attempts.OK
        ),
    ]


@click.command()
@click.argument("work_url", metavar="WORK")
def report(work_url: str) -> None:
    """Write the page of frames before and after, and say where it is.

    Example: stylereel report painted.mp4.stylereel
    """
    work, job, plan = open_latest(work_url)
    with lock_work(work):
        click.echo(write_report(job, work, plan))


@click.command()
@click.argument("place", metavar="WORK|SEASON.yaml")
@click.option("--older-than", type=AGE, metavar="30d", help="Only what was delivered longer ago.")
@click.option("--keep-parts", is_flag=True, help="Keep what the delivery is made of; remove what is not.")
@click.option(
    "--all", "everything", is_flag=True, help="The manifest as well; of a season, delivery.json stays."
)
@click.option("--force", is_flag=True, help="Even though nothing has been delivered yet.")
def clean(place: str, older_than: timedelta | None, keep_parts: bool, everything: bool, force: bool) -> None:
    """Free the disk: remove the parts of a delivered film, or of every film of a season.

    The manifest stays, and so does what was delivered. With --all, each work of a season still keeps its
    delivery.json: by it the season knows which delivery is whole.

    Example: stylereel clean season.yaml --older-than 30d
    """
    if everything and keep_parts:
        raise UsageError("choose one of --all and --keep-parts")
    # A season knows by it what became of its delivery since: shots done anew.
    spared = {DELIVERY} if place.endswith(JOB_SUFFIXES) else set()
    for url in _works(place):
        done = "kept, it was delivered less long ago"
        try:
            if _is_due(url, older_than, force):
                done = _cleaned(url, keep_parts, everything, spared)
        except StylereelError as err:
            if url == place:
                raise
            done = f"kept; {err}"
        click.echo(f"{hide_secrets(url)}: {done}")


def _is_due(url: str, older_than: timedelta | None, force: bool) -> bool:
    """Whether what was delivered from there was so long enough ago; UsageError if it was not at all."""
    seconds = _delivered_seconds_ago(url)
    if seconds is None and not force:
        place = hide_secrets(url)
        raise UsageError(f"{place}: what is made here is not delivered yet; --force removes it all the same")
    return seconds is None or older_than is None or seconds >= older_than.total_seconds()


def _works(place: str) -> list[str]:
    """The work itself, or all that a season has used."""
    if not place.endswith(JOB_SUFFIXES):
        return [place]
    found = runs(Store(load_season_file(Path(place)).catalogue))
    return sorted({run.work for run in found if run.work})


def _delivered_seconds_ago(url: str) -> float | None:
    """None when nothing has been delivered from there, or something else than is being made there now."""
    work, _, plan = open_latest(url)
    found = find_files(f"{work.store.url}/{DELIVERY}")
    if not found:
        return None
    delivery = manifest.load_json(work.store, DELIVERY)
    if delivery is None or delivery["plan"] != plan or not is_complete(work, plan):
        return None
    return time.time() - found[0].changed_unix_seconds


def _cleaned(url: str, keep_parts: bool, everything: bool, spared: Set[str]) -> str:
    """Remove what may go, of everything all but what is spared; what was done, for people."""
    work, job, plan = open_latest(url)
    with lock_work(work):
        if everything:
            erase(work, spared)
            but = "".join(f" but for {name}" for name in spared)
            return f"removed{but}; {job.output} is untouched"
        kept = _parts_of_plans(work, plan) if keep_parts else set()
        gone = [name for name in work.store.names("parts") if name not in kept]
        for name in gone if kept else ("parts",):
            work.store.remove(name)
        shutil.rmtree(work.scratch, ignore_errors=True)
    return f"{len(gone)} parts removed, {len(kept)} kept; {job.output} is untouched"


def _parts_of_plans(work: Work, plan: str) -> set[str]:
    """What the latest plan has finished, and what the delivery is made of, if of another."""
    delivery = manifest.load_json(work.store, DELIVERY) or {"plan": plan}
    return standing_parts(work, plan) | standing_parts(work, delivery["plan"])
