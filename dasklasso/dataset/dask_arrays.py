"""Arrays that are in no store, kept in a temporary one: dask arrays, streamed once, and joins."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

from dasklasso.errors import OptionError
from dasklasso.storage.blocks import BlockSource
from dasklasso.storage.zarr_blocks import ZarrBlocks

_CHUNK_BYTES = 64 << 20
_BATCH_BYTES = 256 << 20


class TemporaryStore:
    """A folder that lives as long as this object does, in the process that made it."""

    def __init__(self) -> None:
        self.path = tempfile.mkdtemp(prefix="dasklasso-")
        self._finalizer = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_borrowed, ())  # a copy in another process must not delete the folder


def _borrowed() -> None:
    return None


def is_dask(array: Any) -> bool:
    """Tell whether an object is a dask array (without importing dask for those that are not)."""
    return type(array).__module__.startswith("dask.array")


def spill(**arrays: Any) -> tuple[dict[str, BlockSource], TemporaryStore]:
    """Write dask arrays with the same rows to a temporary store, all in one pass.

    They are computed some row chunks at a time with the scheduler that dask would use, so a
    graph shared by the arrays runs once and memory holds a few row chunks. The store is in
    Python's temporary folder (``TMPDIR``), uncompressed, and gone with the object returned.

    Parameters
    ----------
    **arrays : name=dask array
        The first one's row chunks are followed.

    Returns
    -------
    sources : dict of name to BlockSource
    keep : TemporaryStore
        To be held as long as the sources are read.

    Raises
    ------
    OptionError
        The arrays have different numbers of rows, or dtypes that are not real numbers.
    """
    import zarr

    for name, array in arrays.items():
        if array.dtype.kind not in "biuf" or array.ndim not in (1, 2):
            raise OptionError(
                f"{name} is a dask array of {array.ndim} dimensions and dtype {array.dtype}, "
                "expected one or two dimensions of real numbers."
            )
    keep = TemporaryStore()
    group = zarr.open_group(os.path.join(keep.path, "data"), mode="w", zarr_format=3)
    stored: dict[str, Any] = {}
    for name, array in arrays.items():
        tail = tuple(int(length) for length in array.shape[1:])
        rows = max(1, _CHUNK_BYTES // max(1, math.prod(tail) * array.dtype.itemsize))
        if not math.isnan(array.shape[0]):
            rows = max(1, min(rows, int(array.shape[0])))
        stored[name] = _create(group, name, (0, *tail), rows, array.dtype)
    writers = {name: _Appender(array) for name, array in stored.items()}
    for parts in _row_chunks(arrays):
        for name, values in parts.items():
            writers[name].append(np.asarray(values))
    for writer in writers.values():
        writer.close()
    sources: dict[str, BlockSource] = {
        name: ZarrBlocks(group[name], location="the dask array", name=name) for name in arrays
    }
    return sources, keep


def _create(group: Any, name: str, shape: tuple[int, ...], rows: int, dtype: np.dtype) -> Any:
    """Create an array in chunks of so many rows, each with a checksum."""
    from zarr.codecs import BytesCodec, Crc32cCodec

    return group.create_array(
        name,
        shape=shape,
        chunks=(rows, *shape[1:]),
        dtype=dtype.newbyteorder("<"),
        filters=None,
        serializer=BytesCodec(),
        compressors=[Crc32cCodec()],
        fill_value=0,
        config={"write_empty_chunks": True},
    )


def kept_arrays(
    *, location: str, **arrays: np.ndarray
) -> tuple[dict[str, BlockSource], TemporaryStore]:
    """Write arrays of two dimensions to a temporary store, which other processes read too.

    Parameters
    ----------
    location : str
        How messages name it.
    **arrays : name=NumPy array

    Returns
    -------
    As :func:`spill`.
    """
    import zarr

    keep = TemporaryStore()
    group = zarr.open_group(os.path.join(keep.path, "data"), mode="w", zarr_format=3)
    for name, array in arrays.items():
        rows = min(len(array), max(1, _CHUNK_BYTES // max(1, array[:1].nbytes)))
        _create(group, name, array.shape, rows, array.dtype)[...] = array
    return {name: ZarrBlocks(group[name], location=location, name=name) for name in arrays}, keep


class _Appender:
    """Collects rows and writes them one whole chunk at a time."""

    def __init__(self, array: Any) -> None:
        self._array = array
        self._buffer = np.empty(array.chunks, dtype=array.dtype)
        self._held = 0

    def append(self, values: np.ndarray) -> None:
        while len(values):
            count = min(len(values), len(self._buffer) - self._held)
            self._buffer[self._held : self._held + count] = values[:count]
            self._held += count
            values = values[count:]
            if self._held == len(self._buffer):
                self.close()

    def close(self) -> None:
        if self._held:
            start = self._array.shape[0]
            self._array.resize((start + self._held, *self._array.shape[1:]))
            self._array[start:] = self._buffer[: self._held]
            self._held = 0


def _row_chunks(arrays: dict[str, Any]) -> Iterator[dict[str, Any]]:
    import dask

    names = list(arrays)
    first = arrays[names[0]]
    aligned = {name: _align(name, array, first) for name, array in arrays.items()}
    blocks = first.numblocks[0]
    known = [rows for rows in first.chunks[0] if not math.isnan(rows)]
    row_bytes = math.prod(first.shape[1:]) * first.dtype.itemsize
    per_batch = 1 if not known else int(max(1, _BATCH_BYTES // max(1, max(known) * row_bytes)))
    for start in range(0, blocks, per_batch):
        batch = range(start, min(start + per_batch, blocks))
        computed = dask.compute([[aligned[name].blocks[i] for name in names] for i in batch])[0]
        for parts in computed:
            yield dict(zip(names, parts, strict=True))


def _align(name: str, array: Any, first: Any) -> Any:
    n, expected = array.shape[0], first.shape[0]
    if math.isnan(n) or math.isnan(expected):
        if array.numblocks[0] != first.numblocks[0]:
            raise OptionError(
                f"{name} has {array.numblocks[0]} row chunks of unknown length and X has "
                f"{first.numblocks[0]}, expected the same number (or compute_chunk_sizes())."
            )
        return array
    if n != expected:
        raise OptionError(f"{name} has {n:,} rows and X has {expected:,}, expected the same.")
    return array.rechunk({0: first.chunks[0]})
