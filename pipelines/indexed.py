"""The index of a film: the stored one of this very file, or a new one, stored."""

import hashlib
from pathlib import Path

from pipelines import manifest, progress
from pipelines.media.index import FilmIndex
from pipelines.media.indexing import Indexing
from pipelines.media.probe import SourceInfo
from pipelines.storage import Store

_SAMPLE_BYTES = 1 << 16
_SAMPLES = 32
_NOTE_EVERY_FRAMES = 24


def source_key(path: Path) -> str:
    """Identity of a file from its size and bytes sampled all over it; the index then proves every frame."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        for number in range(_SAMPLES + 1):
            file.seek(max(0, size - _SAMPLE_BYTES) * number // _SAMPLES)
            digest.update(file.read(_SAMPLE_BYTES))
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
