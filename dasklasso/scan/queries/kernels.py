"""What a query does with the rows it is shown. Pure functions on arrays, of any namespace.

A kernel sees one row of blocks at a time and walks it in slabs: rows few enough that a slab read
from memory for the prediction is still in the cache for the gradient, and that a float32 product
over a slab is exact enough to be added up in float64.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dasklasso.backend import Array, Backend, device_of, dtype_of, namespace
from dasklasso.objective.loss_sums import LossSums
from dasklasso.objective.losses.base import Loss
from dasklasso.scan.frame import Frame
from dasklasso.scan.rows import Rows

SLAB_BYTES = (
    4 << 20
)  # of one block: a slab stays in the cache between its prediction and its gradient
SLAB_PRODUCTS = 1_000_000  # up to so many, BLAS multiplies in place; beyond, it copies X first
SUMS_AT_ONCE = 1 << 13  # predictions: few calls, on temporaries too small to be mapped and unmapped
FEW_POINTS, FEW_USED = 16, 0.6  # so many points, and at most that share of columns in use
SLAB_ROWS = (256, 4096)  # fewest: a slab costs a few calls; most: float32 sums stay short


# points may be tried whose predictions are beyond all numbers: the sums then say so, and no warning
beyond_numbers = np.errstate(over="ignore", invalid="ignore")


@dataclass(frozen=True)
class Weights:
    """Coefficients ready to meet stored columns.

    Attributes
    ----------
    columns : list of (width, n_points) arrays, one for each block of a row
        Only those rows of them that ``used`` names, where it does.
    shifts : list of (width,) arrays, or None where blocks are used as they are stored
    constant : (n_points,)
        What shifting and centring add to every prediction.
    used : list of (n_used,) int, or None for all
        Columns of each block that some point uses, where few are.
    """

    columns: list[Array]
    shifts: list[Array] | None
    constant: Array
    used: list[np.ndarray | None]


@beyond_numbers
def weights_at(
    points: Array, frame: Frame, widths: Sequence[int], dtype: Any, backend: Backend
) -> Weights:
    """Turn points in standardised coordinates into weights for stored columns.

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
    columns: list[Array] = []
    used: list[np.ndarray | None] = []
    for a, b in itertools.pairwise(edges):
        some = _few_used(scaled[a:b, :]) if backend.on_host else None
        used.append(some)
        columns.append(scaled[a:b, :] if some is None else scaled[a:b, :][some])
    shifted = bool(xp.any(shift != 0))
    return Weights(
        columns=columns,
        shifts=[shift[a:b] for a, b in itertools.pairwise(edges)] if shifted else None,
        constant=constant,
        used=used,
    )


def _few_used(points: np.ndarray) -> np.ndarray | None:
    """Columns that some point uses, if gathering them costs less than multiplying by zeros."""
    width, n_points = points.shape
    if n_points < FEW_POINTS:
        return None
    used = np.flatnonzero(points.any(axis=1))
    return used if len(used) <= FEW_USED * width else None


def slabs(
    rows: Rows, shifts: list[Array] | None, dtype: Any, backend: Backend, n_points: int = 1
) -> Iterator[tuple[int, int, list[Array]]]:
    """Walk a row of blocks: (first row, last row + 1, one array for each block) in ``dtype``.

    The arrays are good until the next step: a buffer is used again. ``n_points`` is the number of
    weight columns that a slab is going to meet.
    """
    if not backend.on_host:  # a device has no cache to be kind to: one slab
        yield (
            0,
            rows.n_rows,
            [
                _to_device(block, None if shifts is None else shifts[j], dtype, backend)
                for j, block in enumerate(rows.blocks)
            ],
        )
        return
    height = slab_rows([block.shape[1] for block in rows.blocks], np.dtype(dtype), n_points)
    plain = shifts is None and all(block.dtype == dtype for block in rows.blocks)
    buffers = (
        [] if plain else [np.empty((min(height, len(b)), b.shape[1]), dtype) for b in rows.blocks]
    )
    for start in range(0, rows.n_rows, height):
        stop = min(start + height, rows.n_rows)
        cut = [block[start:stop] for block in rows.blocks]
        if not plain:
            for j, (slab, buffer) in enumerate(zip(cut, buffers, strict=True)):
                out = buffer[: stop - start]
                if shifts is None:
                    np.copyto(out, slab, casting="unsafe")
                else:
                    np.subtract(slab, shifts[j], out=out, casting="unsafe")
                cut[j] = out
        yield start, stop, cut


