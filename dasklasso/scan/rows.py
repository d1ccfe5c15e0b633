"""Rows: a run of rows of X with what else is known of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dasklasso.scan.columns.base import ColumnBlock


@dataclass(frozen=True)
class Rows:
    """One row of blocks, and what else is known of these rows.

    Attributes
    ----------
    start : int
        Number of the first row.
    blocks : sequence of ColumnBlock, left to right
    y : (n_rows, n_targets) float64 or None
    weight : (n_rows, 1) float64 or None
    offset : (n_rows, 1) float64 or None
        What is added to every prediction.
    """

    start: int
    blocks: Sequence[ColumnBlock]
    y: np.ndarray | None
    weight: np.ndarray | None
    offset: np.ndarray | None = None

    @property
    def n_rows(self) -> int:
        return self.blocks[0].shape[0]

    @property
    def widths(self) -> list[int]:
        """Columns of each block."""
        return [block.width for block in self.blocks]

    def between(self, start: int, stop: int) -> Rows:
        """Rows ``start`` to ``stop − 1`` of the data; views."""
        return replace(self.take(slice(start - self.start, stop - self.start)), start=start)

    def take(self, chosen: slice | np.ndarray) -> Rows:
        """Some of the rows: views for a slice, copies for a mask or an index."""
        return Rows(
            self.start,
            [block.take_rows(chosen) for block in self.blocks],
            None if self.y is None else self.y[chosen],
            None if self.weight is None else self.weight[chosen],
            None if self.offset is None else self.offset[chosen],
        )

    @staticmethod
    def stacked(pieces: Sequence[Rows]) -> Rows:
        """Return the rows of consecutive pieces as those of one."""
        if len(pieces) == 1:
            return pieces[0]
        names = ("y", "weight", "offset")
        others = {name: [getattr(rows, name) for rows in pieces] for name in names}
        columns = zip(*(rows.blocks for rows in pieces), strict=True)
        return Rows(
            pieces[0].start,
            [type(blocks[0]).stacked(blocks) for blocks in columns],
            **{name: None if a[0] is None else np.concatenate(a) for name, a in others.items()},
        )
