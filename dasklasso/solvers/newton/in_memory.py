"""Whole paths by proximal Newton where all rows fit in memory: scans then only certify.

Each alpha begins where the one before ended. Steps are made on a working set of columns: those in
use, and those that violate their optimality conditions or may soon (the sequential strong rule:
Tibshirani et al., 2012, Strong rules for discarding predictors in lasso-type problems). Once the
working set is solved, all gradients are computed, and it grows (Massias, Gramfort and Salmon, 2018,
Celer: a fast solver for the lasso with dual extrapolation). Each step has the Hessian of its own
point, and a backtracking line search (Lee, Sun and Saunders, 2014, Proximal Newton-type methods for
minimizing composite functions, algorithm 1), which costs no product with X.

Everything is bounded: steps, working-set rounds and inner sweeps. What is not solved by then
stays as it is; scans go on from there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Event

import numpy as np

from dasklasso.objective.losses.base import Loss
from dasklasso.objective.penalties.base import Penalty, strong_share
from dasklasso.problem.folds import Folds
from dasklasso.problem.problem import Problem
from dasklasso.scan.queries import row_terms
from dasklasso.scan.queries.folds import ALL
from dasklasso.scan.queries.sample import Sample
from dasklasso.solvers.base import Jobs
from dasklasso.solvers.certificate_scan import certificate_here
from dasklasso.solvers.newton.hessian_model import Quadric
from dasklasso.solvers.newton.side_by_side import side_by_side
from dasklasso.solvers.newton.step import (
    ACCURATE_DECREASE,
    LEAST_DAMPING,
    NULL_LOSSES_ADDED,
    SUFFICIENT_DECREASE,
    Point,
    Step,
    newton_step,
)

MOST_STEPS = 40  # of Newton, for one alpha and one loss
MOST_ROUNDS = 12  # of working sets
FEWEST_JOINING = 100  # columns that may join a working set at once; beyond, as many as are in use
MOST_HALVINGS = 30  # of a step
MODEL_TOL = 0.05  # of the decrease last predicted: how far a model is minimised
STEP_GOAL = 0.03  # of the gap wanted: a working set is solved where steps predict less
RIDGE = 1e-15  # of a Hessian's diagonal, for each other column: rounding


class HeldColumns:
    """All rows of some data in memory, columns standardised.

    Parameters
    ----------
    sample : Sample
        All rows of positive weight.
    problem : Problem

    Attributes
    ----------
    columns : (n_features, n_rows) float64
    """

    def __init__(self, sample: Sample, problem: Problem) -> None:
        frame = problem.frame
        self.columns = np.ascontiguousarray(sample.x.T, dtype=np.float64)
        self.columns -= frame.centre[:, None]
        self.columns *= frame.inverse_scale[:, None]
        self.y = sample.y - problem.y_mean
        n_rows = len(sample.x)
        self.weight = np.ones(n_rows) if sample.weight is None else sample.weight[:, 0]
        self.offset = None if sample.offset is None else sample.offset
        self.places = np.arange(n_rows) if sample.places is None else sample.places

    def outside(self, fold: int, folds: Folds | None) -> np.ndarray:
        """(n_rows,) weights that sum to one, of the rows that a problem is trained on."""
        weight = self.weight
        if fold != ALL and folds is not None:
            labels = folds.assignment.folds_of_rows(0, folds.n_rows, folds.n_rows)
            weight = np.where(labels[self.places] == fold, 0.0, weight)
        return weight / weight.sum()


@dataclass
class Path:
    """Solutions of one target and fold: arrays (n_alphas, n_features) and (n_alphas,)."""

    points: np.ndarray
    intercepts: np.ndarray
    gradients: np.ndarray
    gaps: np.ndarray


@dataclass
class _State:
    """A point of one problem, with the predictions of its rows and its damping."""

    u: np.ndarray
    b: float
    prediction: np.ndarray  # without offsets
    damping: float
    steps: int = 0


class Chain:
    """The path of one target, trained on the rows outside one fold or on all.

    Parameters
    ----------
    held : HeldColumns
    problem : Problem
    target : int
    fold : int, or ALL
    folds : Folds or None
    goal : relative gap
    most : columns of a Hessian
    stop : set where the fit is to end
    """

    def __init__(
        self,
        held: HeldColumns,
        problem: Problem,
        target: int,
        fold: int,
        folds: Folds | None,
        goal: float,
        most: int,
        stop: Event,
    ) -> None:
        self.held, self.target = held, target
        self.problem = problem if folds is None else folds.problem_outside(problem, fold)
        self.null, self.goal, self.most = float(problem.null_loss[target]), goal, most
        self.share = held.outside(fold, folds)
        self.y = held.y[:, target]
        self._stop, self._useful = stop, self.problem.frame.matters

    def solve(self, alphas: np.ndarray, done: Callable[[], None]) -> Path:
        """Solve at every alpha, each started from the one before.

        Parameters
        ----------
        alphas : (n_alphas,), decreasing
        done : called after each
        """
        problem, d, k = self.problem, self.problem.n_features, len(alphas)
        found = Path(np.zeros((k, d)), np.zeros(k), np.zeros((k, d)), np.full(k, np.inf))
        b = float(problem.null_intercept[self.target]) if problem.steps_intercept else 0.0
        n_rows = len(self.y)
        state = _State(np.zeros(d), b, np.full(n_rows, b), problem.loss.damping)
        gradient: np.ndarray | None = None
        for i, alpha in enumerate(alphas.tolist()):
            if self._stop.is_set():
                break
            before = float(alphas[i - 1]) if i else alpha
            gap, gradient = self._solve_one(state, alpha, before, gradient, problem.loss)
            if not gap <= self.goal:
                gap, gradient = self._by_continuation(state, alpha, gap, gradient)
            found.points[i], found.intercepts[i] = state.u, state.b
            found.gradients[i], found.gaps[i] = gradient, gap
            done()
        return found

    def _by_continuation(
        self, state: _State, alpha: float, gap: float, gradient: np.ndarray
    ) -> tuple[float, np.ndarray]:
        """Solve again through easier losses, each started from the one before."""
        loss = self.problem.loss
        leading = loss.easier(self._offset_prediction(state.prediction), self.y)
        for easier in [*leading, loss] if leading else []:
            if self._stop.is_set():
                break
            state.damping, state.steps = easier.damping, 0
            gap, gradient = self._solve_one(state, alpha, alpha, gradient, easier)
        return gap, gradient

    def _solve_one(
        self, state: _State, alpha: float, before: float, gradient: np.ndarray | None, loss: Loss
    ) -> tuple[float, np.ndarray]:
        """Rounds of working sets at one alpha: the gap reached, and the gradient there."""
        problem, frame = self.problem, self.problem.frame
        here = problem.objective.penalty.at(alpha, frame.l1_factor, frame.l2_factor)
        goal, gap, state.steps = self.goal, np.inf, 0
        likely = np.zeros(problem.n_features, bool)
        for _ in range(MOST_ROUNDS):
            gap_before = gap
            gap, gradient = self._gap(state, alpha, loss)
            if gap <= self.goal or self._stop.is_set() or state.steps >= MOST_STEPS:
                break
            if gap > 0.5 * gap_before:
                goal *= 0.1
            strong = max(strong_share(alpha, before), 0.0) if alpha > 0 else 0.0
            excess = np.where(self._useful, here.size(-gradient) - strong * here.l1, -np.inf)
            likely |= state.u != 0
            excess[likely] = np.inf
            some = np.flatnonzero(excess > 0)
            in_use = int(np.count_nonzero(state.u))
            largest = int(np.count_nonzero(likely)) + max(FEWEST_JOINING, in_use)
            largest = min(largest, self.most)
            if some.size > largest:
                some = np.sort(some[np.argsort(-excess[some], kind="stable")[:largest]])
            likely[some] = True
            before = alpha
            self._solve_on(state, some, here, loss, goal)
        assert gradient is not None
        return gap, gradient

    def _solve_on(
        self, state: _State, some: np.ndarray, own_penalty: Penalty, loss: Loss, goal: float
    ) -> None:
        """Steps on a working set, until they predict no more than a share of the gap wanted."""
        block = self.held.columns[some]
        intercept = self.problem.steps_intercept
        local = replace(own_penalty, l1=own_penalty.l1[some], l2=own_penalty.l2[some])
        everything, enough = np.arange(some.size), STEP_GOAL * goal * self.null
        tol = enough
        u, b = state.u[some], state.b
        while state.steps < MOST_STEPS and not self._stop.is_set():
            state.steps += 1
            prediction = self._offset_prediction(state.prediction)
            value, slope = loss.value_and_gradient(prediction, self.y)
            here = float(self.share @ value)
            weighted = self.share * slope
            point = Point(u, b, here, block @ weighted, float(weighted.sum()))
            model = Quadric(everything, self._hessian(block, prediction, loss, state.damping))
            step = newton_step(
                point,
                model,
                local,
                fit_intercept=intercept,
                tol=tol,
                added=NULL_LOSSES_ADDED * self.null,
            )
            tol = max(MODEL_TOL * step.predicted, enough)
            u, b, moved = self._search(state, point, step, block, local, loss)
            if not moved or step.predicted <= enough:
                break
        state.u = np.zeros_like(state.u)
        state.u[some], state.b = u, b
        state.prediction = u @ block + b if some.size else np.full(len(self.y), b)

    @row_terms.beyond_numbers
    def _search(
        self,
        state: _State,
        point: Point,
        step: Step,
        block: np.ndarray,
        own_penalty: Penalty,
        loss: Loss,
    ) -> tuple[np.ndarray, float, bool]:
        """Go along a step as far as the objective falls enough: (u, b, whether anywhere)."""
        along, up = step.u - point.u, step.b - point.b
        ahead = along @ block + up
        objective = point.loss + float(np.sum(own_penalty.value(point.u)))
        rounding = 1e-15 * abs(objective)
        t = 1.0
        for _ in range(MOST_HALVINGS):
            u, b = (point.u + t * along, point.b + t * up) if t < 1.0 else (step.u, step.b)
            prediction = state.prediction + t * ahead
            value = loss.value(self._offset_prediction(prediction), self.y)
            trial = float(self.share @ value) + float(np.sum(own_penalty.value(u)))
            if trial <= objective - SUFFICIENT_DECREASE * t * step.predicted + rounding:
                accurate = objective - trial >= ACCURATE_DECREASE * step.predicted
                self._trust(state, whole=t == 1.0, accurate=accurate)
                state.prediction = prediction
                return u, b, True
            t *= 0.5
        self._trust(state, whole=False, accurate=False)
        return point.u, point.b, False

    @staticmethod
    def _trust(state: _State, *, whole: bool, accurate: bool) -> None:
        """Choose the next damping: how much of a model nowhere below the loss its Hessian has."""
        if not whole:
            state.damping = min(1.0, max(16.0 * state.damping, LEAST_DAMPING))
        elif accurate:
            state.damping = 0.25 * state.damping if state.damping > LEAST_DAMPING else 0.0

    def _hessian(
        self, block: np.ndarray, prediction: np.ndarray, loss: Loss, damping: float
    ) -> np.ndarray:
        """(c + 1, c + 1), the intercept's row and column last."""
        curvature = loss.curvature(prediction, self.y)
        if damping > 0:
            more = loss.model_curvature(prediction, self.y) - curvature
            curvature = curvature + damping * more
        weight = self.share * curvature
        c = len(block)
        matrix = np.empty((c + 1, c + 1))
        used = np.flatnonzero(weight > 0)
        some = block if used.size == weight.size else block[:, used]
        root = np.sqrt(weight[used])
        scaled = some * root
        matrix[:-1, :-1] = scaled @ scaled.T
        matrix[-1, :-1] = matrix[:-1, -1] = scaled @ root
        matrix[-1, -1] = weight.sum()
        matrix.flat[:: c + 2] *= 1.0 + RIDGE * (c + 1)
        return matrix

    @row_terms.beyond_numbers
    def _gap(self, state: _State, alpha: float, loss: Loss) -> tuple[float, np.ndarray]:
        """Return the relative gap of a point, and the gradient of all columns there."""
        prediction = self._offset_prediction(state.prediction)
        weighted = self.share * loss.gradient(prediction, self.y)
        # a column that is constant outside a fold is zero there once it is standardised
        gradient = np.where(self._useful, self.held.columns @ weighted, 0.0)
        sums = row_terms.loss_sums(
            state.prediction[:, None],
            self.y[:, None],
            self.share[:, None],
            loss,
            1,
            self.held.offset,
        )
        problem = self.problem
        if loss is not problem.loss:
            problem = replace(problem, objective=replace(problem.objective, loss=loss))
        intercepts = np.array([state.b]) if problem.steps_intercept else None
        certificate = certificate_here(
            problem,
            state.u[:, None],
            gradient[:, None],
            sums,
            np.array([self.target]),
            np.array([alpha]),
            intercepts,
        )
        return float(certificate.gap[0]) / self.null, gradient

    def _offset_prediction(self, prediction: np.ndarray) -> np.ndarray:
        return prediction if self.held.offset is None else prediction + self.held.offset[:, 0]


