"""One step of proximal Newton for a softmax problem, all its classes together.

    minimise over U, b   ⟨∇, δ⟩ + ½ δᵀ H δ + penalty(U),   δ the change of U and b

(Lee, Sun and Saunders, 2014, Proximal Newton-type methods for minimizing composite functions,
eq. 2.7), over the coordinates that matter: single coefficients, or all of a feature where the
penalty is on groups, those in use and those whose gradient is so large that they may come into use.
All others are seen in every gradient.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dasklasso.objective.penalties.base import Penalty
from dasklasso.problem.problem import Problem, penalty_at
from dasklasso.solvers.newton.step import Point, Step
from dasklasso.solvers.quadratic.face import Face, minimise
from dasklasso.solvers.quadratic.groups import Groups, minimise_groups

MODEL_TOL = 0.05  # of the largest violation: how far a model is minimised
MODEL_TOL_SCALE = 20.0  # times tol, and of λ: it never has to be smaller
LARGEST_MODEL_TOL = 0.05  # of λ: it is never larger


@dataclass(frozen=True)
class Terms:
    """The penalty and the conditions of one problem in coordinates (C, n_features + 1), b last.

    Attributes
    ----------
    penalty : of the features, at the problem's alpha
    useful : (C, n_features + 1) bool, coordinates that can matter
    """

    penalty: Penalty
    useful: np.ndarray

    def everywhere(self, of_features: np.ndarray, of_intercept: float) -> np.ndarray:
        """(n_features, 1) numbers in all coordinates."""
        return _everywhere(of_features[:, 0], of_intercept, len(self.useful))

    def smooth_gradient(self, point: Point) -> np.ndarray:
        """(C, n_features + 1): of the loss and the quadratic part of the penalty."""
        return coordinates_of(point.gradient + self.penalty.l2 * point.u, point.slope)

    def excess(self, point: Point) -> np.ndarray:
        """(C, n_features + 1) violations of the optimality conditions.

        Negative at zeros that may stay, and 0 in coordinates that cannot matter.
        """
        of_features = self.penalty.violation(point.u, -point.gradient)
        found = coordinates_of(of_features, np.abs(point.slope))
        return np.where(self.useful, found, 0.0)

    def in_use(self, point: Point) -> np.ndarray:
        """(C, n_features + 1) bool: coordinates, or all of their groups, that are not zero."""
        return coordinates_of(self.penalty.norm(point.u) > 0, point.b != 0)

    def matter(self, point: Point, share: float, most: int) -> np.ndarray:
        """Coordinates, ascending, as in :class:`~dasklasso.solvers.softmax.hessian.SoftmaxHessian`.

        Parameters
        ----------
        share : of λ, from where a zero is thought to come into use, as for the strong rule
        most : so many at most, those that violate their conditions most; others wait
        """
        of_features = (self.penalty.norm(point.u) > 0) | self.penalty.may_enter(
            -point.gradient, share
        )
        found = self.useful & coordinates_of(of_features, np.ones(len(self.useful), bool))
        if np.count_nonzero(found) > most:
            excess = np.where(found, self.excess(point), -np.inf)
            excess[:, -1] = np.where(found[:, -1], np.inf, -np.inf)
            if self.penalty.grouped:  # whole groups
                columns = np.argsort(-excess[0], kind="stable")[: max(most // len(excess), 2)]
                found[:, np.setdiff1d(np.arange(excess.shape[1]), columns)] = False
                return np.flatnonzero(found)
            order = np.argsort(-excess, axis=None, kind="stable")[:most]
            largest = np.zeros(found.size, bool)
            largest[order] = True
            found &= largest.reshape(found.shape)
        return np.flatnonzero(found)


def terms_at(problem: Problem, alpha: float) -> Terms:
    """Return the terms of a problem at one alpha."""
    columns = problem.frame.matters
    return Terms(
        penalty_at(problem.frame, np.array([[alpha]]), problem.objective.penalty),
        _everywhere(columns, float(problem.steps_intercept), problem.n_targets).astype(bool),
    )


def _everywhere(of_features: np.ndarray, of_intercept: float, n_classes: int) -> np.ndarray:
    return np.tile(np.append(of_features, of_intercept), (n_classes, 1))


def coordinates_of(of_features: np.ndarray, of_intercepts: np.ndarray) -> np.ndarray:
    """(n_features, C) and (C,) → (C, n_features + 1)."""
    return np.concatenate([of_features.T, of_intercepts[:, None]], axis=1)


def in_full(point: Point) -> np.ndarray:
    """Return a point's coordinates, (C, n_features + 1)."""
    return coordinates_of(point.u, point.b)


