"""One film: fetch, index, plan, render its shards, assemble, conform, publish."""

from typing import Any

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from pipelines import manifest
from pipelines.config import TitleJob
from pipelines.errors import EngineError
from pipelines.flows.tasks import (
    assemble_title,
    conform_title,
    fetch_title,
    plan_title,
    publish_title,
    render_title_shard,
)
from pipelines.review import describe_delivery
from pipelines.work import find_source, load_film, open_work

SHARDS_AT_ONCE = 1
"""One per device: a CPU's cores and a GPU are both filled by one shard."""


@flow(
    name="stylize-title",
    flow_run_name="{job.name}",
    task_runner=ThreadPoolTaskRunner(max_workers=SHARDS_AT_ONCE),  # type: ignore[arg-type]
    persist_result=False,
    validate_parameters=False,
)
def stylize_title(job: TitleJob) -> dict[str, Any]:
    """The delivery's facts, after it has been proved and published; see `review.describe_delivery`."""
    source = fetch_title(job)
    left = plan_title(job, source)
    futures = [render_title_shard.submit(job, source, shard) for shard in left]
    faults = {shard: future.result() for shard, future in zip(left, futures, strict=True)}
    failed = {shard: fault for shard, fault in faults.items() if fault}
    if failed:
        first = next(iter(failed))
        raise EngineError(
            f"{len(failed)} of {len(left)} shards failed, the others are kept; shard {first}: {failed[first]}"
        )
    delivery = assemble_title(job, source)
    report = conform_title(job, source, delivery)
    sha256, size = publish_title(job, source, delivery)
    work = open_work(job.work)
    film = load_film(job, work, find_source(job, work))
    facts = describe_delivery(job, film, report, sha256, size, rendered=len(left))
    manifest.save_json(work.store, "delivery.json", facts)
    return facts
