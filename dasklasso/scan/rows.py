"""Rows: a run of rows of X with what else is known of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Rows:
    """One row of blocks, and what else is known of these rows.

    Attributes
    ----------
    start : int
        Number of the first row.
    blocks : sequence of (n_rows, width) arrays on the host, left to right
    y : (n_rows, n_targets) float64 or None
    weight : (n_rows, 1) float64 or None
    offset : (n_rows, 1) float64 or None
        What is added to every prediction.
    """

    start: int
    blocks: Sequence[np.ndarray]
    y: np.ndarray | None
    weight: np.ndarray | None
    offset: np.ndarray | None = None

    @property
    def n_rows(self) -> int:
        return self.blocks[0].shape[0]

    def between(self, start: int, stop: int) -> Rows:
        """Rows ``start`` to ``stop − 1`` of the data; views."""
        return replace(self.those(slice(start - self.start, stop - self.start)), start=start)

    def those(self, chosen: slice | np.ndarray) -> Rows:
        """Some of the rows: views for a slice, copies for a (n_rows,) bool."""
        return Rows(
            self.start,
            [block[chosen] for block in self.blocks],
            None if self.y is None else self.y[chosen],
            None if self.weight is None else self.weight[chosen],
            None if self.offset is None else self.offset[chosen],
        )
