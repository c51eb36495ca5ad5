"""`stylereel train`: styles from pictures, at the rim of `stylecore.training`."""

import os
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor

from pipelines import progress
from pipelines.commands.common import console
from pipelines.display import Display
from pipelines.errors import UsageError
from stylecore.catalog import BUNDLED_PAINTINGS
from stylecore.encoders import load_encoder
from stylecore.images import load_picture, resize_short_side, to_image
from stylecore.normalize import SurveyNorm
from stylecore.pack import StylePack, blank_pack, load_pack, save_pack
from stylecore.runtime import keep_freed_memory
from stylecore.training.brushwork import StylePictures
from stylecore.training.spec import TrainSpec
from stylecore.training.trainer import READ_PX, Gallery, Trainer
from stylecore.training.trainer import train as train_steps

_PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff")
_CHECKPOINT_STEPS = 100
_PREVIEW_STEPS = 250
_DEFAULT = TrainSpec()


@click.command()
@click.argument("pictures", nargs=-1, required=True, metavar="[NAME=]PICTURE...")
@click.option("--content", multiple=True, required=True, help="Folder of photos or film frames; repeatable.")
@click.option("--loss-network", required=True, help="VGG-19 weights as safetensors: plain or compressed.")
@click.option("--out", required=True, help="The style pack to write.")
@click.option("--start", default="bundled", show_default=True, help="Pack to start from, or `blank`.")
@click.option("--checkpoints", default=".checkpoints/train", help="Where training can be resumed from.")
@click.option("--steps", default=_DEFAULT.steps, show_default=True, help="Optimizer steps.")
@click.option("--batch", default=_DEFAULT.batch, show_default=True, help="Styles painted per step.")
@click.option("--gallery", default=0, show_default=True, help="Made-up style pictures to learn to read.")
@click.option("--any-batch", default=2, show_default=True, help="Read style pictures painted per step.")
@click.option("--crop", default=_DEFAULT.crop_px, show_default=True, help="Side of a training crop, px.")
@click.option("--learning-rate", default=_DEFAULT.learning_rate, show_default=True)
@click.option("--style-weight", default=_DEFAULT.style_weight, show_default=True)
@click.option("--palette-weight", default=_DEFAULT.palette_weight, show_default=True)
@click.option("--content-weight", default=_DEFAULT.content_weight, show_default=True)
@click.option(
    "--layer", multiple=True, metavar="NAME=WEIGHT", help="Style layers; all five alike by default."
)
@click.option("--style-loss", default="gram", type=click.Choice(["gram", "wasserstein"]), show_default=True)
@click.option("--vectors-only", is_flag=True, help="Leave the network alone: blends with its other styles.")
@click.option("--precision", default="fp32", type=click.Choice(["fp32", "bf16"]), show_default=True)
@click.option("--device", default="cpu", show_default=True)
@click.option("--card", multiple=True, metavar="NAME:KEY=VALUE", help="Facts for a style's card; repeatable.")
def train(pictures: tuple[str, ...], content: tuple[str, ...], out: str, **options: Any) -> None:
    """Train styles from paintings. The same command again resumes.

    Example: stylereel train wave=wave.jpg --content photos --loss-network vgg19.safetensors
    --out wave.safetensors
    """
    keep_freed_memory()
    files = _named(pictures)
    contents = [path for folder in content for path in _pictures_in(Path(folder))]
    spec = _spec(options)
    paintings = {name: load_picture(path) for name, path in files.items()}
    trainer = _trainer(paintings, contents, spec, options)
    losses = _run(trainer, contents, Path(options["checkpoints"]))
    recipe = {
        "contents": sorted(path.name for path in contents),
        "loss_network": Path(options["loss_network"]).name,
        "losses": {name: round(value, 4) for name, value in losses.items()},
        "gallery": options["gallery"],
        "start": options["start"],
    }
    save_pack(trainer.finished_pack(_cards(list(files), options["card"]), recipe), Path(out))
    click.echo(out)


