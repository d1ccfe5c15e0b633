"""What a query does with the rows it is shown. Pure functions on arrays, of any namespace.

A kernel sees one row of blocks at a time and walks it in slabs: rows few enough that a slab read
from memory for the prediction is still in the cache for the gradient, and that a float32 product
over a slab is exact enough to be added up in float64.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dasklasso.backend import Array, Backend, dtype_of, namespace
from dasklasso.objective.losses import Loss

SLAB_BYTES = 2 << 20
SLAB_ROWS = (256, 2048)  # fewest: d x C sums are added once a slab; most: float32 sums stay short

# Columns of a frame: what turns stored columns into the standardised ones that solvers see
SHIFT, CENTRE, INVERSE_SCALE, L1, L2 = range(5)
FRAME_WIDTH = 5


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
    """

    start: int
    blocks: Sequence[np.ndarray]
    y: np.ndarray | None
    weight: np.ndarray | None

    @property
    def n_rows(self) -> int:
        return self.blocks[0].shape[0]


@dataclass(frozen=True)
class Weights:
    """Coefficients ready to meet stored columns.

    Attributes
    ----------
    columns : list of (width, n_points) arrays, one for each block of a row
    shifts : list of (width,) arrays, or None where blocks are used as they are stored
    constant : (n_points,)
        What shifting and centring add to every prediction.
    """

    columns: list[Array]
    shifts: list[Array] | None
    constant: Array


def weights_at(
    points: Array, frame: Array, widths: Sequence[int], dtype: Any, backend: Backend
) -> Weights:
    """Turn points in standardised coordinates into weights for stored columns.

    A standardised column is ``(x − centre) / scale``. It is computed as
    ``((x − shift) + (shift − centre)) / scale`` where the shift is exact in ``dtype``: blocks are
    shifted where mean >> std would cancel, and the rest goes into a constant, in float64.

    Parameters
    ----------
    points : (n_columns, n_points) float64
    frame : (n_columns, 5) float64
    widths : widths of the blocks of a row, adding up to n_columns
    """
    points, frame = backend.asarray(points), backend.asarray(frame)
    xp = namespace(points)
    scaled = points * frame[:, INVERSE_SCALE, None]
    constant = xp.sum((frame[:, SHIFT, None] - frame[:, CENTRE, None]) * scaled, axis=0)
    kind = dtype_of(xp, dtype)
    scaled = xp.astype(scaled, kind)
    shift = xp.astype(frame[:, SHIFT], kind)
    edges = np.concatenate([[0], np.cumsum(widths)]).tolist()
    cuts = list(itertools.pairwise(edges))
    shifted = bool(xp.any(shift != 0))
    return Weights(
        columns=[scaled[a:b, :] for a, b in cuts],
        shifts=[shift[a:b] for a, b in cuts] if shifted else None,
        constant=constant,
    )