def slab_rows(widths: Sequence[int], dtype: np.dtype, n_points: int = 1) -> int:
    """Rows of a slab over blocks of these widths, which meets ``n_points`` weight columns."""
    fewest, most = SLAB_ROWS
    rows = max(fewest, min(most, SLAB_BYTES // (max(widths) * dtype.itemsize)))
    in_place = SLAB_PRODUCTS // (max(widths) * n_points)
    return min(rows, in_place) if n_points > 1 and in_place >= fewest - 6 else rows


def _to_device(block: np.ndarray, shift: Array | None, dtype: Any, backend: Backend) -> Array:
    # small types travel as they are; the cast happens on the device
    native = block.astype(block.dtype.newbyteorder("="), copy=False)
    moved = backend.asarray(np.ascontiguousarray(native))
    xp = namespace(moved)
    moved = xp.astype(moved, dtype_of(xp, dtype))
    return moved if shift is None else moved - shift


def predict(
    blocks: Sequence[Array],
    columns: Sequence[Array],
    used: Sequence[np.ndarray | None] | None = None,
) -> Array:
    """``Σ_j X_j W_j`` over the blocks of a slab: (n_rows, n_points).

    Parameters
    ----------
    columns, used : as in :class:`Weights`
    """
    prediction = None
    for j, (block, weight) in enumerate(zip(blocks, columns, strict=True)):
        some = None if used is None else used[j]
        if some is not None:
            block = np.take(block, some, axis=1)
        part = block @ weight
        prediction = part if prediction is None else prediction + part
    return prediction


def residuals(
    prediction: Array,
    y: Array,
    weight: Array | None,
    loss: Loss,
    n_problems: int,
    offset: Array | None = None,
) -> Array:
    """Weighted dloss/dprediction of some rows: (n_rows, n_points).

    Parameters
    ----------
    prediction : (n_rows, n_points)
        Beyond the first ``n_problems`` columns: directions, whose curvature product is asked for
        instead of a gradient. Their residual is the weighted prediction.
    y : (n_rows, n_problems) or (n_rows, 1)
    weight : (n_rows, 1) or None
    offset : (n_rows, 1) or None, added to predictions, not to directions
    """
    # a loss with many temporaries takes few rows at a time: see SUMS_AT_ONCE
    n_rows, n_points = prediction.shape
    height = max(1, SUMS_AT_ONCE // n_points)
    costly = isinstance(prediction, np.ndarray) and not loss.quadratic
    if costly and n_rows >= 2 * height:
        out = np.empty_like(prediction)
        for i in range(0, n_rows, height):
            part = None if weight is None else weight[i : i + height]
            some = prediction[i : i + height]
            more = None if offset is None else offset[i : i + height]
            out[i : i + height] = residuals(some, y[i : i + height], part, loss, n_problems, more)
        return out
    xp = namespace(prediction)
    problems = by_output(_with_offset(prediction[:, :n_problems], offset), loss)
    residual = xp.reshape(loss.gradient(problems, y), (-1, n_problems))
    if n_problems < prediction.shape[1]:
        residual = xp.concat([residual, prediction[:, n_problems:]], axis=1)
    return residual if weight is None else residual * weight


def _with_offset(prediction: Array, offset: Array | None) -> Array:
    return prediction if offset is None else prediction + offset


def by_output(prediction: Array, loss: Loss) -> Array:
    """Predictions as a loss of several outputs takes them, these apart on the last axis."""
    if loss.n_outputs == 1:
        return prediction
    return namespace(prediction).reshape(prediction, (prediction.shape[0], -1, loss.n_outputs))


@beyond_numbers
def loss_sums(
    prediction: Array,
    y: Array,
    weight: Array | None,
    loss: Loss,
    n_problems: int,
    offset: Array | None = None,
) -> LossSums:
    """Sums over some rows at their predictions (n_rows, n_points).

    A loss of several outputs is summed again in the column of each. Sums of directions are zero,
    but for the slope: Σ s·prediction, which centring needs. Terms are of the prediction's
    precision, sums are added in float64.

    With offsets o the loss of a prediction p is f(p + o), whose conjugate is f*(u) − u o: what is
    multiplied by a prediction in a certificate is multiplied by p, without the offset.
    """
    n_rows, n_points = prediction.shape
    height = max(1, SUMS_AT_ONCE // n_points)
    known = (y, weight, loss, n_problems, offset)
    if not isinstance(prediction, np.ndarray) or n_rows < 2 * height:
        return _loss_sums(prediction, *known)
    total = None
    for i in range(0, n_rows, height):
        rows = slice(i, i + height)
        some = _loss_sums(
            prediction[rows],
            y[rows],
            None if weight is None else weight[rows],
            loss,
            n_problems,
            None if offset is None else offset[rows],
        )
        total = some if total is None else total + some
    assert total is not None
    return total


def _loss_sums(
    prediction: Array,
    y: Array,
    weight: Array | None,
    loss: Loss,
    n_problems: int,
    offset: Array | None,
) -> LossSums:
    xp = namespace(prediction)
    problems = prediction[:, :n_problems]
    value, slope, *more = loss.terms(by_output(_with_offset(problems, offset), loss), y)
    slope = xp.reshape(slope, problems.shape)
    terms = [value, slope, slope * slope, *more]
    if len(more) > 1:
        slack = more[1]
        terms += [slack * problems, slack * slack]
    share = xp.ones_like(prediction[:, :1]) if weight is None else weight
    share = xp.astype(share, xp.float64).T
    found = [(share @ xp.astype(term, xp.float64))[0, :] for term in terms]
    if loss.n_outputs > 1:
        found = [xp.repeat(one, n_problems // one.shape[0]) for one in found]
    sums = LossSums(*found)
    if n_problems == prediction.shape[1]:
        return sums
    rest = (share @ xp.astype(prediction[:, n_problems:], xp.float64))[0, :]
    directions = replace(sums.map(lambda one: xp.zeros_like(rest)), slope=rest)
    return LossSums.concatenate([sums, directions])


def targets_of(y: Array, targets: Sequence[int]) -> Array:
    """The target of each problem, (n_rows, n_problems), or (n_rows, 1) where there is only one."""
    if y.shape[1] == 1:
        return y
    xp = namespace(y)
    return xp.take(y, xp.asarray(list(targets), device=device_of(y)), axis=1)


@beyond_numbers
def gradient_rows(
    rows: Rows,
    weights: Weights,
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
    xp = namespace(weights.constant)
    constant = xp.astype(weights.constant, dtype_of(xp, dtype))
    pending: list[Array] = []  # predictions whose sums are still to be taken
    first: int = 0
    sums: LossSums | None = None
    totals: list[Array] = []
    for start, stop, blocks in slabs(rows, weights.shifts, dtype, backend, constant.shape[0]):
        prediction = predict(blocks, weights.columns, weights.used) + constant
        part = None if weight is None else weight[start:stop, :]
        some = None if offset is None else offset[start:stop, :]
        residual = residuals(prediction, y[start:stop, :], part, loss, n_problems, some)
        products = [back_project(block, residual) for block in blocks]
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
    return (totals[0] if len(totals) == 1 else xp.concat(totals, axis=1)).T, sums


def back_project(block: Array, residual: Array) -> Array:
    """``(Xᵀ R)ᵀ`` of one slab: (n_points, width), the way round that BLAS is fastest."""
    return residual.T @ block


def row_arrays(
    rows: Rows, y_shift: np.ndarray, dtype: Any, backend: Backend
) -> tuple[Array, Array | None]:
    """The targets of some rows less ``y_shift`` (taken off in float64), and their weights."""
    assert rows.y is not None
    y = backend.asarray((rows.y - y_shift).astype(dtype))
    weight = None if rows.weight is None else backend.asarray(rows.weight.astype(dtype))
    return y, weight


def row_offsets(rows: Rows, dtype: Any, backend: Backend) -> Array | None:
    """The offsets of some rows, where they have any."""
    return None if rows.offset is None else backend.asarray(rows.offset.astype(dtype))


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
