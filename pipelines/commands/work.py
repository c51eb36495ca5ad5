"""`stylereel status`, `retry`, `report` and `clean`: everything that takes a WORK."""

from collections import Counter
from typing import Any

import click

from pipelines import manifest
from pipelines.commands.common import console, json_option, print_result
from pipelines.commands.render import delivery_lines
from pipelines.config import TitleJob
from pipelines.display import Display
from pipelines.errors import UsageError
from pipelines.flows.run import run_title, write_report
from pipelines.prepare import FilmPlan, shards_of_shots
from pipelines.storage import absolute_url
from pipelines.timeline import parse_numbers
from pipelines.work import Work, erase, find_source, latest_job, load_film, lock_work, open_work, withdraw


def _open(url: str) -> tuple[Work, TitleJob]:
    work = open_work(absolute_url(url))
    return work, latest_job(work)[0]


def _film(work: Work, job: TitleJob) -> FilmPlan:
    return load_film(job, work, find_source(job, work))


@click.command()
@click.argument("work_url", metavar="WORK")
@json_option
def status(work_url: str, as_json: bool) -> None:
    """Say what of WORK is done, failed or still to do.

    Example: stylereel status painted.mp4.stylereel
    """
    work, job = _open(work_url)
    film = _film(work, job)
    rows = manifest.standing(manifest.attempts(work.store))
    states = [rows[key].state if key in rows else "to do" for key in film.shard_keys]
    shards = [
        {"shard": shard.number, "frames": str(shard.frames), "state": state, **_attempt(rows.get(key))}
        for shard, key, state in zip(film.shards, film.shard_keys, states, strict=True)
    ]
    delivery = manifest.load_json(work.store, "delivery.json")
    delivered = bool(delivery and delivery["plan"] == film.key)
    facts = {"source": job.source, "output": job.output, "delivered": delivered, "shards": shards}
    counts = ", ".join(f"{count} {state}" for state, count in sorted(Counter(states).items()))
    lines = [
        f"{job.source} -> {job.output}",
        f"  shards: {counts}; delivered: {'yes' if delivered else 'no'}",
    ]
    lines += [
        f"  shard {row['shard']}, frames {row['frames']}: {row['state']} {row['error']}".rstrip()
        for row in shards
        if row["state"] != manifest.OK
    ]
    print_result(facts, lines, as_json)


def _attempt(row: manifest.ShardResult | None) -> dict[str, Any]:
    if row is None:
        return {"attempts": 0, "seconds": 0.0, "error": ""}
    return {"attempts": row.attempt, "seconds": round(row.wall_seconds, 3), "error": row.error_text}


@click.command()
@click.argument("work_url", metavar="WORK")
@click.option(
    "--shots", help="Render these shots anew, such as 3,7-9; default: whatever failed or is missing."
)
@click.option("--style", help="Give these shots another style; the others keep theirs.")
@json_option
def retry(work_url: str, shots: str | None, style: str | None, as_json: bool) -> None:
    """Redo failed or chosen shots of WORK and rebuild the delivery; all else is kept.

    Example: stylereel retry painted.mp4.stylereel --shots 3,7-9 --style scream
    """
    work, job = _open(work_url)
    if style and not shots:
        raise UsageError("--style needs --shots: which shots should get it?")
    with Display(console()):
        if style:
            look = {"shots": shots, "style": style}
            job = TitleJob.model_validate({**job.model_dump(), "looks": [*job.looks, look]})
        elif shots:
            _withdraw_shots(work, job, shots)
        facts = run_title(job)
    print_result(facts, delivery_lines(facts), as_json)


def _withdraw_shots(work: Work, job: TitleJob, shots: str) -> None:
    try:
        numbers = parse_numbers(shots)
    except ValueError as err:
        raise UsageError(f"--shots: {err}") from err
    film = _film(work, job)
    with lock_work(work):
        withdraw(work, film, shards_of_shots(film, numbers))


@click.command()
@click.argument("work_url", metavar="WORK")
def report(work_url: str) -> None:
    """Write the page of frames before and after, and say where it is.

    Example: stylereel report painted.mp4.stylereel
    """
    work, job = _open(work_url)
    click.echo(write_report(job, work))


@click.command()
@click.argument("work_url", metavar="WORK")
@click.option("--all", "everything", is_flag=True, help="Remove the manifest as well: the whole folder.")
@click.option("--force", is_flag=True, help="Even though nothing has been delivered yet.")
def clean(work_url: str, everything: bool, force: bool) -> None:
    """Free the disk: remove the parts of a delivered film, keeping its manifest.

    Example: stylereel clean painted.mp4.stylereel
    """
    work, job = _open(work_url)
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
