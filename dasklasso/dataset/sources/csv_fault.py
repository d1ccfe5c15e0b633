"""Finds the row and column at which a CSV file cannot be read, slowly, once it has failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from dasklasso.dataset.sources.csv_options import CsvLayout
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
        if kind is None or pa.types.is_string(kind):
            continue
        for row, text in enumerate(column.to_pylist()):
            if found is not None and row >= found[0]:
                break
            if not _fits(text, kind):
                found = row, name
                break
    if found is None:
        return None
    row, name = found
    text = batch.column(list(names).index(name))[row].as_py()
    expected = "a number" if pa.types.is_floating(types[name]) else f"a {types[name]} value"
    return ValueFound(
        f"{file}: row {first + row}, column {name}: found {_short(text)}, expected {expected}."
    )


def _fits(text: str, kind: pa.DataType) -> bool:
    """Whether pyarrow's own conversion takes the field."""
    import io

    import pyarrow.csv as pc_csv

    from dasklasso.dataset.sources.csv_options import _MISSING, parse_number

    if text in _MISSING:
        return True
    if pa.types.is_floating(kind):
        return parse_number(text) is not None
    quoted = '"' + text.replace('"', '""') + '"'
    try:
        pc_csv.read_csv(
            io.BytesIO(f"a\n{quoted}\n".encode()),
            convert_options=pc_csv.ConvertOptions(column_types={"a": kind}),
        )
    except pa.ArrowException:
        return False
    return True


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
