"""The model without features: from moments of the targets, or by reading y a few times, never X."""

from __future__ import annotations

import numpy as np

from dasklasso.objective.best_constant import best_constant, row_derivatives
from dasklasso.objective.losses.base import Loss
from dasklasso.objective.losses.squared import constant_but_for_rounding
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
    loss : (n_targets,), exactly 0 for targets that leave nothing to fit; where there are such,
        NaN for others whose loss would have to be searched for

    Raises
    ------
    ValueFound
        When the loss falls without end.
    """
    mean, variance = targets.mean, targets.squares / targets.weight
    known = loss.null_model(mean, variance, fit_intercept=fit_intercept)
    if known is None:
        nothing = constant_but_for_rounding(mean, variance) & fit_intercept
        known = loss.link(mean), np.where(nothing, 0.0, np.nan)
    start, least = known
    searched = engine.table.offset is not None or np.any(np.isnan(least))
    if not searched or np.any(least == 0):  # nothing to fit: refused by name
        return known
    if not fit_intercept:
        zero = np.zeros_like(mean)
        return zero, _derivatives(engine, loss, zero)[0]
    return best_constant(lambda b: _derivatives(engine, loss, b), start)


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
