"""Parquet files of records, by arro3 (33 MB installed, where pyarrow is 170)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, time
from decimal import Decimal
from typing import IO, Any

import numpy as np
from arro3.core import Array, DataType, Field, RecordBatch, RecordBatchReader, fixed_size_list_array
from arro3.io import read_parquet, write_parquet

from qkv.cli.columns import METADATA, Columns, Row, Source, choose
from qkv.cli.conversion import Record, to_json, to_text
from qkv.errors import InputError
from qkv.types import Value
from qkv.values import Kind, to_stored

__all__ = ["parquet_rows", "write_parquet_records"]

#: Rows that are converted at once.
_BATCH = 1 << 16
_MAGIC = b"PAR1"


def parquet_rows(file: IO[bytes], source: Source) -> tuple[Columns, Iterator[Row]]:
    """Read records; see :func:`qkv.cli.formats.rows_of`.

    Lists of floating-point numbers are vectors, other lists are JSON.
    """
    reader = _opened(file.read(), source.name)
    columns = choose(list(reader.schema.names), source)
    return columns, _rows(reader, columns, source.name)


def _opened(content: bytes, name: str) -> Any:
    # Looked at first: arro3 panics, with a page of Rust on stderr, where these do not hold.
    footer = int.from_bytes(content[-8:-4], "little")
    whole = content[:4] == content[-4:] == _MAGIC and 12 + footer <= len(content)
    if not whole:
        raise InputError(f"{name} is not a Parquet file, or was cut short")
    with _translated(name):
        return read_parquet(content, batch_size=_BATCH)


@contextmanager
def _translated(name: str) -> Iterator[None]:
    """Turn what arro3 raises into an InputError; its panics are no `Exception`."""
    try:
        yield
    except BaseException as error:
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise InputError(
                f"{name} is damaged, or holds what cannot be read here: {error}"
            ) from None
        raise


def _rows(reader: Any, columns: Columns, name: str) -> Iterator[Row]:
    number = 0
    while True:
        with _translated(name):
            batch = next(reader, None)
            if batch is None:
                return
            keys = batch.column(columns.key).to_pylist()
            values = _values(batch.column(columns.value))
            kinds = None if columns.kind is None else batch.column(columns.kind).to_pylist()
            about = {
                columns.names[place]: batch.column(place).to_pylist() for place in columns.metadata
            }
        for place, (key, value) in enumerate(zip(keys, values, strict=True)):
            number += 1
            kind = None if kinds is None else kinds[place]
            more = {
                column: _simple(entries[place])
                for column, entries in about.items()
                if not _missing(entries[place])
            }
            yield Row(f"{name}, row {number}", _simple(key), value, kind, more)


def _values(column: Any) -> list[Any]:
    values = column.to_pylist()
    if _is_list(column.type) and DataType.is_floating(column.type.value_type):
        return [None if value is None else np.array(value, np.float32) for value in values]
    return [_simple(value) for value in values]


def _is_list(type: Any) -> bool:
    kinds = (DataType.is_list, DataType.is_large_list, DataType.is_fixed_size_list)
    return any(is_kind(type) for is_kind in kinds)


def _simple(value: Any) -> Any:
    """Dates as text, decimals as numbers: what a store can hold."""
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value


def _missing(cell: Any) -> bool:
    """Whether a cell is empty; NaN is how data frames say that of a number."""
    return cell is None or cell == "" or (isinstance(cell, float) and math.isnan(cell))


def write_parquet_records(records: list[Record], file: IO[bytes], *, metadata: bool) -> None:
    """Write records as columns `key` and `value`.

    The values have a column type of their own if they are all text, all whole numbers, all
    floating-point numbers, or all vectors of one length. Otherwise they are written as text, and a
    third column `kind` says what each is. The column `metadata` holds JSON.
    """
    values = [value for _, value, _ in records]
    stored = [to_stored(value) for value in values]
    kinds = {(kind, type(content)) for kind, content in stored}
    column = _column(kinds, values)
    batches = []
    for start in range(0, max(1, len(records)), _BATCH):
        part = slice(start, start + _BATCH)
        arrays: dict[str, Any] = {"key": _texts([key for key, _, _ in records[part]])}
        if column is not None:
            arrays["value"] = column(values[part])
        else:
            arrays["value"] = _texts([to_text(value) for value in values[part]])
            arrays["kind"] = _texts([str(kind) for kind, _ in stored[part]])
        if metadata:
            abouts = [about for _, _, about in records[part]]
            arrays[METADATA] = _texts([to_json(about) if about else None for about in abouts])
        batches.append(RecordBatch.from_pydict(arrays))
    reader = RecordBatchReader.from_batches(batches[0].schema, batches)
    write_parquet(reader, file, compression="zstd(3)")


def _texts(texts: list[Any]) -> Any:
    return Array(texts, type=DataType.string())


def _column(
    kinds: set[tuple[Kind, type]], values: list[Value]
) -> Callable[[list[Any]], Any] | None:
    """What makes a typed column of the values; None where they are of many types."""
    match sorted(kinds, key=str):
        case [] | [(Kind.TEXT, _)]:
            return _texts
        case [(Kind.NUMBER, type)]:
            arrow = DataType.int64() if type is int else DataType.float64()
            return lambda numbers: Array(numbers, type=arrow)
        case [(Kind.VECTOR, _)] if len({len(vector) for vector in values}) == 1:
            return _vectors
    return None


def _vectors(vectors: list[Any]) -> Any:
    flat = Array.from_numpy(np.concatenate(vectors).astype(np.float32))
    size = len(vectors[0])
    type = DataType.list(Field("item", DataType.float32()), size)
    return fixed_size_list_array(flat, size, type=type)
