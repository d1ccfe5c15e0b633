"""Writes a dataset store: rows in, whole checksummed chunks out, a manifest last.

Everything goes to ``PATH.partial`` and is renamed to ``PATH`` when it is complete, so whatever
interrupts a writer (also SIGKILL or a full disk), nothing at ``PATH`` looks like a store.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from dasklasso.dataset.array_metadata import metadata_digests
from dasklasso.dataset.fingerprint import Fingerprint
from dasklasso.dataset.ingest.chunks import chunk_shape
from dasklasso.dataset.ingest.reserve import reserve
from dasklasso.dataset.ingest.running_moments import RunningMoments
from dasklasso.dataset.manifest import MANIFEST_KEY, ColumnStatistics, Manifest
from dasklasso.dataset.recorded import record_checksums
from dasklasso.dataset.row_ids import ROW_IDS, WIDTH
from dasklasso.dataset.schema import Schema
from dasklasso.errors import DataWarning, OptionError, ValueFound
from dasklasso.files.atomic import PartialFolder
from dasklasso.storage.compression import CodecChoice, bytes_codecs, choose_codec
from dasklasso.storage.missing_codes import MissingCode


class StoreWriter:
    """Appends rows to a new store; use it as a context manager, an exception then aborts.

    Parameters
    ----------
    path : str or Path
        The store to make. What is written is at ``PATH.partial`` until :meth:`finish`.
    feature_names, target_names : sequence of str
        Without target names there are rows to predict for, and no y.
    dtype : dtype
        Of X on disk; bool is kept as uint8.
    with_weight, with_fold, with_offset : bool
        Whether :meth:`write` is given sample weights, folds and offsets.
    codec : {"auto", "none", "lz4", "zstd"}
        ``"auto"`` measures on the first chunk.
    memory : int
        Bytes that writing may use.
    chunk_rows, chunk_columns : int, optional
        Instead of :func:`chunk_shape`'s choice.
    overwrite : bool
        Replace a store at ``path``: it stays until the new one is complete.
    n_rows : int, optional
        Number of rows to come, where it is known (no more than a hint).
    folder : PartialFolder, optional
        What :func:`reserve` gave; ``overwrite`` is then its.
    label : str, optional
        How messages about the data call them, instead of ``path``.
    missing_code : MissingCode, optional
        What stands for missing values in the X that is written.
    row_ids : (n_rows, WIDTH) uint64, optional
        Digests of the ids of all the rows that come.
    constant_targets : bool
        Whether nothing is said of a target with the same value in every row: rows to score.

    Raises
    ------
    StoreError
        When ``path`` exists (without ``overwrite``), cannot be written, or another process is
        writing it.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        feature_names: Sequence[str],
        target_names: Sequence[str],
        dtype: Any,
        with_weight: bool = False,
        with_fold: bool = False,
        with_offset: bool = False,
        codec: str = "auto",
        memory: int = 1 << 30,
        chunk_rows: int | None = None,
        chunk_columns: int | None = None,
        overwrite: bool = False,
        n_rows: int | None = None,
        folder: PartialFolder | None = None,
        label: str | None = None,
        missing_code: MissingCode | None = None,
        row_ids: np.ndarray | None = None,
        constant_targets: bool = False,
    ) -> None:
        if not feature_names:
            raise OptionError(f"{path}: a dataset has at least one feature.")
        self.path = Path(path)
        self._label = label or str(path)
        self._constant_targets = constant_targets
        self.feature_names = tuple(feature_names)
        self.target_names = tuple(target_names)
        self.dtype = np.dtype(np.uint8 if np.dtype(dtype) == np.bool_ else dtype)
        d = len(self.feature_names)
        rows, columns = chunk_shape(d, self.dtype.itemsize, memory=memory, n_rows=n_rows)
        self.chunk_rows = chunk_rows or rows
        self.chunk_columns = min(chunk_columns or columns, d)
        self.n_rows = 0  # rows taken so far
        self.codec: CodecChoice | None = None  # known once the first chunk is written

        self._codec_asked = codec
        self._moments = RunningMoments(d, missing_code)
        self._target_moments = RunningMoments(len(self.target_names))
        self._missing = np.zeros(d, dtype=np.int64)
        self._fingerprint = Fingerprint()
        self._arrays: dict[str, Any] = {}
        self._dtypes: dict[str, np.dtype] = {"X": self.dtype}
        if self.target_names:
            self._dtypes["y"] = np.dtype(np.float64)
        if with_weight:
            self._dtypes["sample_weight"] = np.dtype(np.float64)
        if with_fold:
            self._dtypes["fold"] = np.dtype(np.int32)
        if with_offset:
            self._dtypes["offset"] = np.dtype(np.float64)
        self._row_ids = row_ids
        if row_ids is not None:
            self._dtypes[ROW_IDS] = np.dtype(np.uint64)
        self._buffer: dict[str, np.ndarray] = {}
        self._held = 0  # rows in the buffer
        self._written = 0  # rows on disk
        self._folder = folder or reserve(path, overwrite=overwrite)

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.abort()  # does nothing after finish()

    def write(
        self,
        X: np.ndarray,
        y: np.ndarray | None,
        sample_weight: np.ndarray | None = None,
        fold: np.ndarray | None = None,
        missing: np.ndarray | None = None,
        offset: np.ndarray | None = None,
    ) -> None:
        """Append rows.

        Parameters
        ----------
        X : (m, n_features)
        y : (m,) or (m, n_targets); None where there are no targets
        sample_weight, fold, offset : (m,), given exactly when the writer was made with them
        missing : (n_features,) int, optional
            How many of these values were missing and have been filled.

        Raises
        ------
        ValueFound
            A value is not finite (as the store's dtype).
        StoreError
            The disk is full or cannot be written.
        """
        given = {"X": X, "y": y, "sample_weight": sample_weight, "fold": fold, "offset": offset}
        if self._row_ids is not None:
            given[ROW_IDS] = self._row_ids[self.n_rows : self.n_rows + len(X)]
        rows = {name: np.asarray(values) for name, values in given.items() if values is not None}
        self._check(rows)
        if missing is not None:
            self._missing += missing

        m, taken = len(rows["X"]), 0
        while taken < m:
            count = min(m - taken, self.chunk_rows - self._held)
            part = {name: values[taken : taken + count] for name, values in rows.items()}
            whole = count == self.chunk_rows and part["X"].dtype == self.dtype
            if whole:  # a whole chunk at once need not pass through the buffer
                self._flush(part)
            else:
                self._hold(part, count)
                if self._held == self.chunk_rows:
                    self._flush_buffer()
            taken += count
        self.n_rows += m

    def complete_std(self) -> np.ndarray:
        """(n_features,) standard deviations over all rows, of which no more may come."""
        if self._held:
            self._flush_buffer()
        return self._moments.std

    def finish(
        self,
        origin: dict[str, Any],
        schema: Callable[[ColumnStatistics], Schema] | None = None,
    ) -> Manifest:
        """Write the last chunk and the manifest, and rename the store into place.

        Parameters
        ----------
        schema : callable, optional
            Given the statistics of the columns: how a table's columns became them.

        Raises
        ------
        ValueFound
            No rows were written.
        StoreError
            The disk is full or cannot be written.

        Warns
        -----
        DataWarning
            When a target has the same value in every row.
        """
        if self.n_rows == 0:
            raise ValueFound(f"{self.path}: no rows were written, expected at least one.")
        if self._held:
            self._flush_buffer()
        if not self._constant_targets:
            self._warn_of_constant_targets()
        assert self.codec is not None
        statistics = self._moments.statistics(self._missing)
        manifest = Manifest(
            n_rows=self.n_rows,
            n_features=len(self.feature_names),
            feature_names=self.feature_names,
            target_names=self.target_names,
            statistics=statistics,
            origin={**origin, "codec": self.codec.to_json()},
            fingerprint=self._fingerprint.digest(
                {name: (array.shape, array.dtype) for name, array in self._arrays.items()}
            ),
            schema=None if schema is None else schema(statistics),
        )
        with self._folder.guarded():
            files = metadata_digests(self._group, self._arrays)
            files |= record_checksums(self._folder.partial, self._arrays)
            manifest = replace(manifest, files=files)
            self._group.attrs[MANIFEST_KEY] = manifest.to_json()
            self._folder.publish()
        return manifest

    def abort(self) -> None:
        """Delete what was written; ``path`` is as it was. Nothing happens after :meth:`finish`."""
        self._folder.discard()

    # -- rows to chunks -----------------------------------------------------------------------

    def _shape(self, name: str, n: int) -> tuple[int, ...]:
        if name == "X":
            return (n, len(self.feature_names))
        if name == "y" and len(self.target_names) > 1:
            return (n, len(self.target_names))
        return (n, WIDTH) if name == ROW_IDS else (n,)

    def _check(self, rows: dict[str, np.ndarray]) -> None:
        if rows.keys() != self._dtypes.keys():
            raise OptionError(
                f"{self.path}: rows with {', '.join(rows)} were given, "
                f"expected {', '.join(self._dtypes)}."
            )
        m = len(rows["X"])
        if "y" in rows and rows["y"].shape == (m, 1):
            rows["y"] = rows["y"][:, 0]
        for name, values in rows.items():
            if values.shape != self._shape(name, m):
                raise OptionError(
                    f"{self.path}: {name} has shape {values.shape}, "
                    f"expected {self._shape(name, m)}."
                )

    def _hold(self, part: dict[str, np.ndarray], count: int) -> None:
        for name, values in part.items():
            if name not in self._buffer:
                shape = self._shape(name, self.chunk_rows)
                self._buffer[name] = np.empty(shape, dtype=self._dtypes[name])
            with np.errstate(over="ignore"):  # found and named as infinity by _flush
                np.copyto(
                    self._buffer[name][self._held : self._held + count],
                    values,
                    casting="unsafe" if name != "X" else "same_kind",
                )
        self._held += count

    def _flush_buffer(self) -> None:
        held, self._held = self._held, 0
        self._flush({name: values[:held] for name, values in self._buffer.items()})

    def _flush(self, chunk: dict[str, np.ndarray]) -> None:
        """Write one row chunk of every array; only the last one may be short."""
        count = len(chunk["X"])
        if not self._arrays:
            self.chunk_rows = min(self.chunk_rows, count)  # the table may end in its first chunk
            self._create(chunk["X"])
        self._moments.update(chunk["X"])
        if "y" in chunk:
            self._target_moments.update(chunk["y"].reshape(count, -1))
        self._refuse_nonfinite(chunk)

        start, stop = self._written, self._written + count
        with self._folder.guarded():
            for name in self._dtypes:
                array = self._arrays[name]
                if array.shape[0] < stop:
                    array.resize((stop, *array.shape[1:]))
                self._write_chunk(name, chunk[name], slice(start, stop))
        self._written = stop

    def _write_chunk(self, name: str, values: np.ndarray, rows: slice) -> None:
        array = self._arrays[name]
        if name != "X":
            values = np.ascontiguousarray(values, dtype=self._dtypes[name])
            self._fingerprint.add(name, values)
            array[rows] = values
            return
        for left in range(0, values.shape[1], self.chunk_columns):  # one at a time: bounds memory
            columns = slice(left, min(left + self.chunk_columns, values.shape[1]))
            block = np.ascontiguousarray(values[:, columns])
            self._fingerprint.add(name, block)
            array[rows, columns] = block

    def _create(self, first: np.ndarray) -> None:
        """Make the Zarr arrays, empty; they grow by a chunk at a time (a change of metadata)."""
        import zarr
        from zarr.codecs import BytesCodec

        self.codec = choose_codec(self._codec_asked, first)
        with self._folder.guarded():
            self._group = zarr.open_group(self._folder.partial, mode="a", zarr_format=3)
            for name, dtype in self._dtypes.items():
                chunks = self._shape(name, self.chunk_rows)
                is_X = name == "X"
                self._arrays[name] = self._group.create_array(
                    name,
                    shape=self._shape(name, 0),
                    chunks=(chunks[0], self.chunk_columns) if is_X else chunks,
                    dtype=dtype,
                    filters=None,
                    serializer=BytesCodec(),
                    compressors=bytes_codecs(self.codec.name if is_X else "none", dtype.itemsize),
                    fill_value=0,
                    config={"write_empty_chunks": True},
                )

    # -- what may not be in the data ----------------------------------------------------------

    def _refuse_nonfinite(self, chunk: dict[str, np.ndarray]) -> None:
        looked_at = [(chunk["X"], self._moments, self.feature_names)]
        if "y" in chunk:
            targets = chunk["y"].reshape(len(chunk["y"]), -1)
            looked_at.append((targets, self._target_moments, self.target_names))
        for values, moments, names in looked_at:
            if np.isfinite(moments.mean + moments.std).all():  # NaN and infinity propagate
                continue
            found = np.argwhere(~np.isfinite(values))
            if not len(found):
                column = int(np.argmax(~np.isfinite(moments.std)))
                raise ValueFound(
                    f"{self._label}: column {names[column]}: found values up to "
                    f"{moments.maximum[column]:g}, whose squares are beyond float64."
                )
            row, column = found[0]
            raise ValueFound(
                f"{self._label}: row {self._written + row}, column {names[column]}: found "
                f"{values[row, column]}, expected a finite {values.dtype} number."
            )

    def _warn_of_constant_targets(self) -> None:
        low, high = self._target_moments.minimum, self._target_moments.maximum
        for name, least, most in zip(self.target_names, low, high, strict=True):
            if least == most:
                warnings.warn(
                    f"{self._label}: target {name} is {least:g} in all {self.n_rows} rows",
                    DataWarning,
                    stacklevel=3,
                )
