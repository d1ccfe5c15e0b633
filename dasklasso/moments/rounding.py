"""How far products in float32 or float64 are from those of the data.

A product of two columns is summed over a buffer of at most 1024 rows in the precision of products,
and over buffers in float64. What is known of it depends on the columns.

*Whole numbers.* Columns z of whole numbers (0 and 1, counts, int8, after a whole number was taken
off) with ``Σ z² ≤ 2²⁴`` over the buffer have exact products in float32: every partial sum of
``z_j z_k``, in whatever order, is a whole number of at most ``Σ |z_j z_k| ≤ (Σ z_j² Σ z_k²)^½``
(Cauchy and Schwarz), that is 2²⁴, and float32 holds those.

*Others.* Rounding errors of a sum of m terms behave as independent ones of mean zero, so that with
overwhelming probability the sum is off by at most ``λ √m u Σ |terms|`` (Higham and Mary, 2019, A
new approach to probabilistic rounding error analysis, theorem 3.1, for λ of about 4), and those of
B buffers add up as √B. Relative to ``‖z_j‖ ‖z_k‖`` that is ``λ u √(m/B)``. Measured over normal,
skewed and heavy-tailed columns, correlated or not, the worst product is off by a ninth of that or
less. Squares, whose terms are all positive, would be off by more: they are summed in float64, and
products are scaled to them.

*Few values.* Where a column takes few values that are no whole numbers, errors are not independent:
those of one buffer are those of the next. They are taken to add up in proportion to B.

From there, what a quadratic form wᵀPw is off by is at most ``rounding · (Σ |w_j| ‖z_j‖)²``.
"""

from __future__ import annotations

import numpy as np

from dasklasso.moments.cross_moments import CrossMoments, Precision

BUFFER_ROWS = 1024  # of a product in float32: sums of more lose digits
LARGEST_EXACT = 2.0**24  # up to which float32 holds every whole number
DEVIATIONS = 4.0  # λ: what so many standard deviations of an error do not exceed
FEW_VALUES, AMONG_ROWS = 8, 64  # a column with at most so many values among so many rows has few


def rounding_of(moments: CrossMoments) -> float:
    """Bound what products of features are off by, relative to the norms of the two columns."""
    rows = max(1, min(moments.count, BUFFER_ROWS))
    buffers = max(1.0, moments.count / rows)
    if moments.precision == Precision.FLOAT32_FEW_VALUES:
        buffers = 1.0
    kind = np.float64 if moments.precision == Precision.FLOAT64 else np.float32
    return DEVIATIONS * 0.5 * float(np.finfo(kind).eps) * (rows / buffers) ** 0.5


def error_rounding(moments: CrossMoments, coef: np.ndarray) -> np.ndarray:
    """Bound what rounding adds to the mean squared residual of models: (n_models,) float64.

    Parameters
    ----------
    coef : (n_models, n_features)
        In the units of the data.
    """
    size = np.abs(coef) @ moments.std[: moments.n_features]
    return rounding_of(moments) * size**2


def have_few_values(x: np.ndarray) -> np.ndarray:
    """Tell columns of few values, from their first rows: (n_columns,) bool."""
    some = np.sort(x[:AMONG_ROWS], axis=0)
    return np.count_nonzero(some[1:] != some[:-1], axis=0) < FEW_VALUES
