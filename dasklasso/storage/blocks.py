"""Block sources: a two-dimensional table that can be read block by block.

A block is one (row chunk, column chunk) of X, or one row chunk of y or of the sample weights.
This is all that the scan engine knows of storage.
"""

from __future__ import annotations

import uuid
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import pairwise
from typing import Protocol

import numpy as np

from dasklasso.errors import ClusterError


class BlockSource(Protocol):
    """A table in blocks. Instances pickle small (a path, never data) and are read-only.

    Attributes
    ----------
    shape : (n_rows, n_columns)
    dtype : numpy.dtype
    row_bounds, column_bounds : tuple of int
        Chunk edges, from 0 to n_rows and from 0 to n_columns.
    mapped : bool
        Whether blocks are views of mapped files or of memory already there: reading one again
        costs no decoding and no memory of the process's own.
    """

    shape: tuple[int, int]
    dtype: np.dtype
    row_bounds: tuple[int, ...]
    column_bounds: tuple[int, ...]
    mapped: bool

    def block(self, i: int, j: int) -> np.ndarray:
        """Block (i, j) as a C-contiguous array (row chunk i, column chunk j), not to be written.

        Raises
        ------
        ChunkMissing, ChunkCorrupt
        """
        ...

    def will_need(self, i: int, j: int) -> None:
        """Hint that block (i, j) is read next (read-ahead for mapped files; may do nothing)."""
        ...

    def stored_bytes(self, i: int, j: int) -> int:
        """Bytes that reading block (i, j) moves from storage."""
        ...


class MemoryBlocks:
    """A NumPy array seen as a block source; blocks are views.

    It pickles as a token that stands for this very object within this process: graphs of an
    embedded cluster are pickled, and the data must not be copied with them.
    """

    def __init__(self, array: np.ndarray, row_bounds: tuple[int, ...]) -> None:
        self.array = array
        self.shape: tuple[int, int] = (array.shape[0], array.shape[1])
        self.dtype: np.dtype = array.dtype
        self.row_bounds = row_bounds
        self.column_bounds: tuple[int, ...] = (0, array.shape[1])
        self.mapped = True
        self._token = uuid.uuid4().hex
        _IN_MEMORY[self._token] = self

    def __reduce__(self) -> tuple[Callable[[str], MemoryBlocks], tuple[str]]:
        return _in_this_process, (self._token,)

    def block(self, i: int, j: int) -> np.ndarray:
        return self.array[self.row_bounds[i] : self.row_bounds[i + 1]]

    def will_need(self, i: int, j: int) -> None:
        return None

    def stored_bytes(self, i: int, j: int) -> int:
        return self.block(i, j).nbytes


class Derived(ABC):
    """A block source whose blocks are computed, float64, from those of another of the same shape.

    Parameters
    ----------
    source : BlockSource
    """

    dtype: np.dtype = np.dtype(np.float64)
    mapped = False

    def __init__(self, source: BlockSource) -> None:
        self.source = source
        self.shape = source.shape
        self.row_bounds, self.column_bounds = source.row_bounds, source.column_bounds

    @abstractmethod
    def block(self, i: int, j: int) -> np.ndarray:
        """Block (i, j), from that of the source."""

    def will_need(self, i: int, j: int) -> None:
        self.source.will_need(i, j)

    def stored_bytes(self, i: int, j: int) -> int:
        return self.source.stored_bytes(i, j)


class LastBlock(Derived):
    """A block source that remembers the last block, for rows that are read in order, piecewise."""

    def __init__(self, source: BlockSource) -> None:
        super().__init__(source)
        self.dtype, self.mapped = source.dtype, source.mapped
        self._last: tuple[tuple[int, int], np.ndarray] | None = None

    def block(self, i: int, j: int) -> np.ndarray:
        if self._last is None or self._last[0] != (i, j):
            self._last = None  # two blocks at a time are not held
            self._last = (i, j), self.source.block(i, j)
        return self._last[1]


_IN_MEMORY: weakref.WeakValueDictionary[str, MemoryBlocks] = weakref.WeakValueDictionary()


def _in_this_process(token: str) -> MemoryBlocks:
    try:
        return _IN_MEMORY[token]
    except KeyError:
        raise ClusterError(
            "an array in memory can only be read by threads of its own process; for worker "
            "processes or a remote scheduler put it in a store (dasklasso ingest)"
        ) from None


def chunk_bounds(length: int, chunk: int) -> tuple[int, ...]:
    """Edges of regular chunks: ``chunk_bounds(10, 4) == (0, 4, 8, 10)``."""
    return (*range(0, length, chunk), length)


def chunk_lengths(bounds: tuple[int, ...]) -> tuple[int, ...]:
    """Lengths between edges: ``chunk_lengths((0, 4, 8, 10)) == (4, 4, 2)``."""
    return tuple(stop - start for start, stop in pairwise(bounds))
