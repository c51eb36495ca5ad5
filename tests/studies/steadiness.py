"""How steady painted films are, ours beside others: E_out/E_src, flicker, edges, style and content.

    python tests/studies/steadiness.py --data DIR --out table.json [--styles A,B] [--pictures DIR]

Writes all rows as JSON and prints a Markdown table of medians over clips and styles.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from operator import attrgetter
from pathlib import Path
from statistics import median

import torch
from clips import CLIPS, Clip, load_clip, load_painting, painting_of
from microast import MicroAst
from torch import Tensor

from pipelines.looks import USUAL_STEADY
from stylecore import metrics
from stylecore.catalog import find_style
from stylecore.encoders import Encoder, load_encoder
from stylecore.images import to_image
from stylecore.importing import import_checkpoint
from stylecore.losses import contrast
from stylecore.motion import Motion, track
from stylecore.normalize import LiveNorm
from stylecore.pack import StylePack
from stylecore.pixels import to_rgb
from stylecore.runtime import keep_freed_memory
from stylecore.spec import EngineSpec
from stylecore.stylize import Stylizer, survey_positions

GAPS = (1, 5, 10)
LOSS_NETWORK = "weights/vgg19_cd16x_relu5_1.fp16.safetensors"
JUDGED_FRAMES = slice(2, None, 5)
"""Frames of a clip whose style, edges and content are compared: they change little from one to the next."""
COLUMNS = {
    "luma_flicker": "flicker",
    "contrast_ratio": "contrast",
    "edge_loss": "edge loss",
    "style_distance": "style",
    "content_distance": "content",
}


@dataclass(frozen=True)
class System:
    """One way to paint a film, with one style; the painting is what style distance is measured to.

    `paint` gives frames as a film carries them: 8 bit, chroma at half size (`Clip.delivered`).
    """

    name: str
    style: str
    painting: Path | None
    paint: Callable[[Clip], list[Tensor]]


@dataclass(frozen=True)
class Row:
    """One system on one clip; lists by `GAPS`."""

    system: str
    style: str
    clip: str
    warp_error: list[float]
    warp_ratio: list[float]
    luma_flicker: float
    contrast_ratio: float
    """Standard deviation of luminance, of the source's: half the contrast is a quarter of the warp error."""
    edge_loss: float
    style_distance: float | None
    content_distance: float


class Judge:
    """One clip and what is measured against it, prepared once."""

    def __init__(self, clip: Clip, encoder: Encoder) -> None:
        self.clip, self.encoder = clip, encoder
        self.motions: list[Motion] = [track(clip.rgb, gap) for gap in GAPS]
        self.floor = [metrics.error_along(clip.rgb, motion) for motion in self.motions]
        self.some = torch.stack(clip.rgb[JUDGED_FRAMES])

    def row(self, system: System, film: list[Tensor]) -> Row:
        """The system's frames, judged."""
        errors = [metrics.error_along(film, motion) for motion in self.motions]
        some = torch.stack(film[JUDGED_FRAMES])
        return Row(
            system=system.name,
            style=system.style,
            clip=self.clip.name,
            warp_error=errors,
            warp_ratio=[error / floor for error, floor in zip(errors, self.floor, strict=True)],
            luma_flicker=metrics.luma_flicker(film, self.clip.rgb),
            contrast_ratio=(contrast(some) / contrast(self.some)).mean().item(),
            edge_loss=metrics.edge_loss(some, self.some),
            style_distance=self._style_distance(system, some),
            content_distance=metrics.content_distance(some, self.some, self.encoder),
        )

    def _style_distance(self, system: System, frames: Tensor) -> float | None:
        if not system.painting:
            return None
        return metrics.style_distance(frames, load_painting(system.painting), self.encoder)


def paint_frozen(clip: Clip, pack: StylePack, style: str, steady: int = USUAL_STEADY) -> list[Tensor]:
    """The product's own way: one survey, every frame with its constants, strokes shared with others."""
    stylizer = Stylizer(pack, style, clip.form, EngineSpec(), steady=steady)
    positions = survey_positions([1.0] * len(clip.planes))
    state = stylizer.survey([clip.planes[position] for position in positions])
    return [to_rgb(frame, clip.form)[0] for frame in stylizer.stylize(clip.planes, state, drifts=clip.drifts)]


