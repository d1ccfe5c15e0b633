"""CSV and TSV, also compressed: types from a sample, then a stream with those types."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pc_csv

from dasklasso.dataset.sources.base import (
    Column,
    Expected,
    refuse_duplicates,
    resolve_column,
)
from dasklasso.dataset.sources.table import TableBatch, column_of, sliced
from dasklasso.errors import DasklassoError, SourceError, ValueFound

_LEAST_NUMBER_SHARE = 0.8  # of a column that is one of numbers, with stray text in it


class CsvSource:
    """Files with the same header, one after the other.

    A column's type is told by the first mebibyte: numbers are then read as float64 throughout
    (so integers may turn to decimals later), and text that turns up among them is an error.
    Types that are ``expected`` come before those.
    """

    format = "csv"
    n_rows = None
    default_target: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()

    def __init__(self, path: str, files: Sequence[Path], expected: Expected | None = None) -> None:
        self.path = path
        self._files = [str(file) for file in files]
        expected = expected or Expected()
        self._layout = CsvLayout.of(self._files[0], expected.absent)
        self._names, self._types = _infer(self._files[0], self._layout)
        self._expect(expected)
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

    def _expect(self, expected: Expected) -> None:
        """Give columns the types that are known of them; ids are kept as they are written."""
        for name, kind in self._types.items():
            if name in expected.numbers:
                self._types[name] = kind if pa.types.is_boolean(kind) else pa.float64()
            elif name in expected.as_is or name in expected.texts:
                self._types[name] = pa.string()

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
    return names, {
        name: _type(column, layout.absent)
        for name, column in zip(names, sample.columns, strict=True)
    }


def _type(column: Any, absent: Sequence[str] = ()) -> pa.DataType:
    """Return the type to read a column with, given its values in the sample."""
    types = pa.types
    kind = column.type
    if types.is_integer(kind) or types.is_floating(kind) or types.is_null(kind):
        return pa.float64()
    if types.is_binary(kind):  # pyarrow's type of what is not UTF-8: told where it is read
        return pa.string()
    if types.is_string(kind):
        values = [value for value in column.to_pylist() if value and value not in absent]
        numbers = sum(parse_number(value) is not None for value in values)
        mostly = bool(values) and numbers >= _LEAST_NUMBER_SHARE * len(values)
        return pa.float64() if mostly else pa.string()
    return kind


def find_fault(
    file: str, layout: CsvLayout, names: Sequence[str], types: dict[str, pa.DataType]
) -> DasklassoError | None:
    """Return the first fault of a file as an error that says where; None where none was found.

    Parameters
    ----------
    names : all the columns of the file, in order
    types : the types of those that are read
    """
    ragged: list[Any] = []

    def keep(row: Any) -> str:
        ragged.append(row)
        return "error"

    as_text = {name: pa.string() for name in names}
    first = 0
    try:
        with layout.open(file, as_text, None, threads=False, on_ragged=keep) as reader:
            for batch in reader:
                fault = _first_bad(file, first, batch, names, types, layout.absent)
                if fault is not None:
                    return fault
                first += batch.num_rows
    except (pa.ArrowException, OSError):
        if ragged:
            row = ragged[0]
            at = "" if row.number is None else f"row {row.number - 2}: "
            return SourceError(
                f"{file}: {at}found {row.actual_columns} fields, expected "
                f"{row.expected_columns}: {_short(row.text)}"
            )
    return None


def _first_bad(
    file: str,
    first: int,
    batch: Any,
    names: Sequence[str],
    types: dict[str, pa.DataType],
    absent: tuple[str, ...],
) -> ValueFound | None:
    """Return the topmost value in a batch of strings that its column's type cannot take."""
    found: tuple[int, str] | None = None
    for name, column in zip(names, batch.columns, strict=True):
        kind = types.get(name)
        if kind is None or not (pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
            continue
        row = _first_unfit(column, kind, absent)
        if row is not None and (found is None or row < found[0]):
            found = row, name
    if found is None:
        return None
    row, name = found
    text = batch.column(list(names).index(name))[row].as_py()
    expected = "a number" if pa.types.is_floating(types[name]) else "true or false"
    return ValueFound(
        f"{file}: row {first + row}, column {name}: found {_short(text)}, expected {expected}."
    )


def _first_unfit(column: Any, kind: pa.DataType, words: tuple[str, ...]) -> int | None:
    """Return the first of these strings that does not spell a value of the kind.

    ``words`` stand for missing values, beside those that always do.
    """
    missing = (*MISSING, *words)
    if pa.types.is_boolean(kind):
        spelled = [*pc_csv.ConvertOptions().true_values, *pc_csv.ConvertOptions().false_values]
        fits = pc.is_in(column, pa.array([*spelled, *missing]))
        row = pc.index(fits, False).as_py()
        return None if row < 0 else row
    absent = pc.is_in(column, pa.array(missing))
    try:  # most batches are sound: told at full speed
        pc.cast(pc.if_else(absent, pa.scalar(None, pa.string()), column), pa.float64())
    except pa.ArrowException:
        for row, text in enumerate(column.to_pylist()):
            if text not in missing and parse_number(text) is None:
                return row
    return None


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")


_BLOCK_BYTES = 1 << 20


MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "#N/A", "-nan", "-NaN")


