"""A quadratic with a penalty on groups: block descent, and Newton steps for groups in use.

    minimise over v   gᵀ(v − u) + ½ (v − u)ᵀ H (v − u) + Σ_j λ_j ‖v_j‖₂

Blocks are minimised over in turn, each under a multiple of the identity nowhere below its part of
H, whose minimum is the group prox (Yuan and Lin, 2006, Model selection and estimation in regression
with grouped variables; Qin, Scheinberg and Goldfarb, 2013, Efficient block-coordinate descent
algorithms for the group lasso, section 2.1). That finds which groups are zero, but is slow where
they are correlated. Where a group is not zero its norm is smooth, so that rounds of it take turns
with Newton steps for all groups in use, shortened until the objective falls. H may be singular:
both see a slightly larger one, which changes how far they go but not where they end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import get_lapack_funcs

from dasklasso.kernels import kernel
from dasklasso.solvers.quadratic.face import RIDGE
from dasklasso.solvers.quadratic.sweep import COMPILED_FROM

EPOCHS = 10  # of block coordinate descent in a round
ROUNDS = 30
MOST_HALVINGS = 12  # of a Newton step


@dataclass(frozen=True)
class Groups:
    """The problem; arrays (p,) float64 but for the matrix.

    Attributes
    ----------
    matrix : (p, p) float32 or float64, positive semidefinite but for rounding
    gradient : at ``u``
    u : where it begins
    starts : (n_groups + 1,) int64
        First coordinate of each group, whose coordinates are next to each other, and p.
    l1 : (n_groups,) λ; 0 for groups that cost nothing
    """

    matrix: np.ndarray
    gradient: np.ndarray
    u: np.ndarray
    starts: np.ndarray
    l1: np.ndarray

    def norms(self, v: np.ndarray) -> np.ndarray:
        """(n_groups,) of each group's coordinates."""
        squares: np.ndarray = np.add.reduceat(v * v, self.starts[:-1])
        return np.sqrt(squares)

    def on_coordinates(self, of_groups: np.ndarray) -> np.ndarray:
        """(n_groups,) → (p,)."""
        return np.repeat(of_groups, np.diff(self.starts))

    def violation(self, gradient: np.ndarray, u: np.ndarray) -> np.ndarray:
        """(n_groups,) how far each group is from its optimality condition."""
        size = self.norms(u)
        share = np.divide(self.l1, size, out=np.zeros_like(size), where=size > 0)
        pull = self.norms(gradient + self.on_coordinates(share) * u)
        return np.where(size > 0, pull, np.maximum(self.norms(gradient) - self.l1, 0.0))

    def curvature_bounds(self) -> np.ndarray:
        """(n_groups,) largest eigenvalue of each group's part of the matrix."""
        parts = [
            self.matrix[a:b, a:b].astype(np.float64)
            for a, b in zip(self.starts[:-1], self.starts[1:], strict=True)
        ]
        return np.array([np.linalg.eigvalsh(part)[-1] for part in parts])


def descend(
    problem: Groups, gradient: np.ndarray, u: np.ndarray, bounds: np.ndarray, epochs: int
) -> None:
    """Block coordinate descent, in place; ``gradient`` is kept that at ``u``."""
    if len(u) >= COMPILED_FROM:
        change = np.empty(len(u))
        descend_kernel(
            problem.matrix, gradient, u, problem.starts, problem.l1, bounds, change, epochs
        )
        return
    ends = list(zip(problem.starts[:-1].tolist(), problem.starts[1:].tolist(), strict=True))
    for _ in range(epochs):
        moved = False
        for (first, stop), bound, l1 in zip(ends, bounds, problem.l1, strict=True):
            if not bound > 0.0:
                continue
            own = slice(first, stop)
            z = u[own] - gradient[own] / bound
            size, threshold = np.sqrt(z @ z), l1 / bound
            change = (1.0 - threshold / size if size > threshold else 0.0) * z - u[own]
            if change.any():
                moved = True
                u[own] += change
                gradient += change @ problem.matrix[own]
        if not moved:
            break


