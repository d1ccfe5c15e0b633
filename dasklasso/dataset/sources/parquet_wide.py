"""Wide Parquet row groups turned to rows by way of a scratch file, some columns at a time.

A Parquet reader holds a page and a dictionary of every column that it reads: about 2 MB each, so
1,000 columns take 2 GB however few rows are asked for. Where that exceeds the memory, each row
group is read in groups of columns; their values go to a scratch file, and come back as rows.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import IO, Any

import numpy as np
import pyarrow as pa

from dasklasso.dataset.sources.base import Column
from dasklasso.dataset.sources.table import TableBatch

_PAGE_BYTES = 3 << 20  # a data page and a dictionary page, mostly 1 MiB each, and more
_RESIDENT_PER_PAGE_BYTE = 1.5  # measured: resident bytes per byte of pages
_COLUMN_READER_BYTES = 9 << 10  # measured: resident bytes of a column's reader without its pages
_SLAB_BYTES = 8 << 20


@dataclass(frozen=True)
class WideBatch:
    """Rows whose number columns came through the scratch file, and the text columns beside."""

    file: str
    first_row: int
    n_rows: int
    block: np.ndarray
    positions: dict[str, int]
    others: TableBatch

    def numbers(self, names: Sequence[str]) -> np.ndarray:
        if any(name not in self.positions for name in names):  # a partition key
            columns = [self._column(name) for name in names]
            return np.stack(columns, axis=1)
        wanted = [self.positions[name] for name in names]
        if wanted == list(range(self.block.shape[1])):
            return self.block
        if wanted == list(range(wanted[0], wanted[0] + len(wanted))):
            return self.block[:, wanted[0] : wanted[-1] + 1]
        return self.block[:, wanted]

    def texts(self, name: str) -> Any:
        return self.others.texts(name)

    def as_is(self, name: str) -> Any:
        if name in self.positions:
            return pa.array(np.ascontiguousarray(self.block[:, self.positions[name]]))
        return self.others.as_is(name)

    def _column(self, name: str) -> np.ndarray:
        if name in self.positions:
            return self.block[:, self.positions[name]]
        return self.others.numbers([name])[:, 0]


def reader_bytes_at_most(metadata: Any, n_columns: int) -> int:
    """A bound of :func:`reader_bytes` by the sizes of whole row groups."""
    groups = range(metadata.num_row_groups)
    worst = max((metadata.row_group(group).total_byte_size for group in groups), default=0)
    worst = min(max(worst, 0), _PAGE_BYTES * n_columns)
    return int(worst * _RESIDENT_PER_PAGE_BYTE) + _COLUMN_READER_BYTES * n_columns


def reader_bytes(metadata: Any, positions: Sequence[int]) -> int:
    """Estimated memory of reading these columns (by position) at once, in the worst row group."""
    worst = 0
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        sizes = (row_group.column(p).total_uncompressed_size for p in positions)
        worst = max(worst, sum(min(size, _PAGE_BYTES) for size in sizes))
    return int(worst * _RESIDENT_PER_PAGE_BYTE) + _COLUMN_READER_BYTES * len(positions)


def column_groups(n_columns: int, needed: int, budget: int) -> list[tuple[int, int]]:
    """Runs of columns, each read within ``budget`` bytes where all together need ``needed``."""
    each = max(1, needed // max(1, n_columns))
    width = max(1, budget // each)
    return list(pairwise((*range(0, n_columns, width), n_columns)))


def spool_dtype(metadata: Any, columns: Sequence[Column], positions: Sequence[int]) -> np.dtype:
    """Return the dtype that holds all the columns; float64 when an integer may be missing."""
    dtype = np.result_type(*{column.dtype for column in columns})
    if dtype.kind == "f":
        return dtype
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        for position in positions:
            statistics = row_group.column(position).statistics
            if statistics is None or not statistics.has_null_count or statistics.null_count:
                return np.dtype(np.float64)
    return dtype


class Scratch:
    """The values of one row group, column group after column group, in a file without a name."""

    def __init__(
        self, folder: str | None, names: Sequence[str], groups: Sequence[tuple[int, int]],
        dtype: np.dtype,
    ) -> None:  # fmt: skip
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        self._names = list(names)
        self._groups = groups
        self._dtype = dtype

    def __enter__(self) -> Scratch:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    def fill(self, opened: Any, group: int) -> None:
        """Read a row group of an open Parquet file into the scratch file."""
        self._file.seek(0)
        for left, right in self._groups:
            names = self._names[left:right]
            rows = max(1, _SLAB_BYTES // (8 * len(names)))
            for part in opened.iter_batches(
                batch_size=rows, row_groups=[group], columns=names, use_threads=False
            ):
                arrays = dict(zip(part.schema.names, part.columns, strict=True))
                block = TableBatch("", 0, part.num_rows, arrays).numbers(names)
                self._file.write(np.ascontiguousarray(block, dtype=self._dtype).data)
        self._file.flush()

    def rows(self, n_rows: int, rows: int) -> Iterator[np.ndarray]:
        """The row group's values again, at most ``rows`` rows at a time."""
        descriptor = self._file.fileno()
        for start in range(0, n_rows, rows):
            count = min(rows, n_rows - start)
            out = np.empty((count, len(self._names)), dtype=self._dtype)
            for left, right in self._groups:
                width = right - left
                part = np.empty((count, width), dtype=self._dtype)
                offset = (left * n_rows + start * width) * self._dtype.itemsize
                _read_into(descriptor, part, offset)
                out[:, left:right] = part
            yield out


class RowFeed:
    """A few columns of one row group, as many rows at a time as are asked for."""

    def __init__(self, opened: Any, group: int, names: Sequence[str], rows: int) -> None:
        self._names = list(names)
        self._batches = (
            opened.iter_batches(
                batch_size=rows, row_groups=[group], columns=self._names, use_threads=False
            )
            if names
            else iter(())
        )
        self._rest: Any = None

    def take(self, n_rows: int) -> dict[str, Any]:
        """Return the next rows as Arrow arrays by column."""
        parts: list[Any] = []
        while self._names and n_rows:
            if self._rest is None or not self._rest.num_rows:
                self._rest = next(self._batches)
            parts.append(self._rest.slice(0, n_rows))
            self._rest = self._rest.slice(parts[-1].num_rows)
            n_rows -= parts[-1].num_rows
        if len(parts) > 1:
            parts = pa.Table.from_batches(parts).combine_chunks().to_batches()
        return dict(zip(self._names, parts[0].columns, strict=True)) if parts else {}


def _read_into(descriptor: int, out: np.ndarray, offset: int) -> None:
    """Fill an array from a file at an offset; a read may return less than was asked for."""
    view = out.reshape(-1).view(np.uint8).data
    while len(view):
        data = os.pread(descriptor, len(view), offset)
        if not data:
            raise OSError("the scratch file ended early")
        view[: len(data)] = data
        view, offset = view[len(data) :], offset + len(data)
