"""Least squares and ridge on some columns, directly from a quadratic's matrix."""

from __future__ import annotations

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, eigh
from scipy.optimize import nnls

from dasklasso.solvers.quadratic.path import Quadratic

WELL_CONDITIONED = 1e-8  # smallest squared pivot over the largest, for Cholesky to be trusted


def least_squares(
    quadratic: Quadratic,
    columns: np.ndarray,
    *,
    ridge: np.ndarray | None = None,
    positive: bool = False,
) -> np.ndarray:
    """Minimise the loss plus ``½ Σ ridge_j u_j²`` over the coefficients of some columns.

    Where columns depend on one another, the solution of least norm.

    Parameters
    ----------
    columns : (n_columns,) int
        The others' coefficients are zero.
    ridge : (n_features,), optional
    positive : whether coefficients must not be negative

    Returns
    -------
    (n_features,) float64
    """
    u = np.zeros(len(quadratic.linear))
    columns = columns[np.diagonal(quadratic.gram)[columns] > 0]
    if not columns.size:
        return u
    matrix = quadratic.gram[np.ix_(columns, columns)]
    if ridge is not None:
        matrix[np.diag_indices_from(matrix)] += ridge[columns]
    linear = quadratic.linear[columns]
    u[columns] = _not_negative(matrix, linear) if positive else _solution(matrix, linear)
    return u


def _solution(matrix: np.ndarray, linear: np.ndarray) -> np.ndarray:
    try:
        factor = cho_factor(matrix, lower=True, check_finite=False)
    except LinAlgError:
        pass
    else:
        pivots = np.diagonal(factor[0]) ** 2
        if pivots.min() > WELL_CONDITIONED * pivots.max():
            return cho_solve(factor, linear, check_finite=False)
    root, half = _root(matrix, linear)
    return root.T @ (half / np.sum(root**2, axis=1))


def _not_negative(matrix: np.ndarray, linear: np.ndarray) -> np.ndarray:
    # with G = RᵀR and Rᵀz = c, ½uᵀGu − cᵀu is ½‖Ru − z‖² and a constant
    return nnls(*_root(matrix, linear))[0]


def _root(matrix: np.ndarray, linear: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """R with ``RᵀR`` = matrix and z with ``Rᵀz`` = linear, without the null space."""
    values, vectors = eigh(matrix, check_finite=False)
    kept = values > 10 * len(values) * np.finfo(float).eps * values[-1]
    root = np.sqrt(values[kept])
    return root[:, None] * vectors[:, kept].T, (linear @ vectors[:, kept]) / root
