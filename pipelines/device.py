"""Which device a job computes on."""

from concurrent.futures import ThreadPoolExecutor

import torch

from pipelines.environment import cores
from pipelines.errors import UsageError
from pipelines.jobs import TitleJob
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


def share_cores(shards_at_once: int) -> None:
    """Let this thread, and those yet to start, have a share of the cores when so many paint at once."""
    torch.set_num_threads(max(1, cores() // max(1, shards_at_once)))


def painting_threads(shards_at_once: int) -> ThreadPoolExecutor:
    """A thread for each of some shards that are painted at once, with its share of the cores."""
    return ThreadPoolExecutor(shards_at_once, initializer=share_cores, initargs=(shards_at_once,))


def check_pool_device(job: TitleJob) -> TitleJob:
    """The job, if it says which device the workers of a pool have; this machine's do not matter.

    Every worker has to paint alike: only GPUs are taken to be fast at half precision.
    """
    if not job.device.startswith(("cpu", "cuda")):
        raise UsageError(f"device {job.device}: workers may differ; say what they have, cpu or cuda:0")
    likely = "fp16" if job.device.startswith("cuda") else EXACT
    return job.model_copy(update={"precision": likely if job.precision == "auto" else job.precision})
