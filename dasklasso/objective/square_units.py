"""Units in which numbers are squared whose own squares float64 cannot hold."""

from __future__ import annotations

from dasklasso.backend import Array, namespace

SQUARES_FIT = 2.0**300  # sizes between 1/this and this are squared as they are
EXTREME_UNIT = 2.0**600  # for sizes beyond: this, or its reciprocal


def unit_for(size: Array) -> Array:
    """Choose the power of two that columns of some size are divided by before they are squared.

    Parameters
    ----------
    size : (n_columns,) float64, at least 0
        Of a column's deviations from its mean.

    Returns
    -------
    (n_columns,) float64
        1, also where the size is 0, or 2^±600 beyond 2^±300: squares of such columns are then
        between 2^-844 and 2^848, so that sums of them are numbers.
    """
    xp = namespace(size)
    one = xp.ones_like(size)
    small = xp.where((size > 0) & (size < 1.0 / SQUARES_FIT), one / EXTREME_UNIT, one)
    return xp.where(size > SQUARES_FIT, one * EXTREME_UNIT, small)
