"""Which device a job computes on."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch

from pipelines.environment import cores
from pipelines.errors import UsageError
from pipelines.jobs import TitleJob
from pipelines.prepare import FilmPlan
from stylecore.runtime import fast_precision
from stylecore.spec import EXACT

_DEVICE = re.compile("cpu|cuda(:(?P<number>0|[1-9][0-9]*))?")


def resolve_device(job: TitleJob) -> TitleJob:
    """The job with a device that exists, and the precision it is fast at."""
    device = find_device(job.device)
    precision = fast_precision(device) if job.precision == "auto" else job.precision
    return job.model_copy(update={"device": device, "precision": precision})


def find_device(wish: str) -> str:
    """The device that is wished for, if this machine has it; `auto` is its first GPU, else its CPU."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wish == "auto":
        return "cuda:0" if count else "cpu"
    named = _DEVICE.fullmatch(wish)
    if named is None:
        raise UsageError(f"device {wish!r}: choose auto, cpu or cuda:N")
    if wish == "cpu" or int(named["number"] or 0) < count:
        return wish
    if count:
        raise UsageError(f"device {wish}: this machine has cuda:0 to cuda:{count - 1}; choose one of these")
    raise UsageError(f"device {wish}: this machine has no CUDA device that torch can use; try --device cpu")


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


def check_pool_device(job: TitleJob) -> TitleJob:
    """The job, if it says which device the workers of a pool have; this machine's do not matter.

    Every worker has to paint alike: only GPUs are taken to be fast at half precision.
    """
    if not _DEVICE.fullmatch(job.device):
        raise UsageError(f"device {job.device}: workers may differ; say what they have, cpu or cuda:0")
    likely = "fp16" if job.device.startswith("cuda") else EXACT
    return job.model_copy(update={"precision": likely if job.precision == "auto" else job.precision})
