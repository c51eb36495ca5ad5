"""Files that somebody else keeps: found by a URL or a pattern, and fetched to be read."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pipelines import transfer
from pipelines.credentials import hide_secrets, masked, whole
from pipelines.errors import InputError, UnreadError, UsageError
from pipelines.places import Value, ask, is_local, is_pattern
from pipelines.store_errors import MissingError


def fetch_source(url: str, folder: Path) -> Path:
    """The film as a local file; a missing one is an InputError."""
    name = hide_secrets(url).rpartition("/")[2]

    def call(fs: Any, path: str) -> Path:
        if is_local(fs):
            fs.info(path)
            return Path(path)
        transfer.download(fs, path, url, folder / name, stage="fetch")
        return folder / name

    return _of_source(url, call)


def check_source(url: str) -> None:
    """An InputError unless the film is there."""
    _of_source(url, lambda fs, path: fs.info(path))


def _of_source(url: str, call: Callable[[Any, str], Value]) -> Value:
    try:
        return ask("reading", url, call)
    except MissingError:
        raise UnreadError(f"{hide_secrets(url)}: not found") from None
    except UsageError as err:
        raise InputError(str(err)) from err


@dataclass(frozen=True)
class Found:
    """A file, as its store tells of it."""

    url: str
    version: str
    """Another one whenever the content is, as far as the store tells: size, and its mark or the time."""
    changed_unix_seconds: float
    """When it was last written; 0 where the store does not tell."""
    told: bool
    """Whether the store tells of a version, and not of the size alone."""


def find_files(place: str) -> list[Found]:
    """The file at a URL, all files below it, or those that its pattern (`*`, `?`, `[...]`) fits, by name."""

    def call(fs: Any, path: str) -> list[Found]:
        front = whole(place).rstrip("/").removesuffix(path.rstrip("/"))
        found = _listed(fs, path)
        return [_found(masked(f"{front}{name}"), found[name]) for name in sorted(found)]

    return ask("listing", place, call)


def _listed(fs: Any, path: str) -> dict[str, Any]:
    """By path, what a file system says of the files there."""
    if fs.isfile(path):
        return {path: fs.info(path)}
    if not is_pattern(path) or fs.isdir(path):
        return fs.find(path, detail=True)
    return {name: facts for name, facts in fs.glob(path, detail=True).items() if facts["type"] == "file"}


def _found(url: str, facts: dict[str, Any]) -> Found:
    times = ("mtime", "LastModified", "last_modified", "updated", "created")
    time = next((facts[name] for name in times if facts.get(name)), 0)
    if isinstance(time, str):
        time = datetime.fromisoformat(time)
    changed = time.timestamp() if isinstance(time, datetime) else float(time)
    mark = transfer.version_of(facts)
    return Found(url, f"{facts.get('size') or 0} {mark}", changed, bool(mark))
