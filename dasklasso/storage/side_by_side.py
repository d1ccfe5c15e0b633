"""Two tables of the same rows as one: columns of a large one, then those of a small one."""

from __future__ import annotations

import numpy as np

from dasklasso.storage.blocks import BlockSource
from dasklasso.storage.zarr_blocks import ZarrBlocks, read_rows


class SideBySide:
    """The blocks of a table, and one column of blocks more: all columns of another table.

    A block has the type of the table that it is of; ``dtype`` holds the values of both.

    Parameters
    ----------
    left : BlockSource, (n_rows, d)
        Its row chunks are those of both.
    right : BlockSource, (n_rows, c) float32 or float64
    """

    def __init__(self, left: BlockSource, right: BlockSource) -> None:
        self.left, self.right = left, right
        self.shape = (left.shape[0], left.shape[1] + right.shape[1])
        self.dtype = np.result_type(left.dtype, right.dtype)
        self.row_bounds = left.row_bounds
        self.column_bounds = (*left.column_bounds, self.shape[1])
        self.mapped = left.mapped and right.mapped

    def block(self, i: int, j: int) -> np.ndarray:
        if self._is_left(j):
            return self.left.block(i, j)
        rows = read_rows(self.right, *self.row_bounds[i : i + 2])
        return np.ascontiguousarray(rows)

    def uncopied(self, i: int, j: int) -> np.ndarray:
        """Block (i, j), which need not be contiguous."""
        if self._is_left(j) and isinstance(self.left, ZarrBlocks):
            return self.left.uncopied(i, j)
        return self.block(i, j)

    def will_need(self, i: int, j: int) -> None:
        if self._is_left(j):
            self.left.will_need(i, j)

    def stored_bytes(self, i: int, j: int) -> int:
        if self._is_left(j):
            return self.left.stored_bytes(i, j)
        start, stop = self.row_bounds[i : i + 2]
        return (stop - start) * self.right.shape[1] * self.right.dtype.itemsize

    def _is_left(self, j: int) -> bool:
        return j < len(self.left.column_bounds) - 1
