"""`stylereel styles` and `stylereel train`."""

import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor

from pipelines import progress
from pipelines.commands.common import console, json_option, print_result
from pipelines.display import Display
from pipelines.errors import UsageError
from stylecore.encoders import load_encoder
from stylecore.images import load_picture, resize_short_side, to_image
from stylecore.normalize import SurveyNorm
from stylecore.pack import StylePack, blank_pack, bundled_styles, load_pack, save_pack
from stylecore.runtime import keep_freed_memory
from stylecore.train import Trainer, TrainSpec
from stylecore.train import train as train_steps

_PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff")
_CHECKPOINT_STEPS = 100
_PREVIEW_STEPS = 500


@click.command()
@json_option
def styles(as_json: bool) -> None:
    """List the styles in the box and where each comes from.

    Example: stylereel styles
    """
    facts: dict[str, Any] = {"identity": {"work": "the film itself, for proofs"}}
    for name, path in bundled_styles().items():
        facts[name] = dict(load_pack(path).cards.get(name, {}))
    lines = [f"{name:<16}{_card_line(card)}" for name, card in facts.items()]
    print_result(facts, lines, as_json)


def _card_line(card: Mapping[str, Any]) -> str:
    return ", ".join(str(card[key]) for key in ("work", "artist", "year") if card.get(key))


@click.command()
@click.argument("pictures", nargs=-1, required=True, metavar="[NAME=]PICTURE...")
@click.option("--content", multiple=True, required=True, help="Folder of photos or film frames; repeatable.")
@click.option("--loss-network", required=True, help="VGG-19 weights as safetensors: plain or compressed.")
@click.option("--out", required=True, help="The style pack to write.")
@click.option("--checkpoints", default=".checkpoints/train", help="Where training can be resumed from.")
@click.option("--steps", default=TrainSpec.steps, show_default=True, help="Optimizer steps.")
@click.option("--style-weight", default=TrainSpec.style_weight, show_default=True)
@click.option("--palette-weight", default=TrainSpec.palette_weight, show_default=True)
@click.option("--card", multiple=True, metavar="NAME:KEY=VALUE", help="Facts for a style's card; repeatable.")
def train(
    pictures: tuple[str, ...],
    content: tuple[str, ...],
    loss_network: str,
    out: str,
    checkpoints: str,
    steps: int,
    style_weight: float,
    palette_weight: float,
    card: tuple[str, ...],
) -> None:
    """Train styles from paintings. The same command again resumes.

    Example: stylereel train wave=wave.jpg --content photos --loss-network vgg19.safetensors
    --out wave.safetensors
    """
    keep_freed_memory()
    files = _named(pictures)
    contents = [path for folder in content for path in _pictures_in(Path(folder))]
    spec = TrainSpec(steps=steps, style_weight=style_weight, palette_weight=palette_weight)
    paintings = {name: load_picture(path) for name, path in files.items()}
    pack = blank_pack("painter", list(paintings), spec.seed)
    trainer = Trainer(pack, paintings, load_encoder(Path(loss_network)), spec)
    folder = Path(checkpoints)
    _resume(trainer, folder)
    losses: dict[str, float] = {}
    with Display(console()):
        progress.begin("train", steps, trainer.step, "steps")
        for step in train_steps(trainer, contents):
            losses = {
                name: 0.98 * losses.get(name, value) + 0.02 * value for name, value in step.losses.items()
            }
            progress.advance()
            if step.step % _CHECKPOINT_STEPS == 0:
                _save_checkpoint(trainer, folder)
            if step.step % _PREVIEW_STEPS == 0:
                _save_preview(trainer.finished_pack({}, {}), load_picture(contents[0]), folder)
    recipe = {
        "contents": sorted(path.name for path in contents),
        "loss_network": Path(loss_network).name,
        "losses": {name: round(value, 4) for name, value in losses.items()},
    }
    save_pack(trainer.finished_pack(_cards(list(files), card), recipe), Path(out))
    click.echo(out)


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
    to_image(torch.cat([small[0], *painted], dim=2)).save(folder / "preview.png")
