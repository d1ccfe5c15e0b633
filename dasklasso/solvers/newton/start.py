"""Where proximal Newton begins: at the model without features, and along its quadratic's path.

At that model every row has the same prediction, so its Hessian is that of least squares but for a
factor. The path of that quadratic in memory is a start for every alpha at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Event

import numpy as np

from dasklasso.backend import to_numpy
from dasklasso.problem.problem import Problem, hessian_query
from dasklasso.scan.queries.hessian import WeightedGrams
from dasklasso.solvers.base import Jobs
from dasklasso.solvers.newton.shared import Start
from dasklasso.solvers.newton.side_by_side import side_by_side
from dasklasso.solvers.newton.step import Point, most_sweeps
from dasklasso.solvers.quadratic.path import Quadratic, solve_path

START_TOL = 1e-4  # of the null loss: how far the quadratic is minimised
ALPHAS_AT_ONCE = 10  # in one compiled call, which nothing can end early


@dataclass(frozen=True)
class NullModels:
    """The models without features of all targets, and their Hessians.

    Attributes
    ----------
    points : for each target
    columns : of their Hessians, ascending
    matrices : for each target (c + 1, c + 1), the intercept's row and column last
    """

    points: list[Point]
    columns: np.ndarray
    matrices: list[np.ndarray]


def null_hessians(problem: Problem, columns: np.ndarray, device: str, dtype: str) -> WeightedGrams:
    """Return the query for Hessians at the model without features: its points are zero."""
    targets = range(problem.n_targets)
    return hessian_query(
        problem, targets, _intercepts(problem).tolist(), [columns] * len(targets), dtype, device
    )


def null_models(
    problem: Problem,
    gradient: np.ndarray,
    slope: np.ndarray,
    columns: np.ndarray,
    matrices: Sequence[np.ndarray],
) -> NullModels:
    """Return what a scan at zero showed.

    Parameters
    ----------
    gradient : (n_features, n_targets)
    slope : (n_targets,)
    columns : of the Hessians
    matrices : from :func:`null_hessians`
    """
    zero, intercepts = np.zeros(problem.n_features), _intercepts(problem)
    points = [
        Point(zero, float(b), float(loss), gradient[:, t], float(slope[t]))
        for t, (b, loss) in enumerate(zip(intercepts, problem.null_loss, strict=True))
    ]
    return NullModels(points, columns, list(matrices))


def first_start(
    problem: Problem,
    jobs: Jobs,
    null: NullModels,
    report: Callable[[int, int], None] | None = None,
) -> Start:
    """Return the path of each target's quadratic at its null model.

    Parameters
    ----------
    report : called with how many problems are done, and of how many, while it goes on
    """
    columns, stop, done = null.columns, Event(), [0]
    points = np.zeros((problem.n_features, len(jobs)))
    intercepts, gradients = np.zeros(len(jobs)), np.zeros((problem.n_features, len(jobs)))

    def one(target: int) -> None:
        point, full = null.points[target], null.matrices[target]
        own = np.arange(target, len(jobs), jobs.n_targets)
        matrix, coupling, spread = full[:-1, :-1], full[:-1, -1], full[-1, -1]
        eliminates = problem.steps_intercept and spread > 0
        if eliminates:
            matrix = matrix - np.outer(coupling, coupling / spread)
        height = 8.0 * float(problem.null_loss[target])
        quadratic = Quadratic(np.ascontiguousarray(matrix), -point.gradient[columns], height)
        path = _rough_path(problem, quadratic, columns, target, jobs.alphas, stop, done)
        points[np.ix_(columns, own)] = path.T
        intercepts[own] = point.b
        if eliminates:
            intercepts[own] -= path @ coupling / spread
        # what the quadratic says of the columns it has; the others are as they were
        gradients[:, own] = point.gradient[:, None]
        gradients[np.ix_(columns, own)] += matrix @ path.T

    side_by_side(
        [partial(one, target) for target in range(len(null.points))],
        None if report is None else lambda _: report(done[0], len(jobs)),
        ending=stop.set,
    )
    return Start(points, intercepts, gradients)


def _rough_path(
    problem: Problem,
    quadratic: Quadratic,
    columns: np.ndarray,
    target: int,
    alphas: np.ndarray,
    stop: Event,
    done: list[int],
) -> np.ndarray:
    """(n_alphas, n_columns): a quadratic's path, some alphas at a time, until it is stopped."""
    frame = problem.frame
    penalty = problem.objective.penalty.at(1.0, frame.l1_factor[columns], frame.l2_factor[columns])
    found = np.zeros((len(alphas), len(columns)))
    start: np.ndarray | None = None
    for first in range(0, len(alphas), ALPHAS_AT_ONCE):
        if stop.is_set():
            break
        some = slice(first, first + ALPHAS_AT_ONCE)
        found[some] = solve_path(
            quadratic,
            penalty,
            alphas[some],
            tol=START_TOL * float(problem.null_loss[target]),
            start=start,
            max_passes=most_sweeps(len(columns)),
        ).coef
        start = found[some][-1]
        done[0] += len(found[some])
    return found


def columns_at_null(problem: Problem, gradient: np.ndarray, most: int) -> np.ndarray:
    """Columns that a null model's Hessian is taken of: all, or those of the steepest gradients.

    Parameters
    ----------
    gradient : (n_features, n_targets)
    """
    useful = np.flatnonzero(problem.frame.inverse_scale > 0)
    if useful.size <= most:
        return useful
    penalty = problem.objective.l1_penalty.at(1.0, problem.frame.l1_factor[useful, None], 0.0)
    rank = np.argsort(-penalty.scaling(-to_numpy(gradient)[useful]).max(axis=1), kind="stable")
    return np.sort(useful[rank[:most]])


def _intercepts(problem: Problem) -> np.ndarray:
    if problem.steps_intercept:
        return problem.null_intercept
    return np.zeros(problem.n_targets)
