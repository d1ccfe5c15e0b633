"""What is wrong in a CSV file that pyarrow could not read, and where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pc_csv

from dasklasso.dataset.sources.csv_layout import CsvLayout
from dasklasso.dataset.sources.looks import look_of, remedies
from dasklasso.dataset.sources.reading import spelled_number
from dasklasso.errors import DasklassoError, SourceError, ValueFound


def fault_of(
    error: Exception,
    file: str,
    layout: CsvLayout,
    names: Sequence[str],
    types: dict[str, pa.DataType],
) -> DasklassoError:
    """Return an error that says what is wrong, and where, for one that pyarrow raised.

    Parameters
    ----------
    names : all the columns of the file, in order
    types : the types of those that are read
    """
    line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if isinstance(error, UnicodeError) or "invalid UTF8" in line:
        place = _first_undecodable(file, layout) if layout.dialect.is_utf8 else None
        return SourceError(
            f"{file}: {place or ''}found bytes that are not {layout.dialect.encoding} text. "
            "--encoding says what it is, such as cp1252."
        )
    if "straddling object" in line:
        return SourceError(
            f"{file}: has a line of more than {layout.block_bytes:,} bytes, expected shorter ones: "
            "is a quote not closed, or a line end missing?"
        )
    found = find_fault(file, layout, names, types)
    return found or SourceError(f"{file}: cannot be read as CSV: {line[:200]}")


def _first_undecodable(file: str, layout: CsvLayout) -> str | None:
    """Return the row and column of the first text that is not UTF-8, for a message."""
    as_bytes = {name: pa.binary() for name in layout.dialect.names}
    first = 0
    try:
        with layout.open(file, as_bytes, None, threads=False) as reader:
            for batch in reader:
                found = [
                    (row, name)
                    for name, column in zip(layout.dialect.names, batch.columns, strict=True)
                    if (row := _undecodable(column)) is not None
                ]
                if found:
                    row, name = min(found)
                    return f"row {first + row}, column {name}: "
                first += batch.num_rows
    except (pa.ArrowException, OSError):
        return None
    return None


def _undecodable(column: Any) -> int | None:
    try:
        pc.cast(column, pa.string())
    except pa.ArrowException:
        for row, value in enumerate(column.to_pylist()):
            try:
                value.decode()
            except UnicodeDecodeError:
                return row
    return None


def find_fault(
    file: str, layout: CsvLayout, names: Sequence[str], types: dict[str, pa.DataType]
) -> DasklassoError | None:
    """Return the first fault of a file as an error that says where; None where none was found.

    Parameters are those of :func:`fault_of`.
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
                fault = _first_bad(file, first, batch, names, types, layout)
                if fault is not None:
                    return fault
                first += batch.num_rows
    except (pa.ArrowException, OSError, UnicodeError):
        if ragged:
            row = ragged[0]
            at = "" if row.number is None else f"row {row.number - 2}: "
            hint = ""
            if row.number == 2:
                header = layout.dialect.separator.join(layout.dialect.names)
                hint = f". Is {_short(header)} the header? Delete what is before the header."
            return SourceError(
                f"{file}: {at}found {row.actual_columns} fields, expected "
                f"{row.expected_columns}: {_short(row.text)}{hint}"
            )
    return None


def _first_bad(
    file: str,
    first: int,
    batch: Any,
    names: Sequence[str],
    types: dict[str, pa.DataType],
    layout: CsvLayout,
) -> ValueFound | None:
    """Return the topmost value in a batch of strings that its column's type cannot take."""
    found: tuple[int, str] | None = None
    for name, column in zip(names, batch.columns, strict=True):
        kind = types.get(name)
        if kind is None or not (pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
            continue
        row = _first_unfit(column, kind, layout)
        if row is not None and (found is None or row < found[0]):
            found = row, name
    if found is None:
        return None
    row, name = found
    text = batch.column(list(names).index(name))[row].as_py()
    expected = "true or false."
    if pa.types.is_floating(types[name]):
        expected = "a number."
        if layout.can_be_said:
            expected += f" {remedies(look_of(text, layout.reading.decimal), text, name)}"
    return ValueFound(
        f"{file}: row {first + row}, column {name}: found {_short(text)}, expected {expected}"
    )


def _first_unfit(column: Any, kind: pa.DataType, layout: CsvLayout) -> int | None:
    """Return the first of these strings that does not spell a value of the kind."""
    missing = layout.missing
    if pa.types.is_boolean(kind):
        spelled = [*pc_csv.ConvertOptions().true_values, *pc_csv.ConvertOptions().false_values]
        fits = pc.is_in(column, pa.array([*spelled, *missing]))
        row = pc.index(fits, False).as_py()
        return None if row < 0 else row
    if layout.reading.decimal != ".":
        return layout.reading.parse(column)[1]
    absent = pc.is_in(column, pa.array(missing))
    try:  # most batches are sound: told at full speed
        pc.cast(pc.if_else(absent, pa.scalar(None, pa.string()), column), pa.float64())
    except pa.ArrowException:
        for row, text in enumerate(column.to_pylist()):
            if text not in missing and spelled_number(text) is None:
                return row
    return None


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