@kernel(
    *(
        f"void({dtype}[:, ::1], float64[::1], float64[::1], int64[::1], float64[::1], "
        "float64[::1], float64[::1], int64)"
        for dtype in ("float64", "float32")
    ),
    reorders_sums=True,
)
def descend_kernel(  # type: ignore[no-untyped-def]
    matrix, gradient, u, starts, l1, bounds, change, epochs
):
    """As :func:`descend`; ``change`` is (p,) to work in."""
    for _ in range(epochs):
        moved = False
        for g in range(l1.size):
            bound, size = bounds[g], 0.0
            if not bound > 0.0:
                continue
            for i in range(starts[g], starts[g + 1]):
                change[i] = u[i] - gradient[i] / bound
                size += change[i] * change[i]
            size, threshold = np.sqrt(size), l1[g] / bound
            share = 1.0 - threshold / size if size > threshold else 0.0
            for i in range(starts[g], starts[g + 1]):
                change[i] = share * change[i] - u[i]
            for i in range(starts[g], starts[g + 1]):
                if change[i] != 0.0:
                    moved = True
                    u[i] += change[i]
                    for k in range(u.size):
                        gradient[k] += change[i] * matrix[i, k]
        if not moved:
            break


def minimise_groups(problem: Groups, tol: float) -> np.ndarray:
    """The minimum (p,), or near it where rounds have run out.

    Parameters
    ----------
    tol : of the largest violation
    """
    u, gradient = problem.u.copy(), problem.gradient.copy()
    ridge = RIDGE[problem.matrix.dtype.name]
    bounds = (1.0 + ridge) * problem.curvature_bounds()
    for _ in range(ROUNDS):
        descend(problem, gradient, u, bounds, EPOCHS)
        if problem.violation(gradient, u).max() <= tol:
            break
        used = (problem.norms(u) > 0) | (problem.l1 == 0)
        if not _newton(problem, u, gradient, used & (bounds > 0), ridge):
            ridge *= 10.0  # rounding has made the matrix indefinite
    return u


def _newton(
    problem: Groups, u: np.ndarray, gradient: np.ndarray, used: np.ndarray, ridge: float
) -> bool:
    """A step for the groups in use, in place; False where there is no factor to make one."""
    place = np.flatnonzero(problem.on_coordinates(used))
    if not place.size:
        return True
    rows = problem.matrix[place]
    square = rows[:, place].astype(np.float64)
    square.flat[:: len(place) + 1] *= 1.0 + ridge
    norms = problem.norms(u)
    first = 0
    for g in np.flatnonzero(used):
        width = int(problem.starts[g + 1] - problem.starts[g])
        own = slice(first, first + width)
        if problem.l1[g] > 0:  # the Hessian of λ‖v‖
            v = u[problem.starts[g] : problem.starts[g + 1]] / norms[g]
            square[own, own] += (problem.l1[g] / norms[g]) * (np.eye(width) - np.outer(v, v))
        first += width
    share = np.divide(problem.l1, norms, out=np.zeros_like(norms), where=norms > 0)
    pull = gradient[place] + (problem.on_coordinates(share) * u)[place]
    potrf, potrs = get_lapack_funcs(("potrf", "potrs"), (square,))
    factor, failed = potrf(square, lower=1, overwrite_a=1, clean=0)
    if failed:
        return False
    step = np.zeros_like(u)
    step[place] = -potrs(factor, pull, lower=1)[0]
    product = (step[place].astype(rows.dtype) @ rows).astype(np.float64)
    before = float(problem.l1 @ norms)
    slope, bend = float(gradient @ step), float(step @ product)
    t = 1.0
    for _ in range(MOST_HALVINGS):
        change = t * slope + 0.5 * t * t * bend
        if change + float(problem.l1 @ problem.norms(u + t * step)) - before < 0:
            u += t * step
            gradient += t * product
            break
        t *= 0.5
    return True
