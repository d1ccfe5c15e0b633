"""Small tables to a file: CSV, Parquet or JSON, by the name's ending."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dasklasso.errors import OptionError
from dasklasso.files.atomic import written_beside
from dasklasso.files.documents import read_json, read_text, shown
from dasklasso.files.formulas import as_text
from dasklasso.files.places import input_place, output_place
from dasklasso.files.regular import check_regular, why

Row = dict[str, Any]


def check_table_file(file: str | Path, *, overwrite: bool) -> None:
    """Refuse a file that a table cannot be written to.

    Raises
    ------
    OptionError
        When the ending is not known, the name is a folder's, or the file exists and ``overwrite``
        is false.
    """
    file = output_place(file, "table")
    if file.suffix not in _WRITERS:
        raise OptionError(f"{file}: tables are written to {', '.join(_WRITERS)}, by the ending.")
    if file.is_dir():
        raise OptionError(f"{file} is a folder, so it is not overwritten.")
    if os.path.lexists(file) and not overwrite:
        raise OptionError(f"{file} exists already. Give another name, or overwrite it knowingly.")


def write_table(rows: Sequence[Row], file: str | Path, *, overwrite: bool = False) -> None:
    """Write a table beside the final name, then rename it into place.

    Parameters
    ----------
    rows : sequence of dict
        Numbers, text or truth values by the names of their columns. What a row has not, or has as
        None, is missing: empty in CSV, null in Parquet and JSON.
    file : path
        ``.csv`` and ``.parquet``: columns in the order in which their names first come; text in
        CSV that a spreadsheet would run (``=1+1``) begins with an apostrophe;
        ``.json``: a list of objects, where what is not a finite number is null too.
    overwrite : bool

    Raises
    ------
    OptionError
        As :func:`check_table_file`.
    """
    file = output_place(file, "table")
    check_table_file(file, overwrite=overwrite)
    with written_beside(file) as partial:
        _WRITERS[file.suffix](partial, rows)


def read_table(file: str | Path) -> list[Row]:
    """Read a table that :func:`write_table` wrote.

    Raises
    ------
    OptionError
        The ending is not known, or the file cannot be read.
    """
    file = Path(input_place(file, "table"))
    if file.suffix not in _READERS:
        raise OptionError(f"{file}: tables are read from {', '.join(_READERS)}, by the ending.")
    try:
        check_regular(file)
        return _READERS[file.suffix](file)
    except (OSError, ValueError) as error:  # what is not JSON, CSV or Parquet is a ValueError
        raise OptionError(f"{file}: the table cannot be read: {why(error)}.") from error


def _table(rows: Sequence[Row]) -> Any:
    import pyarrow as pa

    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table({name: [row.get(name) for row in rows] for name in names})


def _write_csv(path: Path, rows: Sequence[Row]) -> None:
    import pyarrow.csv as pc

    safe = [{as_text(name): as_text(value) for name, value in row.items()} for row in rows]
    pc.write_csv(_table(safe), path, pc.WriteOptions(quoting_style="needed"))


def _write_parquet(path: Path, rows: Sequence[Row]) -> None:
    import pyarrow.parquet as pq

    pq.write_table(_table(rows), path)


def _write_json(path: Path, rows: Sequence[Row]) -> None:
    plain = [{name: _finite(value) for name, value in row.items()} for row in rows]
    path.write_text(json.dumps(plain, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _finite(value: Any) -> Any:
    """None for a number that JSON has no name for."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _read_csv(path: Path) -> list[Row]:
    import pyarrow.csv as pc

    rows: list[Row] = pc.read_csv(path).to_pylist()
    return rows


def _read_parquet(path: Path) -> list[Row]:
    import pyarrow.parquet as pq

    rows: list[Row] = pq.read_table(path).to_pylist()
    return rows


def _read_json(path: Path) -> list[Row]:
    rows = read_json(read_text(path, error=OptionError), where=str(path), error=OptionError)
    plain = (str, int, float, bool, type(None))
    if not isinstance(rows, list):
        raise ValueError(f"found {shown(rows)}, expected a list of rows")
    for k, row in enumerate(rows):
        if not isinstance(row, dict) or not all(isinstance(v, plain) for v in row.values()):
            raise ValueError(f"row {k} is {shown(row)}, expected an object of numbers and texts")
    return rows


_READERS: dict[str, Callable[[Path], list[Row]]] = {
    ".csv": _read_csv,
    ".parquet": _read_parquet,
    ".json": _read_json,
}
_WRITERS: dict[str, Callable[[Path, Sequence[Row]], None]] = {
    ".csv": _write_csv,
    ".parquet": _write_parquet,
    ".json": _write_json,
}
