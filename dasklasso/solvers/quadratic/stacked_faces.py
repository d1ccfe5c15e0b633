"""Many small quadratics with an l1 penalty, minimised side by side.

As :mod:`dasklasso.solvers.quadratic.face` does with one: rounds of coordinate descent take turns
with Newton steps for the coordinates in use. Every operation here is one of arrays that hold a
number of each problem, for of a few dozen coordinates a call of NumPy takes longer than its
arithmetic. Problems leave the stack once they are solved.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dasklasso.solvers.quadratic.face import RIDGE

SWEEPS_IN_ROUND = 4  # of coordinate descent: fewer than of one face, for a stack waits for its last
MAX_ROUNDS = 30
MAX_STEPS_IN_ROUND = 8  # of Newton, while each takes coordinates out of use


@dataclass(frozen=True, eq=False)
class Faces:
    """K problems of p coordinates, as :class:`dasklasso.solvers.quadratic.face.Face` has one.

    Attributes
    ----------
    matrix : (K, p, p) float64, positive semidefinite but for rounding
        A coordinate whose diagonal is zero stays where it is.
    gradient, u : (K, p), where each begins
    l1 : (K, p)
    bounded : (K, p) bool
    """

    matrix: np.ndarray
    gradient: np.ndarray
    u: np.ndarray
    l1: np.ndarray
    bounded: np.ndarray

    def __len__(self) -> int:
        return len(self.u)

    @property
    def diagonal(self) -> np.ndarray:
        """(K, p)."""
        return np.einsum("kii->ki", self.matrix)

    @property
    def free(self) -> np.ndarray:
        """(K, p) coordinates that cost nothing and may be of any sign."""
        return (self.l1 == 0) & ~self.bounded

    def some(self, which: np.ndarray, u: np.ndarray, gradient: np.ndarray) -> Faces:
        """Return some of the problems, at other points (K, p)."""
        arrays = (self.matrix, gradient, u, self.l1, self.bounded)
        return Faces(*(array[which] for array in arrays))

    def violation(self) -> np.ndarray:
        """(K, p) how far each coordinate is from its optimality condition where it begins."""
        gradient, u = self.gradient, self.u
        at_zero = np.where(self.bounded, -gradient, np.abs(gradient)) - self.l1
        return np.where(u != 0, np.abs(gradient + self.l1 * np.sign(u)), np.maximum(at_zero, 0.0))


def minimise_stacked(faces: Faces, tol: np.ndarray) -> np.ndarray:
    """Return the minima (K, p), or points near them where rounds have run out.

    Parameters
    ----------
    tol : (K,) of the largest violation; of a free coordinate, over the root of its diagonal
    """
    found = faces.u.copy()
    alive = np.arange(len(faces))
    for _ in range(MAX_ROUNDS):
        _descend(faces)
        violation = faces.violation()
        root = np.sqrt(faces.diagonal)
        of_free = faces.free & (root > 0)
        violation = np.where(of_free, violation / np.where(root > 0, root, 1.0), violation)
        violation[root == 0] = 0.0
        left = violation.max(axis=1, initial=0.0) > tol[alive]
        found[alive[~left]] = faces.u[~left]
        if not left.any():
            return found
        if not left.all():
            alive, faces = alive[left], faces.some(left, faces.u, faces.gradient)
        _steps(faces)
    found[alive] = faces.u
    return found


def _descend(faces: Faces) -> None:
    """A round of coordinate descent, in place."""
    # of the coordinate first: what a step touches lies together
    matrix = np.ascontiguousarray(faces.matrix.transpose(1, 2, 0))
    u, q = np.ascontiguousarray(faces.u.T), np.ascontiguousarray(-faces.gradient.T)
    l1 = np.ascontiguousarray(faces.l1.T)
    lower = np.where(faces.bounded.T, -np.inf, -l1)
    h = faces.diagonal.T * (1.0 + RIDGE["float64"])
    inverse = np.where(h > 0, 1.0, 0.0) / np.where(h > 0, h, 1.0)
    order = np.flatnonzero((h > 0).any(axis=1)).tolist()
    for _ in range(SWEEPS_IN_ROUND):
        for j in order:
            z = q[j] + h[j] * u[j]
            # the soft threshold; where h is zero, so are u and q
            new = (z - np.maximum(np.minimum(z, l1[j]), lower[j])) * inverse[j]
            step = new - u[j]
            u[j] = new
            q -= step * matrix[j]
    faces.u[...], faces.gradient[...] = u.T, -q.T


def _steps(faces: Faces) -> None:
    """Newton steps for the coordinates in use, in place, while they take some out of use."""
    u, gradient = faces.u, faces.gradient
    alive, some = np.arange(len(faces)), faces
    for _ in range(MAX_STEPS_IN_ROUND):
        crossed = _newton(some)
        u[alive], gradient[alive] = some.u, some.gradient
        if not crossed.any():
            return
        alive = alive[crossed]
        some = some.some(crossed, some.u, some.gradient)


def _newton(faces: Faces) -> np.ndarray:
    """A step of each, in place: (K,) bool, whether some coordinate went out of use by it."""
    matrix, u, l1, diagonal = faces.matrix, faces.u, faces.l1, faces.diagonal
    used = ((u != 0) | faces.free) & (diagonal > 0)
    square = matrix * (used[:, :, None] & used[:, None, :])
    # coordinates out of use are left where they are by a row of the identity
    here = np.where(used, diagonal * (1.0 + RIDGE["float64"]), 1.0)
    np.einsum("kii->ki", square)[...] = here
    pull = np.where(used, faces.gradient + l1 * np.sign(u), 0.0)
    try:
        step = -np.linalg.solve(square, pull[:, :, None])[:, :, 0]
    except np.linalg.LinAlgError:  # one is singular to the last digit: descent goes on
        return np.zeros(len(faces), bool)
    stops = used & ((l1 > 0) | faces.bounded)
    crossed = (u * (u + step) < 0) & stops
    any_crossed = crossed.any(axis=1)
    trial = np.where(crossed, -u, step)
    product = (matrix @ trial[:, :, None])[:, :, 0]
    change = np.sum(trial * (faces.gradient + 0.5 * product), axis=1)
    change += np.sum(l1 * (np.abs(u + trial) - np.abs(u)), axis=1)
    after = np.where(crossed, 0.0, u + trial)
    cut = np.flatnonzero(any_crossed & ~(change < 0))
    if cut.size:  # as far as the first that reaches zero
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = np.where(crossed[cut], -u[cut] / step[cut], np.inf)
        first = shares.argmin(axis=1)
        rows = np.arange(cut.size)
        short = shares[rows, first][:, None] * step[cut]
        product[cut] = (matrix[cut] @ short[:, :, None])[:, :, 0]
        after[cut] = u[cut] + short
        after[cut, first] = 0.0
    sound = np.isfinite(after).all(axis=1) & np.isfinite(product).all(axis=1)
    u[sound], faces.gradient[sound] = after[sound], (faces.gradient + product)[sound]
    return any_crossed & sound
