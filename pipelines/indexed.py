"""The index of a film: the stored one of this very file, or a new one, stored."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from pipelines import manifest, progress
from pipelines.credentials import hide_secrets
from pipelines.errors import InputError
from pipelines.media.index import FilmIndex, Indexing
from pipelines.media.probe import SourceInfo
from pipelines.storage import Store, split_url

_SAMPLE_BYTES = 1 << 16
_SAMPLES = 32
_NOTE_EVERY_FRAMES = 24


def source_key(path: Path) -> str:
    """Identity of a file from its size and bytes sampled all over it; the index then proves every frame."""
    with path.open("rb") as file:

        def read(start: int, stop: int) -> bytes:
            file.seek(start)
            return file.read(stop - start)

        return _key(path.stat().st_size, read)


def source_key_at(url: str) -> str:
    """The same of a film anywhere, from two megabytes of it."""
    store, name = split_url(url)
    size = store.size(name)
    if size is None:
        raise InputError(f"{hide_secrets(url)}: not found")
    return _key(size, lambda start, stop: store.read_range(name, start, stop))


def _key(size: int, read: Callable[[int, int], bytes]) -> str:
    digest = hashlib.sha256(str(size).encode())
    for number in range(_SAMPLES + 1):
        start = max(0, size - _SAMPLE_BYTES) * number // _SAMPLES
        digest.update(read(start, min(size, start + _SAMPLE_BYTES)))
    return digest.hexdigest()[:16]


def ensure_index(store: Store, source: Path, info: SourceInfo) -> FilmIndex:
    """The index of `source`, decoding it once if the store has none of this very file."""
    key = source_key(source)
    index = manifest.load_index(store, key)
    if index is not None:
        return index
    indexing = Indexing(source, info)
    progress.begin("index", info.frames_declared)
    for count in indexing:
        if count % _NOTE_EVERY_FRAMES == 0:
            progress.advance(_NOTE_EVERY_FRAMES)
    index = indexing.index()
    manifest.save_index(store, key, index)
    return index
