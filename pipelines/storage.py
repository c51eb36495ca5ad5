"""Places, through fsspec: fetch, publish whole or not at all, create once; outages are waited out."""

import shutil
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from glob import has_magic
from pathlib import Path
from typing import Any, TypeVar

import fsspec
from fsspec.implementations.local import LocalFileSystem

from pipelines import disk, transfer
from pipelines.credentials import hide_secrets, masked, scrub, whole
from pipelines.errors import InputError, UnreadError, UsageError
from pipelines.faults import wait_out
from pipelines.store_errors import MissingError, explained
from pipelines.transfer import Identity

Value = TypeVar("Value")


def _locate(url: str) -> tuple[Any, str]:
    """The file system and the path there; a plain path is taken as it is, whatever letters it has."""
    if "://" not in url:
        return LocalFileSystem(), url
    try:
        fs, path = fsspec.core.url_to_fs(whole(url))
    except (ValueError, ImportError) as err:
        raise UsageError(f"{hide_secrets(url)}: {scrub(str(err))}") from err
    fs.invalidate_cache()
    return fs, path


def _insist(doing: str, url: str, call: Callable[[Any, str], Value]) -> Value:
    """What `call` gives for a file system and a path; errors explained, outages waited out."""
    place = hide_secrets(url)

    def once() -> Value:
        with explained(doing, place):
            return call(*_locate(url))

    return wait_out(once, place)


def _make_parent(fs: Any, path: str) -> None:
    """Object stores have no folders, and asking for one would create the bucket."""
    if not fs.async_impl:
        fs.makedirs(path.rpartition("/")[0], exist_ok=True)


