"""`stylereel status`, `report` and `clean`: what a WORK holds."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from operator import attrgetter
from typing import Any

import click

from pipelines import manifest
from pipelines.commands.common import json_option, print_result, span
from pipelines.config import TitleJob
from pipelines.errors import UsageError
from pipelines.flows.run import write_report
from pipelines.selection import Piece, load_pieces
from pipelines.storage import absolute_url
from pipelines.timeline import FrameRange
from pipelines.work import Work, erase, latest_job, lock_work, open_work


def open_latest(url: str) -> tuple[Work, TitleJob, str]:
    """A work, its latest job and the key of that job's plan."""
    work = open_work(absolute_url(url))
    return work, *latest_job(work)


@click.command()
@click.argument("work_url", metavar="WORK")
@json_option
def status(work_url: str, as_json: bool) -> None:
    """Say what of WORK is done, failed or still to do. Needs neither the source nor a server.

    Example: stylereel status painted.mp4.stylereel
    """
    work, job, plan = open_latest(work_url)
    pieces = load_pieces(work.store, plan)
    delivery = manifest.load_json(work.store, "delivery.json")
    delivered = bool(delivery and delivery["plan"] == plan)
    shards = [_shard(list(group)) for _, group in groupby(pieces, attrgetter("shard"))]
    facts = {
        "source": job.source,
        "output": job.output,
        "delivered": delivered,
        "shards": shards,
        "shots": [asdict(piece) for piece in pieces],
    }
    print_result(facts, [f"{job.source} -> {job.output}", *_state_lines(shards, delivered)], as_json)


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


def _state_lines(shards: Sequence[Mapping[str, Any]], delivered: bool) -> list[str]:
    counts = Counter(shard["state"] for shard in shards)
    told = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    done = [shard for shard in shards if shard["state"] == manifest.OK]
    seconds, ready = sum(shard["seconds"] for shard in done), sum(shard["count"] for shard in done)
    frames = sum(shard["count"] for shard in shards)
    left = f", about {span(seconds / ready * (frames - ready))} to go" if 0 < ready < frames else ""
    return [
        f"  shards: {told}; delivered: {'yes' if delivered else 'no'}",
        f"  {ready} of {frames} frames, painted in {span(seconds)}{left}",
        *(
            f"  shard {shard['shard']}, frames {shard['frames']}: {shard['state']} {shard['error']}".rstrip()
            for shard in shards
            if shard["state"] != manifest.OK
        ),
    ]


@click.command()
@click.argument("work_url", metavar="WORK")
def report(work_url: str) -> None:
    """Write the page of frames before and after, and say where it is.

    Example: stylereel report painted.mp4.stylereel
    """
    work, job, _ = open_latest(work_url)
    click.echo(write_report(job, work))


@click.command()
@click.argument("work_url", metavar="WORK")
@click.option("--all", "everything", is_flag=True, help="Remove the manifest as well: the whole folder.")
@click.option("--force", is_flag=True, help="Even though nothing has been delivered yet.")
def clean(work_url: str, everything: bool, force: bool) -> None:
    """Free the disk: remove the parts of a delivered film, keeping its manifest.

    Example: stylereel clean painted.mp4.stylereel
    """
    work, job, _ = open_latest(work_url)
    if not force and manifest.load_json(work.store, "delivery.json") is None:
        raise UsageError(
            f"{work_url}: nothing has been delivered from here yet; --force removes it all the same"
        )
    lock_work(work).release()
    if everything:
        erase(work)
    for name in ("parts", "scratch"):
        work.store.remove(name)
    click.echo(f"removed {'all of' if everything else 'the parts of'} {work_url}; {job.output} is untouched")
