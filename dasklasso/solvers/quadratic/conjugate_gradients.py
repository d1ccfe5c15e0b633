"""Minimise over the coefficients in use, signs held, by preconditioned conjugate gradients.

They go as far as a coefficient reaches zero, which then leaves the face, and begin again (Moré and
Toraldo, 1991, On the solution of large quadratic programming problems with bound constraints,
section 3).
"""

from __future__ import annotations

import numpy as np

from dasklasso.solvers.quadratic.face_factor import FaceFactor
from dasklasso.solvers.quadratic.growing_factor import GrowingFactor
from dasklasso.solvers.quadratic.subproblem import Subproblem

GAIN_BY_ROUNDING = 1e-30  # of yy: a step that gains less is rounding
CURVATURE_BY_ROUNDING = 1e-14  # of a direction's squares: less is no curvature
MOST_TRIALS = 3  # of steps beyond the first coefficient that reaches zero, each half as far
COSINE_BY_ROUNDING = 1e-20  # squared, to the steepest direction: a flat one gains nothing below it

Factor = GrowingFactor | FaceFactor


def minimise_face(
    problem: Subproblem,
    factor: Factor,
    tol: float,
    max_steps: int,
    u: np.ndarray,
    q: np.ndarray,
) -> tuple[int, float]:
    """Minimise over the nonzero coordinates, u and q in place: the number of steps, and the gap.

    Ends where the gap is within ``tol`` or nothing is gained.
    """
    d, old_rho, gap = u.size, 0.0, -1.0
    face, direction = u.nonzero()[0], np.zeros(u.size)
    least_rho = 2.0 * GAIN_BY_ROUNDING * problem.yy
    factor.grow(problem, face, u)
    for step_number in range(max_steps):
        rho, hits = _step(problem, factor, face, least_rho, old_rho, u, q, direction)
        if rho < 0.0:
            return step_number, problem.gap(u, q) if gap < 0.0 else gap
        factor.credit += face.size * d
        old_rho = rho
        if hits:
            face, old_rho = u.nonzero()[0], 0.0
            factor.grow(problem, face, u)
        gap = problem.gap(u, q)
        if gap <= tol:
            return step_number + 1, gap
    return max_steps, problem.gap(u, q) if gap < 0.0 else gap


def _step(
    problem: Subproblem,
    factor: Factor,
    face: np.ndarray,
    least_rho: float,
    old_rho: float,
    u: np.ndarray,
    q: np.ndarray,
    direction: np.ndarray,
) -> tuple[float, int]:
    """One step over a face; u, q and the direction are changed in place.

    Parameters
    ----------
    face : (n,) coordinates in use
    least_rho : less is rounding
    old_rho : of the step before, or 0 where conjugate gradients begin
    direction : (d,)

    Returns
    -------
    rho : slopes times preconditioned slopes; −1 where nothing is gained any more
    hits : coordinates that have reached zero
    """
    here, a = u[face], problem.a[face]
    signs = np.sign(here)
    curvatures = problem.curvature[face]
    slope = q[face] - a * signs
    b = problem.b[face] if problem.has_l2 else None
    if b is not None:
        slope -= b * here
    z = factor.apply(face, slope, curvatures)
    rho = float(slope @ z)
    if rho <= least_rho:
        return -1.0, 0
    p = z if old_rho == 0.0 else z + (rho / old_rho) * direction[face]
    direction[face] = p
    change = problem.times(face, p)
    curving = change[face] if b is None else b * p + change[face]
    curved, ahead = float(p @ curving), float(p @ slope)
    # along duplicates there is no curvature: rounding must not make a huge step of it
    size, step = float(p @ (curvatures * p)), np.inf
    if curved > CURVATURE_BY_ROUNDING * size:
        step = ahead / curved
    elif ahead**2 <= COSINE_BY_ROUNDING * size * float(slope @ (slope / curvatures)):
        return -1.0, 0
    stops = signs if problem.positive else np.where(a > 0.0, signs, 0.0)
    toward = (p * stops < 0.0).nonzero()[0]
    nearest = np.inf
    if toward.size:
        lengths = -here[toward] / p[toward]
        hit = int(lengths.argmin())
        nearest = float(lengths[hit])
    if not ahead > 0.0 or min(step, nearest) == np.inf:
        return -1.0, 0
    if nearest < step < np.inf:
        found = _across(problem, face, stops, p, change, (nearest, step), u, q)
        if found:
            return rho, found
    there = here + min(step, nearest) * p
    q -= min(step, nearest) * change
    hits = 0
    if nearest <= step:
        gone = there * stops <= 0.0  # duplicates reach zero together, but for rounding
        gone &= stops != 0.0
        gone[toward[hit]] = True
        there[gone] = 0.0
        hits = int(np.count_nonzero(gone))
    u[face] = there
    return rho, hits


def _across(
    problem: Subproblem,
    face: np.ndarray,
    stops: np.ndarray,
    p: np.ndarray,
    change: np.ndarray,
    lengths: tuple[float, float],
    u: np.ndarray,
    q: np.ndarray,
) -> int:
    """Go on where coefficients reach zero, which stay there: how many; 0 where that gains less.

    What is compared with is the step that ends at the first of them (Bertsekas, 1982, Projected
    Newton methods for optimization problems with simple constraints).

    Parameters
    ----------
    stops : (n,) signs of the coefficients of the face that may not change them, 0 for others
    p, change : the direction, and the matrix times it
    lengths : of the step to the first coefficient that reaches zero, and of the whole step
    """
    nearest, length = lengths
    first = u.copy()
    first[face] += nearest * p
    bar = problem.value(first, q - nearest * change)
    for _ in range(MOST_TRIALS):
        trial, there = u.copy(), u[face] + length * p
        crossed = (there * stops < 0.0).nonzero()[0]
        if crossed.size < 2:
            break
        back = -there[crossed]
        there[crossed] = 0.0
        trial[face] = there
        q_trial = q - length * change - problem.times(face[crossed], back)
        if problem.value(trial, q_trial) < bar:
            u[:], q[:] = trial, q_trial
            return int(crossed.size)
        length = 0.5 * (nearest + length)
    return 0
