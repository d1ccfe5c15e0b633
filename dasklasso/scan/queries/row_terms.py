"""What rows contribute at their predictions: residuals, and sums of losses.

Pure functions on arrays, of any namespace. X is not looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from dasklasso.backend import Array, Backend, device_of, namespace
from dasklasso.objective.loss_sums import LossSums
from dasklasso.objective.losses.base import Loss
from dasklasso.scan.rows import Rows

SUMS_AT_ONCE = 1 << 13  # predictions: few calls, on temporaries too small to be mapped and unmapped

# points may be tried whose predictions are beyond all numbers: the sums then say so, and no warning
beyond_numbers = np.errstate(over="ignore", invalid="ignore")


def row_arrays(
    rows: Rows, y_shift: np.ndarray, dtype: Any, backend: Backend
) -> tuple[Array, Array | None]:
    """The targets of some rows less ``y_shift`` (taken off in float64), and their weights."""
    assert rows.y is not None
    y = backend.asarray((rows.y - y_shift).astype(dtype))
    weight = None if rows.weight is None else backend.asarray(rows.weight.astype(dtype))
    return y, weight


def row_offsets(rows: Rows, dtype: Any, backend: Backend) -> Array | None:
    """Return the offsets of some rows, where they have any."""
    return None if rows.offset is None else backend.asarray(rows.offset.astype(dtype))


def targets_of(y: Array, targets: Sequence[int]) -> Array:
    """The target of each problem, (n_rows, n_problems), or (n_rows, 1) where there is only one."""
    if y.shape[1] == 1:
        return y
    xp = namespace(y)
    return xp.take(y, xp.asarray(list(targets), device=device_of(y)), axis=1)


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
