"""Minimise a penalised quadratic over some columns: sweeps of coordinate descent, and faces.

After a sweep that changes no sign, signs are held and conjugate gradients minimise over the face
they span.
"""

from __future__ import annotations

import numpy as np

from dasklasso.solvers.quadratic.conjugate_gradients import GAIN_BY_ROUNDING, Factor, minimise_face
from dasklasso.solvers.quadratic.subproblem import Subproblem
from dasklasso.solvers.quadratic.sweep import sweep

RISE_BY_ROUNDING = 1e-13  # of yy and the squares of u, of the objective: more is a fault
NEGATIVE_BY_ROUNDING = 1e-6  # of yy, of a loss: more below zero is a fault
FEW_CROSSINGS, CROSSING_PARTS = 2, 8  # so many, or one of so many coordinates, settle a face
STEPS_ALLOWED = 10  # of conjugate gradients, besides one for each column


def descend(
    problem: Subproblem,
    factor: Factor,
    tol: float,
    max_passes: int,
    u: np.ndarray,
    q: np.ndarray,
    *,
    settled: bool = False,
) -> int:
    """Minimise until the gap is within ``tol``, u and q in place: passes over the matrix it took.

    Parameters
    ----------
    settled : whether the signs of u are thought to be right, so that its face comes first
    """
    if not problem.order.size:
        return 0
    passes = 0
    if settled and u.any():
        admit(problem, factor, u, q)
        steps, gap = _over_face(problem, factor, tol, max_passes, u, q)
        passes += steps
        if gap <= tol:
            return passes
    while passes < max_passes:
        least = least_gain(problem, tol, u)
        gain, crossings = _sweep(problem, factor, problem.order, least, u, q)
        passes += 1
        gap = problem.gap(u, q)
        if gap <= tol or gain <= least:
            break
        if crossings <= max(FEW_CROSSINGS, int(np.count_nonzero(u)) // CROSSING_PARTS):
            steps, gap = _over_face(problem, factor, tol, max_passes - passes, u, q)
            passes += steps
            if gap <= tol:
                break
    return passes


def admit(problem: Subproblem, factor: Factor, u: np.ndarray, q: np.ndarray) -> None:
    """Bring columns into use that violate their conditions at zero, the others as they are."""
    size = q if problem.positive else np.abs(q)
    order = problem.order
    if order.size < u.size:
        waiting = order[(u[order] == 0.0) & (size[order] > problem.a[order])]
    else:
        waiting = ((u == 0.0) & (size > problem.a)).nonzero()[0]
    if waiting.size:
        _sweep(problem, factor, waiting, 0.0, u, q)


def _sweep(
    problem: Subproblem,
    factor: Factor,
    order: np.ndarray,
    least: float,
    u: np.ndarray,
    q: np.ndarray,
) -> tuple[float, int]:
    factor.credit += order.size * u.size
    return sweep(
        problem.matrix, problem.diagonal, problem.a, problem.b, problem.bounded, order, u, q,
        least=least / order.size, compiled=problem.compiled,
    )  # fmt: skip


def least_gain(problem: Subproblem, tol: float, u: np.ndarray) -> float:
    """What a sweep may seem to gain by rounding: q has the rounding of the sums Σ G_jk u_k.

    Never more than a millionth of tol, unless that is less than the rounding of yy.
    """
    squares, n = float(problem.diagonal @ (u * u)), problem.order.size
    return GAIN_BY_ROUNDING * max(
        n * problem.yy, min(n * n * squares, 1e-6 / GAIN_BY_ROUNDING * tol)
    )


def _over_face(
    problem: Subproblem,
    factor: Factor,
    tol: float,
    max_passes: int,
    u: np.ndarray,
    q: np.ndarray,
) -> tuple[int, float]:
    """Minimise over the face of u, but where rounding leads astray u stays: passes, and the gap."""
    value, u_before, q_before = problem.value(u, q), u.copy(), q.copy()
    most = min(max_passes, STEPS_ALLOWED + problem.order.size)
    steps, gap = minimise_face(problem, factor, tol, most, u, q)
    if not steps:
        return 0, gap
    reached = problem.value(u, q)
    slack = RISE_BY_ROUNDING * (problem.yy + float(problem.diagonal @ (u_before * u_before)))
    if not -(0.5 + NEGATIVE_BY_ROUNDING) * problem.yy <= reached <= value + slack:
        u[:], q[:] = u_before, q_before  # columns are so nearly dependent
        return steps, problem.gap(u, q)
    return steps, gap
