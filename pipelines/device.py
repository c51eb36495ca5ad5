"""Which device a job computes on."""

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


def resolve_device(job: TitleJob) -> TitleJob:
    """The job with a device that exists, and the precision it is fast at."""
    device = job.device
    if device == "auto":
        device = "cuda:0" if torch.cuda.is_available() else "cpu"
    elif device.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(
            f"device {device}: this machine has no CUDA device that torch can use; try --device cpu"
        )
    elif not device.startswith(("cpu", "cuda")):
        raise UsageError(f"device {device!r}: choose auto, cpu or cuda:N")
    precision = fast_precision(device) if job.precision == "auto" else job.precision
    return job.model_copy(update={"device": device, "precision": precision})


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
    if not job.device.startswith(("cpu", "cuda")):
        raise UsageError(f"device {job.device}: workers may differ; say what they have, cpu or cuda:0")
    likely = "fp16" if job.device.startswith("cuda") else EXACT
    return job.model_copy(update={"precision": likely if job.precision == "auto" else job.precision})
