"""`stylereel retry`: chosen shots of a WORK anew."""

from collections.abc import Sequence
from dataclasses import asdict

import click

from pipelines.choice import choose, planned_film, withdraw_chosen
from pipelines.commands.common import console, json_option, print_result
from pipelines.commands.render import delivery_lines
from pipelines.commands.work import open_latest
from pipelines.device import resolve_device
from pipelines.display import Display
from pipelines.errors import UsageError
from pipelines.flows.run import run_title
from pipelines.looks import with_style
from pipelines.selection import MEASURED, Piece


@click.command()
@click.argument("work_url", metavar="WORK")
@click.option("--failed", is_flag=True, help="Whatever failed or is missing; the default.")
@click.option("--shots", help="These shots, such as 3,7-9.")
@click.option("--where", metavar="CONDITION", help="Shots of which this is true, such as 'warp_ratio > 1.3'.")
@click.option("--style", help="Give these shots another style; the others keep theirs.")
@click.option("--dry-run", is_flag=True, help="Say what would be rendered; render nothing.")
@json_option
def retry(
    work_url: str,
    failed: bool,
    shots: str | None,
    where: str | None,
    style: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Redo failed or chosen shots of WORK and rebuild the delivery; all else is kept.

    A shot is rendered with its whole shard. CONDITION is SQL over the columns shard, shot, start, stop,
    frames, style, strength, color, brush, state, attempts, seconds, bytes, kbit_per_second, device, worker,
    error, warp_ratio and flicker; the last two are measured when they are asked for.

    Example: stylereel retry painted.mp4.stylereel --where "warp_ratio > 1.3" --dry-run
    """
    for name, given in (("--shots", shots), ("--where", where), ("--style", style)):
        if given is not None and not given.strip():  # as a shell's variable is that was never set
            raise UsageError(f"{name}: is empty; say which, or leave it out")
    if sum(map(bool, (failed, shots, where))) > 1:
        raise UsageError("choose one of --failed, --shots and --where")
    if style and not (shots or where):
        raise UsageError("--style needs --shots or --where: which shots should get it?")
    work, job, plan = open_latest(work_url)
    with Display(console()):
        chosen = choose(work, job, plan, shots, where)
        if dry_run or (where and not chosen):
            return _say_chosen(chosen, as_json)
        job = resolve_device(job)  # nothing is withdrawn for a machine that cannot paint it
        if style:
            planned_film(work, job, plan)  # in a film cut anew the same numbers are other shots
            job = with_style(job, [piece.shot for piece in chosen], style)
        elif shots or where:
            withdraw_chosen(work, job, plan, chosen)
        facts = run_title(job)
    print_result(facts, delivery_lines(facts), as_json)


def _say_chosen(chosen: Sequence[Piece], as_json: bool) -> None:
    shards = sorted({piece.shard for piece in chosen})
    facts = {"shards": shards, "shots": [asdict(piece) for piece in chosen]}
    lines = [_piece_line(piece) for piece in chosen]
    lines.append(f"{len(chosen)} shots in {len(shards)} shards to render" if chosen else "no shots fit")
    print_result(facts, lines, as_json)


def _piece_line(piece: Piece) -> str:
    found = {name: getattr(piece, name) for name in sorted(MEASURED)}
    numbers = [f"{name} {value:.3f}" for name, value in found.items() if value is not None]
    told = filter(None, [piece.state, f"{piece.kbit_per_second:.0f} kbit/s", *numbers, piece.error])
    return f"shot {piece.shot}, frames {piece.range}, shard {piece.shard}, {piece.style}: {'; '.join(told)}"
