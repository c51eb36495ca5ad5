"""What the machine and its user's environment say. Others only set what OpenMP and Prefect are to read."""

import math
import os
from contextlib import suppress
from pathlib import Path

from pipelines import schema
from pipelines.credentials import masked

CGROUP = Path("/sys/fs/cgroup")


def recall_urls() -> None:
    """Learn the URLs in $STYLEREEL_URLS, divided by spaces: those whose credentials no stored job holds."""
    for url in os.environ.get("STYLEREEL_URLS", "").split():
        masked(url)


def cores() -> int:
    """Processors that this process may use: OMP_NUM_THREADS, or as many as its container's quota allows."""
    wished = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    if wished.isdecimal() and int(wished):
        return int(wished)
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(found, _quota() or found)


def _quota() -> int | None:
    """Processors' worth of time that a container is given, rounded up; more threads hold each other up."""
    for files in (["cpu.max"], ["cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"]):  # cgroup 2, then 1
        with suppress(OSError, ValueError):  # none here, or none set: "max", -1
            allowed, period = " ".join((CGROUP / file).read_text() for file in files).split()
            return math.ceil(int(allowed) / int(period)) if int(allowed) > 0 else None
    return None


def cache_root() -> Path:
    """What all versions of the program share on this machine: $STYLEREEL_CACHE, else the user's cache."""
    given = os.environ.get("STYLEREEL_CACHE")
    users = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stylereel"
    return Path(given).expanduser().absolute() if given else users


def cache_folder() -> Path:
    """Where this machine keeps what can be made again.

    One folder for each version of the manifest: what an older program left there is nobody's fault.
    """
    return cache_root() / f"manifest-{schema.VERSION}"


def prefect_server_given() -> str:
    """The API of the Prefect server that the user points to; empty when there is none."""
    return os.environ.get("PREFECT_API_URL", "")


def prefect_certificates() -> str | None:
    """The file of certificates by which Prefect knows its server; None where those of this machine do."""
    return os.environ.get("PREFECT_API_SSL_CERT_FILE") or None
