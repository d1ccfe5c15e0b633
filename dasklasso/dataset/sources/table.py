"""Rows of Arrow tables (Parquet and CSV) as batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dasklasso.dataset.sources.base import Column


def column_of(name: str, kind: pa.DataType) -> Column:
    """Describe an Arrow column; bool counts as uint8, decimals and all-null as float64."""
    types = pa.types
    inner = kind.value_type if types.is_dictionary(kind) else kind
    text = types.is_string(inner) or types.is_large_string(inner) or types.is_string_view(inner)
    if text or (types.is_dictionary(kind) and (types.is_integer(inner) or types.is_boolean(inner))):
        return Column(name, "text", np.dtype(object), str(kind))
    if types.is_boolean(kind):
        return Column(name, "number", np.dtype(np.uint8), str(kind))
    if types.is_integer(kind) or types.is_floating(kind):
        return Column(name, "number", np.dtype(kind.to_pandas_dtype()), str(kind))
    if types.is_decimal(kind) or types.is_null(kind):
        return Column(name, "number", np.dtype(np.float64), str(kind))
    return Column(name, "other", np.dtype(object), str(kind))


@dataclass(frozen=True)
class TableBatch:
    """Some rows of Arrow columns."""

    file: str
    first_row: int
    n_rows: int
    columns: Mapping[str, Any]

    def numbers(self, names: Sequence[str]) -> np.ndarray:
        """As :class:`~dasklasso.dataset.sources.base.Batch`; columns lie one after the other."""
        arrays = [_to_numpy(self.columns[name]) for name in names]
        dtype = np.result_type(*{array.dtype for array in arrays}) if arrays else np.float64
        out = np.empty((len(names), self.n_rows), dtype=dtype)
        for row, array in zip(out, arrays, strict=True):
            row[:] = array
        return out.T

    def texts(self, name: str) -> Any:
        """As :class:`~dasklasso.dataset.sources.base.Batch`; an empty string counts as missing."""
        column = self.columns[name]
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        column = column.cast(pa.string())
        return pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)

    def as_is(self, name: str) -> Any:
        """As :class:`~dasklasso.dataset.sources.base.Batch`; dictionaries are decoded."""
        column = self.columns[name]
        return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def sliced(
    file: str, first_row: int, record_batch: Any, constants: Mapping[str, Any], rows: int
) -> Iterator[TableBatch]:
    """Cut a record batch into batches of at most ``rows``, adding constant columns."""
    for start in range(0, record_batch.num_rows, rows):
        part = record_batch.slice(start, rows)
        columns = dict(zip(part.schema.names, part.columns, strict=True))
        columns |= {name: pa.repeat(value, part.num_rows) for name, value in constants.items()}
        yield TableBatch(file, first_row + start, part.num_rows, columns)


def _to_numpy(column: Any) -> np.ndarray:
    types = pa.types
    if types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    elif types.is_decimal(column.type) or types.is_null(column.type):
        column = column.cast(pa.float64())
    return column.to_numpy(zero_copy_only=False)
