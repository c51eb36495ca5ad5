"""Some shards at the same time, and never more: one more begins when the oldest is done."""

from collections import deque
from collections.abc import Iterable
from pathlib import Path

from prefect.futures import PrefectFuture
from prefect.task_runners import ThreadPoolTaskRunner

from pipelines.device import share_cores
from pipelines.flows.tasks import render_title_shard
from pipelines.jobs import TitleJob

RUNNER: ThreadPoolTaskRunner = ThreadPoolTaskRunner(max_workers=16)
"""Of the flows that paint; how many shards it is given is for the job to say."""


def render_shards(job: TitleJob, source: Path, shards: Iterable[int]) -> dict[int, str]:
    """Render shards on this machine; the errors of those that failed, by number."""
    at_once = job.shards_at_once
    share_cores(at_once)
    going: deque[tuple[int, PrefectFuture[str]]] = deque()
    faults: dict[int, str] = {}

    def await_oldest() -> None:
        shard, future = going.popleft()
        if fault := future.result():
            faults[shard] = fault

    for shard in shards:
        going.append((shard, render_title_shard.submit(job, source, shard)))
        if len(going) == at_once:
            await_oldest()
    while going:
        await_oldest()
    return faults