def _spec(options: Mapping[str, Any]) -> TrainSpec:
    names = ("steps", "batch", "learning_rate", "style_weight", "palette_weight", "content_weight")
    spec = TrainSpec(
        **{name: options[name] for name in names},
        any_batch=options["any_batch"] if options["gallery"] else 0,
        crop_px=options["crop"],
        style_loss=options["style_loss"],
        vectors_only=options["vectors_only"],
        precision=options["precision"],
    )
    layers = dict(item.partition("=")[::2] for item in options["layer"])
    return (
        replace(spec, style_layers={name: float(value) for name, value in layers.items()}) if layers else spec
    )


def _trainer(
    paintings: dict[str, Tensor], contents: Sequence[Path], spec: TrainSpec, options: Mapping[str, Any]
) -> Trainer:
    encoder = load_encoder(Path(options["loss_network"]))
    gallery = None
    if options["gallery"]:
        photos = [resize_short_side(load_picture(path), 2 * READ_PX) for path in contents]
        made = StylePictures(list(paintings.values()), photos, READ_PX, spec.seed)
        gallery = Gallery([made.draw() for _ in range(options["gallery"])], encoder, list(spec.style_layers))
    pack = _starting_pack(options["start"], list(paintings), spec.seed)
    return Trainer(pack, paintings, encoder, spec, gallery, options["device"])


def _starting_pack(start: str, names: list[str], seed: int) -> StylePack:
    """A pack that knows every name: a style it has keeps its vector, a new one begins at the average."""
    if start == "blank":
        return blank_pack("painter", names, seed)
    pack = load_pack(BUNDLED_PAINTINGS if start == "bundled" else Path(start))
    average = torch.stack(list(pack.vectors.values())).mean(0)
    return replace(pack, vectors={name: pack.vectors.get(name, average).clone() for name in names})


def _run(trainer: Trainer, contents: Sequence[Path], folder: Path) -> dict[str, float]:
    """Train to the end; the losses, smoothed."""
    _resume(trainer, folder)
    losses: dict[str, float] = {}
    preview = load_picture(contents[0])
    with Display(console()):
        progress.begin("train", trainer.spec.steps, trainer.step, "steps")
        for step in train_steps(trainer, contents):
            losses = {
                name: 0.98 * losses.get(name, value) + 0.02 * value for name, value in step.losses.items()
            }
            progress.advance()
            if step.step % _CHECKPOINT_STEPS == 0:
                progress.note(_told(losses))
                _save_checkpoint(trainer, folder)
            if step.step % _PREVIEW_STEPS == 0:
                _save_preview(trainer.finished_pack({}, {}), preview, folder)
    return losses


def _told(losses: Mapping[str, float]) -> str:
    return "losses: " + ", ".join(f"{name} {value:.3f}" for name, value in losses.items())


def _named(pictures: tuple[str, ...]) -> dict[str, Path]:
    named = {}
    for item in pictures:
        name, mark, file = item.partition("=")
        path = Path(file if mark else item)
        named[name if mark else path.stem] = path
    return named


def _pictures_in(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _PICTURES)
    if not found:
        raise UsageError(f"{folder}: no pictures here ({', '.join(_PICTURES)}) to learn painting on")
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


def _resume(trainer: Trainer, folder: Path) -> None:
    file = folder / "checkpoint.pt"
    if not file.exists():
        return
    try:
        trainer.restore(torch.load(file, weights_only=True))
    except (RuntimeError, KeyError, ValueError, EOFError, pickle.UnpicklingError) as err:
        raise UsageError(f"{file}: not a checkpoint of these styles; choose another --checkpoints") from err


def _save_checkpoint(trainer: Trainer, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / "checkpoint.partial"
    torch.save(trainer.state(), partial)
    os.replace(partial, folder / "checkpoint.pt")


@torch.inference_mode()
def _save_preview(pack: StylePack, picture: Tensor, folder: Path) -> None:
    small = resize_short_side(picture, 360)[None]
    painted = [pack.network(small, SurveyNorm(vector, pack.prior))[0] for vector in pack.vectors.values()]
    shown = [small[0], *painted]
    while len(shown) % 4:
        shown.append(torch.zeros_like(small[0]))
    rows = [torch.cat(shown[start : start + 4], 2) for start in range(0, len(shown), 4)]
    to_image(torch.cat(rows, 1)).save(folder / "preview.png")
