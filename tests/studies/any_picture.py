"""Any picture as a style, ours beside MicroAST: distances per pair, and a contact sheet.

    python tests/studies/any_picture.py --data DIR --out pairs.json --sheet pairs.png [--styles A,B]

Two judges of style: the compressed VGG-19 that our own training asks, and the first three stages of the exact
VGG-19, which it does not (MicroAST trained with the exact one, on means and deviations).
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import mean

import torch
from clips import load_painting
from microast import MicroAst
from PIL import Image, ImageDraw
from safetensors.torch import load_file
from steadiness import LOSS_NETWORK
from torch import Tensor

from stylecore import metrics
from stylecore.catalog import find_style
from stylecore.color import luma, paint_mask
from stylecore.encoders import Encoder, Layout, load_encoder
from stylecore.errors import StyleError
from stylecore.images import load_picture, resize_short_side, to_image
from stylecore.normalize import LiveNorm
from stylecore.runtime import keep_freed_memory

EXACT_NETWORK = "weights/vgg19n_relu3_1.fp16.safetensors"
EXACT_LAYOUT = Layout(
    (("features.0", "features.2"), ("features.5", "features.7"), ("features.10",)),
    mean=(0.48501961, 0.45795686, 0.40760392),
)
EXACT_LAYERS = metrics.STYLE_LAYERS[:3]
CONTENTS = (
    "photos/cc0_elementary/william_bout_lighthouse.jpg",
    "photos/misc_pd/chelsea.png",
    "photos/misc_pd/astronaut.png",
    "photos/cc0_elementary/sunset_by_the_pier.jpg",
)
CONTENT_SHORT_SIDE_PX = 384
CELL_PX = (256, 192)

Painter = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Pair:
    """One content through one system in one style."""

    system: str
    content: str
    style: str
    style_distance: float
    exact_style_distance: float
    """By relu1_1, 2_1 and 3_1 of the exact VGG-19."""
    content_distance: float


class Judges:
    """Both loss networks."""

    def __init__(self, data: Path) -> None:
        self.trained = load_encoder(data / LOSS_NETWORK)
        self.exact = Encoder(EXACT_LAYOUT, load_file(data / EXACT_NETWORK))

    def distances(self, made: Tensor, painting: Tensor, content: Tensor) -> tuple[float, float, float]:
        """Style, style by the exact network, content."""
        return (
            metrics.style_distance(made, painting, self.trained),
            metrics.style_distance(made, painting, self.exact, EXACT_LAYERS),
            metrics.content_distance(made, content, self.trained),
        )


def our_painter(painting: Path) -> Painter:
    """Our network with the vector it reads from the picture itself."""
    pack, name = find_style(str(painting))

    @torch.inference_mode()
    def paint(content: Tensor) -> Tensor:
        rgb = content[None]
        change = pack.network(rgb, LiveNorm(pack.vectors[name][None], pack.prior)) - rgb
        return (rgb + change * paint_mask(luma(rgb)))[0]

    return paint


def painters(data: Path, paintings: Sequence[Path]) -> dict[str, dict[Path, Painter]]:
    """Every system that can do this, with a painter for each painting."""
    network = MicroAst(data / "checkpoints/microast")
    signals = {file: network.read_style(load_painting(file)) for file in paintings}
    theirs: dict[Path, Painter] = {file: partial(network.paint, style=signals[file]) for file in paintings}
    try:
        return {"ours": {file: our_painter(file) for file in paintings}, "MicroAST": theirs}
    except StyleError as err:
        print(f"ours is left out: {err}")
        return {"MicroAST": theirs}


def contact_sheet(rows: Sequence[tuple[str, Sequence[Tensor | None]]]) -> Image.Image:
    """Rows of pictures in equal cells, each row with a label."""
    width, height = CELL_PX
    sheet = Image.new("RGB", (width * max(len(cells) for _, cells in rows), height * len(rows)))
    for top, (label, cells) in enumerate(rows):
        for left, cell in enumerate(cells):
            if cell is not None:
                sheet.paste(to_image(cell).resize(CELL_PX), (left * width, top * height))
        ImageDraw.Draw(sheet).text((4, top * height + 4), label, "white", stroke_width=2, stroke_fill="black")
    return sheet


def markdown(pairs: Sequence[Pair]) -> str:
    """Means over all pairs, a line per system."""
    columns = ("style_distance", "exact_style_distance", "content_distance")
    lines = [f"| system | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for system in dict.fromkeys(pair.system for pair in pairs):
        mine = [pair for pair in pairs if pair.system == system]
        values = [f"{mean(getattr(pair, column) for pair in mine):.3f}" for column in columns]
        lines.append(f"| {system} | {' | '.join(values)} |")
    return "\n".join(lines)


def compare(data: Path, paintings: Sequence[Path]) -> tuple[list[Pair], Image.Image]:
    """All contents in all styles by all systems."""
    judges, systems = Judges(data), painters(data, paintings)
    targets = {file: load_painting(file) for file in paintings}
    pairs: list[Pair] = []
    rows: list[tuple[str, list[Tensor | None]]] = [("styles", [None, *targets.values()])]
    for name in CONTENTS:
        content = resize_short_side(load_picture(data / name), CONTENT_SHORT_SIDE_PX)
        for system, paint in systems.items():
            made = {file: paint[file](content) for file in paintings}
            rows.append((system, [content, *made.values()]))
            for file, picture in made.items():
                found = judges.distances(picture, targets[file], content)
                pairs.append(Pair(system, Path(name).stem, file.stem, *found))
                print(pairs[-1], flush=True)
    return pairs, contact_sheet(rows)


def main() -> None:
    keep_freed_memory()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="photos, styles, weights, checkpoints")
    parser.add_argument(
        "--styles", default="vangogh_starry_night,hokusai_great_wave,munch_scream,monet_haystacks"
    )
    parser.add_argument("--out", type=Path, required=True, help="the pairs, as JSON")
    parser.add_argument("--sheet", type=Path, required=True, help="the contact sheet, a PNG")
    asked = parser.parse_args()
    paintings = [asked.data / "styles" / f"{style}.jpg" for style in asked.styles.split(",")]
    pairs, sheet = compare(asked.data, paintings)
    asked.out.write_text(json.dumps([asdict(pair) for pair in pairs], indent=1))
    sheet.save(asked.sheet)
    print(markdown(pairs))


if __name__ == "__main__":
    main()
