"""What people choose shards by: a row for each shot in each shard, and expressions over its columns.

An expression is what SQL allows after WHERE, evaluated by SQLite on these rows alone.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace
from fractions import Fraction
from math import isnan, nan
from typing import Any

from pipelines import attempts, manifest, tables
from pipelines.attempts import ShardResult
from pipelines.errors import UsageError
from pipelines.steadiness import Steadiness
from pipelines.storage import Store
from pipelines.timeline import FrameRange, Shot, touching

TO_DO = "to do"
_MOST_LETTERS = 100_000
"""No text in an expression's evaluation is longer."""


@dataclass(frozen=True)
class Piece:
    """A shot in a shard, and how the attempt at the shard that counts went; columns of `--where`."""

    shard: int
    shot: int
    start: int
    stop: int
    frames: int
    style: str
    strength: float
    color: str
    brush: float
    state: str
    """`ok`, `failed`, `withdrawn` or `to do`."""
    attempts: int
    seconds: float
    """Wall time of the shard."""
    bytes: int
    """Of the shard's part."""
    kbit_per_second: float
    """Of the shard's part."""
    device: str
    worker: str
    error: str
    warp_ratio: float | None = None
    """See `steadiness`; only measured when it is asked for."""
    flicker: float | None = None

    @property
    def range(self) -> FrameRange:
        """Its frames."""
        return FrameRange(self.start, self.stop)


MEASURED = {"warp_ratio", "flicker"}


def load_pieces(store: Store, plan: str) -> list[Piece]:
    """All pieces of a stored plan, as they stand; needs no source."""
    shots, shards = (manifest.plan_table(store, plan, name).to_pylist() for name in ("shots", "shards"))
    rows = attempts.standing(attempts.ended(store))
    seconds = _shard_seconds(store, plan)
    placed = [Shot(shot["shot"], FrameRange(shot["start"], shot["stop"])) for shot in shots]
    pieces = []
    for shard in shards:
        frames = FrameRange(shard["start"], shard["stop"])
        shown = touching(placed, frames)
        for shot, place in zip(shots[shown], placed[shown], strict=True):
            if shared := place.frames.overlap(frames):
                pieces.append(_piece(shot, shard, shared, rows.get(shard["key"]), seconds[shard["shard"]]))
    return pieces


def _shard_seconds(store: Store, plan: str) -> Mapping[int, Fraction]:
    """How long the frames of each shard are shown."""
    table = manifest.plan_table(store, plan, "timeline")
    ticks: defaultdict[int, int] = defaultdict(int)
    for shard, duration in zip(tables.column(table, "shard"), tables.column(table, "duration"), strict=True):
        ticks[shard] += duration
    base = Fraction(tables.facts_of(table)["time_base"])
    return {shard: total * base for shard, total in ticks.items()}


def _piece(
    shot: Mapping[str, Any],
    shard: Mapping[str, Any],
    shared: FrameRange,
    result: ShardResult | None,
    seconds: Fraction,
) -> Piece:
    look = {name: shot[name] for name in ("style", "strength", "color", "brush")}
    place = {"shard": shard["shard"], "shot": shot["shot"], "start": shared.start, "stop": shared.stop}
    return Piece(
        **place,
        **look,
        frames=len(shared),
        state=result.state if result else TO_DO,
        attempts=result.attempt if result else 0,
        seconds=result.wall_seconds if result else 0.0,
        bytes=result.part_bytes if result else 0,
        kbit_per_second=float(result.part_bytes * 8 / 1000 / seconds) if result else 0.0,
        device=result.device if result else "",
        worker=result.worker if result else "",
        error=result.error_text if result else "",
    )


def with_steadiness(pieces: Sequence[Piece], measured: Mapping[int, Iterable[Steadiness]]) -> list[Piece]:
    """The pieces with what was measured, by shard; where nothing could be, the columns stay empty."""
    found = {(shard, row.shot): row for shard, rows in measured.items() for row in rows}
    nothing = Steadiness(0, nan, nan)
    rows = [found.get((piece.shard, piece.shot), nothing) for piece in pieces]
    return [
        replace(piece, warp_ratio=_known(row.warp_ratio), flicker=_known(row.flicker))
        for piece, row in zip(pieces, rows, strict=True)
    ]


def _known(value: float) -> float | None:
    return None if isnan(value) else value


def matching(pieces: Sequence[Piece], expression: str) -> list[Piece]:
    """The pieces of which an expression is true; a malformed one is a UsageError."""
    return [pieces[number] for (number,) in _evaluated(pieces, expression)[0] if number < len(pieces)]


def columns_of(expression: str) -> Collection[str]:
    """The columns that an expression reads; a malformed one is a UsageError."""
    return _evaluated([], expression)[1]


def _evaluated(pieces: Sequence[Piece], expression: str) -> tuple[list[Any], set[str]]:
    """Numbers of the rows where the expression holds, and the columns that it reads."""
    names = [field.name for field in fields(Piece)]
    read: set[str] = set()

    def allowed(action: int, table: str | None, column: str | None, *_: object) -> int:
        if action == sqlite3.SQLITE_READ and column:
            read.add(column)
        mine = action == sqlite3.SQLITE_READ and table == "shots"
        plain = action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_FUNCTION)
        return sqlite3.SQLITE_OK if mine or plain else sqlite3.SQLITE_DENY

    if '"' in expression:
        # SQLite takes a double-quoted word that is no column for a text: misspelt, it would choose anything.
        raise UsageError(f"--where {expression}: texts stand in single quotes, and columns in none")
    database = sqlite3.connect(":memory:")
    try:
        database.execute(f"CREATE TABLE shots (row INTEGER PRIMARY KEY, {', '.join(map(_column, names))})")
        rows = [(number, *astuple(piece)) for number, piece in enumerate(pieces)]
        database.executemany(f"INSERT INTO shots VALUES ({', '.join('?' * (len(names) + 1))})", rows)
        database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MOST_LETTERS)
        database.set_authorizer(allowed)
        # The end of line ends a comment that would hide the bracket.
        return database.execute(f"SELECT row FROM shots WHERE ({expression}\n)").fetchall(), read - {"row"}
    except (sqlite3.Error, sqlite3.Warning) as err:
        columns = ", ".join(names)
        raise UsageError(
            f"--where {expression}: {err}; expected a condition such as frames > 48 AND style = 'noir'; "
            f"columns are {columns}"
        ) from err
    finally:
        database.close()


_AFFINITY = {"int": "INTEGER", "float": "REAL", "str": "TEXT"}


def _column(name: str) -> str:
    kind = str(Piece.__annotations__[name])
    return f"{name} {next(sql for word, sql in _AFFINITY.items() if word in kind)}"
