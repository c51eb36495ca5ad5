"""Mattes: where a film may be painted, from a greyscale picture or a film that runs beside it."""

import hashlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import repeat
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor

from pipelines.credentials import hide_secrets, masked
from pipelines.disk import mark
from pipelines.environment import cache_folder
from pipelines.errors import InputError
from pipelines.indexed import ensure_index
from pipelines.media.frames import FrameReader
from pipelines.media.probe import probe
from pipelines.media.scan import as_shown
from pipelines.places import local_file
from pipelines.planes import frame_planes, yuv_format
from pipelines.sources import fetch_source
from pipelines.storage import Store
from pipelines.timeline import FrameRange
from stylecore.catalog import is_picture
from stylecore.color import luma
from stylecore.digest import file_sha256
from stylecore.images import load_matte
from stylecore.pixels import to_rgb
from stylecore.spec import Matte


def make_matte(url: str, outside: bool, frames: int) -> Matte:
    """The matte at a URL, checked against the film's number of frames."""
    path = _local(url)
    if not path.is_file():
        raise InputError(f"matte {url}: no such file")
    if is_picture(url):
        load_matte(path)
    else:
        found = len(_open_film(path).index.frames)
        if found != frames:
            raise InputError(
                f"matte {url}: has {found} frames, the film has {frames}; they must run together"
            )
    return Matte(url, file_sha256(path), outside)


def read_matte(matte: Matte, frames: FrameRange, height: int, width: int) -> Iterator[Tensor]:
    """How much of each pixel may be painted, (H,W) in 0..1, for each frame of the range."""
    path = _local(matte.file)

    def sized(grey: Tensor) -> Tensor:
        fitted = F.interpolate(grey, (height, width), mode="bilinear", antialias=True)[0, 0].clamp(0, 1)
        return 1 - fitted if matte.outside else fitted

    if is_picture(matte.file):
        yield from repeat(sized(load_matte(path)[None, None]), len(frames))
    else:
        yield from map(sized, _moving(path, frames))


def matte_mark(url: str) -> object:
    """A value that changes when the matte at a URL is replaced or fetched anew; asks no store."""
    if not url:
        return None
    return mark(local_file(url) or _folder_of(url) / hide_secrets(url).rpartition("/")[2])


def fetch_mattes(urls: Iterable[str]) -> None:
    """Have those that lie elsewhere on this machine as they are now."""
    for url in filter(None, urls):
        _local(url)


def _local(url: str) -> Path:
    return fetch_source(url, _folder_of(url))


def _folder_of(url: str) -> Path:
    # Titles of a season have mattes of the same name, each in a folder of its own.
    own = hashlib.sha256(masked(url).encode()).hexdigest()[:16]
    return cache_folder() / "mattes" / "files" / own


def _moving(path: Path, frames: FrameRange) -> Iterator[Tensor]:
    reader = _open_film(path)
    form = yuv_format(reader.info)
    for frame in reader.read(frames):
        yield luma(to_rgb(frame_planes(frame), form))


def _open_film(path: Path) -> FrameReader:
    return _opened(path, mark(path))


@lru_cache(maxsize=4)
def _opened(path: Path, _mark: object) -> FrameReader:
    info = probe(path)
    index = as_shown(ensure_index(Store(str(cache_folder() / "mattes")), path, info))
    return FrameReader(path, info, index)
