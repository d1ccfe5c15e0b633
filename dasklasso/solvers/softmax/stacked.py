"""Newton steps of many small softmax problems at once, each with the exact Hessian of its point.

A step minimises the model of :mod:`dasklasso.solvers.softmax.step` over all coordinates. The Grams
of pairs of classes that a Hessian is made of (:mod:`dasklasso.solvers.softmax.hessian`) are sums
over rows of ``w x̃x̃ᵀ``, so that those of all problems are one product of the rows' weights with the
rows' products of columns, which are formed once.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np

from dasklasso.problem.problem import Problem
from dasklasso.solvers.newton.iterate import Iterate
from dasklasso.solvers.newton.step import Point, Step
from dasklasso.solvers.quadratic.stacked_faces import Faces, minimise_stacked
from dasklasso.solvers.softmax.folds import Training
from dasklasso.solvers.softmax.rows import HeldRows
from dasklasso.solvers.softmax.settle import settle
from dasklasso.solvers.softmax.step import coordinates_of, in_full, model_goal, terms_at

MOST_COORDINATES = 64  # of a problem: of more, a step of one alone is not mostly calls
MOST_PRODUCTS = 1 << 20  # of a Hessian, over rows, pairs of columns and pairs of classes
MOST_ROUNDS = 60
MOST_STALLED = 6  # trials without a gain
WEIGHT_BYTES = 32 << 20  # of rows, for the Hessians taken at once


def is_small(problem: Problem, n_rows: int) -> bool:
    """Tell whether problems are so small that stacks of them are solved faster than each."""
    d, c = problem.n_features + 1, problem.n_targets
    products = n_rows * (d * (d + 1) // 2) * (c * (c - 1) // 2)
    separable = problem.objective.penalty.separable
    return separable and d * c <= MOST_COORDINATES and products <= MOST_PRODUCTS


class StackedSteps:
    """Steps of problems on the same rows.

    Parameters
    ----------
    rows : HeldRows
    tol : relative gap that is wanted in the end
    """

    def __init__(self, rows: HeldRows, tol: float) -> None:
        self._rows, self._tol = rows, tol
        d = rows.problem.n_features
        x = rows.standardised(slice(None), np.arange(d), "float64")
        self._x, self._upper = x, np.triu_indices(d + 1)
        self._products = (x[:, self._upper[0]] * x[:, self._upper[1]]).T

    def steps(self, points: Sequence[Point], alphas: np.ndarray) -> list[Step]:
        """Return a step of each problem.

        Parameters
        ----------
        alphas : of each
        """
        n_classes = self._rows.problem.n_targets
        pairs = n_classes * (n_classes - 1) // 2
        most = max(1, WEIGHT_BYTES // (8 * self._rows.n_rows * pairs))
        found: list[Step] = []
        for i in range(0, len(points), most):
            found += self._steps(points[i : i + most], alphas[i : i + most])
        return found

    def _steps(self, points: Sequence[Point], alphas: np.ndarray) -> list[Step]:
        problem, k = self._rows.problem, len(points)
        matrix = self.hessians(points)
        unit = terms_at(problem, 1.0)
        penalty, n_classes = unit.penalty, problem.n_targets
        full = np.stack([in_full(point) for point in points])
        gradient = np.stack([coordinates_of(point.gradient, point.slope) for point in points])
        l1, l2, bounded = (
            np.broadcast_to(unit.everywhere(of_features, 0.0).reshape(-1), (k, full[0].size))
            for of_features in (penalty.l1, penalty.l2, 0.0 * penalty.l1 + penalty.nonnegative)
        )
        l1, l2 = l1 * alphas[:, None], l2 * alphas[:, None]
        start = full.reshape(k, -1)
        slope = np.where(unit.useful.reshape(-1), gradient.reshape(k, -1) + l2 * start, 0.0)
        np.einsum("kii->ki", matrix)[...] += l2
        faces = Faces(matrix, slope.copy(), start.copy(), l1, bounded.astype(bool))
        worst = faces.violation().max(axis=1, initial=0.0)
        least = np.min(l1, axis=1, where=l1 > 0, initial=np.inf)
        goals = np.array([model_goal(*one, self._tol) for one in zip(worst, least, strict=True)])
        after = minimise_stacked(faces, goals)
        change = after - start
        along = (matrix @ change[:, :, None])[:, :, 0]
        gain = np.sum(change * (slope + 0.5 * along), axis=1)
        gain += np.sum(l1 * (np.abs(after) - np.abs(start)), axis=1)
        after = after.reshape(k, n_classes, -1)
        b = after[:, :, -1]
        if problem.steps_intercept:
            b = b - b.mean(axis=1, keepdims=True)  # the loss does not see what is added to all
        u = np.ascontiguousarray(after[:, :, :-1].transpose(0, 2, 1))
        return [Step(u[i], b[i], max(-float(gain[i]), 0.0)) for i in range(k)]

    def hessians(self, points: Sequence[Point]) -> np.ndarray:
        """(K, C(d + 1), C(d + 1)) of the mean loss at points, class after class, intercepts last.

        Rows and columns of coordinates that cannot matter are zero.
        """
        rows, problem, k = self._rows, self._rows.problem, len(points)
        c, d = problem.n_targets, problem.n_features + 1
        coordinates = np.concatenate([in_full(point) for point in points])
        shares = problem.loss.mean((self._x @ coordinates.T).reshape(-1, k, c))
        pairs = list(itertools.combinations(range(c), 2))
        weighted = shares * rows.share[:, None, None]
        weights = np.stack([weighted[:, :, i] * shares[:, :, j] for i, j in pairs], axis=2)
        grams = self._products @ weights.reshape(rows.n_rows, -1)
        square = np.zeros((d, d, grams.shape[1]))
        square[self._upper], square[self._upper[::-1]] = grams, grams
        useful = np.append(problem.frame.matters, problem.steps_intercept)
        square *= (useful[:, None] & useful)[:, :, None]
        apart = square.reshape(d, d, k, len(pairs)).transpose(3, 2, 0, 1)
        matrix = np.zeros((k, c, d, c, d))
        for (i, j), gram in zip(pairs, apart, strict=True):
            matrix[:, i, :, i, :] += gram
            matrix[:, j, :, j, :] += gram
            matrix[:, i, :, j, :] = -gram
            matrix[:, j, :, i, :] = -gram
        return matrix.reshape(k, c * d, c * d)


def solve_stacked(
    training: Training,
    iterates: Sequence[Iterate],
    alphas: np.ndarray,
    goal: float,
    tol: float,
    report: Callable[[], None],
) -> None:
    """Make steps of all problems on the same rows until their gaps are within a goal, or stall.

    Parameters
    ----------
    iterates : to be tried where their trials are
    alphas : (n_alphas,) of the fit
    tol : relative gap that is wanted in the end
    report : called after every step of all
    """
    rows, problem = training.rows, training.rows.problem
    stacked = StackedSteps(rows, tol)
    waiting: list[Iterate] = list(iterates)
    steps: dict[int, tuple[Point, Step]] = {}
    for _ in range(MOST_ROUNDS):
        trials = [iterate.trial for iterate in waiting]
        u, b = (
            np.concatenate([u for u, _ in trials], axis=1),
            np.concatenate([b for _, b in trials]),
        )
        seen = rows.see(u, b, "float64")
        settle(problem, alphas, waiting, seen, "float64", exact=False)
        report()
        waiting = [one for one in waiting if one.gap > goal and one.stalled < MOST_STALLED]
        if not waiting:
            break
        moved = [one for one in waiting if steps.get(one.index, (None,))[0] is not one.point]
        found = stacked.steps(
            [one.point for one in moved], np.array([alphas[one.index] for one in moved])
        )
        for one, step in zip(moved, found, strict=True):
            steps[one.index] = one.point, step
        for one in waiting:
            one.aim(steps[one.index][1])
