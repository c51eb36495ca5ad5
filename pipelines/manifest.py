"""The truth about a film's work: Parquet files, each written once and whole.

    index/KEY/frames.parquet, packets.parquet    the exact source, KEY from all of its bytes
    plan/KEY/timeline.parquet, shots.parquet, shards.parquet
    claims/SHARDKEY-ATTEMPT.parquet              who began an attempt, see `pipelines.attempts`
    results/SHARDKEY-ATTEMPT.parquet             how it ended, one row each
    snapshots/ROWS-ID.parquet                    all results so far, in one file
    parts/SHARDKEY-ATTEMPT-SHA.mp4               the encoded picture of a shard

See docs/manifest.md for every column.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from fractions import Fraction
from itertools import starmap
from typing import Any

from pipelines import schema, tables
from pipelines.errors import UsageError
from pipelines.media.index import FilmIndex, FrameFacts, PacketFacts
from pipelines.plan import Shard
from pipelines.storage import Store
from pipelines.timeline import FrameRange, Shot, Timeline


def save_index(store: Store, key: str, index: FilmIndex) -> None:
    """Both tables of the index; the frames, which complete it, last."""
    packets = tables.fields_of(index.packets, schema.PACKETS)
    store.write(f"index/{key}/packets.parquet", tables.encode(schema.PACKETS, packets))
    frames: dict[str, Sequence[Any]] = {
        "frame": range(len(index.frames)),
        "cut_score": index.cut_scores,
        **tables.fields_of(index.frames, schema.FRAMES, but=("frame", "cut_score")),
    }
    facts = {
        "time_base": str(index.timeline.time_base),
        "last_duration": str(index.timeline.last_duration),
        "clock_note": index.clock_note,
        "lost_after": str(index.lost_after),
        "cut_short": index.cut_short,
        "single_threaded": str(int(index.single_threaded)),
        "captions": str(int(index.captions)),
    }
    store.write(f"index/{key}/frames.parquet", tables.encode(schema.FRAMES, frames, facts))


def load_index(store: Store, key: str) -> FilmIndex | None:
    """The index, or None when it is not there whole."""
    frames, packets = (
        tables.decode(name, store.read(name), columns)
        for name, columns in (
            (f"index/{key}/frames.parquet", schema.FRAMES),
            (f"index/{key}/packets.parquet", schema.PACKETS),
        )
    )
    if frames is None or packets is None:
        return None
    facts = tables.facts_of(frames)
    if "captions" not in facts:  # of a program that did not look for them
        return None
    names = [field.name for field in fields(FrameFacts)]
    return FilmIndex(
        tuple(starmap(PacketFacts, tables.rows(packets, schema.PACKETS))),
        tuple(map(FrameFacts, *(tables.column(frames, name) for name in names))),
        tuple(tables.column(frames, "cut_score")),
        Timeline(
            Fraction(facts["time_base"]), tuple(tables.column(frames, "pts")), int(facts["last_duration"])
        ),
        facts["clock_note"],
        int(facts["lost_after"]),
        facts["cut_short"],
        facts["single_threaded"] == "1",
        facts["captions"] == "1",
    )


def save_plan(
    store: Store,
    plan_key: str,
    index: FilmIndex,
    shots: Sequence[Shot],
    styles: Sequence[Mapping[str, Any]],
    shards: Sequence[Shard],
    keys: Sequence[str],
) -> None:
    """Timeline, shots and shards; the same key always means the same content."""
    if plan_stands(store, plan_key):
        return
    for name, data in (
        ("timeline", _timeline_table(index, shots, shards)),
        ("shots", _shots_table(index, shots, styles)),
        ("shards", _shards_table(shards, keys)),
    ):
        store.write(_plan_file(plan_key, name), data)


_PLAN = {"timeline": schema.TIMELINE, "shots": schema.SHOTS, "shards": schema.SHARDS}


def plan_table(store: Store, plan_key: str, name: str) -> Any:
    """`timeline`, `shots` or `shards` of a stored plan; a UsageError when it is missing or torn."""
    table = _plan_table(store, plan_key, name)
    if table is None:
        raise UsageError(f"{store.url}: its plan is not there whole; run the same render command again")
    return table


def plan_stands(store: Store, plan_key: str) -> bool:
    """Whether a plan is stored whole."""
    return all(_plan_table(store, plan_key, name) is not None for name in _PLAN)


def _plan_table(store: Store, plan_key: str, name: str) -> Any:
    file = _plan_file(plan_key, name)
    return tables.decode(file, store.read(file), _PLAN[name])


def _plan_file(plan_key: str, name: str) -> str:
    return f"plan/{plan_key}/{name}.parquet"


def _timeline_table(index: FilmIndex, shots: Sequence[Shot], shards: Sequence[Shard]) -> bytes:
    frames, segments = len(index.frames), [segment for shard in shards for segment in shard.segments]
    values: dict[str, Sequence[Any]] = {
        "frame": range(frames),
        "pts": [facts.pts for facts in index.frames],
        "duration": [index.timeline.duration_ticks(frame) for frame in range(frames)],
        "shot": _owners([(shot.number, shot.frames) for shot in shots], frames),
        "segment": _owners(enumerate(segments, start=1), frames),
        "shard": _owners([(shard.number, shard.frames) for shard in shards], frames),
        "cut_score": index.cut_scores,
        "crc": [facts.crc for facts in index.frames],
    }
    return tables.encode(schema.TIMELINE, values, {"time_base": str(index.timeline.time_base)})


def _shots_table(index: FilmIndex, shots: Sequence[Shot], styles: Sequence[Mapping[str, Any]]) -> bytes:
    values: dict[str, list[Any]] = {
        "shot": [shot.number for shot in shots],
        "start": [shot.frames.start for shot in shots],
        "stop": [shot.frames.stop for shot in shots],
        "cut_score": [index.cut_scores[shot.frames.start] for shot in shots],
    }
    looks = {name: [style[name] for style in styles] for name in schema.SHOTS.names if name not in values}
    return tables.encode(schema.SHOTS, {**values, **looks})


def _shards_table(shards: Sequence[Shard], keys: Sequence[str]) -> bytes:
    values: dict[str, Sequence[Any]] = {
        "shard": [shard.number for shard in shards],
        "start": [shard.frames.start for shard in shards],
        "stop": [shard.frames.stop for shard in shards],
        "segment_starts": [[segment.start for segment in shard.segments] for shard in shards],
        "key": keys,
    }
    return tables.encode(schema.SHARDS, values)


def _owners(ranges: Iterable[tuple[int, FrameRange]], frames: int) -> list[int]:
    """For each frame, the number (from 1) of the range that holds it; 0 where none does."""
    owners = [0] * frames
    for number, held in ranges:
        owners[held.start : held.stop] = [number] * len(held)
    return owners


def save_json(store: Store, name: str, facts: Mapping[str, Any]) -> None:
    """A small JSON document, over what was there."""
    store.write(name, json.dumps(facts, indent=2, sort_keys=True).encode())


def load_json(store: Store, name: str) -> dict[str, Any] | None:
    """The document, or None when it is missing or torn."""
    data = store.read(name)
    try:
        return json.loads(data) if data is not None else None
    except ValueError:
        return None
