"""A delivery of numbered pictures: the RGB of every frame, in a folder with their clock and the sound."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from torch import Tensor

from pipelines import progress
from pipelines.environment import cores
from pipelines.media.assemble import PartFile
from pipelines.media.carry import write_sidecar
from pipelines.media.pictures import Pictures, Rgb, write_picture
from pipelines.planes import frame_planes
from pipelines.prepare import FilmPlan
from stylecore.pixels import coded_upright

_MOST_THREADS = 8


def write_sequence(
    film: FilmPlan, form: Pictures, parts: Sequence[PartFile], source: Path, folder: Path
) -> None:
    """Fill a new folder: a picture for every frame, sound and subtitles, and last their index."""
    folder.mkdir(parents=True)
    progress.begin("pictures", len(film.frames))
    with ThreadPoolExecutor(min(_MOST_THREADS, cores())) as pool:
        list(pool.map(lambda part: _write_pictures(film, form, part, folder), parts))
    sidecar = form.sidecar_name(film.fates)
    if sidecar:
        write_sidecar(film.original(source), folder / sidecar)
    (folder / form.index_name).write_text(_index_text(film, form, sidecar))


def _write_pictures(film: FilmPlan, form: Pictures, part: PartFile, folder: Path) -> None:
    with av.open(str(part.path)) as container:
        for place, frame in enumerate(container.decode(video=0), start=part.frames.start):
            rgb = coded_upright(frame_planes(frame), film.painted_format)
            target = folder / form.name(film.frames.start + place)
            write_picture(target, _samples(rgb, form), form, _pixel_aspect(film))
            progress.advance()


def _samples(rgb: Tensor, form: Pictures) -> Rgb:
    """Coded RGB (1,3,H,W) in 0..1 as the numbers of a file (H,W,3)."""
    pixels = rgb[0].permute(1, 2, 0)
    if form.linear:
        return linear_light(pixels, form.curve).numpy()
    highest = 255 if form.pixel_format == "rgb24" else 65535
    return (pixels * highest).round().numpy().astype(np.uint8 if highest == 255 else np.uint16)


def linear_light(coded: Tensor, curve: str) -> Tensor:
    """The light that coded values mean: the inverse of BT.709 (H.273, 8.2), of sRGB, or of a gamma."""
    if curve == "bt709":
        return torch.where(coded < 0.081, coded / 4.5, ((coded + 0.099) / 1.099) ** (1 / 0.45))
    if curve == "srgb":
        return torch.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    return coded ** {"gamma22": 2.2, "gamma28": 2.8, "linear": 1.0}[curve]


def _pixel_aspect(film: FilmPlan) -> Fraction:
    aspect = film.encoding.sample_aspect
    return 1 / aspect if aspect and film.yuv_format.orientation.transposed else aspect


def _index_text(film: FilmPlan, form: Pictures, sidecar: str) -> str:
    """What picture files cannot say: their times, and what the numbers in them mean."""
    timeline, first = film.excerpt[0], film.frames.start
    height, width = film.yuv_format.orientation.upright_size(film.info.height, film.info.width)
    head: dict[str, Any] = {
        "pictures": form.pattern,
        "first": first,
        "count": len(timeline),
        "rate": str(film.encoding.rate),
        "time_base": str(timeline.time_base),
        "width": width,
        "height": height,
        "pixel_aspect": str(_pixel_aspect(film) or 1),
        "samples": form.samples,
        "light": "linear" if form.linear else form.curve,
        "primaries": film.encoding.colour.primaries,
        "sidecar": sidecar,
        "columns": ["number", "pts", "duration"],
    }
    rows = [[first + place, pts, timeline.duration_ticks(place)] for place, pts in enumerate(timeline.pts)]
    lines = ",\n".join(json.dumps(row) for row in rows)
    return json.dumps(head, indent=1)[:-2] + f',\n "frames": [\n{lines}\n]}}\n'
