"""What became of every title of a season: a row per run, in Parquet files that are written once and whole.

    CATALOGUE/runs/RUN-ID.parquet

See docs/manifest.md for every column. A title on which nothing had to be done adds no row.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from pipelines.rows import rows_of, write_rows
from pipelines.storage import Store

VERSION = 1
DELIVERED, FAILED = "delivered", "failed"


@dataclass(frozen=True)
class TitleRun:
    """One run of one title; columns of runs/*.parquet."""

    source: str
    run: int
    """From 1, for each title."""
    state: str
    """`delivered` or `failed`."""
    source_version: str
    """The source's size and mark when the run began; empty when it was not there."""
    wish: str
    """Identity of all that was asked for: see `season.identity_of`."""
    started_utc: str
    output: str = ""
    work: str = ""
    style: str = ""
    wall_seconds: float = 0.0
    cost: float = 0.0
    """At the price of the machine; 0 where no price is known."""
    frames: int = 0
    film_seconds: float = 0.0
    shots: int = 0
    shards: int = 0
    shards_rendered: int = 0
    bytes: int = 0
    sha256: str = ""
    error_class: str = ""
    error_text: str = ""


def record(catalogue: Store, run: TitleRun) -> None:
    """Add one run; nothing is ever changed or removed."""
    name = f"runs/{run.run:05d}-{uuid.uuid4().hex[:12]}.parquet"
    write_rows(catalogue, name, TitleRun, [run], VERSION)


def runs(catalogue: Store) -> list[TitleRun]:
    """All runs, the earliest first; a torn file is as if it were not there."""
    contents = catalogue.read_many(catalogue.names("runs"))
    found = [row for name, data in contents.items() for row in rows_of(name, data, TitleRun, VERSION) or []]
    return sorted(found, key=lambda run: (run.run, run.started_utc, run.source))


def latest(found: Iterable[TitleRun]) -> dict[str, TitleRun]:
    """The last run of each title, by its source. Counted, not timed: clocks of machines differ."""
    return {run.source: run for run in sorted(found, key=lambda run: (run.run, run.started_utc))}
