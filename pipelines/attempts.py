"""Attempts at shards: each number is claimed once, each outcome written once, and one of them counts.

The files under `claims/`, `results/` and `snapshots/` of the manifest.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import count, starmap

from pipelines import schema, tables
from pipelines.errors import StorageError
from pipelines.storage import Store

OK, FAILED, WITHDRAWN, STARTED = "ok", "failed", "withdrawn", "started"


@dataclass(frozen=True)
class ShardResult:
    """One attempt at one shard; columns of results/*.parquet."""

    key: str
    shard: int
    attempt: int
    state: str
    """`ok`, `failed`, or `withdrawn`: somebody asked for a new one, earlier attempts no longer count."""
    worker: str = ""
    device: str = ""
    start: int = 0
    stop: int = 0
    part: str = ""
    part_bytes: int = 0
    part_sha256: str = ""
    frames_sha256: str = ""
    packet_crcs: tuple[int, ...] = ()
    reorder: int = 0
    started_utc: str = ""
    wall_seconds: float = 0.0
    decode_seconds: float = 0.0
    network_seconds: float = 0.0
    encode_seconds: float = 0.0
    fault: str = ""
    """Whose fault a failure was; see `pipelines.faults`."""
    error_class: str = ""
    error_text: str = ""


def claim(store: Store, wish: ShardResult) -> ShardResult:
    """The attempt under a number that is nobody else's: the first that is free, so later ones are higher.

    A claim without a result is an attempt that was cut off, or still runs.
    """
    for attempt in count(1):
        mine = replace(wish, attempt=attempt)
        data = tables.encode(
            schema.CLAIMS, tables.fields_of([mine], schema.CLAIMS), {"claim": uuid.uuid4().hex}
        )
        if store.create(_file("claims", mine.key, attempt), data):
            return mine
    raise AssertionError("numbers never end")


def record(store: Store, result: ShardResult) -> None:
    """Add the outcome of one attempt; nothing is ever changed or removed."""
    name = _file("results", result.key, result.attempt)
    if not store.create(name, _results_table([result])):
        raise StorageError(f"{name}: is recorded already; run again")


def _file(folder: str, key: str, attempt: int) -> str:
    return f"{folder}/{key}-{attempt:04d}.parquet"


def _results_table(results: Sequence[ShardResult]) -> bytes:
    return tables.encode(schema.RESULTS, tables.fields_of(results, schema.RESULTS))


def _results(name: str, data: bytes | None) -> list[ShardResult]:
    """The rows of a table, none when it is missing or torn."""
    table = tables.decode(name, data, schema.RESULTS)
    return [] if table is None else list(starmap(ShardResult, tables.rows(table, schema.RESULTS)))


def ended(store: Store) -> list[ShardResult]:
    """Readable outcomes of attempts, of any plan, by key and number; torn files are as if not there."""
    known, others = _known(store)
    added = [row for name, data in store.read_many(others).items() for row in _results(name, data)]
    return sorted([*known, *added], key=lambda row: (row.key, row.attempt))


def _known(store: Store) -> tuple[list[ShardResult], list[str]]:
    """The rows of the newest readable snapshot, and the names of results that it does not hold."""
    known: list[ShardResult] = []
    for name in reversed(store.names("snapshots")):
        known = _results(name, store.read(name))
        if known:
            break
    held = {_file("results", row.key, row.attempt) for row in known}
    return known, [name for name in store.names("results") if name.endswith(".parquet") and name not in held]


def compact(store: Store, least: int = 32) -> None:
    """Write all results into a new snapshot if at least `least` are in none; the results stay."""
    if len(_known(store)[1]) < least:
        return
    rows, older = ended(store), store.names("snapshots")
    store.write(f"snapshots/{len(rows):08d}-{uuid.uuid4().hex[:8]}.parquet", _results_table(rows))
    for name in older[:-1]:  # the newest of them may be in somebody's hands
        store.remove(name)


def cut_off(store: Store) -> list[ShardResult]:
    """Attempts that were begun and have no outcome: cut off, or still running."""
    outcomes = {name.rpartition("/")[2] for name in store.names("results")}
    names = [name for name in store.names("claims") if name.rpartition("/")[2] not in outcomes]
    rows = []
    for name, data in store.read_many(names).items():
        table = tables.decode(name, data, schema.CLAIMS)
        for found in tables.rows(table, schema.CLAIMS) if table else ():
            rows.append(ShardResult(**dict(zip(schema.CLAIMS.names, found, strict=True)), state=STARTED))
    return sorted(rows, key=lambda row: (row.key, row.attempt))


def standing(rows: Iterable[ShardResult]) -> dict[str, ShardResult]:
    """By shard key, the attempt that counts: the last that is ok, unless withdrawn later; else the last."""
    best: dict[str, ShardResult] = {}
    for row in sorted(rows, key=lambda result: result.attempt):
        if row.state == FAILED and row.key in best and best[row.key].state == OK:
            continue
        best[row.key] = row
    return best


def finished(store: Store) -> dict[str, ShardResult]:
    """By shard key, the attempt that counts, of the shards that are done."""
    return {key: row for key, row in standing(ended(store)).items() if row.state == OK}
