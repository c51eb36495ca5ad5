"""Which device a job computes on."""

import re

import torch

from pipelines.errors import UsageError
from pipelines.jobs import TitleJob
from stylecore.runtime import fast_precision
from stylecore.spec import EXACT

_DEVICE = re.compile("cpu|cuda(:(?P<number>0|[1-9][0-9]*))?")


def with_device(job: TitleJob, pool: str | None) -> TitleJob:
    """The job with a device of the pool that is named, or of this machine where none is."""
    return _check_pool_device(job) if pool else resolve_device(job)


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


def _check_pool_device(job: TitleJob) -> TitleJob:
    """The job, if it says which device the workers of a pool have; this machine's do not matter.

    Every worker has to paint alike: only GPUs are taken to be fast at half precision.
    """
    if not _DEVICE.fullmatch(job.device):
        raise UsageError(f"device {job.device}: workers may differ; say what they have, cpu or cuda:0")
    likely = "fp16" if job.device.startswith("cuda") else EXACT
    return job.model_copy(update={"precision": likely if job.precision == "auto" else job.precision})