def model_goal(worst: float, least: float, tol: float) -> float:
    """Return the largest violation that a model's minimum may have.

    Parameters
    ----------
    worst : violation where the step begins
    least : of the λ that are not zero; inf where there are none
    tol : relative gap that is wanted in the end
    """
    goal = MODEL_TOL * worst
    if np.isfinite(least):
        goal = min(max(goal, MODEL_TOL_SCALE * tol * least), LARGEST_MODEL_TOL * least)
    return goal


def softmax_step(
    point: Point, terms: Terms, coordinates: np.ndarray, matrix: np.ndarray, tol: float
) -> Step:
    """Minimise the model around a point over some coordinates.

    Parameters
    ----------
    matrix : (p, p), the Hessian of the loss there; it is changed
    tol : relative gap that is wanted in the end
    """
    full, penalty = in_full(point), terms.penalty
    gradient = terms.smooth_gradient(point)
    worst = float(np.max(terms.excess(point), initial=0.0))
    start, slope = full.reshape(-1)[coordinates], gradient.reshape(-1)[coordinates]
    l1, l2, bounded = (
        terms.everywhere(of_features, 0.0).reshape(-1)[coordinates]
        for of_features in (penalty.l1, penalty.l2, 0.0 * penalty.l1 + penalty.nonnegative)
    )
    matrix.flat[:: len(coordinates) + 1] += l2.astype(matrix.dtype)
    goal = model_goal(worst, float(np.min(l1, where=l1 > 0, initial=np.inf)), tol)
    if penalty.grouped:
        column = coordinates % full.shape[1]
        change = _grouped_minimum(matrix, slope, start, l1, column, goal) - start
    else:
        change = minimise(Face(matrix, slope, start, l1, bounded.astype(bool)), goal) - start
    along = (change.astype(matrix.dtype) @ matrix).astype(np.float64)
    after = full.copy()
    after.reshape(-1)[coordinates] = start + change
    # the quadratic part of the penalty is in the model, so only the other part is compared
    kink = replace(penalty, l2=0.0 * penalty.l2)
    before_l1, after_l1 = (float(np.sum(kink.value(at[:, :-1].T))) for at in (full, after))
    gain = slope @ change + 0.5 * change @ along + after_l1 - before_l1
    b = after[:, -1]
    if terms.useful[0, -1]:
        b = b - b.mean()  # the loss does not see what is added to all classes
    return Step(np.ascontiguousarray(after[:, :-1].T), b, max(-float(gain), 0.0))


def _grouped_minimum(
    matrix: np.ndarray,
    slope: np.ndarray,
    start: np.ndarray,
    l1: np.ndarray,
    column: np.ndarray,
    tol: float,
) -> np.ndarray:
    """Return the minimum over whole groups: the coordinates of a feature, and those of intercepts.

    Parameters
    ----------
    column : (p,) feature of each coordinate; of intercepts n_features
    """
    order = np.argsort(column, kind="stable")
    starts = np.flatnonzero(np.diff(column[order], prepend=-1))
    problem = Groups(
        np.ascontiguousarray(matrix[np.ix_(order, order)]),
        slope[order],
        start[order],
        np.append(starts, len(order)),
        l1[order][starts],
    )
    found = np.empty_like(start)
    found[order] = minimise_groups(problem, tol)
    return found
