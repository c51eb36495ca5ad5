"""Small Parquet tables whose rows are frozen values: each file written once, whole."""

import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import StorageError
from pipelines.storage import Store

_TYPES: dict[Any, pa.DataType] = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
_VERSION_MARK = "stylereel_schema"
Row = TypeVar("Row")


def write_rows(store: Store, name: str, kind: type[Row], rows: Sequence[Row], version: int) -> None:
    """Put rows of a dataclass whose fields are texts, numbers and truths into one file."""
    made: Any = kind
    columns = pa.schema([(field.name, _TYPES[field.type]) for field in fields(made)])
    table = pa.Table.from_pylist(
        [asdict(row) for row in rows],  # type: ignore[call-overload]
        schema=columns.with_metadata({_VERSION_MARK: str(version)}),
    )
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    store.write(name, sink.getvalue())


def read_rows(store: Store, name: str, kind: type[Row], version: int) -> list[Row] | None:
    """The rows of a file, or None when it is missing or torn; another version is refused."""
    table = read_table(store, name, version)
    return None if table is None else [kind(**row) for row in table.rows]


@dataclass(frozen=True)
class Table:
    """What a file holds: columns of equal length by name, and the facts at its head."""

    columns: dict[str, list[Any]]
    head: dict[str, str]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The same, row by row."""
        return [dict(zip(self.columns, row, strict=True)) for row in zip(*self.columns.values(), strict=True)]


def read_table(store: Store, name: str, version: int, wanted: Sequence[str] = ()) -> Table | None:
    """A file, or some columns of it; None when it is missing or torn; another version is refused."""
    data = store.read(name)
    if data is None:
        return None
    try:
        table = pq.read_table(pa.BufferReader(data), columns=list(wanted) or None)
    except (pa.ArrowInvalid, OSError):
        return None
    head = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    found = head.get(_VERSION_MARK, "?")
    if found != str(version):
        raise StorageError(f"{name}: version {found}, this program reads {version}; use a new folder")
    return Table(table.to_pydict(), head)