def solve_in_memory(
    held: HeldColumns,
    problem: Problem,
    jobs: Jobs,
    folds: Folds | None,
    *,
    goal: float,
    most: int,
    report: Callable[[int, int], None],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Solve every job on all rows, and without each fold; paths side by side in threads.

    Parameters
    ----------
    goal : relative gap
    most : columns of a Hessian
    report : called with how many problems are done, and of how many, every second

    Returns
    -------
    points (n_features, n), intercepts (n,), gradients (n_features, n)
        n = n_jobs · (1 + n_folds): jobs of all rows first, then those of each fold.
    """
    stop, count = Event(), [0]
    numbers = [ALL, *range(0 if folds is None else len(folds.weights))]
    parts = [(fold, target) for fold in numbers for target in range(jobs.n_targets)]
    total = len(parts) * len(jobs.alphas)

    def done() -> None:
        count[0] += 1

    def chain(fold: int, target: int) -> Callable[[], Path]:
        def solve() -> Path:
            one = Chain(held, problem, target, fold, folds, goal, most, stop)
            return one.solve(jobs.alphas, done)

        return solve

    paths = side_by_side(
        [chain(fold, target) for fold, target in parts],
        lambda _: report(count[0], total),
        ending=stop.set,
    )
    report(count[0], total)
    n_targets, n_alphas = jobs.n_targets, len(jobs.alphas)
    points = np.empty((problem.n_features, total))
    gradients, intercepts = np.empty_like(points), np.empty(total)
    for k, path in enumerate(paths):
        fold, target = divmod(k, n_targets)
        own = fold * len(jobs) + np.arange(n_alphas) * n_targets + target
        points[:, own], gradients[:, own] = path.points.T, path.gradients.T
        intercepts[own] = path.intercepts
    return points, intercepts, gradients
