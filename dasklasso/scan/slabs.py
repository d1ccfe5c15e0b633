"""Slabs: rows few enough that what is read for a prediction is still cached for the gradient.

A float32 product over a slab is also exact enough to be added up in float64.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from dasklasso.backend import Array, Backend
from dasklasso.scan.columns.base import ColumnBlock
from dasklasso.scan.rows import Rows

SLAB_BYTES = 4 << 20  # of one block: a slab stays in the cache from prediction to gradient
SLAB_PRODUCTS = 1_000_000  # up to so many, BLAS multiplies in place; beyond, it copies X first
SLAB_ROWS = (256, 4096)  # fewest: a slab costs a few calls; most: float32 sums stay short


def slabs(
    rows: Rows, shifts: Sequence[Array] | None, dtype: Any, backend: Backend, n_points: int = 1
) -> Iterator[tuple[int, int, Sequence[ColumnBlock]]]:
    """Walk some rows: (first row, last row + 1, one block for each of theirs) in ``dtype``.

    The blocks are good until the next step.

    Parameters
    ----------
    shifts : for each block (width,) what is taken off its rows, or None
    n_points : coefficient columns that a slab is going to meet
    """
    # a device has no cache to be kind to: one slab
    height = slab_rows(rows.widths, np.dtype(dtype), n_points) if backend.on_host else rows.n_rows
    walks = [
        block.slabs(height, np.dtype(dtype), backend, None if shifts is None else shifts[j])
        for j, block in enumerate(rows.blocks)
    ]
    for start, blocks in zip(range(0, rows.n_rows, height), zip(*walks, strict=True), strict=True):
        yield start, min(start + height, rows.n_rows), blocks


def slab_rows(widths: Sequence[int], dtype: np.dtype, n_points: int = 1) -> int:
    """Rows of a slab over blocks of these widths, which meets ``n_points`` coefficient columns."""
    fewest, most = SLAB_ROWS
    rows = max(fewest, min(most, SLAB_BYTES // (max(widths) * dtype.itemsize)))
    in_place = SLAB_PRODUCTS // (max(widths) * n_points)
    return min(rows, in_place) if n_points > 1 and in_place >= fewest - 6 else rows
