"""Rows taken out of moments: what is left of them, told from what is only rounding."""

from __future__ import annotations

import numpy as np

from dasklasso.errors import ValueFound
from dasklasso.scan.cross_moments import CrossMoments

_EPS = float(np.finfo(np.float64).eps)
_ROUNDING = 1e-13  # of the largest squares so far: less than this is not data
_IMPOSSIBLE = 1e-9  # below zero by more than this of them, other rows were in


def take_out(before: CrossMoments, old: CrossMoments, peak: np.ndarray) -> CrossMoments:
    """Moments without some of their rows; columns of which only rounding is left have zeros.

    A sum of squares is as exact as the largest that went through it allows: taking rows out
    leaves the rounding of what was merged before. Where means are far from zero, they are rounded
    too, by ``eps |mean|``, which the steps between means multiply.

    Parameters
    ----------
    before, old : CrossMoments
        Of the rows that are in, and of those to take out.
    peak : (n_features + n_targets,) float64
        The largest squares of each column so far.

    Raises
    ------
    ValueFound
        Rows were to be taken out that cannot have been in.
    """
    try:
        after = before.without(old)
    except ValueError as error:
        raise ValueFound(f"these rows were not all in: {error}") from error
    left = np.diagonal(after.products)
    means = np.maximum(np.abs(before.mean), np.abs(old.mean))
    of_means = 4 * _EPS * means * np.sqrt(peak * max(before.weight, 0.0))
    wrong = left < -(_IMPOSSIBLE * peak + 4 * of_means)
    if wrong.any():
        j = int(wrong.argmax())
        column = f"feature {j}" if j < before.n_features else f"target {j - before.n_features}"
        raise ValueFound(
            f"these rows were not all in: without them the squares of {column} would sum to "
            f"{left[j]:g}"
        )
    gone = left <= _ROUNDING * peak + of_means
    if not gone.any():
        return after
    products = after.products.copy()
    products[gone] = 0.0
    products[:, gone] = 0.0
    return CrossMoments(after.weight, after.count, after.mean, products, after.n_targets)
