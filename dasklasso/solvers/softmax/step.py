"""One step of proximal Newton for a softmax problem, all its classes together.

    minimise over U, b   ⟨∇, δ⟩ + ½ δᵀ H δ + penalty(U),   δ the change of U and b

(Lee, Sun and Saunders, 2014, Proximal Newton-type methods for minimizing composite functions,
eq. 2.7), over the coordinates that matter: single coefficients, those in use and those whose
gradient is so large that they may come into use. All others are seen in every gradient.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dasklasso.problem.problem import Problem, penalty_at
from dasklasso.solvers.newton.step import Point, Step
from dasklasso.solvers.quadratic.face import Face, minimise

INNER = 0.05  # of the largest violation: how far a model is minimised
SCALE = 20.0  # times tol, and of λ: further it never needs to be
COARSE = 0.05  # of λ: never less than that


@dataclass(frozen=True)
class Terms:
    """The penalty and the conditions of one problem in coordinates (C, n_features + 1), b last.

    Attributes
    ----------
    l1, l2 : weights of the penalty; zero for intercepts
    bounded : bool, held non-negative
    useful : bool, coordinates that can matter
    """

    l1: np.ndarray
    l2: np.ndarray
    bounded: np.ndarray
    useful: np.ndarray

    def value(self, full: np.ndarray) -> float:
        """The penalty."""
        return float(np.sum(self.l1 * np.abs(full) + 0.5 * self.l2 * full * full))

    def smooth_gradient(self, point: Point) -> np.ndarray:
        """(C, n_features + 1): of the loss and the quadratic part of the penalty."""
        return coordinates_of(point.gradient, point.slope) + self.l2 * in_full(point)

    def excess(self, full: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """(C, n_features + 1) violations of the optimality conditions; negative at zeros that
        may stay."""
        at_zero = np.where(self.bounded, -gradient, np.abs(gradient)) - self.l1
        return np.where(full != 0, np.abs(gradient + self.l1 * np.sign(full)), at_zero)

    def matter(self, point: Point, share: float, most: int) -> np.ndarray:
        """Coordinates, ascending, as in :class:`~dasklasso.solvers.softmax.hessian.SoftmaxHessian`.

        Parameters
        ----------
        share : of λ, from where a zero is thought to come into use: the margin of the sequential
            strong rule (Tibshirani et al., 2012, Strong rules for discarding predictors in
            lasso-type problems)
        most : so many at most, those that violate their conditions most; others wait
        """
        full, gradient = in_full(point), self.smooth_gradient(point)
        size = np.where(self.bounded, -gradient, np.abs(gradient))
        found = self.useful & ((full != 0) | (size >= share * self.l1))
        if np.count_nonzero(found) > most:
            excess = np.where(found, self.excess(full, gradient), -np.inf)
            excess[:, -1] = np.where(found[:, -1], np.inf, -np.inf)
            order = np.argsort(-excess, axis=None, kind="stable")[:most]
            kept = np.zeros(found.size, bool)
            kept[order] = True
            found &= kept.reshape(found.shape)
        return np.flatnonzero(found)


def terms_at(problem: Problem, alpha: float) -> Terms:
    """The terms of a problem at one alpha."""
    objective, n_classes = problem.objective, problem.n_targets
    penalty = penalty_at(problem.frame, np.array([[alpha]]), objective.l1_ratio, objective.positive)
    columns = problem.frame.matters

    def everywhere(of_features: np.ndarray, of_intercept: float) -> np.ndarray:
        return np.tile(np.append(of_features, of_intercept), (n_classes, 1))

    return Terms(
        everywhere(penalty.l1[:, 0], 0.0),
        everywhere(penalty.l2[:, 0], 0.0),
        everywhere(np.full(len(columns), objective.positive), 0.0).astype(bool),
        everywhere(columns, float(problem.steps_intercept)).astype(bool),
    )


def coordinates_of(of_features: np.ndarray, of_intercepts: np.ndarray) -> np.ndarray:
    """(n_features, C) and (C,) → (C, n_features + 1)."""
    return np.concatenate([of_features.T, of_intercepts[:, None]], axis=1)


def in_full(point: Point) -> np.ndarray:
    """A point's coordinates, (C, n_features + 1)."""
    return coordinates_of(point.u, point.b)


def softmax_step(
    point: Point, terms: Terms, coordinates: np.ndarray, matrix: np.ndarray, tol: float
) -> Step:
    """Minimise the model around a point over some coordinates.

    Parameters
    ----------
    matrix : (p, p), the Hessian of the loss there; it is changed
    tol : relative gap that is wanted in the end
    """
    full = in_full(point)
    gradient = terms.smooth_gradient(point)
    worst = float(np.max(np.where(terms.useful, terms.excess(full, gradient), 0.0), initial=0.0))
    start, slope = full.reshape(-1)[coordinates], gradient.reshape(-1)[coordinates]
    l1, l2 = terms.l1.reshape(-1)[coordinates], terms.l2.reshape(-1)[coordinates]
    matrix.flat[:: len(coordinates) + 1] += l2.astype(matrix.dtype)
    face = Face(matrix, slope, start, l1, terms.bounded.reshape(-1)[coordinates])
    least = float(np.min(l1, where=l1 > 0, initial=np.inf))
    goal = INNER * worst
    if np.isfinite(least):
        goal = min(max(goal, SCALE * tol * least), COARSE * least)
    change = minimise(face, goal) - start
    along = (change.astype(matrix.dtype) @ matrix).astype(np.float64)
    after = full.copy()
    after.reshape(-1)[coordinates] = start + change
    # the quadratic part of the penalty is in the model, so only the other part is compared
    before_l1, after_l1 = (float(np.sum(terms.l1 * np.abs(at))) for at in (full, after))
    gain = slope @ change + 0.5 * change @ along + after_l1 - before_l1
    b = after[:, -1]
    if terms.useful[0, -1]:
        b = b - b.mean()  # the loss does not see what is added to all classes
    return Step(np.ascontiguousarray(after[:, :-1].T), b, max(-float(gain), 0.0))
