"""The columns of every table of the manifest; docs/manifest.md says what each means."""

from dataclasses import fields
from typing import Any

import pyarrow as pa

VERSION = 5
VERSION_MARK = "stylereel_schema"
_TYPES: dict[Any, pa.DataType] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
}


def columns_of(kind: Any) -> pa.Schema:
    """Columns for the fields of a dataclass: texts, numbers and truths."""
    return pa.schema([(field.name, _TYPES[field.type]) for field in fields(kind)])


PACKETS = pa.schema(
    [
        ("pts", pa.int64()),
        ("dts", pa.int64()),
        ("duration", pa.int64()),
        ("key", pa.bool_()),
        ("size", pa.int64()),
        ("crc", pa.uint32()),
    ]
)
FRAMES = pa.schema(
    [
        ("frame", pa.int32()),
        ("pts", pa.int64()),
        ("packet", pa.int32()),
        ("crc", pa.uint32()),
        ("key", pa.bool_()),
        ("luma", pa.float32()),
        ("contrast", pa.float32()),
        ("interlaced", pa.bool_()),
        ("moved_down", pa.float64()),
        ("moved_right", pa.float64()),
        ("concealed", pa.bool_()),
        ("lost_before", pa.int32()),
        ("top_first", pa.bool_()),
        ("combing", pa.float64()),
        ("combing_before", pa.float64()),
        ("top_change", pa.float64()),
        ("bottom_change", pa.float64()),
        ("cut_score", pa.float32()),
    ]
)
TIMELINE = pa.schema(
    [
        ("frame", pa.int32()),
        ("pts", pa.int64()),
        ("duration", pa.int64()),
        ("shot", pa.int32()),
        ("segment", pa.int32()),
        ("shard", pa.int32()),
        ("cut_score", pa.float32()),
        ("crc", pa.uint32()),
    ]
)
SHOTS = pa.schema(
    [
        ("shot", pa.int32()),
        ("start", pa.int32()),
        ("stop", pa.int32()),
        ("cut_score", pa.float32()),
        ("style", pa.string()),
        ("style_digest", pa.string()),
        ("strength", pa.float64()),
        ("color", pa.string()),
        ("brush", pa.float64()),
        ("look_digest", pa.string()),
    ]
)
SHARDS = pa.schema(
    [
        ("shard", pa.int32()),
        ("start", pa.int32()),
        ("stop", pa.int32()),
        ("segment_starts", pa.list_(pa.int32())),
        ("key", pa.string()),
    ]
)
CLAIMS = pa.schema(
    [
        ("key", pa.string()),
        ("shard", pa.int32()),
        ("attempt", pa.int32()),
        ("worker", pa.string()),
        ("started_utc", pa.string()),
    ]
)
RESULTS = pa.schema(
    [
        ("key", pa.string()),
        ("shard", pa.int32()),
        ("attempt", pa.int32()),
        ("state", pa.string()),
        ("worker", pa.string()),
        ("device", pa.string()),
        ("start", pa.int32()),
        ("stop", pa.int32()),
        ("part", pa.string()),
        ("part_bytes", pa.int64()),
        ("part_sha256", pa.string()),
        ("frames_sha256", pa.string()),
        ("packet_crcs", pa.list_(pa.uint32())),
        ("reorder", pa.int32()),
        ("started_utc", pa.string()),
        ("wall_seconds", pa.float64()),
        ("decode_seconds", pa.float64()),
        ("network_seconds", pa.float64()),
        ("encode_seconds", pa.float64()),
        ("fault", pa.string()),
        ("error_class", pa.string()),
        ("error_text", pa.string()),
    ]
)
