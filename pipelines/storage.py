"""A folder of ours, wherever it is: read, publish whole or not at all, create once."""

import shutil
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from glob import has_magic
from pathlib import Path
from typing import Any

from pipelines import disk, transfer
from pipelines.places import Value, ask, is_local, locate
from pipelines.store_errors import MissingError
from pipelines.transfer import Identity


def _make_parent(fs: Any, path: str) -> None:
    """Object stores have no folders, and asking for one would create the bucket."""
    if not fs.async_impl:
        fs.makedirs(path.rpartition("/")[0], exist_ok=True)


def _last(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


@dataclass(frozen=True)
class Store:
    """A folder somewhere, by URL; names are relative to it, with forward slashes."""

    url: str

    def _at(self, name: str) -> str:
        return f"{self.url.rstrip('/')}/{name}".rstrip("/") if name else self.url

    def _ask(self, doing: str, name: str, call: Callable[[Any, str], Value]) -> Value:
        return ask(doing, self._at(name), call)

    def local_folder(self) -> Path | None:
        """The folder itself when it is on this machine's disk."""
        fs, path = locate(self.url)
        return Path(path) if is_local(fs) else None

    def read(self, name: str) -> bytes | None:
        """The content, or None when there is no such thing."""
        try:
            return self._ask("reading", name, lambda fs, path: fs.cat_file(path))
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

        return self._ask("reading", "", call)

    def write(self, name: str, data: bytes) -> None:
        """Put the content there whole or not at all, over what was there."""

        def call(fs: Any, path: str) -> None:
            if is_local(fs):
                disk.write(Path(path), data)
                return
            _make_parent(fs, path)
            fs.pipe_file(path, data)

        self._ask("writing", name, call)

    def create(self, name: str, data: bytes) -> bool:
        """Put the content there unless something is; whether it is there now. Of many that try, one succeeds.

        A store may have taken what it then failed to acknowledge: what is there is compared, so each
        content must be one writer's own.
        """

        def call(fs: Any, path: str) -> bool:
            try:
                if is_local(fs):
                    disk.create(Path(path), data)
                else:
                    _make_parent(fs, path)
                    fs.pipe_file(path, data, mode="create")
            except FileExistsError:
                return fs.cat_file(path) == data
            return True

        return self._ask("writing", name, call)

    def publish(self, file: Path, name: str, stage: str = "") -> None:
        """Move a finished local file there whole or not at all; a stage, if named, tells of its bytes."""

        def call(fs: Any, path: str) -> None:
            if is_local(fs):
                disk.move(file, Path(path))
                return
            _make_parent(fs, path)
            transfer.upload(fs, file, path, stage)
            file.unlink()

        self._ask("writing", name, call)

    def publish_folder(self, folder: Path, name: str, last: str) -> None:
        """Move a finished local folder there whole or not at all, in place of what was there.

        Where folders cannot be moved, file after file is put there, the one named `last` at the end.
        """

        def call(fs: Any, path: str) -> None:
            if is_local(fs):
                disk.move_folder(folder, Path(path))
                return
            fs.pipe_file(f"{path}/{last}{disk.PARTIAL}", b"")  # known for ours as long as it is not whole
            _clear(fs, path, f"{last}{disk.PARTIAL}")
            for file in sorted(folder.iterdir(), key=lambda file: (file.name == last, file.name)):
                _make_parent(fs, f"{path}/{file.name}")
                transfer.upload(fs, file, f"{path}/{file.name}")
            fs.rm_file(f"{path}/{last}{disk.PARTIAL}")
            shutil.rmtree(folder)

        self._ask("writing", name, call)

    def refuse_unwritable(self) -> None:
        """Raise now what would otherwise be raised after hours of work."""
        name = f".stylereel-{uuid.uuid4().hex[:8]}"

        def call(fs: Any, path: str) -> None:
            _make_parent(fs, path)
            fs.pipe_file(path, b"")
            fs.rm_file(path)

        self._ask("writing", name, call)

    def sizes(self, folder: str) -> dict[str, int]:
        """Names directly in a folder, sorted, and their bytes; nothing when there is no such folder."""
        try:
            found = self._ask("listing", folder, lambda fs, path: fs.ls(path, detail=True))
        except MissingError:
            return {}
        sizes = {_last(facts["name"]): int(facts["size"] or 0) for facts in found}
        return {f"{folder}/{name}": sizes[name] for name in sorted(sizes) if disk.PARTIAL not in name}

    def names(self, folder: str) -> list[str]:
        """Names directly in a folder, sorted; nothing when there is no such folder."""
        try:
            found = self._ask("listing", folder, lambda fs, path: fs.ls(path, detail=False))
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
            return self._ask("reading", name, lambda fs, path: transfer.identity(fs, path, url))
        except MissingError:
            return None

    def fetch(self, name: str, folder: Path) -> Path:
        """A local file with the content: the file itself if it is local, else a copy in `folder`."""
        local = self.local_folder()
        if local is not None:
            return local / name
        target, url = folder / name.replace("/", "_"), self._at(name)
        self._ask("reading", name, lambda fs, path: transfer.download(fs, path, url, target))
        return target

    def remove(self, name: str) -> None:
        """Delete a thing or a folder, if it is there."""
        self._ask("deleting", name, self._remove)

    @staticmethod
    def _remove(fs: Any, path: str) -> None:
        try:
            if is_local(fs) or not has_magic(path):
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
