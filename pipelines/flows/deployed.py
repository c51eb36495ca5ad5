"""What a Prefect server can be asked to do, as the commands of the same names."""

from typing import Any

from prefect import flow

from pipelines.batches import BATCH_SECONDS, Pool
from pipelines.config import TitleJob, make_job
from pipelines.device import check_pool_device, resolve_device
from pipelines.errors import UsageError
from pipelines.flows.artifacts import show_contact_sheet
from pipelines.flows.run import run_title
from pipelines.prepare import shards_of_shots
from pipelines.timeline import parse_numbers
from pipelines.work import find_source, latest_job, load_film, lock_work, open_work, withdraw


@flow(name="render", flow_run_name="render-{job.name}", persist_result=False)
def render(job: TitleJob, pool: str = "", batch_seconds: float = BATCH_SECONDS) -> dict[str, Any]:
    """Repaint a film, on the workers of a pool or on this one alone; nothing is done twice."""
    return _delivered(make_job(job.model_dump()), pool, batch_seconds)


@flow(name="retry", flow_run_name="retry-{work}", persist_result=False)
def retry(work: str, shots: str = "", pool: str = "", batch_seconds: float = BATCH_SECONDS) -> dict[str, Any]:
    """Redo what failed or is missing of a work, or chosen shots, and rebuild the delivery."""
    opened = open_work(work)
    job, _ = latest_job(opened)
    if shots:
        film = load_film(job, opened, find_source(job, opened))
        with lock_work(opened):
            withdraw(opened, film, shards_of_shots(film, _numbers(shots)))
    return _delivered(job, pool, batch_seconds)


def _delivered(job: TitleJob, pool: str, batch_seconds: float) -> dict[str, Any]:
    if pool:
        facts = run_title(check_pool_device(job), pool=Pool(pool, batch_seconds))
    else:
        facts = run_title(resolve_device(job))
    show_contact_sheet(job)
    return facts


def _numbers(shots: str) -> list[int]:
    try:
        return parse_numbers(shots)
    except ValueError as err:
        raise UsageError(f"shots: {err}") from err
