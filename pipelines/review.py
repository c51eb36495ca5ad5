"""What a person looks at afterwards: some frames of both films, before and after, and a sheet of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from PIL import Image

from pipelines.media.frames import FrameReader
from pipelines.media.pictures import screen_pixels
from pipelines.prepare import FilmPlan
from pipelines.timeline import FrameRange, Shot
from stylecore.orientation import Orientation

_SHOTS_SHOWN = 12
_PICTURE_WIDTH_PX, _TALLEST_PX = 560, 8192
_SHEET_COLUMNS = 6
_SHEET_WIDTH_PX = 1440


def shown_frames(film: FilmPlan) -> list[int]:
    """The frames of the film that the page shows: one of each shot, or of shots spread over all."""
    return [_middle(shot, film.frames) for shot in _spread(film.shots, _SHOTS_SHOWN)]


@dataclass(frozen=True)
class Shown:
    """One frame of a shot in both films, small and upright."""

    shot: Shot
    frame: int
    before: Image.Image
    after: Image.Image


def show_frames(source: Path, delivered: Sequence[Path], film: FilmPlan) -> list[Shown]:
    """The shown frames; `delivered` is the film, or the pictures of these frames."""
    shots, wanted = _spread(film.shots, _SHOTS_SHOWN), shown_frames(film)
    held, first = film.yuv_format.orientation, film.frames.start
    before = [_shown(frame, held) for frame in FrameReader(source, film.info, film.index).pick(wanted)]
    if film.pictures:
        after = [_small(Image.fromarray(screen_pixels(file, film.pictures))) for file in delivered]
    else:
        frames = _delivered(delivered[0], [frame - first for frame in wanted])
        after = [_shown(frame, held) for frame in frames]
    return [Shown(*facts) for facts in zip(shots, wanted, before, after, strict=True)]


def write_sheet(path: Path, shown: Sequence[Shown]) -> None:
    """A picture of a few of the frames, each above what became of it."""
    chosen = _spread(shown, _SHEET_COLUMNS)
    width, height = chosen[0].before.size
    sheet = Image.new("RGB", (width * len(chosen), 2 * height))
    for column, one in enumerate(chosen):
        for row, picture in enumerate((one.before, one.after)):
            sheet.paste(picture, (column * width, row * height))
    sheet.thumbnail((_SHEET_WIDTH_PX, _SHEET_WIDTH_PX))
    sheet.save(path, "JPEG", quality=85)


def _spread(items: Sequence[Any], most: int) -> list[Any]:
    if len(items) <= most:
        return list(items)
    return [items[position * (len(items) - 1) // (most - 1)] for position in range(most)]


def _middle(shot: Shot, frames: FrameRange) -> int:
    """The middle of what is delivered of a shot."""
    shown = shot.frames.overlap(frames)
    assert shown is not None, "a plan holds only shots of its range"
    return (shown.start + shown.stop) // 2


def _delivered(delivery: Path, wanted: Sequence[int]) -> Iterator[av.VideoFrame]:
    chosen = set(wanted)
    with av.open(str(delivery)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number in chosen:
                yield frame
            if number >= max(chosen):
                return


def _shown(frame: av.VideoFrame, held: Orientation) -> Image.Image:
    return _small(_upright(frame.to_image(), held))


def _upright(picture: Image.Image, held: Orientation) -> Image.Image:
    for needed, turn in (
        (held.transposed, Image.Transpose.TRANSPOSE),
        (held.mirrored_x, Image.Transpose.FLIP_LEFT_RIGHT),
        (held.mirrored_y, Image.Transpose.FLIP_TOP_BOTTOM),
    ):
        picture = picture.transpose(turn) if needed else picture
    return picture


def _small(picture: Image.Image) -> Image.Image:
    height = min(_TALLEST_PX, round(picture.height * _PICTURE_WIDTH_PX / picture.width))
    return picture.resize((_PICTURE_WIDTH_PX, height), Image.Resampling.LANCZOS)
