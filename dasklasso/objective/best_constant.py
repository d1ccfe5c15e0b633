"""The best constant: a convex function of one variable, by Newton's method within a bracket.

Press, Teukolsky, Vetterling and Flannery (2007), Numerical Recipes, section 9.4: a step that
leaves the bracket which the signs of slopes give, or did not halve the slope, is followed by a
bisection. Where there is no bracket yet, steps are limited to a reach that doubles.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dasklasso.errors import ValueFound
from dasklasso.objective.losses.base import Loss

MOST_ITERATIONS = 200
SETTLED_SLOPE = 1e-15  # of a slope, relative to the mean of the rows' slopes without their signs

# (4, n_targets): mean loss, its slope, its curvature, and the mean of |slope| of a row
Derivatives = Callable[[np.ndarray], np.ndarray]


def best_constant(derivatives: Derivatives, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the prediction, the same for every row, with the least mean loss.

    Parameters
    ----------
    derivatives : callable
        At (n_targets,) predictions: see :func:`row_derivatives`, of weights that sum to one.
    start : (n_targets,) finite

    Returns
    -------
    prediction, loss : (n_targets,)

    Raises
    ------
    ValueFound
        When the loss falls without end.
    """
    b = start
    low, high = np.full_like(b, -np.inf), np.full_like(b, np.inf)
    reach, before = 1.0 + np.abs(b), np.full_like(b, np.inf)
    done = np.zeros(b.shape, bool)
    for _ in range(MOST_ITERATIONS):
        value, slope, curvature, size = derivatives(b)
        done = done | (np.abs(slope) <= SETTLED_SLOPE * size)
        low, high = np.where(slope < 0, b, low), np.where(slope > 0, b, high)
        bracketed = np.isfinite(low) & np.isfinite(high)
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = np.where(curvature > 0, -slope / curvature, -np.sign(slope) * np.inf)
        following = b + np.clip(np.nan_to_num(newton, posinf=np.inf, neginf=-np.inf), -reach, reach)
        slow = (following <= low) | (following >= high) | (np.abs(slope) > 0.5 * before)
        with np.errstate(invalid="ignore"):
            middle = 0.5 * low + 0.5 * high
        following = np.where(bracketed & slow, middle, following)
        reach, before = np.where(bracketed, reach, 2.0 * reach), np.abs(slope)
        # no number lies between, or nearer
        done = done | (following == b) | (bracketed & ((following <= low) | (following >= high)))
        if done.all():
            return b, value
        b = np.where(done, b, following)
    worst = int(np.argmin(done))
    raise ValueFound(
        f"target {worst}: no constant is the best without features (the loss still falls at "
        f"{b[worst]:g}); expected targets that some constant fits"
    )


def row_derivatives(
    loss: Loss, prediction: np.ndarray, y: np.ndarray, weight: np.ndarray | None
) -> np.ndarray:
    """(5, n_targets): of some rows, what sums to a mean's :data:`Derivatives`, and the weight.

    Parameters
    ----------
    prediction : (n_targets,), or of each row
    y : (n_rows, n_targets) float64
    weight : (n_rows, 1) or None
    """
    p = prediction + np.zeros_like(y)
    value, slope = loss.value_and_gradient(p, y)
    terms = [value, slope, loss.curvature(p, y), np.abs(slope), np.ones_like(y)]
    return np.stack([np.sum(t if weight is None else weight * t, axis=0) for t in terms])
