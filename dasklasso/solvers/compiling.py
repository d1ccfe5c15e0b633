"""How kernels are compiled: without the interpreter's lock, kept on disk where that is possible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

Vector = np.ndarray
Matrix = np.ndarray


def compiled(function: Callable[..., Any]) -> Any:
    """Compile on first use; sums may be reordered, infinities and NaN keep their meaning."""
    options: dict[str, Any] = {"nogil": True, "fastmath": {"contract", "reassoc", "nsz"}}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # numba found no folder that it may write its cache to
        return numba.njit(**options)(function)
