"""Paths of penalised least squares in memory, from the Gram matrix alone.

    minimise over u   ½ uᵀGu − cᵀu + ½ yy  +  alpha (ρ Σ l1_j |u_j| + (1−ρ)/2 Σ l2_j u_j²)

:mod:`dasklasso.solvers.descent` finds u. What is reported of u is computed here, apart from that:
the gradient afresh, and the duality gap from it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dasklasso.objective.certificate import Certificate, column_sums, squared_certificate
from dasklasso.objective.penalties import ElasticNet
from dasklasso.solvers.descent import follow

REFINEMENTS = 5  # solutions again, each to a tenth of the tolerance, where a gap was mistaken


@dataclass(frozen=True)
class Quadratic:
    """The loss ``½ uᵀGu − cᵀu + ½ yy``, that is ``½‖r‖²`` where rows have weights summing to one.

    Attributes
    ----------
    gram : (n_features, n_features) float64, symmetric, C-contiguous
        G = XᵀPX. A column without variance has zeros; its coefficient stays zero.
    linear : (n_features,) float64
        c = XᵀPy.
    yy : float
        yᵀPy.
    """

    gram: np.ndarray
    linear: np.ndarray
    yy: float


@dataclass(frozen=True)
class QuadraticPath:
    """A path of solutions, each with its certificate.

    Attributes
    ----------
    coef : (n_alphas, n_features)
    gap : (n_alphas,) float64
        Absolute duality gap, in units of the objective.
    objective : (n_alphas,) float64
    sweeps : int
        Passes over the coordinates, in all.
    """

    coef: np.ndarray
    gap: np.ndarray
    objective: np.ndarray
    sweeps: int


def solve_path(
    quadratic: Quadratic,
    l1: np.ndarray,
    l2: np.ndarray,
    alphas: np.ndarray,
    *,
    l1_ratio: float = 1.0,
    positive: bool = False,
    tol: float,
    start: np.ndarray | None = None,
    max_sweeps: int = 100_000,
) -> QuadraticPath:
    """Minimise at every alpha, each started from the one before.

    Parameters
    ----------
    l1, l2 : (n_features,)
        Penalty factors; where both are zero a column is not penalised.
    alphas : (n_alphas,), decreasing
    l1_ratio : share of the l1 penalty, 0 … 1
    positive : whether coefficients are held non-negative
    tol : absolute duality gap to reach; where rounding forbids it, the gap reached is reported
    start : (n_features,), where the first alpha begins; zeros by default
    max_sweeps : for each alpha
    """
    d = quadratic.linear.size
    alphas = np.asarray(alphas, dtype=np.float64)
    l1, l2 = l1_ratio * np.asarray(l1), (1.0 - l1_ratio) * np.asarray(l2)
    d = quadratic.linear.size
    first = np.zeros(d) if start is None else np.where(np.diagonal(quadratic.gram) > 0, start, 0.0)
    if positive:
        first = np.maximum(first, 0.0)

    def solved(alphas: np.ndarray, goal: float, u: np.ndarray) -> QuadraticPath:
        # NaN where nothing finite is found: such a gap is not to be trusted
        coef, slope = np.zeros((alphas.size, d)), np.full((alphas.size, d), np.nan)
        sweeps = follow(
            quadratic.gram, quadratic.linear, quadratic.yy, alphas, l1, l2, positive,
            goal, max_sweeps, u.copy(), coef, slope,
        )  # fmt: skip
        a, b = np.multiply.outer(alphas, l1), np.multiply.outer(alphas, l2)
        found = certify(quadratic, coef, a, b, positive=positive, slope=slope)
        return QuadraticPath(coef, found.gap, found.primal, sweeps)

    path = solved(alphas, tol, first)
    sweeps = path.sweeps
    # where columns have no penalty the kernels know an estimate of the gap only
    free = np.any((l1 == 0) & (l2 == 0)) | (alphas == 0)
    for k in np.flatnonzero(free & (path.gap > tol)):
        for digits in range(1, REFINEMENTS + 1):
            better = solved(alphas[k : k + 1], tol * 0.1**digits, path.coef[k])
            sweeps += better.sweeps
            if not better.gap[0] < path.gap[k]:
                break
            path.coef[k], path.gap[k] = better.coef[0], better.gap[0]
            path.objective[k] = better.objective[0]
            if path.gap[k] <= tol:
                break
    return replace(path, sweeps=sweeps)


def certify(
    quadratic: Quadratic,
    coef: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    *,
    positive: bool,
    slope: np.ndarray | None = None,
) -> Certificate:
    """Objective and duality gap of points, from the matrix itself.

    Parameters
    ----------
    coef, a, b : (n_points, n_features)
        Points, and their penalties ``a|u| + ½ b u²``.
    slope : (n_points, n_features), optional
        ``c − G u`` where it is known already.
    """
    gram, linear, yy = quadratic.gram, quadratic.linear, quadratic.yy
    varies = np.diagonal(gram) > 0
    q = linear - coef @ gram if slope is None else slope
    product = coef @ linear  # uᵀXᵀPy
    # ‖r‖² = yy − 2cᵀu + uᵀGu with Gu = c − q; rounding may leave it below zero
    squares = np.maximum(yy - product - np.sum(coef * q, axis=1), 0.0)
    dual_v = np.where(varies, q, 0.0)
    dual_squares, dual_product = squares.copy(), yy - product
    free = (a == 0) & (b == 0) & varies
    for k in np.flatnonzero(free.any(axis=1)):
        index, c = project_out(gram, coef[k], q[k], free[k], positive)
        dual_v[k] -= c @ gram[index]
        dual_v[k, index] = 0.0
        dual_squares[k] += c @ (gram[np.ix_(index, index)] @ c) - 2.0 * (c @ q[k, index])
        dual_product[k] -= c @ linear[index]
    columns = column_sums(
        coef.T, q.T, ElasticNet(a.T, b.T, positive), dual_v.T if free.any() else None
    )
    projected = {}
    if free.any():
        projected = {
            "projected_squares": np.maximum(dual_squares, 0.0),
            "projected_product": dual_product,
        }
    return squared_certificate(squares, columns, quadratic=bool(np.any(b > 0)), **projected)


def project_out(
    gram: np.ndarray, u: np.ndarray, q: np.ndarray, free: np.ndarray, positive: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Columns F the dual direction must be orthogonal to, and c with ``G_FF c = q_F``.

    A dual point is orthogonal to every unpenalised column, which a residual is only at the very
    optimum; r less X_F c is. With a sign constraint a product below zero will do.
    """
    index = np.flatnonzero(free)
    if not positive:
        return index, np.linalg.lstsq(gram[np.ix_(index, index)], q[index], rcond=None)[0]
    bound = free & ((u > 0) | (q > 0))
    while True:
        index = np.flatnonzero(bound)
        c = np.linalg.lstsq(gram[np.ix_(index, index)], q[index], rcond=None)[0]
        more = free & ~bound & (q - c @ gram[index] > 0)
        if not more.any():
            return index, c
        bound |= more
