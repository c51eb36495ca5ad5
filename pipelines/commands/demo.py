"""`stylereel demo`: the whole pipeline on a film it draws itself."""

from pathlib import Path

import click

from pipelines import progress
from pipelines.commands.common import console, json_option, print_result
from pipelines.commands.render import delivery_lines
from pipelines.config import make_job
from pipelines.demo.film import SIZE, write_film
from pipelines.device import resolve_device
from pipelines.display import Display
from pipelines.flows.run import run_title
from stylecore.catalog import called


@click.command()
@click.option(
    "--out", default="stylereel-demo", show_default=True, help="Folder for the film, delivery, report."
)
@click.option("--style", default="starry-night", show_default=True)
@click.option("--seconds", type=click.IntRange(min=1), help="Draw a shorter film.")
@json_option
def demo(out: str, style: str, seconds: int | None, as_json: bool) -> None:
    """Draw a little film with sound, repaint it, prove it, and say where to look.

    Example: stylereel demo --out demo
    """
    folder = Path(out).absolute()
    film = f"journey-{seconds}s" if seconds else "journey"
    source, delivery = folder / f"{film}.mp4", folder / f"{film}-{called(style)}.mp4"
    with Display(console()):
        if not source.exists():
            progress.note(f"drawing a film of {SIZE[0]}x{SIZE[1]} with sound")
            write_film(source, seconds)
        job = make_job({"source": str(source), "output": str(delivery), "style": style, "shard_frames": 96})
        facts = run_title(resolve_device(job))
    print_result({**facts, "drawn": str(source)}, [f"drawn: {source}", *delivery_lines(facts)], as_json)