def _last(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


def _is_local(fs: Any) -> bool:
    return isinstance(fs, LocalFileSystem)


@dataclass(frozen=True)
class Store:
    """A folder somewhere, by URL; names are relative to it, with forward slashes."""

    url: str

    def _at(self, name: str) -> str:
        return f"{self.url.rstrip('/')}/{name}".rstrip("/") if name else self.url

    def _insist(self, doing: str, name: str, call: Callable[[Any, str], Value]) -> Value:
        return _insist(doing, self._at(name), call)

    def local_folder(self) -> Path | None:
        """The folder itself when it is on this machine's disk."""
        fs, path = _locate(self.url)
        return Path(path) if _is_local(fs) else None

    def read(self, name: str) -> bytes | None:
        """The content, or None when there is no such thing."""
        try:
            return self._insist("reading", name, lambda fs, path: fs.cat_file(path))
        except MissingError:
            return None

    def read_many(self, names: Sequence[str]) -> dict[str, bytes]:
        """The contents of those that are there, many at a time where the store can."""

        def call(fs: Any, folder: str) -> dict[str, bytes]:
            paths = [f"{folder.rstrip('/')}/{name}" for name in names]
            # Not `cat`, to which a name with brackets is a pattern.
            found = fs.cat_ranges(paths, None, None, on_error="return")
            contents = {}
            for name, content in zip(names, found, strict=True):
                if isinstance(content, bytes):
                    contents[name] = content
                elif not isinstance(content, FileNotFoundError):
                    raise content
            return contents

        return self._insist("reading", "", call)

    def write(self, name: str, data: bytes) -> None:
        """Put the content there whole or not at all, over what was there."""

        def call(fs: Any, path: str) -> None:
            if _is_local(fs):
                disk.write(Path(path), data)
                return
            _make_parent(fs, path)
            fs.pipe_file(path, data)

        self._insist("writing", name, call)

    def create(self, name: str, data: bytes) -> bool:
        """Put the content there unless something is; whether it is there now. Of many that try, one succeeds.

        A store may have taken what it then failed to acknowledge: what is there is compared, so each
        content must be one writer's own.
        """

        def call(fs: Any, path: str) -> bool:
            try:
                if _is_local(fs):
                    disk.create(Path(path), data)
                else:
                    _make_parent(fs, path)
                    fs.pipe_file(path, data, mode="create")
            except FileExistsError:
                return fs.cat_file(path) == data
            return True

        return self._insist("writing", name, call)

    def publish(self, file: Path, name: str, stage: str = "") -> None:
        """Move a finished local file there whole or not at all; a stage, if named, tells of its bytes."""

        def call(fs: Any, path: str) -> None:
            if _is_local(fs):
                disk.move(file, Path(path))
                return
            _make_parent(fs, path)
            transfer.upload(fs, file, path, stage)
            file.unlink()

        self._insist("writing", name, call)

    def publish_folder(self, folder: Path, name: str, last: str) -> None:
        """Move a finished local folder there whole or not at all, in place of what was there.

        Where folders cannot be moved, file after file is put there, the one named `last` at the end.
        """

        def call(fs: Any, path: str) -> None:
            if _is_local(fs):
                disk.move_folder(folder, Path(path))
                return
            fs.pipe_file(f"{path}/{last}{disk.PARTIAL}", b"")  # known for ours as long as it is not whole
            _clear(fs, path, f"{last}{disk.PARTIAL}")
            for file in sorted(folder.iterdir(), key=lambda file: (file.name == last, file.name)):
                _make_parent(fs, f"{path}/{file.name}")
                transfer.upload(fs, file, f"{path}/{file.name}")
            fs.rm_file(f"{path}/{last}{disk.PARTIAL}")
            shutil.rmtree(folder)

        self._insist("writing", name, call)

    def refuse_unwritable(self) -> None:
        """Raise now what would otherwise be raised after hours of work."""
        name = f".stylereel-{uuid.uuid4().hex[:8]}"

        def call(fs: Any, path: str) -> None:
            _make_parent(fs, path)
            fs.pipe_file(path, b"")
            fs.rm_file(path)

        self._insist("writing", name, call)

    def sizes(self, folder: str) -> dict[str, int]:
        """Names directly in a folder, sorted, and their bytes; nothing when there is no such folder."""
        try:
            found = self._insist("listing", folder, lambda fs, path: fs.ls(path, detail=True))
        except MissingError:
            return {}
        sizes = {_last(facts["name"]): int(facts["size"] or 0) for facts in found}
        return {f"{folder}/{name}": sizes[name] for name in sorted(sizes) if disk.PARTIAL not in name}

    def names(self, folder: str) -> list[str]:
        """Names directly in a folder, sorted; nothing when there is no such folder."""
        try:
            found = self._insist("listing", folder, lambda fs, path: fs.ls(path, detail=False))
        except MissingError:
            return []
        names = sorted(map(_last, found))
        return [f"{folder}/{name}" for name in names if disk.PARTIAL not in name]

    def size(self, name: str) -> int | None:
        """Bytes, or None when there is no such thing."""
        found = self.identity(name)
        return found.size if found else None

    def identity(self, name: str) -> Identity | None:
        """Which content a name stands for just now, as far as the store tells; None when nothing is there."""
        url = self._at(name)
        try:
            return self._insist("reading", name, lambda fs, path: transfer.identity(fs, path, url))
        except MissingError:
            return None

    def fetch(self, name: str, folder: Path) -> Path:
        """A local file with the content: the file itself if it is local, else a copy in `folder`."""
        local = self.local_folder()
        if local is not None:
            return local / name
        target, url = folder / name.replace("/", "_"), self._at(name)
        self._insist("reading", name, lambda fs, path: transfer.download(fs, path, url, target))
        return target

    def remove(self, name: str) -> None:
        """Delete a thing or a folder, if it is there."""
        self._insist("deleting", name, self._remove)

    @staticmethod
    def _remove(fs: Any, path: str) -> None:
        try:
            if _is_local(fs) or not has_magic(path):
                fs.rm(path, recursive=True)
                return
            # A name with brackets would be a pattern, and others' files would fit it.
            for file in fs.find(path):
                fs.rm_file(file)
        except FileNotFoundError:
            return


def _clear(fs: Any, folder: str, kept: str) -> None:
    """Remove the files below a folder but those of one name."""
    gone = [file for file in fs.find(folder) if _last(file) != kept]
    if gone and not has_magic(folder):
        fs.rm(gone)
        return
    for file in gone:  # see `Store._remove`
        fs.rm_file(file)


def split_url(url: str) -> tuple[Store, str]:
    """A file's URL as its folder and its name."""
    folder, _, name = url.rpartition("/")
    return Store(f"{folder}/" if folder.endswith((":/", ":")) or not folder else folder), name


def local_file(url: str) -> Path | None:
    """The file itself when it is on this machine's disk; what lies elsewhere is not asked after."""
    if "://" in url and not url.startswith(("file://", "local://")):
        return None
    store, name = split_url(url)
    folder = store.local_folder()
    return folder / name if folder else None


def fetch_source(url: str, folder: Path) -> Path:
    """The film as a local file; a missing one is an InputError."""
    name = hide_secrets(url).rpartition("/")[2]

    def call(fs: Any, path: str) -> Path:
        if _is_local(fs):
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
        return _insist("reading", url, call)
    except MissingError:
        raise UnreadError(f"{hide_secrets(url)}: not found") from None
    except UsageError as err:
        raise InputError(str(err)) from err


def absolute_url(place: str) -> str:
    """A URL, its credentials masked; a path made absolute."""
    return masked(place) if "://" in place else str(Path(place).expanduser().absolute())


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

    return _insist("listing", place, call)


def is_pattern(place: str) -> bool:
    """Whether a place may stand for several files."""
    return any(mark in hide_secrets(place) for mark in "*?[")  # the marks of a query are none


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
