"""Predictions whose bits depend on the row alone, not on the rows that are read with it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dasklasso.scan.columns.base import ColumnBlock

SLAB_VALUES = 1 << 18  # of the columns in use: they stay in the processor's cache


def row_sums(blocks: Sequence[ColumnBlock], coef: Sequence[np.ndarray]) -> np.ndarray:
    """``Xw`` of each row, added up feature by feature, in float64.

    BLAS adds in an order that depends on how many rows there are and on a row's place among them.
    Here the order is that of the features, so that a row has the same sum in whatever table.

    Parameters
    ----------
    blocks : left to right
    coef : arrays (width, n_targets), one for each block
        Features that are 0 for every target are not looked at.

    Returns
    -------
    (n_rows, n_targets) float64, C-contiguous
    """
    n_rows, n_targets = blocks[0].shape[0], coef[0].shape[1]
    used = [np.flatnonzero(weights.any(axis=1)) for weights in coef]
    some = [weights[features] for weights, features in zip(coef, used, strict=True)]
    step = max(1, SLAB_VALUES // max(1, n_targets, *(len(features) for features in used)))
    found = np.empty((n_rows, n_targets))
    for start in range(0, n_rows, step):
        stop = min(start + step, n_rows)
        total, term = np.zeros((2, n_targets, stop - start))
        for block, features, weights in zip(blocks, used, some, strict=True):
            slab = block.take_rows(slice(start, stop)).take_columns(features).dense()
            columns = np.ascontiguousarray(slab.T, dtype=np.float64)
            for values, weight in zip(columns, weights, strict=True):
                np.multiply(values, weight[:, None], out=term)
                total += term
        found[start:stop] = total.T
    return found
