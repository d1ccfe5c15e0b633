"""CSV and TSV, also compressed: types from a sample, then a stream with those types."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dasklasso.dataset.sources.base import (
    Column,
    Expected,
    SourceDefaults,
    refuse_duplicates,
    refuse_too_many,
    resolve_column,
)
from dasklasso.dataset.sources.csv_faults import fault_of
from dasklasso.dataset.sources.csv_layout import CsvLayout
from dasklasso.dataset.sources.csv_wide import WIDE_COLUMNS
from dasklasso.dataset.sources.dialect import all_numbers
from dasklasso.dataset.sources.padded import WatchedStream, first_padded, padded_message
from dasklasso.dataset.sources.parquet_wide import WideBatch
from dasklasso.dataset.sources.reading import LEAST_NUMBER_SHARE, is_inexact, spelled_number
from dasklasso.dataset.sources.table import TableBatch, column_of, sliced
from dasklasso.errors import SourceError, ValueFound


class CsvSource(SourceDefaults):
    """Files with the same header, one after the other.

    A file's dialect is told by its beginning, a column's type by the first mebibyte: numbers are
    then read as float64 throughout (so integers may turn to decimals later), and text that turns
    up among them is an error. What is ``expected`` comes before those.

    Attributes
    ----------
    dialect : str
        What is to be said of how the files are written; empty where they are as usual.
    """

    format = "csv"
    n_rows = None
    dialect = ""

    def __init__(self, path: str, files: Sequence[Path], expected: Expected | None = None) -> None:
        self.path = path
        self._files = [str(file) for file in files]
        expected = expected or Expected()
        layouts = [CsvLayout.of(file, expected) for file in self._files]
        self._layouts = dict(zip(self._files, layouts, strict=True))
        first = layouts[0]
        self._names = list(first.dialect.names)
        self._types, whole = _infer(self._files[0], first)
        # columns in which a number with zeros before it is asked about: nobody said what they are
        self._whole = whole - expected.reading.numbers if first.can_be_said else set()
        self._expect(expected)
        for file, layout in self._layouts.items():
            if layout.dialect.names != first.dialect.names:
                names = layout.dialect.names
                odd = next((n for n in names if n not in self._types), None)
                detail = f"column {odd!r} is new" if odd else f"{len(names)} columns"
                raise SourceError(
                    f"{file}: {detail}, expected the {len(self._names)} columns of "
                    f"{self._files[0]} in the same order."
                )
        unusual = {str(one.dialect) for one in layouts if not one.dialect.is_usual}
        self.dialect = "; ".join(sorted(unusual))
        self.columns = tuple(
            Column(name, "number", np.dtype(np.float64), "number")
            if pa.types.is_float64(self._types[name])
            else column_of(name, self._types[name])
            for name in self._names
        )

    def _expect(self, expected: Expected) -> None:
        """Give columns the types that are known of them; ids are kept as they are written."""
        reading = expected.reading
        said = {name for names in reading.columns_by_option.values() for name in names}
        numbers = pa.string() if reading.needs_text else pa.float64()
        for name, kind in self._types.items():
            if name in reading.numbers and not pa.types.is_string(kind):
                continue  # pyarrow reads them as they are
            if name in expected.truths:
                continue
            if name in said:
                self._types[name] = pa.string()  # read as it was said later
            elif name in expected.numbers:
                self._types[name] = kind if pa.types.is_boolean(kind) else numbers
            elif name in expected.as_is or name in expected.texts:
                self._types[name] = pa.string()

    def resolve(self, name: str) -> tuple[str, ...]:
        return resolve_column(self.columns, name)

    def line_of(self, file: str, row: int) -> int | None:
        """Return the line (from 1) of a file that a row (from 0) begins at, where it can."""
        return self._layouts[file].line_of(file, row)

    def first_inexact(self, name: str) -> tuple[str, int, str] | None:
        """Return the first whole number of a column that float64 has no number for.

        Returns
        -------
        (file, row, text) or None
        """
        for file, layout in self._layouts.items():
            first = 0
            with layout.open(file, {name: pa.string()}, [name]) as reader:
                for record_batch in reader:
                    for row, text in enumerate(record_batch.column(0).to_pylist()):
                        if is_inexact(text):
                            return file, first + row, text
                    first += record_batch.num_rows
        return None

    def batches(self, names: Sequence[str], rows: int) -> Iterator[TableBatch | WideBatch]:
        types = {name: self._types[name] for name in names}
        whole = [name for name in names if name in self._whole and types[name] == pa.float64()]
        for file, layout in self._layouts.items():
            first = 0
            try:
                stream = WatchedStream(pa.input_stream(file), layout.dialect.separator)
                with layout.open(file, types, names, stream=stream if whole else None) as reader:
                    for record_batch in reader:
                        if whole and (stream.has_padded or layout.dialect.is_wide):
                            _refuse_padded(file, layout, whole)
                            whole = []  # it is in other columns, and they have been looked at
                        cut = _wide if len(names) > WIDE_COLUMNS else sliced
                        yield from cut(file, first, record_batch, {}, rows)
                        first += record_batch.num_rows
            except (pa.ArrowException, OSError, UnicodeError) as error:
                raise fault_of(error, file, layout, self._names, types) from error


def _refuse_padded(file: str, layout: CsvLayout, names: Sequence[str]) -> None:
    """Refuse the first whole number with zeros before it, of these columns.

    Raises
    ------
    ValueFound
    """
    first = 0
    with layout.open(file, dict.fromkeys(names, pa.string()), names) as reader:
        for record_batch in reader:
            found = [
                (row, name)
                for name, column in zip(names, record_batch.columns, strict=True)
                if (row := first_padded(column)) is not None
            ]
            if found:
                row, name = min(found)
                text = record_batch.column(list(names).index(name))[row].as_py()
                raise ValueFound(padded_message(file, first + row, name, text))
            first += record_batch.num_rows


def _wide(
    file: str, first_row: int, record_batch: Any, constants: dict[str, Any], rows: int
) -> Iterator[WideBatch]:
    """Cut rows of very many columns into batches: numbers as one block, which costs no more."""
    whole = dict(zip(record_batch.schema.names, record_batch.columns, strict=True))
    names = [name for name, column in whole.items() if not pa.types.is_string(column.type)]
    n = record_batch.num_rows
    block = np.ascontiguousarray(TableBatch(file, first_row, n, whole).numbers(names))
    positions = {name: j for j, name in enumerate(names)}
    texts = {name: column for name, column in whole.items() if name not in positions}
    for start in range(0, n, rows):
        part = block[start : start + rows]
        columns = {name: column.slice(start, rows) for name, column in texts.items()}
        others = TableBatch(file, first_row + start, len(part), columns)
        yield WideBatch(file, first_row + start, len(part), part, positions, others)


def _infer(file: str, layout: CsvLayout) -> tuple[dict[str, pa.DataType], set[str]]:
    """Return the types of a file's columns, told by a sample; and those of whole numbers."""
    names = layout.dialect.names
    refuse_too_many(len(names), file)
    refuse_duplicates(names, file, " Is the first line a header?" if all_numbers(names) else "")
    try:
        stream = WatchedStream(pa.input_stream(file), layout.dialect.separator)
        with layout.open(file, {}, None, stream=stream) as reader:
            sample = reader.read_next_batch()
    except StopIteration:
        raise SourceError(f"{file}: has a header but no rows.") from None
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise fault_of(error, file, layout, names, {}) from error
    if sample.num_rows == 0:
        raise SourceError(f"{file}: has a header but no rows.")
    if tuple(sample.schema.names) != names:
        raise SourceError(f"{file}: the header can be read in two ways: write it without quotes.")
    if names[0].lower().startswith("sep=") and not any(names[1:]):
        raise SourceError(
            f"{file}: the first line, {names[0]!r}, names the separator as spreadsheets do, "
            "expected the header: delete that line."
        )
    columns = dict(zip(names, sample.columns, strict=True))
    whole = {name for name, column in columns.items() if pa.types.is_integer(column.type)}
    types = {name: _type(column, layout) for name, column in columns.items()}
    if whole and layout.can_be_said and (stream.has_padded or layout.dialect.is_wide):
        padded = _padded(file, layout, [name for name in names if name in whole])
        types |= dict.fromkeys(padded, pa.string())
    return types, whole


