"""Paths of penalised least squares in memory, from the Gram matrix alone.

    minimise over u   ½ uᵀGu − cᵀu + ½ yy  +  alpha Σ l1_j |u_j| + ½ l2_j u_j²

:mod:`dasklasso.solvers.quadratic.follow` finds u. What is reported of u is computed here, apart
from that: the gradient afresh, and the duality gap from it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy.linalg.lapack import dpstrf

from dasklasso.kernels import compile_kernels
from dasklasso.objective.duality import Certificate, column_sums, squared_certificate
from dasklasso.objective.penalties.base import Penalty, in_range
from dasklasso.problem.unpenalised import REDUNDANT, project
from dasklasso.solvers.quadratic.face_factor import LARGE, backward_kernel, forward_kernel
from dasklasso.solvers.quadratic.follow import follow
from dasklasso.solvers.quadratic.growing_factor import solve_kernel
from dasklasso.solvers.quadratic.subproblem import gap_sums, times_kernel
from dasklasso.solvers.quadratic.sweep import COMPILED_FROM, sweep_kernel

REFINEMENTS = 3  # solutions again, each to a tenth of the tolerance, where a gap was mistaken
MAX_PASSES = 10_000  # over the working set, for an alpha: more help no problem that is well posed
REFINING_PASSES = 1_000  # for each: unpenalised coefficients are near their optimum by then


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
    passes : int
        Passes over the coordinates, in all.
    """

    coef: np.ndarray
    gap: np.ndarray
    objective: np.ndarray
    passes: int


def solve_path(
    quadratic: Quadratic,
    penalty: Penalty,
    alphas: np.ndarray,
    *,
    tol: float,
    start: np.ndarray | None = None,
    max_passes: int = MAX_PASSES,
) -> QuadraticPath:
    """Minimise at every alpha, each started from the one before.

    Parameters
    ----------
    penalty : of alpha 1, separable
        Its weights are (n_features,) or numbers; where both are zero a column is not penalised.
    alphas : (n_alphas,), decreasing
    tol : absolute duality gap to reach; where rounding forbids it, the gap reached is reported
    start : (n_features,), where the first alpha begins; zeros by default
    max_passes : for each alpha
    """
    alphas = in_range(np.asarray(alphas, dtype=np.float64), 1.0)
    d = quadratic.linear.size
    penalty = penalty.at(1.0, np.ones(d), np.ones(d))  # a weight may be one for all
    u = np.zeros(d) if start is None else np.asarray(start, dtype=np.float64)
    if penalty.nonnegative:
        u = np.maximum(u, 0.0)
    solve = partial(_solve, quadratic, penalty, tol=tol, max_passes=max_passes)
    paths = []
    # without any penalty other columns are free, and some of them redundant
    for group in (alphas[alphas > 0], alphas[alphas == 0]):
        if group.size:
            paths.append(solve(group, u))
            u = paths[-1].coef[-1]
    return QuadraticPath(
        np.concatenate([np.empty((0, d)), *(path.coef for path in paths)]),
        np.concatenate([np.empty(0), *(path.gap for path in paths)]),
        np.concatenate([np.empty(0), *(path.objective for path in paths)]),
        sum(path.passes for path in paths),
    )


def load_kernels(n_features: int) -> None:
    """Load the kernels of a path from the cache, or compile them: what a first solve waits for."""
    if n_features >= COMPILED_FROM:
        kernels = (sweep_kernel, gap_sums, times_kernel, solve_kernel)
        compile_kernels(kernels, wanted=lambda signature: "float32" not in signature)
    if n_features >= LARGE:
        compile_kernels((forward_kernel, backward_kernel))


