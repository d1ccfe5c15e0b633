"""The quadratic model of a proximal Newton step, and its minimum."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from dasklasso.objective.penalties.base import Penalty
from dasklasso.problem.unpenalised import REDUNDANT
from dasklasso.solvers.newton.step import model_minimum, most_sweeps
from dasklasso.solvers.quadratic.face_factor import LARGE, FaceFactor
from dasklasso.solvers.quadratic.follow import follow

RIDGE = 1e-15  # of a matrix's diagonal, for each other column: rounding


@dataclass(frozen=True)
class Reference:
    """The matrix of a quadratic model.

    Attributes
    ----------
    curved : (n,) weights of rows times the curvature there
    active : (c,) columns, by their numbers among those in use
    gram : (c, c)
    coupling : (c,), of the columns with the intercept
    factor : of large matrices, made once for all steps by the same one
    """

    curved: np.ndarray
    active: np.ndarray
    gram: np.ndarray
    coupling: np.ndarray
    factor: FaceFactor
    _known: list[Eliminated] = field(default_factory=list, init=False)

    def eliminated(self, rest: np.ndarray, free: np.ndarray) -> Eliminated:
        """Return the matrix of some columns, what costs nothing eliminated; made once.

        Parameters
        ----------
        rest, free : numbers of columns, all of them together; the intercept is number c
        """
        if not self._known:
            self._known.append(self._eliminated(rest, free))
        return self._known[0]

    def _eliminated(self, rest: np.ndarray, free: np.ndarray) -> Eliminated:
        c, features = len(self.gram), free[free < len(self.gram)]
        across = np.empty((c, free.size))
        across[:, : features.size] = self.gram[:, features]
        across[:, features.size :] = self.coupling[:, None]
        within = np.empty((free.size, free.size))
        within[: features.size] = across[features]
        within[features.size :, : features.size] = self.coupling[features]
        within[features.size :, features.size :] = self.curved.sum()
        inverse, across = _inverse(within), across[rest]
        matrix = self.gram if rest.size == c else self.gram[np.ix_(rest, rest)]
        ridge = RIDGE * (c + 1) * np.diagonal(matrix)
        matrix = matrix - across @ (inverse @ across.T)
        matrix.flat[:: rest.size + 1] += ridge
        return Eliminated(matrix, inverse, across)


class Eliminated(NamedTuple):
    """A model's matrix after what costs nothing is eliminated.

    Attributes
    ----------
    matrix : (r, r), of the others
    inverse : (f, f), of what costs nothing among itself
    across : (r, f)
    """

    matrix: np.ndarray
    inverse: np.ndarray
    across: np.ndarray


def model_step(
    reference: Reference,
    gradient: np.ndarray,
    start: np.ndarray,
    penalty: Penalty,
    height: float,
    tol: float,
    *,
    intercept: bool,
) -> tuple[np.ndarray, float, float]:
    """Minimise the model around an iterate; what costs nothing is eliminated.

    Parameters
    ----------
    gradient : (c + 1,), of the active columns and the intercept
    start : (c,)
    intercept : whether it is a coordinate

    Returns
    -------
    Where its minimum is (c,), how far up the intercept goes, and by how much the objective
    falls if the model is right.
    """
    c = start.size
    free = np.zeros(c, bool)
    if not penalty.nonnegative:
        free = (penalty.l1 == 0) & (penalty.l2 == 0)
    rest, features = np.flatnonzero(~free), np.flatnonzero(free)
    free = np.arange(c, c + int(intercept))
    free = np.concatenate([features, free])
    matrix, inverse, across = reference.eliminated(rest, free)
    shown = inverse @ gradient[free]
    left = gradient[rest] - across @ shown
    own = replace(penalty, l1=penalty.l1[rest], l2=penalty.l2[rest])
    before = start[rest]
    factor = None
    if rest.size == c and c >= LARGE:
        factor = reference.factor
        factor.widen(c)
    after = _minimum(matrix, left, before, height, own, tol, factor)
    along = after - before
    change = left @ along + 0.5 * (along @ (matrix @ along)) - 0.5 * (gradient[free] @ shown)
    change += np.sum(own.value(after)) - np.sum(own.value(before))
    step = np.zeros(c + 1)
    step[rest], step[free] = along, -(shown + inverse @ (across.T @ along))
    moved = start + step[:c]
    moved[rest] = after
    return moved, float(step[c]), max(-float(change), 0.0)


def _minimum(
    matrix: np.ndarray,
    gradient: np.ndarray,
    start: np.ndarray,
    height: float,
    penalty: Penalty,
    tol: float,
    factor: FaceFactor | None,
) -> np.ndarray:
    """As :func:`~dasklasso.solvers.newton.step.model_minimum`, which certifies what it returns."""
    if not start.size:
        return start
    if not np.all((penalty.l1 > 0) | (penalty.l2 > 0)):
        return model_minimum(matrix, gradient, start, height, penalty, tol)
    linear = matrix @ start - gradient
    square = 2.0 * height + linear @ start - gradient @ start
    usable, one = np.diagonal(matrix) > 0, np.ones(1)
    [found] = follow(
        matrix,
        linear,
        square,
        penalty,
        one,
        usable,
        start,
        tol=tol,
        max_passes=most_sweeps(start.size),
        factor=factor,
    )
    return found.u


def _inverse(matrix: np.ndarray) -> np.ndarray:
    """Return the inverse, or what serves as one where columns explain each other."""
    scale = np.sqrt(np.diagonal(matrix))
    inverse = 1.0 / np.where(scale > 0.0, scale, 1.0)
    found = np.linalg.pinv(matrix * inverse[:, None] * inverse, rcond=REDUNDANT, hermitian=True)
    return np.asarray(found * inverse[:, None] * inverse)
