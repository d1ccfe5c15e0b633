"""Predictions to a file, block after block: Zarr, Parquet or CSV, by the name's ending."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dasklasso.errors import OptionError
from dasklasso.files.atomic import written_beside
from dasklasso.files.foreign import foreign_entry
from dasklasso.files.formulas import batch_as_text
from dasklasso.files.places import output_place
from dasklasso.files.regular import open_regular

Blocks = Iterable[tuple[int, int, np.ndarray, Sequence[Any]]]
"""(first row, stop, values, and Arrow arrays of the columns beside them)"""

_GROUP_ROWS = 1 << 17  # of a Parquet file, at least
_ZARR_CHUNK = 1 << 20  # values, 8 MiB of float64


def check_prediction_file(out: str | Path, *, overwrite: bool, beside: Sequence[str] = ()) -> None:
    """Refuse a file that predictions cannot be written to.

    Raises
    ------
    OptionError
        When the ending is not known, or the file exists and ``overwrite`` is false; or there are
        columns beside predictions that go to Zarr.
    """
    out = output_place(out, "out")
    if out.suffix not in _WRITERS:
        raise OptionError(
            f"{out}: predictions are written to {', '.join(_WRITERS)}, by the ending."
        )
    if os.path.lexists(out) and not overwrite:
        raise OptionError(f"{out} exists already. Give another name, or overwrite it knowingly.")
    if out.suffix == ".zarr" and beside:
        raise OptionError(
            f"{out}: a Zarr array has no column {beside[0]} beside predictions: write .parquet or "
            ".csv."
        )
    if out.suffix == ".zarr" and out.exists() and not _is_array(out):
        raise OptionError(f"{out} is not a Zarr array, so it is not overwritten.")
    if out.suffix == ".zarr" and out.is_dir() and (others := foreign_entry(out)) is not None:
        raise OptionError(f"{out} is not overwritten: {others} in it is not of predictions.")
    if out.suffix != ".zarr" and out.is_dir():
        raise OptionError(f"{out} is a folder, so it is not overwritten.")


def _is_array(path: Path) -> bool:
    """Tell a Zarr array, such as predictions are, from a store, which is a group of them."""
    try:
        with open_regular(path / "zarr.json") as file:
            found = json.load(file)
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.get("node_type") == "array"


def write_predictions(
    out: str | Path,
    blocks: Blocks,
    *,
    n_rows: int | None,
    target_names: Sequence[str] | None,
    attributes: dict[str, Any],
    labels: np.ndarray | None = None,
    beside: Sequence[str] = (),
    overwrite: bool = False,
) -> None:
    """Write predictions beside the final name, then rename them into place.

    Parameters
    ----------
    out : path
        ``.zarr``: an array (n_rows,) or (n_rows, n_targets); ``.parquet`` and ``.csv``: a column
        ``prediction``, or ``prediction_NAME`` for each target.
    blocks : iterable of (row_start, row_stop, (rows, n_targets) float64, columns), in row order
        With ``labels``: (rows, 1) codes of classes, in whose place the labels are written.
        ``columns`` are Arrow arrays of the columns ``beside``.
    n_rows : int or None
        None while it is not known.
    target_names : sequence of str, or None where y is one vector
    attributes : dict of JSON types
        Kept with a Zarr array and a Parquet file.
    labels : (n_classes,) numbers or text, or None
        A Zarr array keeps the codes of those that are text: Zarr has no settled type for it.
    beside : sequence of str
        Names of columns that come before the predictions, such as ids; not in a Zarr array.
    overwrite : bool

    Raises
    ------
    OptionError
        As :func:`check_prediction_file`; or two columns would have the same name.
    """
    out = output_place(out, "out")
    check_prediction_file(out, overwrite=overwrite, beside=beside)
    names = _names(target_names, beside)
    twice = next((name for name in beside if names.count(name) > 1), None)
    if twice is not None:
        raise OptionError(f"{out}: would have two columns {twice!r}, expected different names.")
    kind: np.dtype[Any] = np.dtype(np.float64)
    if labels is not None:
        if out.suffix == ".zarr" and labels.dtype.kind == "U":
            labels = np.arange(len(labels))
        kind = labels.dtype
        blocks = _labelled(blocks, labels)
    with written_beside(out) as partial:
        _WRITERS[out.suffix](partial, blocks, n_rows, target_names, attributes, kind, beside)


def _labelled(blocks: Blocks, labels: np.ndarray) -> Blocks:
    for start, stop, codes, columns in blocks:
        yield start, stop, labels[codes.astype(np.intp)], columns


def _write_zarr(
    path: Path,
    blocks: Blocks,
    n_rows: int | None,
    target_names: Sequence[str] | None,
    attributes: dict[str, Any],
    kind: np.dtype,
    beside: Sequence[str],
) -> None:
    import zarr

    width = 1 if target_names is None else len(target_names)
    rows = max(1, min(n_rows or _ZARR_CHUNK, _ZARR_CHUNK // width))
    vector = target_names is None
    n = n_rows or 0
    array = zarr.create_array(
        str(path),
        shape=(n,) if vector else (n, width),
        chunks=(rows,) if vector else (rows, width),
        dtype=kind,
        config={"write_empty_chunks": True},
        attributes={**attributes, "target_names": target_names and list(target_names)},
    )
    for start, stop, values, _ in blocks:
        if stop > array.shape[0]:
            array.resize((stop, *array.shape[1:]))
        array[start:stop] = values[:, 0] if vector else values


def _batches(blocks: Blocks, names: Sequence[str], attributes: dict[str, Any]) -> Iterator[Any]:
    """Arrow record batches; the first one's types are those of all."""
    import pyarrow as pa

    schema = None
    for _, _, values, columns in blocks:
        predicted = [_arrow(column) for column in values.T]
        arrays = [*columns, *predicted]
        if schema is None:
            fields = [pa.field(n, a.type) for n, a in zip(names, arrays, strict=True)]
            schema = pa.schema(fields, metadata={"dasklasso": json.dumps(attributes)})
        arrays = [a.cast(f.type) for a, f in zip(arrays, schema, strict=True)]
        yield pa.record_batch(arrays, schema=schema)


