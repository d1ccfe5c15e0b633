"""Offsets taken off the targets: what squared loss makes of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dasklasso.dataset.dataset import Dataset
from dasklasso.dataset.labels.class_codes import derived_fingerprint
from dasklasso.storage.blocks import BlockSource, Derived
from dasklasso.storage.zarr_blocks import read_rows


class LessOffset(Derived):
    """Targets less their row's offset, float64. Pickles small.

    Parameters
    ----------
    source : BlockSource, (n_rows, n_targets)
    offset : BlockSource, (n_rows, 1)
    """

    def __init__(self, source: BlockSource, offset: BlockSource) -> None:
        super().__init__(source)
        self.offset = offset

    def block(self, i: int, j: int) -> np.ndarray:
        """Block (i, j) of the source, less the offsets of its rows."""
        offset = read_rows(self.offset, self.row_bounds[i], self.row_bounds[i + 1])
        return np.ascontiguousarray(self.source.block(i, j) - offset)


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
