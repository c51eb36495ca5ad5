"""Uploads and downloads of whole files: streamed, resumable, with progress; a partial file is never used."""

import glob
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock
from fsspec.callbacks import Callback

from pipelines import disk, progress
from pipelines.credentials import hide_secrets
from pipelines.errors import OutageError

CHUNK_BYTES = 16 << 20
_MEGABYTE = 1_000_000
_VERSIONS = (
    *("VersionId", "generation", "ETag", "etag", "e_tag", "md5Hash", "content_md5", "Content-MD5"),
    *("Last-Modified", "LastModified", "last_modified", "updated", "mtime", "created"),
)
"""What stores call that which changes with a thing's content, the surest first."""


@dataclass(frozen=True)
class Identity:
    """Which content a URL stands for: another one under the same name differs in it."""

    url: str
    size: int
    version: str


def identity(fs: Any, path: str, url: str) -> Identity:
    """What a store says of a thing; FileNotFoundError when it is not there."""
    facts = fs.info(path)
    return Identity(hide_secrets(url), int(facts.get("size") or 0), version_of(facts))


def version_of(facts: Mapping[str, Any]) -> str:
    """What a store says that changes with a thing's content; empty when it says nothing of the kind."""
    return next((f"{name} {facts[name]}" for name in _VERSIONS if facts.get(name)), "")


class Megabytes(Callback):
    """Tells `progress` of bytes, in whole megabytes; of nothing where no stage is named."""

    def __init__(self, stage: str, size: int, done: int = 0) -> None:
        super().__init__()
        self.told, self.stage, self.value = done // _MEGABYTE, stage, done
        if stage:
            progress.begin(stage, max(1, size // _MEGABYTE), self.told, unit="MB")

    def relative_update(self, inc: int = 1) -> None:
        """So many bytes more."""
        self.value += inc
        more = self.value // _MEGABYTE - self.told
        if self.stage and more:
            self.told += more
            progress.advance(more)


def download(fs: Any, path: str, url: str, target: Path, stage: str = "") -> None:
    """Bring `target` up to date with a URL: kept if it is that version, continued if it is a part of it.

    Its identity lies beside it, written only when it is whole.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    # Two workers of one machine may want it at the same time: the second waits, and finds it there.
    with FileLock(target.with_name(f".{target.name}.lock")):
        _download(fs, path, url, target, stage)


def _download(fs: Any, path: str, url: str, target: Path, stage: str) -> None:
    found, note = identity(fs, path, url), target.with_name(f"{target.name}.identity")
    if target.exists() and note.exists() and note.read_text() == _text(found):
        return
    partial = _partial_of(target, found)
    _stream(fs, path, partial, found, stage)
    if identity(fs, path, url) != found:
        partial.unlink()
        raise OutageError(f"{hide_secrets(url)}: was replaced while it was read")
    note.unlink(missing_ok=True)
    disk.move(partial, target)
    disk.write(note, _text(found).encode())


def _text(found: Identity) -> str:
    return json.dumps(asdict(found))


def _partial_of(target: Path, found: Identity) -> Path:
    """Where the first part of this very content may lie; those of other contents are removed."""
    mark = hashlib.sha256(_text(found).encode()).hexdigest()[:12]
    for left in target.parent.glob(f"{glob.escape(target.name)}.*{disk.PARTIAL}"):
        if mark not in left.name:
            left.unlink()
    return target.with_name(f"{target.name}.{mark}{disk.PARTIAL}")


def _stream(fs: Any, path: str, partial: Path, found: Identity, stage: str) -> None:
    done = partial.stat().st_size if partial.exists() else 0
    try:
        _append(fs, path, partial, min(done, found.size), found, stage, CHUNK_BYTES)
    except ValueError:  # a web server that gives no ranges: all of it, in one go
        _append(fs, path, partial, 0, found, stage, block_bytes=0)
    size = partial.stat().st_size
    if found.size and size != found.size:
        raise OutageError(f"{found.url}: {size} of {found.size} bytes came")


def _append(
    fs: Any, path: str, partial: Path, done: int, found: Identity, stage: str, block_bytes: int
) -> None:
    with (
        fs.open(path, "rb", block_size=block_bytes) as remote,
        partial.open("r+b" if done else "wb") as local,
    ):
        told = Megabytes(stage, found.size, done)
        if done:
            remote.seek(done)
            local.seek(done)
        while piece := remote.read(CHUNK_BYTES):
            local.write(piece)
            told.relative_update(len(piece))


def upload(fs: Any, file: Path, path: str, stage: str = "") -> None:
    """Put a local file there, in many pieces if it is large; in object stores it appears whole or not at all.

    On a plain file server (sftp) a kill leaves a piece of it under its name, until the next run.
    """
    size = file.stat().st_size
    fs.put_file(str(file), path, callback=Megabytes(stage, size))
    fs.invalidate_cache(path)
    found = fs.info(path)["size"]
    if found != size:
        raise OutageError(f"{found} of {size} bytes arrived")
