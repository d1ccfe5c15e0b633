"""Rows taken out of moments: what is left of them, told from what is only rounding."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np

from dasklasso.errors import DataWarning, ValueFound
from dasklasso.moments.cross_moments import CrossMoments

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
        The largest norm of each centred column so far.

    Raises
    ------
    ValueFound
        Rows were to be taken out that cannot have been in.

    Warns
    -----
    DataWarning
        When only rounding is left of a column.
    """
    try:
        after = before.without(old)
    except ValueError as error:
        raise ValueFound(f"these rows were not all in: {error}") from error
    left = np.diagonal(after.products)
    unit = before.units
    peak = (peak / unit) ** 2
    means = np.maximum(np.abs(before.mean), np.abs(old.mean))
    of_means = 4 * _EPS * (means / unit) * np.sqrt(peak * max(before.weight, 0.0))
    wrong = left < -(_IMPOSSIBLE * peak + 4 * of_means)
    if wrong.any():
        j = int(wrong.argmax())
        raise ValueFound(
            f"these rows were not all in: without them the squares of {_column(before, j)} would "
            f"sum to {left[j]:g}"
        )
    gone = left <= _ROUNDING * peak + of_means
    if not gone.any():
        return after
    lost = gone & (np.diagonal(before.products) > 0)
    if after.count > 1 and lost.any():
        warnings.warn(
            f"of {_column(before, int(lost.argmax()))} only rounding is left, so its squares are "
            "taken for zero; if it still varies, fit the rows that are left anew",
            DataWarning,
            stacklevel=3,
        )
    products = after.products.copy()
    products[gone] = 0.0
    products[:, gone] = 0.0
    return replace(after, products=products)


def _column(moments: CrossMoments, j: int) -> str:
    d = moments.n_features
    return f"feature {j}" if j < d else f"target {j - d}"
