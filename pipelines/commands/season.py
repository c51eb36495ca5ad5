"""`stylereel season`."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from pipelines import progress
from pipelines.catalogue import FAILED, TitleRun, latest, runs
from pipelines.commands.common import AGE, console, json_option, print_result
from pipelines.config import load_season_file, with_titles
from pipelines.credentials import scrub
from pipelines.display import Display
from pipelines.errors import UsageError
from pipelines.faults import message
from pipelines.flows.run import run_season
from pipelines.jobs import Season
from pipelines.season import Title, has_stopped_growing, take_stock
from pipelines.storage import Store


@click.command()
@click.argument("file", metavar="SEASON.yaml", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what is due and why; render nothing.")
@click.option("--again", is_flag=True, help="Also try files that were refused and have not changed.")
@click.option("--watch", metavar="URL", help="Stay, and take up films that appear in this folder too.")
@click.option("--every", type=AGE, metavar="10m", help="How often to look, with --watch; 10m unless given.")
@json_option
@click.pass_context
def season(
    context: click.Context,
    file: Path,
    dry_run: bool,
    again: bool,
    watch: str | None,
    every: timedelta | None,
    as_json: bool,
) -> None:
    """Deliver what is new, changed or failed of a season. A title that fails does not stop the others.

    Example: stylereel season season.yaml --dry-run
    """
    wanted = load_season_file(file)
    if watch:
        wanted = with_titles(wanted, watch)
    with Display(console()):
        if dry_run:
            return say_season(wanted, [], as_json, again)
        if watch or every:
            _stay(wanted, every or timedelta(minutes=10), again)
        stock = take_stock(wanted, again)
        if not stock:
            raise UsageError(f"{file}: no films fit its titles")
        due = [title.source for title in stock if title.due]
        made = run_season(wanted, due, again) if due else []
    say_season(wanted, made, as_json)
    if _is_unfinished(stock, _last(wanted)):
        context.exit(1)


def _is_unfinished(stock: Sequence[Title], last: Mapping[str, TitleRun]) -> bool:
    """Whether a title has failed, or was due and is so still, because another run is at work on it."""
    now = [(title, last.get(title.known_as)) for title in stock]
    return any(run and run.state == FAILED or title.due and run == title.last for title, run in now)


def _stay(wanted: Season, every: timedelta, again: bool) -> None:
    """Look again and again, and work on what is due and has stopped growing; ends by a signal only."""
    before: dict[str, str] = {}
    while True:
        try:
            before = _look(wanted, before, every, again)
        except Exception as err:  # one bad night must not end the watch
            progress.note(f"{scrub(message(err))}; looking again in {every}")
        time.sleep(every.total_seconds())


def _look(wanted: Season, before: Mapping[str, str], every: timedelta, again: bool) -> dict[str, str]:
    """Work on what is ready; the versions seen, by source."""
    stock, now = take_stock(wanted, again), time.time()
    due = [title for title in stock if title.due]
    ready = [title.source for title in due if has_stopped_growing(title, before, now, every.total_seconds())]
    if ready:
        run_season(wanted, ready, again)
    waiting = len(due) - len(ready)
    progress.note(f"{len(stock)} titles, {len(ready)} worked on, {waiting} waiting; next look in {every}")
    return {title.source: title.version for title in stock}


def _last(wanted: Season) -> dict[str, TitleRun]:
    return latest(runs(Store(wanted.catalogue)))


def say_season(wanted: Season, made: list[TitleRun], as_json: bool, again: bool = False) -> None:
    """Every title as it stands, after some were worked on."""
    stock = take_stock(wanted, again)
    facts = {
        "season": wanted.name,
        "catalogue": wanted.catalogue,
        "runs": [asdict(run) for run in made],
        "titles": [_facts(title) for title in stock],
    }
    lines = [_line(title) for title in stock]
    cost = sum(run.cost for run in made)
    price = f", cost {cost:.2f}" if cost else ""
    lines.append(f"{len(stock)} titles, {len(made)} worked on now{price}; catalogue: {wanted.catalogue}")
    print_result(facts, lines, as_json)


def _facts(title: Title) -> dict[str, Any]:
    last = asdict(title.last) if title.last else {}
    return {"title": title.name, "source": title.source, "due": title.due, "last": last}


def _line(title: Title) -> str:
    last = title.last
    state = last.state if last else "not yet"
    numbers = f", {last.frames} frames in {last.wall_seconds:.1f} s" if last and last.frames else ""
    due = f"; due: {title.due}" if title.due else ""
    fault = f": {last.error_text}" if last and last.error_text else ""
    return f"{title.name}: {state}{numbers}{due}{fault}"
