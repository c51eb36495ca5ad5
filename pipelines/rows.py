"""Parquet files whose rows are frozen values of one kind; each is written once, whole."""

from collections.abc import Sequence
from itertools import starmap
from typing import TypeVar

from pipelines import schema, tables
from pipelines.storage import Store

Row = TypeVar("Row")


def write_rows(store: Store, name: str, kind: type[Row], rows: Sequence[Row], version: int) -> None:
    """Put rows of a dataclass whose fields are texts, numbers and truths into one file."""
    columns = schema.columns_of(kind)
    values = tables.fields_of(rows, columns)
    store.write(name, tables.encode(columns, values, {schema.VERSION_MARK: str(version)}))


def read_rows(store: Store, name: str, kind: type[Row], version: int) -> list[Row] | None:
    """The rows of a file, or None when it is missing or torn; another version is refused."""
    return rows_of(name, store.read(name), kind, version)


def rows_of(name: str, data: bytes | None, kind: type[Row], version: int) -> list[Row] | None:
    """The same of a file's content."""
    columns = schema.columns_of(kind)
    table = tables.decode(name, data, columns, version)
    return None if table is None else list(starmap(kind, tables.rows(table, columns)))
