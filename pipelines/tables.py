"""Parquet tables as bytes: written column by column, read or found torn, another version refused."""

import io
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from operator import attrgetter
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines import schema
from pipelines.errors import StorageError


def encode(
    columns: pa.Schema, values: Mapping[str, Sequence[Any]], facts: Mapping[str, str] | None = None
) -> bytes:
    """A table with these columns; the facts go into its metadata."""
    head = {schema.VERSION_MARK: str(schema.VERSION), **(facts or {})}
    arrays = [pa.array(values[column.name], column.type) for column in columns]
    sink = io.BytesIO()
    table = pa.table(arrays, columns.with_metadata(head))
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    return sink.getvalue()


def fields_of(rows: Iterable[object], columns: pa.Schema, but: Sequence[str] = ()) -> dict[str, list[Any]]:
    """The attributes of objects, column by column."""
    rows = list(rows)
    return {name: list(map(attrgetter(name), rows)) for name in columns.names if name not in but}


def decode(
    name: str, data: bytes | None, columns: pa.Schema, version: int = schema.VERSION
) -> pa.Table | None:
    """A table, or None when it is missing, torn or another one; another schema version is refused."""
    if data is None:
        return None
    try:
        table = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True).read(use_threads=False)
    except (pa.ArrowInvalid, OSError):
        return None
    found = (table.schema.metadata or {}).get(schema.VERSION_MARK.encode(), b"?").decode()
    if found != str(version):
        raise StorageError(f"{name}: manifest version {found}, this program reads {version}; use a new work")
    return table if table.schema.remove_metadata().equals(columns) else None


def facts_of(table: pa.Table) -> dict[str, str]:
    """The metadata."""
    return {name.decode(): value.decode() for name, value in table.schema.metadata.items()}


def column(table: pa.Table, name: str) -> list[Any]:
    """Plain values; those of lists are tuples."""
    found = table[name].combine_chunks()
    if not pa.types.is_list(found.type):
        return found.to_pylist()
    values = found.values.to_pylist()
    return [tuple(values[start:stop]) for start, stop in pairwise(found.offsets.to_pylist())]


def rows(table: pa.Table, columns: pa.Schema) -> Iterable[tuple[Any, ...]]:
    """Values in the order of the columns."""
    return zip(*(column(table, name) for name in columns.names), strict=True)


def release_tables() -> None:
    """Give the system the memory of tables that nobody holds: Arrow keeps it for the next."""
    pa.default_memory_pool().release_unused()
