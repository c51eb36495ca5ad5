"""`stylereel look`: a contact sheet of styles on a film's own frames, before hours are spent."""

from itertools import chain
from pathlib import Path

import click
from torch import Tensor

from pipelines import progress
from pipelines.commands.common import check_picture_name, console, json_option, print_result
from pipelines.config import absolute_style, make_job
from pipelines.credentials import hide_secrets
from pipelines.device import resolve_device
from pipelines.display import Display
from pipelines.environment import cache_folder
from pipelines.errors import UsageError
from pipelines.looks import style_digest
from pipelines.media.frames import FrameReader
from pipelines.overwriting import refuse_overwriting
from pipelines.places import absolute_url
from pipelines.planes import frame_planes, yuv_format
from pipelines.prepare import FilmPlan
from pipelines.studio import publish_picture
from pipelines.work import find_source, load_film, open_work
from stylecore.catalog import (
    called,
    find_style,
    is_picture,
    style_files,
    style_names,
)
from stylecore.images import load_picture, resize_short_side
from stylecore.pixels import to_rgb
from stylecore.sheet import Row, draw_sheet
from stylecore.stills import paint_still

_PAINT_HEIGHT_PX = 540


@click.command()
@click.argument("source")
@click.option("--styles", help="Comma-separated; every style in the box by default.")
@click.option(
    "--frames",
    "count",
    default=4,
    type=click.IntRange(min=1),
    show_default=True,
    help="Frames of the film to show.",
)
@click.option("--strength", default=1.0, show_default=True, help="0 (source) to 1 (full style).")
@click.option(
    "--height",
    default=200,
    type=click.IntRange(16, _PAINT_HEIGHT_PX),
    show_default=True,
    help="Height of a picture on the sheet, px.",
)
@click.option("--out", help="The sheet, .jpg or .png; default: NAME-look.jpg here.")
@json_option
def look(
    source: str, styles: str | None, count: int, strength: float, height: int, out: str | None, as_json: bool
) -> None:
    """Paint a few well-chosen frames of SOURCE (a film or a picture) in several styles, on one sheet.

    Example: stylereel look film.mp4 --styles starry-night,noir,painting.jpg
    """
    if not 0 <= strength <= 1:
        raise UsageError(f"--strength {strength}: 0 (source) to 1 (full style)")
    names = styles.split(",") if styles else [name for name in style_names() if name != "identity"]
    references = [absolute_style(name.strip()) for name in names]
    for reference in references:
        style_digest(reference)
    target = out or f"{Path(hide_secrets(source)).stem}-look.jpg"
    check_picture_name(target)
    refuse_overwriting([target], [source, *chain.from_iterable(map(style_files, references))])
    with Display(console()):
        pictures = _pictures(source, count)
        rows = [Row("source", pictures)]
        progress.begin("look", len(references), unit="styles")
        for reference in references:
            pack, name = find_style(reference)
            painted = [paint_still(picture, pack, name, strength) for picture in pictures]
            rows.append(Row(called(name) if name == reference else name, painted))
            progress.advance()
        publish_picture(draw_sheet(rows, height), absolute_url(target))
    print_result({"sheet": target, "styles": names, "frames": len(pictures)}, [target], as_json)


def _pictures(source: str, count: int) -> list[Tensor]:
    """The frames to paint, (3,H,W), no larger than they will be painted."""
    if is_picture(source):
        return [_at_most(load_picture(Path(source)))]
    work = cache_folder() / "plans" / Path(hide_secrets(source)).stem
    places = {"source": source, "output": f"{work}.mkv", "work": str(work)}
    job = resolve_device(make_job({**places, "style": "identity"}))
    opened = open_work(job.work)
    path = find_source(job, opened)
    film = load_film(job, opened, path)
    form = yuv_format(film.info)
    frames = FrameReader(path, film.info, film.index).pick(telling_frames(film, count))
    return [_at_most(to_rgb(frame_planes(frame), form)[0]) for frame in frames]


def _at_most(picture: Tensor) -> Tensor:
    return resize_short_side(picture, min(_PAINT_HEIGHT_PX, *picture.shape[-2:]))


def telling_frames(film: FilmPlan, count: int) -> list[int]:
    """Frames that show the film: of `count` shots spread over it, the one richest in contrast each."""
    shots = film.shots
    chosen = {shots[(2 * number + 1) * len(shots) // (2 * count)] for number in range(count)}
    best = [max(shot.frames, key=lambda frame: film.index.frames[frame].contrast) for shot in chosen]
    return sorted(best)
