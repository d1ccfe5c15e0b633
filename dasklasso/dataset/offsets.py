"""Offsets taken off the targets: what squared loss makes of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dasklasso.dataset.blocks import BlockSource
from dasklasso.dataset.classes import derived_fingerprint
from dasklasso.dataset.dataset import Dataset
from dasklasso.dataset.zarrblocks import read_rows


class LessOffset:
    """Targets less their row's offset, float64. Pickles small.

    Parameters
    ----------
    source : BlockSource, (n_rows, n_targets)
    offset : BlockSource, (n_rows, 1)
    """

    dtype = np.dtype(np.float64)
    mapped = False

    def __init__(self, source: BlockSource, offset: BlockSource) -> None:
        self.source, self.offset = source, offset
        self.shape = source.shape
        self.row_bounds, self.column_bounds = source.row_bounds, source.column_bounds

    def block(self, i: int, j: int) -> np.ndarray:
        """Block (i, j) of the source, less the offsets of its rows."""
        offset = read_rows(self.offset, self.row_bounds[i], self.row_bounds[i + 1])
        return np.ascontiguousarray(self.source.block(i, j) - offset)

    def will_need(self, i: int, j: int) -> None:
        self.source.will_need(i, j)

    def stored_bytes(self, i: int, j: int) -> int:
        return self.source.stored_bytes(i, j)


def less_offset(data: Dataset) -> Dataset:
    """The data with offsets taken off the targets, which is all that squared loss sees of them."""
    if data.offset is None or data.y is None:
        return data
    return replace(
        data,
        y=LessOffset(data.y, data.offset),
        offset=None,
        fingerprint=derived_fingerprint(data, "targets less offsets", None),
    )
