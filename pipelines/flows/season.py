"""Many titles: what is new, changed or failed, one after the other; a bad one never stops the others."""

import datetime
import time
from dataclasses import replace
from typing import Any

from prefect import flow

from pipelines import catalogue, progress
from pipelines.batches import Pool
from pipelines.catalogue import DELIVERED, FAILED, TitleRun
from pipelines.credentials import hide_secrets, scrub
from pipelines.device import with_device
from pipelines.errors import BusyError, UsageError
from pipelines.faults import message, patient
from pipelines.flows.run import run_title
from pipelines.jobs import Season
from pipelines.season import Title, take_stock
from pipelines.storage import Store
from stylecore.errors import StyleError


@flow(name="stylize-season", flow_run_name="{season.name}", persist_result=False)
def stylize_season(season: Season, sources: list[str] | None = None, again: bool = False) -> list[TitleRun]:
    """The runs that were due, as the catalogue has them; only of some sources where these are given.

    `again` also tries the titles whose source was refused and has not changed.
    """
    with patient():
        stock = [title for title in take_stock(season, again) if title.due]
        due = [title for title in stock if sources is None or title.source in sources]
        made = [
            _recorded_run(season, title, f"{number} of {len(due)}")
            for number, title in enumerate(due, start=1)
        ]
        return [run for run in made if run]


def _recorded_run(season: Season, title: Title, place: str) -> TitleRun | None:
    """One title worked on, recorded, and told of; None for what another run is at, which records it."""
    progress.note(f"title {place}: {title.name} ({title.due})")
    try:
        made = _run(season, title)
    except BusyError as err:
        progress.note(f"{title.name}: {scrub(str(err))}; left to that one")
        return None
    catalogue.record(Store(season.catalogue), made)
    if made.state == FAILED:
        progress.note(f"{title.name}: {made.error_text}")
    return made


def _run(season: Season, title: Title) -> TitleRun:
    """Deliver one title as `stylereel render` does; what goes wrong is the row's, a BusyError excepted."""
    run, began = _begun(title), time.perf_counter()
    try:
        run = replace(run, state=DELIVERED, **_delivered(title, season.pool))
    except BusyError:
        raise
    except Exception as err:
        text = scrub(str(err) if isinstance(err, StyleError) else message(err))
        run = replace(run, error_class=type(err).__name__, error_text=text)
    seconds = time.perf_counter() - began
    return replace(run, wall_seconds=seconds, cost=seconds / 3600 * season.price_per_hour)


def _delivered(title: Title, pool: str) -> dict[str, Any]:
    """The numbers of a delivery."""
    if title.job is None:
        raise title.fault or UsageError(f"{title.name}: there is no job for it")
    facts = run_title(with_device(title.job, pool), pool=Pool(pool) if pool else None)
    same = ("frames", "shots", "shards", "shards_rendered", "bytes", "sha256")
    return {**{name: facts[name] for name in same}, "film_seconds": facts["seconds"]}


def _begun(title: Title) -> TitleRun:
    """A run that begins; it has failed until it is done."""
    job = title.job
    return TitleRun(
        source=title.known_as,
        run=title.last.run + 1 if title.last else 1,
        state=FAILED,
        source_version=title.version,
        wish=title.wish,
        started_utc=datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
        output=hide_secrets(job.output) if job else "",
        work=job.work if job else "",  # its credentials are masked: `clean` has to make it whole again
        style=job.style if job else "",
    )
