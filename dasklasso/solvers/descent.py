"""Coordinate descent on ``½uᵀGu − cᵀu + Σ a_j|u_j| + ½ b_j u_j²``, compiled.

Everything here runs without the interpreter's lock, so that threads may solve paths side by side.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np


def compiled(function: Callable[..., Any]) -> Any:
    """Compile on first use; kept on disk where there is a folder to write to."""
    options: dict[str, Any] = {"nogil": True, "fastmath": {"contract", "reassoc", "nsz"}}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # numba found no folder for its cache
        return numba.njit(**options)(function)


@compiled
def gradient(gram: np.ndarray, linear: np.ndarray, u: np.ndarray, q: np.ndarray) -> None:
    """``q ← c − G u``, from the rows of G where u is not zero."""
    q[:] = linear
    for j in range(u.size):
        if u[j] != 0.0:
            row = gram[j]
            for i in range(q.size):
                q[i] -= u[j] * row[i]


@compiled
def minimiser(z: float, curvature: float, a: float, b: float, positive: bool) -> float:
    """``argmin_u ½ curvature u² − z u + a|u| + ½ b u²``, u ≥ 0 if positive."""
    if z > a:
        return (z - a) / (curvature + b)
    if z < -a and not positive:
        return (z + a) / (curvature + b)
    return 0.0


@compiled
def descend(
    gram: np.ndarray,
    linear: np.ndarray,
    yy: float,
    a: np.ndarray,
    b: np.ndarray,
    positive: bool,
    tol: float,
    max_sweeps: int,
    u: np.ndarray,
) -> int:
    """Sweep over all coordinates until a sweep changes the objective no more; u in place."""
    q = np.empty(u.size)
    gradient(gram, linear, u, q)
    floor = 1e-30 * yy * u.size
    for sweep in range(max_sweeps):
        decrease = 0.0
        for j in range(u.size):
            curvature = gram[j, j]
            if curvature <= 0.0:
                continue
            new = minimiser(q[j] + curvature * u[j], curvature, a[j], b[j], positive)
            step = new - u[j]
            if step != 0.0:
                u[j] = new
                row = gram[j]
                for i in range(q.size):
                    q[i] -= step * row[i]
                decrease += 0.5 * (curvature + b[j]) * step * step
        if decrease <= floor or decrease <= 1e-3 * tol:
            return sweep + 1
    return max_sweeps