def _padded(file: str, layout: CsvLayout, names: Sequence[str]) -> list[str]:
    """Return the columns that have a number with zeros before it in the sample."""
    with layout.open(file, dict.fromkeys(names, pa.string()), names) as reader:
        sample = reader.read_next_batch()
    columns = zip(names, sample.columns, strict=True)
    return [name for name, column in columns if first_padded(column) is not None]


def _type(column: Any, layout: CsvLayout) -> pa.DataType:
    """Return the type to read a column with, given its values in the sample."""
    types = pa.types
    kind = column.type
    numbers = pa.string() if layout.reading.needs_text else pa.float64()
    if types.is_integer(kind) or types.is_floating(kind) or types.is_null(kind):
        return numbers
    # pyarrow's type of what is not UTF-8, and dates: told where they are read, with the row
    if types.is_binary(kind) or types.is_temporal(kind):
        return pa.string()
    if types.is_string(kind):
        if layout.can_be_said and first_padded(column) is not None:
            return pa.string()
        return numbers if _are_numbers(column, layout) else pa.string()
    return kind


def _are_numbers(column: Any, layout: CsvLayout) -> bool:
    """Tell whether most of the texts that are there spell numbers."""
    if layout.reading.numbers_are_marked:
        return layout.reading.share_of_numbers(column) >= LEAST_NUMBER_SHARE
    values = [value for value in column.to_pylist() if value and value not in layout.absent]
    numbers = sum(spelled_number(value) is not None for value in values)
    return bool(values) and numbers >= LEAST_NUMBER_SHARE * len(values)