def slabs(
    rows: Rows, shifts: list[Array] | None, dtype: Any, backend: Backend
) -> Iterator[tuple[int, int, list[Array]]]:
    """Walk a row of blocks: (first row, last row + 1, one array for each block) in ``dtype``.

    The arrays are good until the next step: a buffer is used again.
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
    height = slab_rows(sum(block.shape[1] for block in rows.blocks), np.dtype(dtype).itemsize)
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


def slab_rows(width: int, itemsize: int) -> int:
    """Rows of a slab whose rows hold ``width`` values."""
    return int(np.clip(SLAB_BYTES // max(1, width * itemsize), *SLAB_ROWS))


def _to_device(block: np.ndarray, shift: Array | None, dtype: Any, backend: Backend) -> Array:
    # small types travel as they are; the cast happens on the device
    native = block.astype(block.dtype.newbyteorder("="), copy=False)
    moved = backend.asarray(np.ascontiguousarray(native))
    xp = namespace(moved)
    moved = xp.astype(moved, dtype_of(xp, dtype))
    return moved if shift is None else moved - shift


def predict(blocks: Sequence[Array], columns: Sequence[Array]) -> Array:
    """``Σ_j X_j W_j`` over the blocks of a slab: (n_rows, n_points)."""
    prediction = blocks[0] @ columns[0]
    for block, weight in zip(blocks[1:], columns[1:], strict=True):
        prediction = prediction + block @ weight
    return prediction


def row_losses(
    prediction: Array, y: Array, weight: Array | None, loss: Loss, targets: Sequence[int]
) -> tuple[Array, Array]:
    """Loss and its derivative, from predictions of some rows.

    Parameters
    ----------
    prediction : (n_rows, n_points)
    y : (n_rows, n_targets)
    weight : (n_rows, 1) or None
    targets : the target of each of the first points; the points beyond are directions, whose
        curvature product is asked for instead of a gradient.

    Returns
    -------
    residual : (n_rows, n_points)
        Weighted dloss/dprediction; for directions the weighted prediction.
    sums : (3, n_points) float64
        Σ s·loss, Σ s·(dloss/dprediction), Σ s·(dloss/dprediction)².
    """
    xp = namespace(prediction)
    n_problems = len(targets)
    y = y if y.shape[1] == 1 else xp.take(y, xp.asarray(list(targets), device=_device(y)), axis=1)
    problems = prediction[:, :n_problems]
    residual = loss.gradient(problems, y)
    value = loss.value(problems, y)
    if n_problems < prediction.shape[1]:
        residual = xp.concat([residual, prediction[:, n_problems:]], axis=1)
        value = xp.concat([value, xp.zeros_like(prediction[:, n_problems:])], axis=1)
    weighted = residual if weight is None else residual * weight
    if weight is not None:
        value = value * weight
    f64 = xp.float64
    sums = xp.stack(
        [
            xp.sum(value, axis=0, dtype=f64),
            xp.sum(weighted, axis=0, dtype=f64),
            xp.sum(weighted * residual, axis=0, dtype=f64),
        ]
    )
    return weighted, sums


def _device(array: Array) -> Any:
    return None if isinstance(array, np.ndarray) else array.device


def gradient_rows(
    rows: Rows,
    weights: Weights,
    loss: Loss,
    targets: Sequence[int],
    y_shift: np.ndarray,
    dtype: Any,
    backend: Backend,
) -> tuple[Array, Array]:
    """Prediction, loss and gradient of some rows at several points, from one read.

    Returns
    -------
    gradient : (n_columns, n_points) float64
        ``(X − shift)ᵀ residual`` of the stored columns.
    sums : (3, n_points) float64
        As in :func:`row_losses`.
    """
    y, weight = row_arrays(rows, y_shift, dtype, backend)
    xp = namespace(weights.constant)
    constant = xp.astype(weights.constant, dtype_of(xp, dtype))
    total: list[Array] = []
    sums: Array = None
    for start, stop, blocks in slabs(rows, weights.shifts, dtype, backend):
        prediction = predict(blocks, weights.columns) + constant
        residual, more = row_losses(
            prediction,
            y[start:stop, :],
            None if weight is None else weight[start:stop, :],
            loss,
            targets,
        )
        products = [back_project(block, residual) for block in blocks]
        if sums is None:
            sums, total = more, [xp.astype(product, xp.float64) for product in products]
        else:
            sums = sums + more
            for accumulated, product in zip(total, products, strict=True):
                accumulated += product if backend.on_host else xp.astype(product, xp.float64)
    return (total[0] if len(total) == 1 else xp.concat(total, axis=0)), sums


def back_project(block: Array, residual: Array) -> Array:
    """``Xᵀ R`` of one slab: (width, n_points)."""
    return block.T @ residual


def row_arrays(
    rows: Rows, y_shift: np.ndarray, dtype: Any, backend: Backend
) -> tuple[Array, Array | None]:
    """The targets of some rows less ``y_shift`` (taken off in float64), and their weights."""
    assert rows.y is not None
    y = backend.asarray((rows.y - y_shift).astype(dtype))
    weight = None if rows.weight is None else backend.asarray(rows.weight.astype(dtype))
    return y, weight


def standardised_gradient(gradient: Array, sums: Array, frame: Array, total_weight: float) -> Array:
    """Gradient of stored, shifted columns → gradient of the mean loss in standardised columns."""
    xp = namespace(gradient)
    offset = frame[:, SHIFT, None] - frame[:, CENTRE, None]
    corrected = gradient + offset * xp.expand_dims(sums[1, :], axis=0)
    return corrected * (frame[:, INVERSE_SCALE, None] / total_weight)
