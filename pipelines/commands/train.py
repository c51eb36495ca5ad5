"""`stylereel train`: options, files and checkpoints around `stylecore.training`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor

from pipelines import progress
from pipelines.commands import checkpoints
from pipelines.commands.common import console, drawn_picture, layer_weight
from pipelines.demo.scenes import SCENES
from pipelines.device import find_device
from pipelines.device_lock import device_turn
from pipelines.display import Display
from pipelines.errors import UsageError
from pipelines.loss_networks import file_of, find_encoder
from pipelines.overwriting import check_pack_place
from stylecore.artefacts import check_style
from stylecore.catalog import BUNDLED_PAINTINGS, picture_vector
from stylecore.digest import digest
from stylecore.encoders import Panel
from stylecore.images import SUFFIXES, load_picture, resize_short_side
from stylecore.losses import STYLE_LOSSES
from stylecore.networks.painter import Painter
from stylecore.pack import StylePack, blank_pack, load_pack, save_pack
from stylecore.sheet import Row, draw_sheet
from stylecore.stills import paint_still
from stylecore.training.brushwork import StylePictures
from stylecore.training.contents import in_bytes, in_light
from stylecore.training.gallery import READ_PX, Gallery
from stylecore.training.spec import TrainSpec
from stylecore.training.trainer import Trainer
from stylecore.training.trainer import train as train_steps

_CHECKPOINT_STEPS = 100
_PREVIEW_STEPS = 250
_DEFAULT = TrainSpec()


@click.command()
@click.argument("pictures", nargs=-1, required=True, metavar="[NAME=]PICTURE...")
@click.option("--out", required=True, metavar="PACK", help="The style pack to write.")
@click.option(
    "--content", multiple=True, help="Folder of photos or film frames to learn on; drawn scenes by default."
)
@click.option(
    "--loss-network",
    "judges",
    default=("bundled",),
    multiple=True,
    metavar="bundled|vgg16|vgg19|FILE",
    show_default=True,
    help="Of several, each layer is judged by the first that has it.",
)
@click.option("--start", default="bundled", show_default=True, help="Pack to start from, or `blank`.")
@click.option("--checkpoints", default=".checkpoints/train", help="Where training can be resumed from.")
@click.option("--steps", default=600, show_default=True, help="Optimizer steps; thousands from `blank`.")
@click.option(
    "--batch",
    default=_DEFAULT.batch,
    type=click.IntRange(min=1),
    show_default=True,
    help="Crops of a step, all in one style.",
)
@click.option(
    "--gallery",
    default=0,
    type=click.IntRange(min=0),
    show_default=True,
    help="Made-up style pictures to learn to read.",
)
@click.option(
    "--any-batch",
    default=2,
    type=click.IntRange(min=0),
    show_default=True,
    help="Crops of a step in a style that is read.",
)
@click.option("--crop", default=_DEFAULT.crop_px, show_default=True, help="Side of a training crop, px.")
@click.option("--learning-rate", default=_DEFAULT.learning_rate, show_default=True)
@click.option("--style-weight", default=_DEFAULT.style_weight, show_default=True)
@click.option("--palette-weight", default=_DEFAULT.palette_weight, show_default=True)
@click.option("--content-weight", default=_DEFAULT.content_weight, show_default=True)
@click.option("--drawing-weight", default=_DEFAULT.drawing_weight, show_default=True)
@click.option("--motion-weight", default=_DEFAULT.motion_weight, show_default=True)
@click.option(
    "--layer", multiple=True, metavar="NAME=WEIGHT", help="Style layers; all five alike by default."
)
@click.option(
    "--style-loss", default=_DEFAULT.style_loss, type=click.Choice([*STYLE_LOSSES]), show_default=True
)
@click.option("--vectors-only", is_flag=True, help="Leave the network alone: blends with its other styles.")
@click.option("--precision", default="fp32", type=click.Choice(["fp32", "bf16"]), show_default=True)
@click.option("--device", default="cpu", show_default=True, help="auto, cpu or cuda:0.")
@click.option("--card", multiple=True, metavar="NAME:KEY=VALUE", help="Facts for a style's card; repeatable.")
def train(pictures: tuple[str, ...], content: tuple[str, ...], out: str, **options: Any) -> None:
    """Train a style from each picture, starting from the box's own network. The same command resumes.

    Example: stylereel train harbour.jpg --out harbour.safetensors
    """
    options["device"] = find_device(options["device"])
    files = _named(pictures)
    cards = _cards(list(files), options["card"])
    check_pack_place(out, [*map(str, files.values()), options["start"], *map(file_of, options["judges"])])
    contents = pictures_to_learn_on(content)
    paintings = {name: load_picture(path) for name, path in files.items()}
    trainer = _trainer(paintings, list(contents.values()), _spec(options), options)
    losses = _run(trainer, list(contents.values()), Path(options["checkpoints"]))
    recipe = {
        "contents": sorted(Path(name).name for name in contents),
        "loss_network": [Path(each).name for each in options["judges"]],
        "losses": {name: round(value, 4) for name, value in losses.items()},
        "gallery": options["gallery"],
        "start": Path(options["start"]).name,
    }
    pack = trainer.finished_pack(cards, recipe)
    save_pack(pack, Path(out))
    for name in files:
        for fault in (each for each in check_style(pack, name) if each.is_fault):
            click.echo(f"{name}: {fault.check} {fault.value:.2f} is over {fault.limit:g}", err=True)
    click.echo(out)


def pictures_to_learn_on(folders: Sequence[str]) -> dict[str, Tensor]:
    """Pictures to learn on, by name: those of the folders, in bytes, or scenes drawn by the demo."""
    if folders:
        found = [path for folder in folders for path in _pictures_in(Path(folder))]
        return {str(path): in_bytes(load_picture(path)) for path in found}
    drawn = {}
    for scene, _ in SCENES:
        for number, moment in enumerate((0.1, 0.4, 0.7, 0.95)):
            drawn[f"drawn {scene.__name__} {number}"] = drawn_picture(scene, moment)
    return drawn


def _spec(options: Mapping[str, Any]) -> TrainSpec:
    weights = ("style_weight", "palette_weight", "content_weight", "drawing_weight", "motion_weight")
    layers = dict(layer_weight(item) for item in options["layer"])
    try:
        spec = TrainSpec(
            **{name: options[name] for name in ("steps", "batch", "learning_rate", *weights)},
            any_batch=options["any_batch"] if options["gallery"] else 0,
            crop_px=options["crop"],
            style_loss=options["style_loss"],
            vectors_only=options["vectors_only"],
            precision=options["precision"],
        )
        return replace(spec, style_layers=layers) if layers else spec
    except ValueError as err:
        raise UsageError(str(err)) from err


def _trainer(
    paintings: dict[str, Tensor], contents: Sequence[Tensor], spec: TrainSpec, options: Mapping[str, Any]
) -> Trainer:
    encoder = Panel([find_encoder(each) for each in options["judges"]]).to(options["device"])
    gallery = None
    if options["gallery"]:
        photos = [resize_short_side(in_light(picture), 2 * READ_PX) for picture in contents]
        made = StylePictures(list(paintings.values()), photos, READ_PX, spec.seed)
        gallery = Gallery([made.draw() for _ in range(options["gallery"])], encoder, list(spec.style_layers))
    pack = _starting_pack(options["start"], paintings, spec.seed)
    return Trainer(pack, paintings, encoder, spec, gallery, options["device"])


def _starting_pack(start: str, paintings: Mapping[str, Tensor], seed: int) -> StylePack:
    """A pack that knows every name: a known style keeps its vector, a new one begins as it is read."""
    if start == "blank":
        return blank_pack("painter", list(paintings), seed)
    pack = load_pack(BUNDLED_PAINTINGS if start == "bundled" else Path(start))
    if not isinstance(pack.network, Painter):
        raise UsageError(
            f"--start {start}: holds a {pack.network_name} network; training goes on from painters"
        )
    average = torch.stack(list(pack.vectors.values())).mean(0)
    vectors = {}
    for name, painting in paintings.items():
        guess = picture_vector(pack, painting) if pack.reader else average
        vectors[name] = pack.vectors.get(name, guess).clone()
    return replace(pack, vectors=vectors)


def _run(trainer: Trainer, contents: Sequence[Tensor], folder: Path) -> dict[str, float]:
    """Train to the end; the losses, smoothed."""
    learned_on = digest("contents", map(in_light, contents))
    file = folder / "checkpoint.pt"
    losses = _resume(trainer, learned_on, file)
    with Display(console()), device_turn(trainer.device):
        progress.begin("train", trainer.spec.steps, trainer.step, "steps")
        for step in train_steps(trainer, contents):
            losses = {
                name: 0.98 * losses.get(name, value) + 0.02 * value for name, value in step.losses.items()
            }
            progress.advance()
            if step.step % _CHECKPOINT_STEPS == 0:
                progress.note(_losses_line(losses))
                checkpoints.save({**trainer.state(), "contents": learned_on, "losses": losses}, file)
            if step.step % _PREVIEW_STEPS == 0:
                _save_preview(trainer.finished_pack({}, {}), in_light(contents[0]), folder)
    return losses


def _losses_line(losses: Mapping[str, float]) -> str:
    return "losses: " + ", ".join(f"{name} {value:.3f}" for name, value in losses.items())


def _named(pictures: tuple[str, ...]) -> dict[str, Path]:
    named = {}
    for item in pictures:
        name, mark, file = item.partition("=")
        path = Path(file if mark else item)
        name = name if mark else path.stem
        if name in named:
            raise UsageError(f"{path}: a second style called {name}; name it, such as other={path}")
        named[name] = path
    return named


def _pictures_in(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        raise UsageError(f"{folder}: no pictures here ({', '.join(SUFFIXES)}) to learn painting on")
    return found


def _cards(names: list[str], entries: tuple[str, ...]) -> dict[str, dict[str, str]]:
    cards: dict[str, dict[str, str]] = {name: {} for name in names}
    for entry in entries:
        name, _, fact = entry.partition(":")
        key, mark, value = fact.partition("=")
        if name not in cards or not mark:
            raise UsageError(f"--card {entry!r}: expected NAME:KEY=VALUE with NAME one of {', '.join(names)}")
        cards[name][key] = value
    return cards


def _resume(trainer: Trainer, learned_on: str, file: Path) -> dict[str, float]:
    """Go on from the checkpoint, if there is one; the losses of the steps that it has seen."""
    if not file.exists():
        return {}
    with checkpoints.opened(file, "training") as state:
        if state["contents"] != learned_on:
            raise ValueError("it learned on other pictures")
        trainer.restore(state)
        return dict(state["losses"])


def _save_preview(pack: StylePack, picture: Tensor, folder: Path) -> None:
    small = resize_short_side(picture, 360)
    rows = [Row(name, [small, paint_still(small, pack, name)]) for name in pack.vectors]
    draw_sheet(rows, 240).save(folder / "preview.jpg", quality=90)
