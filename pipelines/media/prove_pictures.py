"""Prove a folder of pictures: every frame of the parts is there as RGB, and nothing else is."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from pipelines.environment import cores
from pipelines.errors import ConformError
from pipelines.media.assemble import PartFile
from pipelines.media.conform import ConformReport
from pipelines.media.encoding import Encoding
from pipelines.media.original import Original
from pipelines.media.pictures import Pictures, Rgb, read_picture
from pipelines.media.proofs import prove_head, prove_tracks, read_streams
from pipelines.media.rgb import Picture, coded_light, rgb_of
from pipelines.media.source_info import SourceInfo
from pipelines.timeline import Timeline

_SIDECAR_TOLERANCE = Fraction(1, 1000)
_CODES = 1
"""Rounding may fall to either side: pictures may be one code value from the proof's own conversion."""
_HALF_FLOAT = 2.0**-8
"""Told back through its curve, a half float is this near: curves climb steeply in the dark."""
_MOST_THREADS = 8


def conform_pictures(
    folder: Path,
    form: Pictures,
    parts: Sequence[PartFile],
    encoding: Encoding,
    original: Original,
) -> ConformReport:
    """Compare with the parts and the source; one picture, time or packet that differs is a ConformError."""
    timeline, info, first = original.timeline, original.info, original.window.first_frame
    sidecar = form.sidecar_name(original.fates)
    _prove_names(folder, {form.name(first + place) for place in range(len(timeline))}, form, sidecar)
    _prove_clock(folder / form.index_name, first, timeline)
    with ThreadPoolExecutor(min(_MOST_THREADS, cores())) as pool:
        list(pool.map(lambda part: _prove_part(folder, form, part, first, encoding, info), parts))
    held = folder / sidecar
    made = read_streams(held) if sidecar else []
    shift = Fraction(0)
    tracks = prove_tracks(held, made, original, shift, _SIDECAR_TOLERANCE)
    chapters, missing = prove_head(held, original) if sidecar else (0, ())
    return ConformReport(len(timeline), Fraction(0), shift, chapters, tracks, missing)


def _prove_names(folder: Path, pictures: set[str], form: Pictures, sidecar: str) -> None:
    found = {path.name for path in folder.iterdir()} - {sidecar, form.index_name}
    wrong = sorted(found ^ pictures)
    if wrong:
        raise ConformError(f"{form.pattern}: {len(found)} pictures, {len(pictures)} expected; see {wrong[0]}")


def _prove_clock(index: Path, first: int, timeline: Timeline) -> None:
    told = json.loads(index.read_text())
    wanted = [[first + place, pts, timeline.duration_ticks(place)] for place, pts in enumerate(timeline.pts)]
    if told["frames"] != wanted or Fraction(told["time_base"]) != timeline.time_base:
        raise ConformError(f"{index.name}: does not tell the times of the film's frames")


def _prove_part(
    folder: Path, form: Pictures, part: PartFile, first: int, encoding: Encoding, info: SourceInfo
) -> None:
    count = 0
    with av.open(str(part.path)) as container:
        for count, frame in enumerate(container.decode(video=0), start=1):
            name = form.name(first + part.frames.start + count - 1)
            _prove_picture(name, read_picture(folder / name), rgb_of(frame, encoding.colour, info.turn), form)
    if count != len(part.frames):
        raise ConformError(f"{part.path.name}: holds {count} frames, {len(part.frames)} expected")


def _prove_picture(name: str, found: Rgb, wanted: Picture, form: Pictures) -> None:
    if found.shape != wanted.shape or found.dtype != _dtype(form):
        raise ConformError(f"{name}: {found.shape} {found.dtype}, expected {wanted.shape} {_dtype(form)}")
    if form.linear:
        far = np.abs(coded_light(found.astype(np.float32), form.curve) - wanted).max() / _HALF_FLOAT
    else:
        highest = np.iinfo(found.dtype).max
        far = np.abs(found - wanted * np.float32(highest)).max() / (_CODES + 0.5)
    if far > 1:
        raise ConformError(f"{name}: is not the picture that was rendered")


def _dtype(form: Pictures) -> np.dtype[np.generic]:
    if form.linear:
        return np.dtype(np.float16)
    return np.dtype(np.uint8 if form.pixel_format == "rgb24" else np.uint16)
