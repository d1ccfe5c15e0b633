"""CSV and TSV, also compressed: types from a sample, then a stream with those types."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dasklasso.dataset.sources.base import Column, refuse_duplicates, resolve_column
from dasklasso.dataset.sources.csv_fault import find_fault
from dasklasso.dataset.sources.csv_options import CsvLayout, first_line, parse_number
from dasklasso.dataset.sources.table import TableBatch, column_of, sliced
from dasklasso.errors import SourceError

_MOSTLY = 0.8  # a column with this share of numbers is a number column with stray text in it


class CsvSource:
    """Files with the same header, one after the other.

    A column's type is told by the first mebibyte: numbers are then read as float64 throughout
    (so integers may turn to decimals later), and text that turns up among them is an error.
    """

    format = "csv"
    n_rows = None
    default_target: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()

    def __init__(self, path: str, files: Sequence[Path]) -> None:
        self.path = path
        self._files = [str(file) for file in files]
        self._layout = CsvLayout.of(self._files[0])
        self._names, self._types = _infer(self._files[0], self._layout)
        for file in self._files[1:]:
            names = self._layout.split(first_line(file))
            if names != self._names:
                odd = next((n for n in names if n not in self._names), None)
                detail = f"column {odd!r} is new" if odd else f"{len(names)} columns"
                raise SourceError(
                    f"{file}: {detail}, expected the {len(self._names)} columns of "
                    f"{self._files[0]} in the same order."
                )
        self.columns = tuple(
            Column(name, "number", np.dtype(np.float64), "number")
            if pa.types.is_float64(self._types[name])
            else column_of(name, self._types[name])
            for name in self._names
        )

    def resolve(self, name: str) -> tuple[str, ...]:
        return resolve_column(self.columns, name)

    def integer_bounds(self, name: str) -> tuple[int, int] | None:
        return None

    def batches(self, names: Sequence[str], rows: int) -> Iterator[TableBatch]:
        types = {name: self._types[name] for name in names}
        for file in self._files:
            first = 0
            try:
                with self._layout.open(file, types, list(names)) as reader:
                    for record_batch in reader:
                        yield from sliced(file, first, record_batch, {}, rows)
                        first += record_batch.num_rows
            except (pa.ArrowException, OSError) as error:
                fault = find_fault(file, self._layout, self._names, types)
                line = str(error).strip().splitlines()[0]
                raise fault or SourceError(f"{file}: cannot be read: {line}") from error


def _infer(file: str, layout: CsvLayout) -> tuple[list[str], dict[str, pa.DataType]]:
    names = layout.split(first_line(file))
    numeric = sum(parse_number(name) is not None for name in names)
    hint = " Is the first line a header?" if numeric == len(names) else ""
    refuse_duplicates(names, file, hint)
    try:
        with layout.open(file, {}, None) as reader:
            sample = reader.read_next_batch()
    except StopIteration:
        raise SourceError(f"{file}: has a header but no rows.") from None
    except (pa.ArrowException, OSError) as error:
        fault = find_fault(file, layout, names, {})
        line = str(error).strip().splitlines()[0]
        raise fault or SourceError(f"{file}: cannot be read as CSV: {line}") from error
    if sample.num_rows == 0:
        raise SourceError(f"{file}: has a header but no rows.")
    return names, {name: _type(column) for name, column in zip(names, sample.columns, strict=True)}


def _type(column: Any) -> pa.DataType:
    """The type to read a column with, given its values in the sample."""
    types = pa.types
    kind = column.type
    if types.is_integer(kind) or types.is_floating(kind) or types.is_null(kind):
        return pa.float64()
    if types.is_string(kind) or types.is_binary(kind):
        values = [value for value in column.to_pylist() if value]
        numbers = sum(parse_number(value) is not None for value in values)
        return pa.float64() if values and numbers >= _MOSTLY * len(values) else pa.string()
    return kind
