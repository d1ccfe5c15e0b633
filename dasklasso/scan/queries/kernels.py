"""Predictions and gradients at several points, for queries. Pure functions, of any namespace.

A kernel sees one row of blocks at a time and walks it in slabs
(:mod:`dasklasso.scan.slabs`).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dasklasso.backend import Array, Backend, dtype_of, namespace
from dasklasso.objective.loss_sums import LossSums
from dasklasso.objective.losses.base import Loss
from dasklasso.scan.columns.base import ColumnBlock
from dasklasso.scan.frame import Frame
from dasklasso.scan.queries.row_terms import (
    SUMS_AT_ONCE,
    beyond_numbers,
    loss_sums,
    residuals,
    row_arrays,
    row_offsets,
    targets_of,
)
from dasklasso.scan.rows import Rows
from dasklasso.scan.slabs import slabs

FEW_POINTS, FEW_USED = 16, 0.6  # so many points, and at most that share of columns in use


@dataclass(frozen=True)
class StoredPoints:
    """Points in the coordinates of stored columns, ready to be multiplied.

    Attributes
    ----------
    coef : list of (width, n_points) arrays, one for each block of a row
        Only those rows of them that ``used`` names, where it does.
    shifts : list of (width,) arrays, or None where blocks are used as they are stored
    constant : (n_points,)
        What shifting and centring add to every prediction.
    used : list of (n_used,) int, or None for all
        Columns of each block that some point uses, where few are.
    """

    coef: list[Array]
    shifts: list[Array] | None
    constant: Array
    used: list[np.ndarray | None]


@beyond_numbers
def stored_points(
    points: Array, frame: Frame, widths: Sequence[int], dtype: Any, backend: Backend
) -> StoredPoints:
    """Turn points in standardised coordinates into those for stored columns.

    A standardised column is ``(x − centre) / scale``. It is computed as
    ``((x − shift) + (shift − centre)) / scale`` where the shift is exact in ``dtype``: blocks are
    shifted where mean >> std would cancel, and the rest goes into a constant, in float64.

    Parameters
    ----------
    points : (n_columns, n_points) float64
    frame : Frame of the columns
    widths : widths of the blocks of a row, adding up to n_columns
    """
    points, frame = backend.asarray(points), frame.on(backend)
    xp = namespace(points)
    scaled = points * frame.inverse_scale[:, None]
    constant = xp.sum((frame.shift[:, None] - frame.centre[:, None]) * scaled, axis=0)
    kind = dtype_of(xp, dtype)
    scaled = xp.astype(scaled, kind)
    shift = xp.astype(frame.shift, kind)
    edges = np.concatenate([[0], np.cumsum(widths)]).tolist()
    coef: list[Array] = []
    used: list[np.ndarray | None] = []
    for a, b in itertools.pairwise(edges):
        some = _few_used(scaled[a:b, :]) if backend.on_host else None
        used.append(some)
        coef.append(scaled[a:b, :] if some is None else scaled[a:b, :][some])
    shifted = bool(xp.any(shift != 0))
    return StoredPoints(
        coef=coef,
        shifts=[shift[a:b] for a, b in itertools.pairwise(edges)] if shifted else None,
        constant=constant,
        used=used,
    )


def unscaled_points(coef: np.ndarray, widths: Sequence[int], backend: Backend) -> StoredPoints:
    """Coefficients (n_columns, n_points) of stored columns as they are, float64."""
    edges = np.concatenate([[0], np.cumsum(widths)]).tolist()
    parts = [backend.asarray(coef[a:b]) for a, b in itertools.pairwise(edges)]
    return StoredPoints(parts, None, backend.asarray(np.zeros(coef.shape[1])), [None] * len(parts))


def _few_used(points: np.ndarray) -> np.ndarray | None:
    """Columns that some point uses, if gathering them costs less than multiplying by zeros."""
    width, n_points = points.shape
    if n_points < FEW_POINTS:
        return None
    used = np.flatnonzero(points.any(axis=1))
    return used if len(used) <= FEW_USED * width else None


def predict(blocks: Sequence[ColumnBlock], points: StoredPoints) -> Array:
    """``Σ_j X_j W_j`` over the blocks of a slab, without the constant: (n_rows, n_points)."""
    prediction = None
    for block, coef, some in zip(blocks, points.coef, points.used, strict=True):
        part = (block if some is None else block.take_columns(some)).times(coef)
        prediction = part if prediction is None else prediction + part
    return prediction


@beyond_numbers
def gradient_rows(
    rows: Rows,
    points: StoredPoints,
    loss: Loss,
    targets: Sequence[int],
    y_shift: np.ndarray,
    dtype: Any,
    backend: Backend,
) -> tuple[Array, LossSums]:
    """Prediction, loss and gradient of some rows at several points, from one read.

    Returns
    -------
    gradient : (n_columns, n_points) float64
        ``(X − shift)ᵀ residual`` of the stored columns.
    sums : LossSums
        As in :func:`loss_sums`.
    """
    y, weight = row_arrays(rows, y_shift, dtype, backend)
    y, n_problems = targets_of(y, targets), len(targets)
    offset = row_offsets(rows, dtype, backend)
    xp = namespace(points.constant)
    constant = xp.astype(points.constant, dtype_of(xp, dtype))
    pending: list[Array] = []  # predictions whose sums are still to be taken
    first: int = 0
    sums: LossSums | None = None
    totals: list[Array] = []
    for start, stop, blocks in slabs(rows, points.shifts, dtype, backend, constant.shape[0]):
        prediction = predict(blocks, points) + constant
        part = None if weight is None else weight[start:stop, :]
        some = None if offset is None else offset[start:stop, :]
        residual = residuals(prediction, y[start:stop, :], part, loss, n_problems, some)
        products = [block.transposed_times(residual) for block in blocks]
        if not totals:
            totals = [xp.astype(product, xp.float64) for product in products]
        else:
            for total, product in zip(totals, products, strict=True):
                total += product if backend.on_host else xp.astype(product, xp.float64)
        pending.append(prediction)
        if (stop - first) * constant.shape[0] >= SUMS_AT_ONCE or stop == rows.n_rows:
            whole = pending[0] if len(pending) == 1 else xp.concat(pending, axis=0)
            part = None if weight is None else weight[first:stop, :]
            some = None if offset is None else offset[first:stop, :]
            more = loss_sums(whole, y[first:stop, :], part, loss, n_problems, some)
            sums = more if sums is None else sums + more
            pending, first = [], stop
    assert sums is not None
    return totals[0] if len(totals) == 1 else xp.concat(totals, axis=0), sums


@beyond_numbers
def standardised_gradient(
    gradient: Array, sums: LossSums, frame: Frame, total_weight: Array | float
) -> Array:
    """Gradient of stored, shifted columns → gradient of the mean loss in standardised columns.

    Parameters
    ----------
    total_weight : of the rows; (n_points,) where points are of different rows
    """
    xp = namespace(gradient)
    offset = frame.shift[:, None] - frame.centre[:, None]
    corrected = gradient + offset * xp.expand_dims(sums.slope, axis=0)
    return corrected * (frame.inverse_scale[:, None] / total_weight)
