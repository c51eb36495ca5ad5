"""Containers: their families, by what ffmpeg and the names of files call them, and what each holds."""

from enum import StrEnum
from functools import lru_cache
from io import BytesIO

import av
from av.container import Container

from pipelines.errors import UsageError


class Family(StrEnum):
    """Containers that say the same things in the same way."""

    MP4 = "mov/mp4"
    MKV = "matroska/webm"
    TS = "MPEG-TS"
    PS = "MPEG-PS"
    AVI = "AVI"


BROADCAST = (Family.TS, Family.PS)
READ = "mp4, mov, mkv, webm, ts, mpg and avi"
_READERS = {
    "mov": Family.MP4,
    "mp4": Family.MP4,
    "matroska": Family.MKV,
    "mpegts": Family.TS,
    "mpeg": Family.PS,
    "avi": Family.AVI,
}
"""By a part of ffmpeg's names."""
_WRITTEN = {".mp4": Family.MP4, ".m4v": Family.MP4, ".mov": Family.MP4, ".mkv": Family.MKV}
_WRITERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
"""By ffmpeg's names. Its own .m4v holds neither H.265 nor most sound, and every player takes one as mp4."""
TAGS_OF_FILE = frozenset(("major_brand", "minor_version", "compatible_brands", "encoder"))
"""Written by the muxer itself, in small letters: true only of the one file."""


def family_of(container: Container) -> Family | None:
    """The family of a container that is open for reading or writing; None if it is none of ours."""
    return next((family for part, family in _READERS.items() if part in container.format.name), None)


def family_named(suffix: str) -> Family | None:
    """The family that a suffix such as `.mkv` is written as; None if it is none of ours."""
    return _WRITTEN.get(suffix.lower())


def container_of(suffix: str) -> Family:
    """The same of the output of a job, which must be one of ours."""
    family = family_named(suffix)
    if family is None:
        hint = " (webm holds no H.264: use .mkv)" if suffix.lower() == ".webm" else ""
        raise UsageError(f"output {suffix or 'without suffix'!r}: name it {', '.join(_WRITTEN)}{hint}")
    return family


def writer_of(suffix: str) -> str | None:
    """What ffmpeg calls the writer; None to let it choose by the suffix."""
    return _WRITERS.get(suffix.lower())


@lru_cache
def held_codecs(suffix: str) -> frozenset[str]:
    """What ffmpeg's writer of a container takes, by the names of decoders and encoders."""
    with av.open(BytesIO(), "w", format=_WRITERS[suffix]) as made:
        return frozenset(made.supported_codecs)
