"""Some shards at the same time, and never more: one more begins when one is done."""

from collections.abc import Iterable
from pathlib import Path

from prefect.futures import PrefectFuture, as_completed
from prefect.task_runners import ThreadPoolTaskRunner

from pipelines.flows.tasks import render_title_shard
from pipelines.jobs import TitleJob
from pipelines.tables import release_tables
from stylecore.runtime import return_freed_memory

RUNNER: ThreadPoolTaskRunner = ThreadPoolTaskRunner(max_workers=16)
"""Of the flows that paint; how many shards it is given is for the job to say."""


def render_shards(job: TitleJob, source: Path, shards: Iterable[int]) -> dict[int, str]:
    """Render shards on this machine; the errors of those that failed, by number."""
    release_tables()  # planning read some as long as the film
    return_freed_memory()
    going: dict[PrefectFuture[str], int] = {}
    faults: dict[int, str] = {}

    def await_one() -> None:
        ended = next(as_completed(list(going)))
        shard = going.pop(ended)
        return_freed_memory()  # pieces of it are left between what others hold: in 2 minutes a third more
        if fault := ended.result():
            faults[shard] = fault

    for shard in shards:
        going[render_title_shard.submit(job, source, shard)] = shard
        if len(going) == job.shards_at_once:
            await_one()
    while going:
        await_one()
    return faults