def _solve(
    quadratic: Quadratic,
    penalty: Penalty,
    alphas: np.ndarray,
    u: np.ndarray,
    *,
    tol: float,
    max_passes: int,
) -> QuadraticPath:
    """Solve from u at alphas that are all zero or none."""
    positive = penalty.nonnegative
    columns = replace(penalty, l1=penalty.l1[:, None], l2=penalty.l2[:, None])
    usable = np.diagonal(quadratic.gram) > 0
    free = usable & (((penalty.l1 == 0) & (penalty.l2 == 0)) | (alphas[0] == 0))
    if not positive:
        usable[redundant(quadratic.gram, np.flatnonzero(free))] = False

    def certified(
        alphas: np.ndarray, goal: float, u: np.ndarray, most: int = max_passes
    ) -> QuadraticPath:
        coef, slope, passes = np.empty((alphas.size, u.size)), np.empty((alphas.size, u.size)), 0
        points = follow(
            quadratic.gram, quadratic.linear, quadratic.yy, penalty, alphas, usable,
            np.where(usable, u, 0.0), tol=goal, max_passes=most,
        )  # fmt: skip
        for k, point in enumerate(points):
            coef[k], slope[k] = point.u, point.q
            passes += point.passes
        found = certify(quadratic, coef, columns.at(alphas, 1.0, 1.0), slope)
        return QuadraticPath(coef, found.gap, found.primal, passes)

    path = certified(alphas, tol, u)
    if not free.any():
        return path
    # where columns have no penalty the kernels know an estimate of the gap only
    passes, most = path.passes, min(max_passes, REFINING_PASSES)
    for k in np.flatnonzero(path.gap > tol):
        for digits in range(1, REFINEMENTS + 1):
            moved = regressed(quadratic, path.coef[k], free, penalty)
            better = certified(alphas[k : k + 1], tol * 0.1**digits, moved, most)
            passes += better.passes
            if not better.gap[0] < path.gap[k]:
                break
            path.coef[k], path.gap[k] = better.coef[0], better.gap[0]
            path.objective[k] = better.objective[0]
            if path.gap[k] <= tol:
                break
    return replace(path, passes=passes)


def regressed(
    quadratic: Quadratic, u: np.ndarray, free: np.ndarray, penalty: Penalty
) -> np.ndarray:
    """u with its unpenalised coefficients at their optimum, the others as they are."""
    q = quadratic.linear - quadratic.gram @ u
    index, c = project_out(quadratic.gram, u, q, free, penalty)
    u = u.copy()
    u[index] += c
    return np.maximum(u, 0.0) if penalty.nonnegative else u


def redundant(gram: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Of the columns ``free``, those that the others explain up to rounding.

    Nothing holds the coefficients of such columns where there is no penalty; at zero they are as
    good as anywhere.
    """
    if free.size < 2:
        return free[:0]
    scale = np.sqrt(gram[free, free])
    correlation = gram[np.ix_(free, free)] / np.outer(scale, scale)
    _, order, rank, _ = dpstrf(correlation, tol=REDUNDANT, overwrite_a=True)
    return free[order[rank:] - 1]


def certify(
    quadratic: Quadratic,
    coef: np.ndarray,
    penalty: Penalty,
    slope: np.ndarray | None = None,
) -> Certificate:
    """Objective and duality gap of points, from the matrix itself.

    Parameters
    ----------
    coef : (n_points, n_features)
    penalty : separable, its weights (n_features, n_points)
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
    free = ((penalty.l1 == 0) & (penalty.l2 == 0)).T & varies
    for k in np.flatnonzero(free.any(axis=1)):
        index, c = project_out(gram, coef[k], q[k], free[k], penalty)
        dual_v[k] -= c @ gram[index]
        dual_v[k, index] = 0.0  # or below it, which a sign constraint allows
        dual_squares[k] += c @ (gram[np.ix_(index, index)] @ c) - 2.0 * (c @ q[k, index])
        dual_product[k] -= c @ linear[index]
    columns = column_sums(coef.T, q.T, penalty, dual_v.T if free.any() else None)
    projected = {}
    if free.any():
        projected = {
            "projected_squares": np.maximum(dual_squares, 0.0),
            "projected_product": dual_product,
        }
    return squared_certificate(
        squares, columns, quadratic=bool(np.any(penalty.l2 > 0)), **projected
    )


def project_out(
    gram: np.ndarray, u: np.ndarray, q: np.ndarray, free: np.ndarray, penalty: Penalty
) -> tuple[np.ndarray, np.ndarray]:
    """Columns without a penalty, and what of each is projected off the dual direction."""
    index = np.flatnonzero(free)
    own = gram[np.ix_(index, index)]
    return index, project(u[index, None], -q[index, None], own, penalty)[:, 0]
