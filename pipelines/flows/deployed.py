"""What a Prefect server can be asked to do, as the commands of the same names."""

from typing import Any

from prefect import flow
from prefect.runtime import flow_run as this_run

from pipelines.batches import BATCH_SECONDS, Pool
from pipelines.catalogue import FAILED
from pipelines.choice import choose, withdraw_chosen
from pipelines.config import make_job, make_season
from pipelines.device import with_device
from pipelines.environment import recall_urls
from pipelines.errors import EngineError
from pipelines.faults import patient
from pipelines.flows.artifacts import show_contact_sheet
from pipelines.flows.run import run_title
from pipelines.flows.season import stylize_season
from pipelines.flows.spread import stop_batches
from pipelines.jobs import Season, TitleJob
from pipelines.work import latest_job, open_work


@flow(
    name="render",
    flow_run_name="render-{job.name}",
    persist_result=False,
    on_cancellation=[stop_batches],
)
def render(job: TitleJob, pool: str = "", batch_seconds: float = BATCH_SECONDS) -> dict[str, Any]:
    """Repaint a film, on the workers of a pool or on this one alone; nothing is done twice."""
    recall_urls()
    return _delivered(make_job(job.model_dump()), pool, batch_seconds)


@flow(name="retry", flow_run_name="retry-{work}", persist_result=False, on_cancellation=[stop_batches])
def retry(
    work: str, shots: str = "", where: str = "", pool: str = "", batch_seconds: float = BATCH_SECONDS
) -> dict[str, Any]:
    """Redo what failed or is missing of a work, or chosen shots, and rebuild the delivery."""
    recall_urls()
    with patient():
        opened = open_work(work)
        job, plan = latest_job(opened)
        # A run that was lost has its turn again: what it has painted since then stands.
        done = f"withdrawals/{this_run.id}"
        if (shots or where) and opened.store.size(done) is None:
            withdraw_chosen(opened, job, plan, choose(opened, job, plan, shots, where))
            opened.store.create(done, b"")
    return _delivered(job, pool, batch_seconds)


@flow(
    name="season",
    flow_run_name="season-{season.name}",
    persist_result=False,
    on_cancellation=[stop_batches],
)
def season(season: Season, pool: str = "") -> int:
    """Work on the titles of a season that are new, changed or failed; how many there were."""
    recall_urls()
    runs = stylize_season(make_season({**season.model_dump(), "pool": season.pool or pool}))
    failed = [run for run in runs if run.state == FAILED]
    if failed:
        raise EngineError(
            f"{len(failed)} of {len(runs)} titles failed, the others are delivered; "
            f"{failed[0].source}: {failed[0].error_text}"
        )
    return len(runs)


def _delivered(job: TitleJob, pool: str, batch_seconds: float) -> dict[str, Any]:
    with patient():
        facts = run_title(with_device(job, pool), pool=Pool(pool, batch_seconds) if pool else None)
    show_contact_sheet(job)
    return facts
