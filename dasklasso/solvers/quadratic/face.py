"""A quadratic with an l1 penalty: coordinate descent, and Newton steps where signs do not change.

    minimise over v   gᵀ(v − u) + ½ (v − u)ᵀ H (v − u) + Σ λ_j |v_j|,   v_j ≥ 0 where bounded

Cyclic coordinate descent (Friedman, Hastie and Tibshirani, 2010, Regularization paths for
generalized linear models via coordinate descent, section 2) finds which coordinates are zero and
the signs of the others, but is slow where they are correlated. So rounds of it take turns with a
Newton step for the coordinates in use, signs held: what would change its sign stops at zero if the
objective falls by that, else the step ends where the first one reaches zero (a projected step of
the kind of Moré and Toraldo, 1991, On the solution of large quadratic programming problems with
bound constraints), and where that is little work another one follows at once: coordinate descent
would bring back what has just left. H may be of float32 and singular: the gradient is kept in
float64, and both steps see a slightly larger H, which changes how far they go but not where they
end.

:mod:`dasklasso.solvers.quadratic.follow` does the same for paths of better conditioned quadratics
with a constant matrix; here H is new every time, as a rule in single precision, and singular: a
constant added to a coefficient of all classes changes no prediction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import get_lapack_funcs

from dasklasso.solvers.quadratic.sweep import COMPILED_FROM, sweep

SWEEPS_IN_ROUND = 25  # of coordinate descent
MAX_ROUNDS = 12
MAX_STEPS_IN_ROUND, STEP_FLOPS_IN_ROUND = 50, 1e9  # of Newton, and of all of them together
RIDGE = {"float32": 1e-5, "float64": 1e-10}  # of each entry of H's diagonal, added for steps


@dataclass(frozen=True)
class Face:
    """The problem; arrays (p,) float64 but for the matrix.

    Attributes
    ----------
    matrix : (p, p) float32 or float64, positive semidefinite but for rounding
    gradient : at ``u``
    u : where it begins
    l1 : λ
    bounded : bool, coordinates that are held non-negative
    """

    matrix: np.ndarray
    gradient: np.ndarray
    u: np.ndarray
    l1: np.ndarray
    bounded: np.ndarray

    def violation(self, gradient: np.ndarray, u: np.ndarray) -> np.ndarray:
        """(p,) how far each coordinate is from its optimality condition."""
        at_zero = np.where(self.bounded, -gradient, np.abs(gradient)) - self.l1
        found = np.where(u != 0, np.abs(gradient + self.l1 * np.sign(u)), np.maximum(at_zero, 0.0))
        # there is no λ to compare it with: the intercept of a rare class has a small slope anyway
        root = np.sqrt(self.matrix.diagonal().astype(np.float64))
        return np.where(self.free & (root > 0), found / np.where(root > 0, root, 1.0), found)

    @property
    def free(self) -> np.ndarray:
        """(p,) coordinates that cost nothing and may be of any sign."""
        return (self.l1 == 0) & ~self.bounded


def minimise(face: Face, tol: float) -> np.ndarray:
    """The minimum (p,), or near it where rounds have run out.

    Parameters
    ----------
    tol : of the largest violation
    """
    matrix, u, gradient = face.matrix, face.u.copy(), face.gradient.copy()
    diagonal, ridge = matrix.diagonal().astype(np.float64), RIDGE[matrix.dtype.name]
    if not np.any(diagonal > 0):
        return u
    for _ in range(MAX_ROUNDS):
        _descend(face, (1.0 + ridge) * diagonal, u, gradient)
        if face.violation(gradient, u).max() <= tol:
            break
        for _ in range(_steps_in_round(len(u))):
            used = np.flatnonzero(((u != 0) | face.free) & (diagonal > 0))
            left = _newton(face, u, gradient, used, ridge) if used.size else 0
            if left is None:
                ridge *= 10.0  # rounding has made the matrix indefinite
            if not left:
                break
    return u


def _descend(face: Face, diagonal: np.ndarray, u: np.ndarray, gradient: np.ndarray) -> None:
    """A round of coordinate descent, in place; ``gradient`` is kept that at ``u``."""
    order, q, none = np.flatnonzero(diagonal > 0), -gradient, np.zeros(len(u))
    for _ in range(SWEEPS_IN_ROUND):
        gain, crossings = sweep(
            face.matrix, diagonal, face.l1, none, face.bounded, order, u, q,
            compiled=len(u) >= COMPILED_FROM,
        )  # fmt: skip
        if gain == 0.0 and not crossings:
            break
    gradient[:] = -q


def _steps_in_round(p: int) -> int:
    """Newton steps in a row, where each takes coordinates out of use: few where they are dear."""
    return int(min(max(STEP_FLOPS_IN_ROUND / p**3, 1.0), MAX_STEPS_IN_ROUND))


def _newton(
    face: Face, u: np.ndarray, gradient: np.ndarray, used: np.ndarray, ridge: float
) -> int | None:
    """A step for the coordinates in use, in place.

    Returns
    -------
    How many went out of use by it, so that it was no whole step; None where there is no factor to
    make one.
    """
    rows = face.matrix[used]
    square = rows[:, used]
    square.flat[:: len(used) + 1] *= 1.0 + ridge
    potrf, potrs = get_lapack_funcs(("potrf", "potrs"), (square,))
    factor, failed = potrf(square, lower=1, overwrite_a=1, clean=0)
    if failed:
        return None
    here, l1, slope = u[used], face.l1[used], gradient[used]
    pull = slope + l1 * np.sign(here)
    step = -potrs(factor, pull.astype(square.dtype), lower=1)[0].astype(np.float64)
    stops = (l1 > 0) | face.bounded[used]
    crossed = (here * (here + step) < 0) & stops
    trial, product = _moved(rows, np.where(crossed, -here, step))
    if np.any(crossed):
        change = slope @ trial + 0.5 * trial @ product[used]
        change += np.sum(l1 * (np.abs(here + trial) - np.abs(here)))
        if change < 0:
            u[used] = np.where(crossed, 0.0, here + trial)
            gradient += product
            return int(np.count_nonzero(crossed))
        shares = np.full(len(used), np.inf)
        shares[crossed] = -here[crossed] / step[crossed]
        first = int(np.argmin(shares))
        trial, product = _moved(rows, shares[first] * step)
        u[used] = here + trial
        u[used[first]] = 0.0
    else:
        u[used] = here + trial
    gradient += product
    return int(np.any(crossed))


def _moved(rows: np.ndarray, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A step, and what it does to the gradient."""
    return step, (step.astype(rows.dtype) @ rows).astype(np.float64)
