"""One stylereel computes on a GPU at a time: a lock on this machine that the kernel frees on any death."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from pipelines import progress
from pipelines.environment import cache_root


@contextmanager
def device_turn(device: str) -> Iterator[None]:
    """Wait for the device, and keep it meanwhile. CPUs are shared, as the system does."""
    if not device.startswith("cuda"):
        yield
        return
    with _taken(lock_file(_identity(device)), device):
        yield


def lock_file(identity: str) -> Path:
    """Where a device's lock is."""
    return lock_folder() / f"{identity}.lock"


def lock_folder() -> Path:
    """Where all of this machine's are, whatever their version; containers that share a device share this."""
    return cache_root() / "devices"


def is_taken(path: Path) -> bool:
    """Whether somebody computes on that device right now."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False


@contextmanager
def _taken(path: Path, device: str) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress.note(f"{device} is taken by another stylereel; waiting for it")
        lock.acquire(poll_interval=0.5)
    try:
        yield
    finally:
        lock.release()


def _identity(device: str) -> str:
    """The device itself: its number is another in every process that sees only some devices."""
    return str(torch.cuda.get_device_properties(torch.device(device)).uuid)
