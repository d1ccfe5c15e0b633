"""Predictions to a file, block after block: Zarr, Parquet or CSV, by the name's ending."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dasklasso.errors import OptionError
from dasklasso.files.atomic import written_beside

Blocks = Iterable[tuple[int, int, np.ndarray]]
_ZARR_CHUNK = 1 << 20  # values, 8 MiB of float64


def check_prediction_file(out: str | Path, *, overwrite: bool) -> None:
    """Refuse a file that predictions cannot be written to.

    Raises
    ------
    OptionError
        When the ending is not known, or the file exists and ``overwrite`` is false.
    """
    out = Path(out)
    if out.suffix not in _WRITERS:
        raise OptionError(
            f"{out}: predictions are written to {', '.join(_WRITERS)}, by the ending."
        )
    if os.path.lexists(out) and not overwrite:
        raise OptionError(f"{out} exists already. Give another name, or overwrite it knowingly.")
    if out.suffix == ".zarr" and out.exists() and not (out / "zarr.json").is_file():
        raise OptionError(f"{out} is not a Zarr array, so it is not overwritten.")
    if out.suffix != ".zarr" and out.is_dir():
        raise OptionError(f"{out} is a folder, so it is not overwritten.")


def write_predictions(
    out: str | Path,
    blocks: Blocks,
    *,
    n_rows: int,
    target_names: Sequence[str] | None,
    attributes: dict[str, Any],
    labels: np.ndarray | None = None,
    overwrite: bool = False,
) -> None:
    """Write predictions beside the final name, then rename them into place.

    Parameters
    ----------
    out : path
        ``.zarr``: an array (n_rows,) or (n_rows, n_targets); ``.parquet`` and ``.csv``: a column
        ``prediction``, or ``prediction_NAME`` for each target.
    blocks : iterable of (row_start, row_stop, (rows, n_targets) float64), in row order
        With ``labels``: (rows, 1) codes of classes, in whose place the labels are written.
    n_rows : int
    target_names : sequence of str, or None where y is one vector
    attributes : dict of JSON types
        Kept with a Zarr array and a Parquet file.
    labels : (n_classes,) numbers or text, or None
        A Zarr array keeps the codes of those that are text: Zarr has no settled type for it.
    overwrite : bool

    Raises
    ------
    OptionError
        As :func:`check_prediction_file`.
    """
    out = Path(out)
    check_prediction_file(out, overwrite=overwrite)
    kind: np.dtype[Any] = np.dtype(np.float64)
    if labels is not None:
        if out.suffix == ".zarr" and labels.dtype.kind == "U":
            labels = np.arange(len(labels))
        kind = labels.dtype
        blocks = _labelled(blocks, labels)
    with written_beside(out) as partial:
        _WRITERS[out.suffix](partial, blocks, n_rows, target_names, attributes, kind)


def _labelled(blocks: Blocks, labels: np.ndarray) -> Blocks:
    for start, stop, codes in blocks:
        yield start, stop, labels[codes.astype(np.intp)]


def _write_zarr(
    path: Path,
    blocks: Blocks,
    n_rows: int,
    target_names: Sequence[str] | None,
    attributes: dict[str, Any],
    kind: np.dtype,
) -> None:
    import zarr

    width = 1 if target_names is None else len(target_names)
    rows = max(1, min(n_rows, _ZARR_CHUNK // width))
    vector = target_names is None
    array = zarr.create_array(
        str(path),
        shape=(n_rows,) if vector else (n_rows, width),
        chunks=(rows,) if vector else (rows, width),
        dtype=kind,
        config={"write_empty_chunks": True},
        attributes={**attributes, "target_names": target_names and list(target_names)},
    )
    for start, stop, values in blocks:
        array[start:stop] = values[:, 0] if vector else values


def _batches(blocks: Blocks, schema: Any) -> Iterable[Any]:
    import pyarrow as pa

    for _, _, values in blocks:
        columns = [pa.array(np.ascontiguousarray(column)) for column in values.T]
        yield pa.record_batch(columns, schema=schema)


def _schema(target_names: Sequence[str] | None, attributes: dict[str, Any], kind: np.dtype) -> Any:
    import json

    import pyarrow as pa

    names = ["prediction"] if target_names is None else [f"prediction_{n}" for n in target_names]
    return pa.schema(
        [(name, pa.string() if kind.kind == "U" else pa.from_numpy_dtype(kind)) for name in names],
        metadata={"dasklasso": json.dumps(attributes)},
    )


def _write_parquet(
    path: Path,
    blocks: Blocks,
    n_rows: int,
    target_names: Sequence[str] | None,
    attributes: dict[str, Any],
    kind: np.dtype,
) -> None:
    import pyarrow.parquet as pq

    schema = _schema(target_names, attributes, kind)
    with pq.ParquetWriter(path, schema) as writer:
        for batch in _batches(blocks, schema):
            writer.write_batch(batch)


def _write_csv(
    path: Path,
    blocks: Blocks,
    n_rows: int,
    target_names: Sequence[str] | None,
    attributes: dict[str, Any],
    kind: np.dtype,
) -> None:
    import pyarrow.csv as pc

    schema = _schema(target_names, attributes, kind)
    options = pc.WriteOptions(quoting_style="needed")
    with pc.CSVWriter(path, schema, write_options=options) as writer:
        for batch in _batches(blocks, schema):
            writer.write_batch(batch)


_Writer = Callable[[Path, Blocks, int, Sequence[str] | None, dict[str, Any], np.dtype], None]
_WRITERS: dict[str, _Writer] = {
    ".zarr": _write_zarr,
    ".parquet": _write_parquet,
    ".csv": _write_csv,
}
