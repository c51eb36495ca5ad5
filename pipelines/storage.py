"""Places, through fsspec: fetch, publish whole or not at all, create once. The only fsspec import."""

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from pipelines.credentials import hide_secrets, masked, scrub, whole
from pipelines.errors import InputError, StorageError, UsageError


@contextmanager
def explained(doing: str, place: str) -> Iterator[None]:
    """Turn what file systems raise into one line that says what to do."""
    try:
        yield
    except OSError as err:
        if err.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageError(f"{doing} {place}: the disk is full; free some space and run again") from err
        if isinstance(err, PermissionError) or err.errno == errno.EROFS:
            raise StorageError(f"{doing} {place}: may not be written or read; choose another place") from err
        raise StorageError(
            f"{doing} {place}: {scrub(err.strerror or str(err))}; choose another place"
        ) from err


def _locate(url: str) -> tuple[Any, str]:
    """The file system and the path there; a plain path is taken as it is, whatever letters it has."""
    if "://" not in url:
        return LocalFileSystem(), url
    try:
        return fsspec.core.url_to_fs(whole(url))
    except (ValueError, ImportError) as err:
        raise UsageError(f"{hide_secrets(url)}: {scrub(str(err))}") from err


@dataclass(frozen=True)
class Store:
    """A folder somewhere, by URL; names are relative to it, with forward slashes."""

    url: str

    @property
    def _fs(self) -> Any:
        return _locate(self.url)[0]

    def _path(self, name: str) -> str:
        return f"{_locate(self.url)[1].rstrip('/')}/{name}".rstrip("/")

    def local_folder(self) -> Path | None:
        """The folder itself when it is on this machine's disk."""
        return Path(self._path("")) if isinstance(self._fs, LocalFileSystem) else None

    def read(self, name: str) -> bytes | None:
        """The content, or None when there is no such thing."""
        with explained("reading", hide_secrets(f"{self.url}/{name}")):
            try:
                return self._fs.cat_file(self._path(name))
            except FileNotFoundError:
                return None

    def write(self, name: str, data: bytes) -> None:
        """Put the content there whole or not at all, over what was there."""
        with explained("writing", hide_secrets(f"{self.url}/{name}")):
            fs, path = self._fs, self._path(name)
            fs.makedirs(path.rpartition("/")[0], exist_ok=True)
            if not isinstance(fs, LocalFileSystem):
                fs.pipe_file(path, data)
                return
            partial = f"{path}.{uuid.uuid4().hex[:8]}.partial"
            _write_synced(Path(partial), data)
            os.replace(partial, path)

    def publish(self, file: Path, name: str) -> None:
        """Move a finished local file there whole or not at all."""
        with explained("writing", hide_secrets(f"{self.url}/{name}")):
            fs, path = self._fs, self._path(name)
            fs.makedirs(path.rpartition("/")[0], exist_ok=True)
            if isinstance(fs, LocalFileSystem):
                _move(file, Path(path))
            else:
                fs.put_file(str(file), path)
                file.unlink()

    def publish_folder(self, folder: Path, name: str, last: str) -> None:
        """Move a finished local folder there whole or not at all, in place of what was there.

        Where folders cannot be moved, file after file is put there, the one named `last` at the end.
        """
        with explained("writing", hide_secrets(f"{self.url}/{name}")):
            fs, path = self._fs, self._path(name)
            if isinstance(fs, LocalFileSystem):
                _move_folder(folder, Path(path))
                return
            if fs.exists(path):
                fs.rm(path, recursive=True)
            fs.makedirs(path, exist_ok=True)
            for file in sorted(folder.iterdir(), key=lambda file: (file.name == last, file.name)):
                fs.put_file(str(file), f"{path}/{file.name}")
            shutil.rmtree(folder)

    def refuse_unwritable(self) -> None:
        """Raise now what would otherwise be raised after hours of work."""
        name = f".stylereel-{uuid.uuid4().hex[:8]}"
        with explained("writing into", hide_secrets(self.url)):
            fs, path = self._fs, self._path(name)
            fs.makedirs(path.rpartition("/")[0], exist_ok=True)
            fs.pipe_file(path, b"")
            fs.rm(path)

    def names(self, folder: str) -> list[str]:
        """Names directly in a folder, sorted; nothing when there is no such folder."""
        with explained("listing", hide_secrets(f"{self.url}/{folder}")):
            try:
                found = self._fs.ls(self._path(folder), detail=False, refresh=True)
            except FileNotFoundError:
                return []
        return sorted(
            f"{folder}/{path.rstrip('/').rpartition('/')[2]}" for path in found if ".partial" not in path
        )

    def size(self, name: str) -> int | None:
        """Bytes, or None when there is no such thing."""
        with explained("reading", hide_secrets(f"{self.url}/{name}")):
            try:
                return int(self._fs.info(self._path(name))["size"])
            except FileNotFoundError:
                return None

    def fetch(self, name: str, folder: Path) -> Path:
        """A local file with the content: the file itself if it is local, else a copy in `folder`."""
        local = self.local_folder()
        if local is not None:
            return local / name
        target = folder / name.replace("/", "_")
        with explained("reading", hide_secrets(f"{self.url}/{name}")):
            _copy_here(self._fs, self._path(name), target)
        return target

    def remove(self, name: str) -> None:
        """Delete a thing or a folder, if it is there."""
        with explained("deleting", hide_secrets(f"{self.url}/{name}")):
            if self._fs.exists(self._path(name)):
                self._fs.rm(self._path(name), recursive=True)


