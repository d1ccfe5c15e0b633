"""The model without features: from moments of the targets, or by reading y a few times, never X."""

from __future__ import annotations

import numpy as np

from dasklasso.errors import ValueFound
from dasklasso.objective.best_constant import best_constant, row_derivatives
from dasklasso.objective.losses.base import Loss
from dasklasso.scan import summation_tree
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.queries.column_moments import Moments
from dasklasso.scan.reader import targets_only


def null_model(
    engine: ScanEngine, loss: Loss, targets: Moments, *, fit_intercept: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The constant, added to the offsets where rows have any, with the least mean loss; that loss.

    Parameters
    ----------
    targets : Moments
        Of y, under the rows' weights.
    fit_intercept : bool
        Whether the constant is anything but 0.

    Returns
    -------
    constant : (n_targets,)
    loss : (n_targets,), exactly 0 for targets that a constant fits exactly

    Raises
    ------
    ValueFound
        When no constant is the best: the loss falls without end.
    """
    mean, variance = targets.mean, targets.variance
    known = loss.null_model(mean, variance, fit_intercept=fit_intercept)
    if known is None:
        fitted = (variance == 0) & fit_intercept
        known = loss.link(mean), np.where(fitted, 0.0, np.nan)
    start, least = known
    if fit_intercept and loss.n_outputs == 1:
        check_constant(start, mean)
    has_offset = engine.table.offset is not None
    if not has_offset and not np.any(np.isnan(least)):
        return known
    if not fit_intercept:
        zero = np.zeros_like(mean)
        return zero, _derivatives(engine, loss, zero)[0]
    constant, found = best_constant(lambda b: _derivatives(engine, loss, b), start)
    # beside offsets, a target that is always the same is not fitted by a constant
    return constant, found if has_offset else np.where(least == 0, 0.0, found)


def check_constant(constant: np.ndarray, mean: np.ndarray) -> None:
    """Refuse targets whose best constant is infinite: counts that are all 0, labels of one class.

    Raises
    ------
    ValueFound
    """
    beyond = np.flatnonzero(~np.isfinite(constant))
    if beyond.size:
        raise ValueFound(
            f"target {beyond[0]} is {mean[beyond[0]]:g} in every row of positive sample_weight: "
            "its intercept has no finite best value; expected at least two different values"
        )


def _derivatives(engine: ScanEngine, loss: Loss, b: np.ndarray) -> np.ndarray:
    """(4, n_targets) means over rows, added along the fixed tree."""
    n = len(engine.layout.row_bounds) - 1
    partials: summation_tree.Partials[np.ndarray] = {}
    for i in range(n):
        rows = targets_only(engine.table, i)
        assert rows.y is not None
        y = np.asarray(rows.y, dtype=np.float64)
        prediction = b if rows.offset is None else b + rows.offset
        found = row_derivatives(loss, prediction, y, rows.weight)
        summation_tree.add_leaf(partials, i, found, n, np.add)
    total = summation_tree.root(partials, n)
    return total[:-1] / total[-1]