@dataclass(frozen=True)
class CsvLayout:
    """The delimiter, how many bytes to read at a time (at least a few lines), missing numbers.

    ``absent`` are words that stand for a missing number, beside those that always do.
    """

    delimiter: str
    block_bytes: int
    absent: tuple[str, ...] = ()

    @classmethod
    def of(cls, file: str, absent: tuple[str, ...] = ()) -> CsvLayout:
        """Told by the header: the commonest of comma, semicolon, tab and bar.

        Raises
        ------
        SourceError
            The file is empty or cannot be opened.
        """
        header = first_line(file)
        delimiter = max(",;\t|", key=header.count)
        return cls(delimiter, max(_BLOCK_BYTES, 16 * len(header)), absent)

    def split(self, line: str) -> list[str]:
        """Return the fields of a line."""
        return next(csv.reader([line], delimiter=self.delimiter), [])

    def open(
        self,
        file: str,
        types: dict[str, pa.DataType],
        columns: list[str] | None,
        *,
        threads: bool = True,
        on_ragged: Any = None,
    ) -> Any:
        """Return a pyarrow streaming reader of these columns (None: all) with these types."""
        return pc_csv.open_csv(
            pa.input_stream(file),
            read_options=pc_csv.ReadOptions(block_size=self.block_bytes, use_threads=threads),
            parse_options=pc_csv.ParseOptions(
                delimiter=self.delimiter, newlines_in_values=True, invalid_row_handler=on_ragged
            ),
            convert_options=pc_csv.ConvertOptions(
                column_types=types,
                include_columns=columns,
                null_values=[*MISSING, *self.absent],
                strings_can_be_null=False,  # "NA" may be a category; only "" is missing in text
            ),
        )


def first_line(file: str) -> str:
    """Return the header line, without byte order mark and line end."""
    try:
        with pa.input_stream(file) as stream:
            head = b""
            while b"\n" not in head and (more := stream.read(_BLOCK_BYTES)):
                head += more
    except (OSError, pa.ArrowException) as error:
        raise SourceError(f"{file}: cannot be read: {error}") from error
    line = head.lstrip(b"\r\n").split(b"\n", 1)[0].rstrip(b"\r")
    if not line.strip():
        raise SourceError(f"{file}: is empty, expected a header line and rows.")
    try:
        return line.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SourceError(f"{file}: the header is not UTF-8 text.") from None


def parse_number(text: str) -> float | None:
    """Return the number that a CSV field spells, None where it is not one (as pyarrow reads it)."""
    if "_" in text or not text.isascii():  # Python would take 1_000 and digits of other scripts
        return None
    try:
        return float(text)
    except ValueError:
        return None