def _arrow(column: np.ndarray) -> Any:
    """A column of numbers or labels as an Arrow array."""
    import pyarrow as pa

    values = np.ascontiguousarray(column)
    if values.dtype.kind not in "iuf":
        return pa.array(values)
    # pyarrow.array would import pandas where that is installed: most of a second
    kind = pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])


def _names(target_names: Sequence[str] | None, beside: Sequence[str]) -> list[str]:
    if target_names is None:
        return [*beside, "prediction"]
    return [*beside, *(f"prediction_{name}" for name in target_names)]


def _write_parquet(
    path: Path,
    blocks: Blocks,
    n_rows: int | None,
    target_names: Sequence[str] | None,
    attributes: dict[str, Any],
    kind: np.dtype,
    beside: Sequence[str],
) -> None:
    import pyarrow.parquet as pq

    batches = _batches(blocks, _names(target_names, beside), attributes)
    first = next(batches)
    with pq.ParquetWriter(path, first.schema) as writer:
        for group in _row_groups(itertools.chain([first], batches)):
            writer.write_table(group)


def _row_groups(batches: Iterable[Any]) -> Iterator[Any]:
    """Tables of many rows each: a reader of Parquet pays for every row group."""
    import pyarrow as pa

    held: list[Any] = []
    for batch in batches:
        held.append(batch)
        if sum(part.num_rows for part in held) >= _GROUP_ROWS:
            yield pa.Table.from_batches(held)
            held = []
    if held:
        yield pa.Table.from_batches(held)


def _write_csv(
    path: Path,
    blocks: Blocks,
    n_rows: int | None,
    target_names: Sequence[str] | None,
    attributes: dict[str, Any],
    kind: np.dtype,
    beside: Sequence[str],
) -> None:
    import pyarrow.csv as pc

    batches = map(batch_as_text, _batches(blocks, _names(target_names, beside), attributes))
    first = next(batches)
    options = pc.WriteOptions(quoting_style="needed")
    with pc.CSVWriter(path, first.schema, write_options=options) as writer:
        for batch in itertools.chain([first], batches):
            writer.write_batch(batch)


_Writer = Callable[
    [Path, Blocks, "int | None", "Sequence[str] | None", dict[str, Any], np.dtype, Sequence[str]],
    None,
]
_WRITERS: dict[str, _Writer] = {
    ".zarr": _write_zarr,
    ".parquet": _write_parquet,
    ".csv": _write_csv,
}