def paint_unfrozen(clip: Clip, pack: StylePack, style: str) -> list[Tensor]:
    """Every frame by its own statistics, otherwise the same: what freezing is worth."""
    stylizer = Stylizer(pack, style, clip.form, EngineSpec())
    film = [
        stylizer.stylize([planes], stylizer.survey([planes]), drifts=[drift])[0]
        for planes, drift in zip(clip.planes, clip.drifts, strict=True)
    ]
    return [to_rgb(frame, clip.form)[0] for frame in film]


@torch.inference_mode()
def paint_as_published(clip: Clip, pack: StylePack, style: str) -> list[Tensor]:
    """The bare network, each frame by itself."""
    vector = pack.vectors[style][None]
    return clip.delivered([pack.network(frame[None], LiveNorm(vector, pack.prior))[0] for frame in clip.rgb])


def paint_microast(clip: Clip, network: MicroAst, painting: Tensor) -> list[Tensor]:
    """As published: each frame by itself, the style read once."""
    signals = network.read_style(painting)
    return clip.delivered([network.paint(frame, signals) for frame in clip.rgb])


def systems(data: Path, styles: list[str]) -> Iterator[System]:
    """Everything compared."""
    yield System("source", "-", None, attrgetter("rgb"))
    network = MicroAst(data / "checkpoints/microast")
    for style in styles:
        pack, name = find_style(style)
        file = painting_of(data, style)
        frozen = partial(paint_frozen, pack=pack, style=name)
        apart = partial(frozen, steady=0)
        live = partial(paint_unfrozen, pack=pack, style=name)
        theirs = partial(paint_microast, network=network, painting=load_painting(file))
        yield System("ours", style, file, frozen)
        yield System("ours, strokes not shared", style, file, apart)
        yield System("ours, per frame", style, file, live)
        yield System("MicroAST", style, file, theirs)
    for file in sorted((data / "checkpoints/pytorch_examples_nc").glob("*.pth")):
        pack = import_checkpoint(file, file.stem)
        live = partial(paint_as_published, pack=pack, style=file.stem)
        yield System("pytorch/examples", file.stem, None, live)


def markdown(rows: list[Row]) -> str:
    """Medians over clips and styles, a line per system."""
    head = ["system", *(f"E_out/E_src, gap {gap}" for gap in GAPS), *COLUMNS.values()]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for system in dict.fromkeys(row.system for row in rows):
        mine = [row for row in rows if row.system == system]
        columns: list[list[float | None]]
        columns = [[row.warp_ratio[index] for row in mine] for index in range(len(GAPS))]
        columns += [[getattr(row, name) for row in mine] for name in COLUMNS]
        lines.append(f"| {system} | {' | '.join(map(_middle, columns))} |")
    return "\n".join(lines)


def _middle(values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{median(known):.2f}" if known else "-"


def save_frame(folder: Path, row: Row, frame: Tensor) -> None:
    """One painted frame to look at."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{row.clip}-{row.style}-{row.system}.png"
    to_image(frame).save(folder / name.replace("/", "-").replace(",", "").replace(" ", "-"))


def main() -> None:
    keep_freed_memory()
    asked = _arguments()
    encoder, rows = load_encoder(asked.data / LOSS_NETWORK), []
    compared = list(systems(asked.data, asked.styles.split(",")))
    for clip_name in asked.clips.split(","):
        judge = Judge(load_clip(asked.data, clip_name), encoder)
        print(clip_name, "valid", [round(motion.coverage, 2) for motion in judge.motions])
        for system in compared:
            film = system.paint(judge.clip)
            rows.append(judge.row(system, film))
            asked.out.write_text(json.dumps([asdict(row) for row in rows], indent=1))
            print(rows[-1], flush=True)
            if asked.pictures:
                save_frame(asked.pictures, rows[-1], film[len(film) // 2])
    print(markdown(rows))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="clips, styles, weights, checkpoints")
    parser.add_argument("--styles", default="starry-night,great-wave,scream")
    parser.add_argument("--clips", default=",".join(CLIPS))
    parser.add_argument("--out", type=Path, required=True, help="the rows, as JSON")
    parser.add_argument("--pictures", type=Path, help="a folder for one frame of each film")
    return parser.parse_args()


if __name__ == "__main__":
    main()
