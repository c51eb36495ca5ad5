"""The pictures of the README, painted by the styles in the box.

    PYTHONPATH=. python tests/studies/pictures.py looks|films DATA --out docs/pictures

`looks` paints photographs and frames in every look; `films` renders the demo's own film in three styles and
shows frames of what was delivered.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import av
import torch
from torch import Tensor

from pipelines.demo.film import shot_frames, write_film
from stylecore.catalog import bundled_styles, find_style
from stylecore.images import load_picture, resize_short_side, to_image
from stylecore.networks import DRAWN
from stylecore.sheet import Row, draw_sheet
from stylecore.stills import paint_still

PAINTED_PX = 540
SHAPE = 1.6
"""Width of a picture on the wall, of its height."""
SHOWN = (
    ("photos/misc_pd/astronaut.png", None),
    ("clips/chaplin_360p25_bw.mp4", 125),
    ("photos/cc0_elementary/snow_capped_mountain.jpg", None),
    ("clips/sintel_trailer_480p24_30s_noaudio.mp4", 435),
    ("clips/androidx_dog_720p30_live.mp4", 72),
    ("clips/bbb_720p24_30s_vp8_vorbis.webm", 402),
)
FILMS = ("starry-night", "wheat-field", "kandinsky")
GAP_PX = 6


def looks(data: Path, out: Path) -> None:
    """The wall: every look on a face, a street, a mountain, a night alley, a dim room and an animation."""
    pictures = [_cut(_picture(data / file, frame)) for file, frame in SHOWN]
    rows = [Row("source", pictures)]
    for name in [*bundled_styles(), *DRAWN]:
        pack, _ = find_style(name)
        rows.append(Row(name, [paint_still(picture, pack, name) for picture in pictures]))
        print(name, flush=True)
    draw_sheet(rows, 150).save(out / "looks.jpg", quality=90)


def _picture(path: Path, frame: int | None) -> Tensor:
    """A photograph or a frame, without the bars above and below it."""
    picture = load_picture(path) if frame is None else _frames(path, [frame])[0]
    (lit,) = torch.nonzero(picture.amax((0, 2)) > 0.1, as_tuple=True)
    return resize_short_side(picture[:, lit[0] : lit[-1] + 1], PAINTED_PX)


def _cut(picture: Tensor) -> Tensor:
    """The middle in the wall's shape; of a tall picture its upper part, where faces are."""
    height, width = picture.shape[-2:]
    rows, columns = min(height, round(width / SHAPE)), min(width, round(height * SHAPE))
    left = (width - columns) // 2
    return picture[:, :rows, left : left + columns]


def _frames(path: Path, wanted: Sequence[int]) -> list[Tensor]:
    with av.open(str(path)) as film:
        found = [
            torch.from_numpy(frame.to_ndarray(format="rgb24")).permute(2, 0, 1).float() / 255
            for number, frame in enumerate(film.decode(video=0))
            if number in wanted
        ]
    return found


def films(out: Path) -> None:
    """The demo's five shots as drawn and in three styles; four frames of one shot."""
    lengths = shot_frames(None)
    starts = [sum(lengths[:shot]) for shot in range(len(lengths))]
    middles = [start + length // 2 for start, length in zip(starts, lengths, strict=True)]
    boat = [starts[3] + lengths[3] * part // 10 for part in (1, 4, 6, 9)]
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "journey.mp4"
        write_film(source)
        made = {"source": source, **{style: _rendered(source, style) for style in FILMS}}
        shots = [_frames(path, middles) for path in made.values()]
        steady = [_frames(path, boat) for path in (source, made[FILMS[0]])]
    to_image(_grid(shots, 400)).save(out / "styles.jpg", quality=90)
    to_image(_grid(steady, 500)).save(out / "steady.jpg", quality=90)


def _rendered(source: Path, style: str) -> Path:
    output = source.with_stem(style)
    render = [sys.executable, "-m", "pipelines", "render", str(source), str(output)]
    subprocess.run([*render, "--style", style, "--quality", "14"], check=True)
    return output


def _grid(rows: Sequence[Sequence[Tensor]], width_px: int) -> Tensor:
    """Pictures of one shape, on black."""
    height, width = rows[0][0].shape[-2:]
    cells = [[resize_short_side(each, round(width_px * height / width)) for each in row] for row in rows]
    framed = [
        torch.cat([torch.nn.functional.pad(cell, (0, GAP_PX, 0, GAP_PX)) for cell in row], 2) for row in cells
    ]
    return torch.cat(framed, 1)[:, :-GAP_PX, :-GAP_PX]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("which", choices=["looks", "films"])
    parser.add_argument("data", type=Path, nargs="?", help="clips and photos, for the wall")
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"))
    asked = parser.parse_args()
    if asked.which == "films":
        films(asked.out)
    else:
        looks(asked.data, asked.out)
