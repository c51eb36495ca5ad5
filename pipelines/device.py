"""Which device a job computes on."""

import torch

from pipelines.config import TitleJob
from pipelines.errors import UsageError


def resolve_device(job: TitleJob) -> TitleJob:
    """The job with a device that exists."""
    device = job.device
    if device == "auto":
        device = "cuda:0" if torch.cuda.is_available() else "cpu"
    elif device.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(
            f"device {device}: this machine has no CUDA device that torch can use; try --device cpu"
        )
    elif not device.startswith(("cpu", "cuda")):
        raise UsageError(f"device {device!r}: choose auto, cpu or cuda:N")
    return job.model_copy(update={"device": device})


def check_pool_device(job: TitleJob) -> TitleJob:
    """The job, if it says which device the workers of a pool have; this machine's do not matter."""
    if not job.device.startswith(("cpu", "cuda")):
        raise UsageError(f"device {job.device}: workers may differ; say what they have, cpu or cuda:0")
    return job
