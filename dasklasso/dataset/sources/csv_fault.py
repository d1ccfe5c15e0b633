"""Finds the row and column at which a CSV file cannot be read, slowly, once it has failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pc_csv

from dasklasso.dataset.sources.csv_options import MISSING, CsvLayout, parse_number
from dasklasso.errors import DasklassoError, SourceError, ValueFound


def find_fault(
    file: str, layout: CsvLayout, names: Sequence[str], types: dict[str, pa.DataType]
) -> DasklassoError | None:
    """The first fault of a file as an error that says where; None where none was found.

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
                fault = _first_bad(file, first, batch, names, types)
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
    file: str, first: int, batch: Any, names: Sequence[str], types: dict[str, pa.DataType]
) -> ValueFound | None:
    """The topmost value in a batch of strings that its column's type cannot take."""
    found: tuple[int, str] | None = None
    for name, column in zip(names, batch.columns, strict=True):
        kind = types.get(name)
        if kind is None or not (pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
            continue
        row = _first_unfit(column, kind)
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


def _first_unfit(column: Any, kind: pa.DataType) -> int | None:
    """The first of these strings that does not spell a value of the kind."""
    if pa.types.is_boolean(kind):
        spelled = [*pc_csv.ConvertOptions().true_values, *pc_csv.ConvertOptions().false_values]
        fits = pc.is_in(column, pa.array([*spelled, *MISSING]))
        row = pc.index(fits, False).as_py()
        return None if row < 0 else row
    absent = pc.is_in(column, pa.array(MISSING))
    try:  # most batches are sound: told at full speed
        pc.cast(pc.if_else(absent, pa.scalar(None, pa.string()), column), pa.float64())
    except pa.ArrowException:
        for row, text in enumerate(column.to_pylist()):
            if text not in MISSING and parse_number(text) is None:
                return row
    return None


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
