"""One batch of a film's shards, as a worker renders it."""

import time
from itertools import takewhile

from prefect import flow
from prefect.runtime import flow_run as this_run

from pipelines import attempts, manifest
from pipelines.credentials import hide_secrets
from pipelines.device import resolve_device
from pipelines.device_lock import device_turn
from pipelines.environment import recall_urls
from pipelines.errors import EngineError
from pipelines.faults import patient, trust_in
from pipelines.flows.at_once import RUNNER, render_shards
from pipelines.flows.tasks import fetch_title
from pipelines.jobs import TitleJob
from pipelines.work import Work, forget_others, load_film, open_work
from stylecore.runtime import keep_freed_memory


def _run_name() -> str:
    job, shards = TitleJob.model_validate(this_run.parameters["job"]), this_run.parameters["shards"]
    return f"{job.name}-shards-{shards[0]}-to-{shards[-1]}"


@flow(
    name="stylize-batch",
    flow_run_name=_run_name,
    task_runner=RUNNER,  # type: ignore[arg-type]
    persist_result=False,
)
def stylize_batch(job: TitleJob, plan: str, shards: list[int], seconds: float) -> None:
    """Render those shards of a film that are not done yet; what is left when time is up is handed back."""
    recall_urls()
    keep_freed_memory()
    with patient():
        _render(resolve_device(job), plan, shards, seconds)
    if refusal := trust_in(str(this_run.id)).refusal:
        raise EngineError(refusal)


def _render(job: TitleJob, plan: str, shards: list[int], seconds: float) -> None:
    work = open_work(job.work)
    _insist_on_plan(work, plan)
    forget_others(work)
    source = fetch_title(job)
    film = load_film(job, work, source)
    if film.key != plan:
        raise EngineError(
            f"this worker plans {film.key} where the film's plan is {plan}: it sees another source or style, "
            "or has another stylereel or another kind of processor; make the workers alike"
        )
    with device_turn(job.device):
        end = time.monotonic() + seconds
        open_ones = (
            number for number in shards if film.shard_keys[number - 1] not in attempts.finished(work.store)
        )
        render_shards(job, source, takewhile(lambda _: time.monotonic() < end, open_ones))


def _insist_on_plan(work: Work, plan: str) -> None:
    """Refuse to paint where the title will not look: its plan was in the work before its batches were."""
    if not manifest.plan_stands(work.store, plan):
        raise EngineError(
            f"this worker does not see the work {hide_secrets(work.store.url)}: no plan {plan} is there; "
            "put it where every worker reaches it (--work s3://... or a shared folder)"
        )
