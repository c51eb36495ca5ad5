"""One film: fetch, index, plan, render its shards here or on a pool, assemble, conform, publish."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prefect import flow

from pipelines import manifest, publications
from pipelines.batches import Pool
from pipelines.delivery import describe_delivery
from pipelines.device_lock import device_turn
from pipelines.errors import EngineError
from pipelines.flows.artifacts import show_delivery, show_failed, shown_progress, tag_run
from pipelines.flows.at_once import RUNNER, render_shards
from pipelines.flows.spread import render_on_pool
from pipelines.flows.tasks import (
    assemble_title,
    conform_title,
    fetch_title,
    plan_title,
    publish_title,
)
from pipelines.indexed import source_key
from pipelines.jobs import TitleJob
from pipelines.work import load_film, open_work


@flow(
    name="stylize-title",
    flow_run_name="{job.name}",
    task_runner=RUNNER,  # type: ignore[arg-type]
    persist_result=False,
    validate_parameters=False,
)
def stylize_title(job: TitleJob, pool: Pool | None) -> dict[str, Any]:
    """The delivery's facts, after it has been proved and published; see `delivery.describe_delivery`."""
    began = time.monotonic()
    tag_run(job)
    with shown_progress(job):
        source = fetch_title(job)
        left = plan_title(job, source)
        faults = render_on_pool(job, source, left, pool) if pool else _render_here(job, source, left)
        if faults:
            show_failed(job, faults)
            raise _failure(faults, len(left))
        facts = _delivered(job, source, len(left))
    show_delivery(job, facts, time.monotonic() - began)
    return facts


def _render_here(job: TitleJob, source: Path, left: Sequence[int]) -> dict[int, str]:
    with device_turn(job.device):
        return render_shards(job, source, left)


def _failure(faults: dict[int, str], wanted: int) -> EngineError:
    first = min(faults)
    return EngineError(
        f"{len(faults)} of {wanted} shards failed, the others are kept; shard {first}: {faults[first]}"
    )


def _delivered(job: TitleJob, source: Path, rendered: int) -> dict[str, Any]:
    work = open_work(job.work)
    # Of what is assembled now: a source that is replaced meanwhile makes the delivery due again.
    film, key = load_film(job, work, source), source_key(source)
    delivery = assemble_title(job, source)
    report = conform_title(job, source, delivery)
    published = publish_title(job, source, delivery)
    facts = describe_delivery(job, film, report, published, rendered=rendered) | {"source_key": key}
    manifest.save_json(work.store, "delivery.json", facts)
    publications.forget(job)
    return facts
