"""Reading bands: blocks from storage or from the worker's cache, with the rows' y and weights."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dasklasso.scan.block_cache import CACHE
from dasklasso.scan.columns.base import ColumnBlock
from dasklasso.scan.columns.dense import DenseBlock
from dasklasso.scan.layout import Layout
from dasklasso.scan.rows import Rows
from dasklasso.storage.blocks import BlockSource
from dasklasso.storage.side_by_side import SideBySide
from dasklasso.storage.zarr_blocks import ZarrBlocks, read_rows


@dataclass(frozen=True)
class Table:
    """What a worker needs to read a band: sources that pickle small, and how they are cut.

    Attributes
    ----------
    token : str
        Names the data in a worker's cache.
    X : blocks of (n_rows, n_features)
    y : blocks of (n_rows, n_targets), or None
    weight : blocks of (n_rows, 1), or None
    layout : Layout
    offset : blocks of (n_rows, 1), or None
    """

    token: str
    X: BlockSource
    y: BlockSource | None
    weight: BlockSource | None
    layout: Layout
    offset: BlockSource | None = None


@dataclass(frozen=True)
class Caching:
    """Which blocks a task keeps in its worker's memory.

    Attributes
    ----------
    budget : int
        Bytes that the worker's cache may hold.
    pin : bool
        Keep the blocks read for later scans.
    hold : bool
        Keep them until the same scan reads them again.
    """

    budget: int = 0
    pin: bool = False
    hold: bool = False


@dataclass
class Reader:
    """Reads the rows of bands of one part; counts the bytes it moves from storage."""

    table: Table
    part: int = 0
    caching: Caching = Caching()
    with_targets: bool = True
    bytes_read: int = 0

    def rows(self, band: int, *, forward: bool = True) -> Iterator[Rows]:
        """The rows of a band, one row of blocks at a time; the next one is asked for ahead."""
        first, stop = self.table.layout.bands[band]
        order = range(first, stop) if forward else range(stop - 1, first - 1, -1)
        for position, piece in enumerate(order):
            if position + 1 < len(order):
                self.read_ahead(order[position + 1])
            yield self._row_of_blocks(piece)

    def rows_between(self, start: int, stop: int) -> Iterator[Rows]:
        """Rows ``start`` to ``stop − 1``: of one row of blocks after the other, those wanted."""
        bounds = self.table.layout.row_bounds
        first, last = bisect_right(bounds, start) - 1, bisect_left(bounds, stop)
        for piece in range(first, last):
            if piece + 1 < last:
                self.read_ahead(piece + 1)
            before = self.bytes_read
            rows = self._row_of_blocks(piece)
            a, b = max(start, rows.start), min(stop, rows.start + rows.n_rows)
            if self.table.X.mapped:  # what is not looked at is not read
                self.bytes_read = before + (self.bytes_read - before) * (b - a) // rows.n_rows
            yield rows.between(a, b)

    def read_ahead(self, piece: int) -> None:
        """Tell storage that a piece is wanted soon."""
        for j in self._column_chunks():
            self.table.X.will_need(self.table.layout.row_chunks[piece], j)

    def columns(self, chunk: int, start: int, stop: int) -> list[np.ndarray]:
        """All rows of columns ``start`` to ``stop − 1``, which lie in one column chunk, by piece.

        Of mapped chunks only these columns are read.
        """
        first, last = self.table.X.column_bounds[chunk : chunk + 2]
        before = self.bytes_read
        pieces = range(len(self.table.layout.row_chunks))
        blocks = [self._block(piece, chunk, contiguous=False) for piece in pieces]
        if self.table.X.mapped:
            self.bytes_read = before + (self.bytes_read - before) * (stop - start) // (last - first)
        return [block[:, start - first : stop - first] for block in blocks]

    def _column_chunks(self) -> range:
        return range(*self.table.layout.parts[self.part])

    def _row_of_blocks(self, piece: int) -> Rows:
        blocks = [DenseBlock(self._block(piece, j)) for j in self._column_chunks()]
        if self.with_targets:
            return targets_only(self.table, piece, blocks)
        return Rows(self.table.layout.row_bounds[piece], blocks, None, None)

    def _block(self, piece: int, j: int, *, contiguous: bool = True) -> np.ndarray:
        layout, source = self.table.layout, self.table.X
        i = layout.row_chunks[piece]
        if source.mapped:
            start, stop = layout.row_bounds[piece : piece + 2]
            above, below = source.row_bounds[i : i + 2]
            self.bytes_read += source.stored_bytes(i, j) * (stop - start) // (below - above)
            if contiguous or not isinstance(source, ZarrBlocks | SideBySide):
                chunk = source.block(i, j)
            else:
                chunk = source.uncopied(i, j)
            return chunk[start - above : stop - above]
        key = (self.table.token, i, j)
        block = CACHE.get(key)
        if block is None:
            self.bytes_read += source.stored_bytes(i, j)
            block = source.block(i, j)
            if self.caching.pin:
                CACHE.pin(key, block, self.caching.budget)
            elif self.caching.hold:
                CACHE.hold(key, block, self.caching.budget)
        elif not self.caching.hold:
            CACHE.release(key)
        return block


def targets_only(table: Table, piece: int, blocks: Sequence[ColumnBlock] = ()) -> Rows:
    """Return the targets, weights and offsets of a piece, with ``blocks`` of X."""
    start, stop = table.layout.row_bounds[piece : piece + 2]
    y, weight, offset = table.y, table.weight, table.offset
    return Rows(
        start,
        blocks,
        None if y is None else read_rows(y, start, stop),
        None if weight is None else read_rows(weight, start, stop),
        None if offset is None else read_rows(offset, start, stop),
    )
