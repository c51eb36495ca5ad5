"""`stylereel distill`: options, files and checkpoints around `stylecore.training.distill`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from safetensors.torch import save

from pipelines import progress
from pipelines.commands import checkpoints
from pipelines.commands.common import console
from pipelines.commands.train import pictures_to_learn_on
from pipelines.display import Display
from pipelines.loss_networks import file_of, find_encoder
from pipelines.overwriting import check_place
from pipelines.places import absolute_url
from pipelines.storage import split_url
from stylecore.training.distill import Distiller, DistillSpec
from stylecore.training.distill import distill as distill_steps

_DEFAULT = DistillSpec()
_SAVE_EVERY = 100


@click.command()
@click.option(
    "--teacher",
    "teachers",
    required=True,
    multiple=True,
    metavar="[LAYOUT=]FILE",
    help="A loss network to learn from; of several, each layer from the first that has it.",
)
@click.option("--content", multiple=True, help="Folder of pictures to learn on; drawn scenes by default.")
@click.option("--out", required=True, metavar="FILE", help="The loss network to write, safetensors.")
@click.option(
    "--crops",
    default=_DEFAULT.crops,
    type=click.IntRange(min=1),
    show_default=True,
    help="Pieces of pictures to look at.",
)
@click.option(
    "--steps",
    default=_DEFAULT.steps,
    type=click.IntRange(min=0),
    show_default=True,
    help="Of refinement.",
)
@click.option("--checkpoints", default=".checkpoints/distill", help="Where it can be resumed from.")
def distill(teachers: tuple[str, ...], content: tuple[str, ...], out: str, **options: Any) -> None:
    """Make a compact loss network that sees what larger ones see. The same command resumes.

    Example: stylereel distill --teacher vgg19-cd16x.safetensors --content photos --out compact.safetensors
    """
    check_place(out, map(file_of, teachers))
    pictures = pictures_to_learn_on(content)
    spec = DistillSpec(crops=options["crops"], steps=options["steps"])
    distiller = Distiller([find_encoder(each) for each in teachers], list(pictures.values()), spec)
    _run(distiller, Path(options["checkpoints"]))
    recipe = {
        **asdict(spec),
        "steps": distiller.refined,
        "teachers": [Path(each).name for each in teachers],
        "contents": sorted(Path(name).name for name in pictures),
        "unexplained": {name: round(share, 4) for name, share in distiller.unexplained().items()},
    }
    store, name = split_url(absolute_url(out))
    weights = {name: each.contiguous() for name, each in distiller.finished().items()}
    store.write(name, save(weights, {"recipe": json.dumps(recipe)}))
    click.echo(out)


def _run(distiller: Distiller, folder: Path) -> None:
    """Do what is left; what is done can be resumed from the folder."""
    file = folder / "distill.pt"
    if file.exists():
        with checkpoints.opened(file, "network") as state:
            distiller.restore(state)
    with Display(console()):
        progress.begin("distill", distiller.steps, distiller.step, "steps")
        for step in distill_steps(distiller):
            if step % _SAVE_EVERY == 0 or step == distiller.steps:
                checkpoints.save(distiller.state(), file)
            progress.advance()
