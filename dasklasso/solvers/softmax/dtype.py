"""The precision that softmax problems are worked on in."""

from __future__ import annotations

import numpy as np

FLOAT32_LEAST_TOL = 1e-6  # tolerances below this are worked on in float64 from the start


def in_double(dtype: np.dtype, tol: float) -> bool:
    """Tell whether all products are in float64, for X of a ``dtype``."""
    return dtype == np.float64 or tol < FLOAT32_LEAST_TOL