def _write_synced(path: Path, data: bytes) -> None:
    try:
        with path.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _move(file: Path, target: Path) -> None:
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
    try:
        os.replace(file, target)
    except OSError as err:
        if err.errno != errno.EXDEV:
            raise
        partial = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.partial")
        try:
            shutil.copyfile(file, partial)
            os.replace(partial, target)
        finally:
            partial.unlink(missing_ok=True)
        file.unlink()


def _move_folder(folder: Path, target: Path) -> None:
    """A folder that holds things cannot be replaced in one step: the old one is set aside for a moment."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for left in target.parent.iterdir():
        if left.name.startswith(f".{target.name}.") and left.name.endswith(".partial"):
            shutil.rmtree(left, ignore_errors=True)
    new, old = (target.with_name(f".{target.name}.{state}.partial") for state in ("new", "old"))
    try:
        os.rename(folder, new)
    except OSError as err:
        if err.errno != errno.EXDEV:
            raise
        shutil.copytree(folder, new)
        shutil.rmtree(folder)
    os.sync()  # once, rather than for each of many thousand files
    if target.exists():
        os.rename(target, old)
    os.rename(new, target)
    shutil.rmtree(old, ignore_errors=True)


def _copy_here(fs: Any, path: str, target: Path) -> None:
    """Download once; a file of the right size is taken to be the one."""
    if target.exists() and target.stat().st_size == int(fs.info(path)["size"]):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        fs.get_file(path, str(partial))
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def split_url(url: str) -> tuple[Store, str]:
    """A file's URL as its folder and its name."""
    folder, _, name = url.rpartition("/")
    return Store(f"{folder}/" if folder.endswith((":/", ":")) or not folder else folder), name


def fetch_source(url: str, folder: Path) -> Path:
    """The film as a local file; a missing one is an InputError."""
    shown = hide_secrets(url)
    try:
        fs, path = _locate(url)
    except UsageError as err:
        raise InputError(str(err)) from err
    with explained("reading", shown):
        if not fs.exists(path):
            raise InputError(f"{shown}: not found")
        if isinstance(fs, LocalFileSystem):
            return Path(path)
        target = folder / shown.rpartition("/")[2]
        _copy_here(fs, path, target)
    return target


def absolute_url(place: str) -> str:
    """A URL, its credentials masked; a path made absolute."""
    return masked(place) if "://" in place else str(Path(place).expanduser().absolute())


def free_bytes(folder: Path) -> int:
    """Free space where a folder is, or will be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


@dataclass(frozen=True)
class Found:
    """A file, as its store tells of it."""

    url: str
    bytes: int
    version: str
    """Another one whenever the content is: the store's own mark, else size and time of change."""
    changed_unix_seconds: float
    """When it was last written; 0 where the store does not tell."""


def find_files(place: str) -> list[Found]:
    """The file at a URL, all files below it, or those that its pattern (`*`, `?`, `[...]`) fits, by name."""
    fs, path = _locate(place)
    with explained("listing", hide_secrets(place)):
        fs.invalidate_cache()
        if fs.isfile(path):
            found = {path: fs.info(path)}
        elif is_pattern(path):
            found = {name: facts for name, facts in fs.glob(path, detail=True).items() if _is_file(facts)}
        else:
            found = fs.find(path, detail=True)
    front = place.rstrip("/").removesuffix(path.rstrip("/"))
    return [_found(f"{front}{name}", found[name]) for name in sorted(found)]


def is_pattern(place: str) -> bool:
    """Whether a place may stand for several files."""
    return any(mark in place for mark in "*?[")


def _is_file(facts: dict[str, Any]) -> bool:
    return facts.get("type") == "file"


def _found(url: str, facts: dict[str, Any]) -> Found:
    size = int(facts.get("size") or 0)
    times = [facts[name] for name in ("mtime", "LastModified", "last_modified", "updated") if name in facts]
    time = times[0] if times else facts.get("created", 0)
    if isinstance(time, str):
        time = datetime.fromisoformat(time)
    changed = time.timestamp() if isinstance(time, datetime) else float(time)
    mark = next((facts[name] for name in ("ETag", "etag", "generation") if facts.get(name)), changed)
    return Found(url, size, f"{size}-{mark}".replace('"', ""), changed)
