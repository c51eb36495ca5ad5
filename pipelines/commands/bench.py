"""`stylereel bench`: how fast this machine paints, against its limits and against what people run today."""

import tempfile
from concurrent.futures import Executor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import torch

from pipelines import progress
from pipelines.bench.film import write_moment
from pipelines.bench.limits import copied_bytes_per_second, multiplied_per_second, operations
from pipelines.bench.peers import peers, same_network
from pipelines.bench.report import facts_of, table
from pipelines.bench.stages import Stages, open_stages
from pipelines.bench.timing import Work, finish, take_turns, timed
from pipelines.commands.common import console, json_option, print_result
from pipelines.config import make_job
from pipelines.cores import painting_threads
from pipelines.device import resolve_device
from pipelines.device_lock import device_turn
from pipelines.display import Display
from pipelines.environment import cores
from stylecore.pixels import to_rgb
from stylecore.running import DTYPES


@click.command()
@click.argument("film", required=False)
@click.option("--style", default="starry-night", show_default=True)
@click.option("--height", default=1080, show_default=True, help="Of the film drawn when none is given.")
@click.option("--frames", default=6, type=click.IntRange(min=1), show_default=True, help="Frames of a turn.")
@click.option(
    "--rounds",
    default=3,
    type=click.IntRange(min=1),
    show_default=True,
    help="Turns of each; the median counts.",
)
@click.option("--device", default="auto", show_default=True)
@click.option("--precision", default="auto", show_default=True)
@click.option("--codec")
@click.option("--preset")
@click.option("--peer/--no-peer", default=True, help="Compare with the classic network in eager fp32.")
@json_option
def bench(
    film: str | None, height: int, frames: int, rounds: int, peer: bool, as_json: bool, **wish: Any
) -> None:
    """Measure each stage, the whole, the limits of this machine and the classic way, side by side.

    Example: stylereel bench --height 720
    """
    with tempfile.TemporaryDirectory() as folder, Display(console()), ExitStack() as children:
        scratch = Path(folder)
        source = Path(film).absolute() if film else scratch / "moment.mp4"
        if not film:
            write_moment(source, height, frames)
        places = {"source": str(source), "output": str(scratch / "out.mp4"), "work": folder}
        job = resolve_device(make_job({**places, **wish}))
        children.enter_context(device_turn(job.device))
        stages = open_stages(job, frames, scratch)
        painters = children.enter_context(painting_threads(stages.job.shards_at_once))
        works = _works(stages, painters)
        if peer:
            works |= _peer_works(stages, scratch, children)
        progress.begin("measure", len(works) * (rounds + 1), unit="turns")
        facts = _measured(stages, works, rounds)
    print_result(facts, table(facts), as_json)


def _works(stages: Stages, painters: Executor) -> dict[str, Work]:
    shown, painted, count = stages.convert(), stages.paint(), len(stages.frames)
    numbers = range(stages.job.shards_at_once)
    return {
        "decode": lambda: timed(stages.decode, count),
        "read": lambda: timed(stages.read, count),
        "convert": lambda: timed(stages.convert, count),
        "network": lambda: timed(lambda: stages.network(shown), count),
        "survey": lambda: timed(stages.survey, count),
        "paint": lambda: timed(stages.paint, count),
        "encode": lambda: timed(lambda: stages.encode(painted), count),
        "render": lambda: timed(lambda: list(painters.map(stages.render, numbers)), count * len(numbers)),
        "recode": lambda: timed(stages.recode, count),
    }


def _peer_works(stages: Stages, scratch: Path, children: ExitStack) -> dict[str, Work]:
    pictures = [to_rgb(planes, stages.film.painted_format) for planes in stages.frames[:2]]
    found, weights = children.enter_context(peers(pictures, scratch))
    shown = pictures[0].to(stages.job.device)
    runner, look = same_network(weights, shown, stages.job.engine_spec)

    @torch.inference_mode()
    def ours() -> None:
        runner.paint(shown, look)
        finish(stages.job.device)

    return {
        "classic, stock": lambda: found["stock"].paint("network"),
        "classic, tuned": lambda: found["tuned"].paint("network"),
        "classic, ours": lambda: timed(ours),
        "files": lambda: found["stock"].paint("files"),
    }


def _measured(stages: Stages, works: dict[str, Work], rounds: int) -> dict[str, Any]:
    engine = stages.job.engine_spec
    limits = {
        "copied_bytes_per_second": copied_bytes_per_second(engine.device),
        "operations_per_second": multiplied_per_second(engine.device, DTYPES[engine.precision]),
    }
    shown = stages.convert()[:1]
    asked = operations(lambda: stages.network(shown))
    machine = {
        "device": engine.device,
        "precision": engine.precision,
        "cores": cores(),
        "threads": torch.get_num_threads(),
        "shards at once": stages.job.shards_at_once,
        "picture": f"{stages.film.info.width}x{stages.film.info.height}",
        "style": stages.job.style,
        "encoder": stages.film.encoding.encoder,
        "preset": dict(stages.film.encoding.options).get("preset", ""),
    }
    return facts_of(take_turns(works, rounds), limits, asked, machine)
