"""How painting shares this machine's cores."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch

from pipelines.environment import cores
from pipelines.jobs import TitleJob
from pipelines.prepare import FilmPlan


def shards_at_once(job: TitleJob, film: FilmPlan) -> int:
    """As many as the job has, if the film has them; what is left of it does not matter.

    Whether a film is rendered in one go or in several, its shards are painted on as many threads.
    """
    return min(job.shards_at_once, len(film.shards))


def share_cores(at_once: int) -> None:
    """Let this thread compute on its share of the cores when so many paint at once."""
    torch.set_num_threads(max(1, cores() // at_once))


@contextmanager
def painting_threads(at_once: int) -> Iterator[ThreadPoolExecutor]:
    """A thread for each of some shards that are painted at once; an error waits for none of them."""
    pool = ThreadPoolExecutor(at_once, initializer=share_cores, initargs=(at_once,))
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()
