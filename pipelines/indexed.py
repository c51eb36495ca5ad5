"""The index of a film: the stored one of this very file, or a new one, stored."""

from hashlib import sha256
from pathlib import Path

from pipelines import disk, manifest, progress
from pipelines.environment import cache_folder
from pipelines.media.index import FilmIndex
from pipelines.media.indexing import Indexing
from pipelines.media.source_info import SourceInfo
from pipelines.storage import Store
from stylecore.digest import file_sha256

_KEY_DIGITS = 16
_NOTE_EVERY_FRAMES = 24


def source_key(path: Path) -> str:
    """Identity of a file: all of its bytes, read once on this machine for as long as nobody touches it."""
    touched = _touched(path)
    note = cache_folder() / "sources" / sha256(repr(touched).encode()).hexdigest()
    if note.exists() and len(known := note.read_text()) == _KEY_DIGITS:
        return known
    key = file_sha256(path)[:_KEY_DIGITS]
    if _touched(path) == touched:
        disk.write(note, key.encode())
    return key


def _touched(path: Path) -> tuple[object, ...]:
    """Where a file is and when it was last touched; the time of its change is one that no program sets."""
    facts = path.stat()
    return (
        str(path.resolve()),
        facts.st_dev,
        facts.st_ino,
        facts.st_size,
        facts.st_mtime_ns,
        facts.st_ctime_ns,
    )


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
