"""Places, as users write them: paths and URLs, asked through fsspec; outages are waited out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import fsspec
from fsspec.implementations.local import LocalFileSystem

from pipelines.credentials import hide_secrets, masked, scrub, whole
from pipelines.errors import UsageError
from pipelines.faults import wait_out
from pipelines.store_errors import explained

Value = TypeVar("Value")


def locate(url: str) -> tuple[Any, str]:
    """The file system and the path there; a plain path is taken as it is, whatever letters it has."""
    if "://" not in url:
        return LocalFileSystem(), url
    try:
        fs, path = fsspec.core.url_to_fs(whole(url))
    except (ValueError, ImportError) as err:
        raise UsageError(f"{hide_secrets(url)}: {scrub(str(err))}") from err
    fs.invalidate_cache()
    return fs, path


def ask(doing: str, url: str, call: Callable[[Any, str], Value]) -> Value:
    """What `call` gives for a file system and a path; errors explained, outages waited out."""
    place = hide_secrets(url)

    def once() -> Value:
        with explained(doing, place):
            return call(*locate(url))

    return wait_out(once, place)


def is_local(fs: Any) -> bool:
    return isinstance(fs, LocalFileSystem)


def local_file(url: str) -> Path | None:
    """The file itself when it is on this machine's disk; what lies elsewhere is not asked after."""
    if "://" in url and not url.startswith(("file://", "local://")):
        return None
    fs, path = locate(url)
    return Path(path) if is_local(fs) else None


def absolute_url(place: str) -> str:
    """A URL, its credentials masked; a path made absolute."""
    return masked(place) if "://" in place else str(Path(place).expanduser().absolute())


def is_pattern(place: str) -> bool:
    """Whether a place may stand for several files."""
    return any(mark in hide_secrets(place) for mark in "*?[")  # the marks of a query are none
