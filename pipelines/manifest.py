"""The truth about a film's work: Parquet files, each written once and whole.

    index/KEY/frames.parquet, packets.parquet    the exact source, KEY from its size and sampled bytes
    plan/KEY/timeline.parquet, shots.parquet, shards.parquet
    results/SHARDKEY-ATTEMPT-ID.parquet          one row per attempt, one writer each
    parts/SHARDKEY-ATTEMPT-SHA.mp4               the encoded picture of a shard

See docs/manifest.md for every column.
"""

import io
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines import schema
from pipelines.errors import StorageError
from pipelines.media.index import FilmIndex, FrameFacts, PacketFacts
from pipelines.plan import Shard
from pipelines.storage import Store
from pipelines.timeline import FrameRange, Shot, Timeline

OK, FAILED, WITHDRAWN = "ok", "failed", "withdrawn"


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
    error_class: str = ""
    error_text: str = ""


def _parquet(columns: pa.Schema, rows: Sequence[Mapping[str, Any]], facts: Mapping[str, str]) -> bytes:
    head = {"stylereel_schema": str(schema.VERSION), **facts}
    table = pa.Table.from_pylist(list(rows), schema=columns.with_metadata(head))
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def _table(store: Store, name: str) -> pa.Table | None:
    """A table, or None when it is missing or torn; another schema version is refused."""
    data = store.read(name)
    if data is None:
        return None
    try:
        table = pq.read_table(pa.BufferReader(data))
    except (pa.ArrowInvalid, OSError):
        return None
    version = (table.schema.metadata or {}).get(b"stylereel_schema", b"?").decode()
    if version != str(schema.VERSION):
        raise StorageError(
            f"{name}: manifest version {version}, this program reads {schema.VERSION}; use a new work"
        )
    return table


def save_index(store: Store, key: str, index: FilmIndex) -> None:
    """Both tables of the index; the frames, which complete it, last."""
    store.write(
        f"index/{key}/packets.parquet", _parquet(schema.PACKETS, [asdict(row) for row in index.packets], {})
    )
    rows = [
        {"frame": frame, **asdict(facts), "cut_score": score}
        for frame, (facts, score) in enumerate(zip(index.frames, index.cut_scores, strict=True))
    ]
    base = index.timeline.time_base
    facts = {
        "time_base": str(base),
        "last_duration": str(index.timeline.last_duration),
        "clock_note": index.clock_note,
        "lost_after": str(index.lost_after),
        "cut_short": index.cut_short,
        "single_threaded": str(int(index.single_threaded)),
    }
    store.write(f"index/{key}/frames.parquet", _parquet(schema.FRAMES, rows, facts))


def load_index(store: Store, key: str) -> FilmIndex | None:
    """The index, or None when it is not there whole."""
    frames = _table(store, f"index/{key}/frames.parquet")
    packets = _table(store, f"index/{key}/packets.parquet")
    if frames is None or packets is None:
        return None
    head = {name.decode(): value.decode() for name, value in frames.schema.metadata.items()}
    columns = frames.to_pydict()
    names = [item.name for item in fields(FrameFacts)]
    facts = tuple(FrameFacts(*row) for row in zip(*(columns[name] for name in names), strict=True))
    return FilmIndex(
        tuple(PacketFacts(*row.values()) for row in packets.to_pylist()),
        facts,
        tuple(columns["cut_score"]),
        Timeline(Fraction(head["time_base"]), tuple(columns["pts"]), int(head["last_duration"])),
        head["clock_note"],
        int(head["lost_after"]),
        head["cut_short"],
        head["single_threaded"] == "1",
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
    if store.size(f"plan/{plan_key}/shards.parquet"):
        return
    frames, segments = len(index.frames), [segment for shard in shards for segment in shard.segments]
    shot_of = _owners([(shot.number, shot.frames) for shot in shots], frames)
    segment_of = _owners(enumerate(segments, start=1), frames)
    shard_of = _owners([(shard.number, shard.frames) for shard in shards], frames)
    rows = [
        {
            "frame": frame,
            "pts": facts.pts,
            "duration": index.timeline.duration_ticks(frame),
            "shot": shot_of[frame],
            "segment": segment_of[frame],
            "shard": shard_of[frame],
            "cut_score": index.cut_scores[frame],
            "crc": facts.crc,
        }
        for frame, facts in enumerate(index.frames)
    ]
    head = {"time_base": str(index.timeline.time_base)}
    store.write(f"plan/{plan_key}/timeline.parquet", _parquet(schema.TIMELINE, rows, head))
    shot_rows = [
        {
            "shot": shot.number,
            "start": shot.frames.start,
            "stop": shot.frames.stop,
            "cut_score": index.cut_scores[shot.frames.start],
            **style,
        }
        for shot, style in zip(shots, styles, strict=True)
    ]
    store.write(f"plan/{plan_key}/shots.parquet", _parquet(schema.SHOTS, shot_rows, {}))
    shard_rows = [
        {
            "shard": shard.number,
            "start": shard.frames.start,
            "stop": shard.frames.stop,
            "segment_starts": [segment.start for segment in shard.segments],
            "key": key,
        }
        for shard, key in zip(shards, keys, strict=True)
    ]
    store.write(f"plan/{plan_key}/shards.parquet", _parquet(schema.SHARDS, shard_rows, {}))


def _owners(ranges: Iterable[tuple[int, FrameRange]], frames: int) -> list[int]:
    """For each frame, the number (from 1) of the range that holds it; 0 where none does."""
    owners = [0] * frames
    for number, held in ranges:
        for frame in held:
            owners[frame] = number
    return owners


def record(store: Store, result: ShardResult) -> None:
    """Add one attempt; nothing is ever changed or removed."""
    name = f"results/{result.key}-{result.attempt:04d}-{uuid.uuid4().hex[:8]}.parquet"
    store.write(name, _parquet(schema.RESULTS, [asdict(result)], {}))


def attempts(store: Store, key: str = "") -> list[ShardResult]:
    """Readable attempts, of any plan or of one shard key; torn files are as if they were not there."""
    found = []
    for name in store.names("results"):
        wanted = name.startswith(f"results/{key}") and name.endswith(".parquet")
        table = _table(store, name) if wanted else None
        if table is not None:
            row = table.to_pylist()[0]
            found.append(ShardResult(**{**row, "packet_crcs": tuple(row["packet_crcs"] or ())}))
    return sorted(found, key=lambda result: (result.key, result.attempt, result.started_utc))


def next_attempt(store: Store, key: str) -> int:
    """One more than the highest attempt at a shard."""
    return max((row.attempt for row in attempts(store, key)), default=0) + 1


def standing(rows: Iterable[ShardResult]) -> dict[str, ShardResult]:
    """By shard key, the attempt that counts: the last that is ok, unless withdrawn later; else the last."""
    best: dict[str, ShardResult] = {}
    for row in sorted(rows, key=lambda result: result.attempt):
        if row.state == FAILED and row.key in best and best[row.key].state == OK:
            continue
        best[row.key] = row
    return best


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
