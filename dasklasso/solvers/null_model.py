"""The model without features where rows have offsets: an intercept per target, by Newton's method.

Each iteration reads y, the weights and the offsets once, never X.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dasklasso.errors import ValueFound
from dasklasso.objective.losses import Loss
from dasklasso.scan import tree
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.reading import targets_only

MOST_ITERATIONS = 100
SETTLED = 1e-15  # of Newton's decrement, relative to the loss: f − f* is about half of it
LONGEST_STEP = 5.0  # of the intercept: curvature far away may say nothing of that nearer


def null_model_with_offsets(
    engine: ScanEngine, loss: Loss, start: np.ndarray, *, fit_intercept: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The best constant b to add to the offsets o, and ``Σ s f(b + o, y) / Σ s`` there.

    Newton's method on each target's convex function of one variable, with the bracket that the
    signs of the slopes give: a step out of it is a bisection instead (Press et al., 2007,
    Numerical Recipes, section 9.4).

    Parameters
    ----------
    start : (n_targets,) where to begin
    fit_intercept : bool
        Whether b is anything but 0.

    Returns
    -------
    intercept, loss : (n_targets,)

    Raises
    ------
    ValueFound
        There is no best constant.
    """
    b = np.where(np.isfinite(start), start, 0.0) if fit_intercept else np.zeros_like(start)
    low, high = np.full_like(b, -np.inf), np.full_like(b, np.inf)
    for _ in range(MOST_ITERATIONS):
        value, slope, curvature = _derivatives(engine, loss, b)
        flat = (slope == 0) | (slope**2 <= SETTLED * np.abs(value) * curvature)
        if not fit_intercept or flat.all():
            return b, value
        low, high = np.where(slope < 0, b, low), np.where(slope > 0, b, high)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = np.clip(-slope / curvature, -LONGEST_STEP, LONGEST_STEP)
        step = np.where(curvature > 0, step, -np.sign(slope) * LONGEST_STEP)
        following = b + step
        bracketed = np.isfinite(low) & np.isfinite(high)
        middle = np.where(bracketed, 0.5 * low + 0.5 * np.where(bracketed, high, 0.0), following)
        following = np.where((following <= low) | (following >= high), middle, following)
        if np.all(flat | (following == b)):
            return b, value
        b = np.where(flat, b, following)
    worst = int(np.argmax(np.abs(b)))
    raise ValueFound(
        f"target {worst}: the model without features has no intercept beside the offsets (at "
        f"{b[worst]:g} it is still growing); expected targets and offsets that some constant fits"
    )


def _derivatives(
    engine: ScanEngine, loss: Loss, b: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean loss, slope and curvature in b, each (n_targets,), added along the fixed tree."""
    n = len(engine.layout.row_bounds) - 1
    partials: tree.Partials[np.ndarray] = {}
    for i, leaf in enumerate(_leaves(engine, loss, b)):
        tree.add_leaf(partials, i, leaf, n, np.add)
    total = tree.root(partials, n)
    return total[0] / total[3], total[1] / total[3], total[2] / total[3]


def _leaves(engine: ScanEngine, loss: Loss, b: np.ndarray) -> Iterator[np.ndarray]:
    for i in range(len(engine.layout.row_bounds) - 1):
        rows = targets_only(engine.table, i)
        assert rows.y is not None
        assert rows.offset is not None
        y = np.asarray(rows.y, dtype=np.float64)
        prediction = b + rows.offset
        share = np.ones((len(y), 1)) if rows.weight is None else rows.weight
        value, slope = loss.value_and_gradient(prediction, y)
        terms = [value, slope, loss.curvature(prediction, y), np.ones_like(y)]
        yield np.stack([np.sum(share * term, axis=0) for term in terms])
