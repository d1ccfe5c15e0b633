"""The Gram solver: paths in memory, on second moments; scans only to certify and to refine.

The moments of one scan are those of the data but for rounding, so a solution on them is one of the
data to about that. One more scan, at all solutions at once, says how far it is. Where that is too
far, it also returned the exact gradient, and the model

    f(u₀) + ∇f(u₀)ᵀ(u − u₀) + ½ (u − u₀)ᵀG(u − u₀) + penalty

is minimised instead, whose error is that of G times a step that is small by now: iterative
refinement, as for linear systems (Wilkinson, 1963, Rounding Errors in Algebraic Processes).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dasklasso.backend import to_numpy
from dasklasso.moments.cross_moments import CrossMoments
from dasklasso.problem.problem import Problem, penalty_at
from dasklasso.problem.unpenalised import Unpenalised, check_unpenalised
from dasklasso.scan.engine import ScanEngine
from dasklasso.solvers.base import Jobs, Settings, Solver, Standing, State
from dasklasso.solvers.certificate_scan import Certified
from dasklasso.solvers.quadratic.from_moments import standardised_gram, standardised_products
from dasklasso.solvers.quadratic.path import Quadratic, solve_path
from dasklasso.solvers.solution import Solution, nonzeros_of, uncertified

MEMORY_TOL_SHARE = 1e-2  # of tol: what the solve in memory may add to the gap of the moments
LEAST_TOL = 1e-14  # relative gaps below this are rounding of float64
REFINED_GAP_SHARE = 0.5  # of the gap: a refinement that leaves more is the last


@dataclass(frozen=True)
class GramState(State):
    """Points solved on moments, and what scans confirmed of them.

    Attributes
    ----------
    best : of every job the solution with the smallest gap that a scan has shown
    trials : points (n_features,) of the jobs that the next scan certifies
    """

    best: dict[int, Solution]
    trials: dict[int, np.ndarray]


class GramSolver(Solver[GramState]):
    """Paths on moments: solved in memory, certified by the driver, refined where a gap misses tol.

    Parameters
    ----------
    engine : ScanEngine
        Where arrays are placed.
    problem : Problem
        Of the moments (:func:`dasklasso.solvers.quadratic.from_moments.problem_of`).
    moments : CrossMoments
        Of all rows.
    settings : Settings

    Attributes
    ----------
    free : Unpenalised or None
    """

    name = "gram"
    certifies_when_stopped = False  # max_scans of 1 leaves no scan after the moments

    def __init__(
        self, engine: ScanEngine, problem: Problem, moments: CrossMoments, settings: Settings
    ) -> None:
        self.engine, self.problem, self.settings = engine, problem, settings
        self._gram = standardised_gram(moments, problem)
        self._products = standardised_products(moments, problem)
        self.free = self._unpenalised()

    def alpha_max(self) -> np.ndarray:
        """(n_targets,) smallest alpha at which only unpenalised columns are in use, at l1_ratio 1.

        It is that of the moments, rounded up by the penalty.
        """
        products = self._products
        index = self.problem.unpenalised
        if index.size:
            within = self._gram[np.ix_(index, index)]
            start = np.linalg.lstsq(within, products[index], rcond=None)[0]
            products = products - self._gram[:, index] @ start
        penalty = penalty_at(self.problem.frame, 1.0, self.problem.objective.l1_penalty)
        return penalty.alpha_max(products)

    def penalise(self, l1_ratio: float) -> None:
        """Solve for another share of the l1 penalty from now on."""
        objective = replace(self.problem.objective, l1_ratio=l1_ratio)
        self.problem = replace(self.problem, objective=objective)

    def solve(self, jobs: Jobs) -> np.ndarray:
        """Solve every job on the moments: (n_features, n_jobs) in standardised coordinates."""
        points = np.empty((self.problem.n_features, len(jobs)))
        for target in range(jobs.n_targets):
            own = np.arange(target, len(jobs), jobs.n_targets)
            points[:, own] = self._path(target, jobs.alphas).T
        return points

    def explained(self, jobs: Jobs, points: np.ndarray) -> np.ndarray:
        """(n_alphas,) share of the null model's loss that points take away, over all targets."""
        targets = jobs.target(np.arange(len(jobs)))
        product = np.sum(points * (2.0 * self._products[:, targets] - self._gram @ points), axis=0)
        taken = (0.5 * product / self.problem.null_loss[targets]).reshape(-1, jobs.n_targets)
        return taken.mean(axis=1)

    # -- the solver's protocol ----------------------------------------------------------------

    def begin(self, jobs: Jobs, points: np.ndarray, scans: float, bytes_read: int) -> GramState:
        """Return the state at points (n_features, n_jobs) in standardised coordinates."""
        trials = {job: points[:, job] for job in range(len(jobs))}
        best = {job: uncertified(point) for job, point in trials.items()}
        return GramState(jobs=jobs, scans=scans, bytes_read=bytes_read, best=best, trials=trials)

    def solutions(self, state: GramState) -> dict[int, Solution]:
        """Return the solutions that scans have certified, and the points that still wait."""
        trials = {job: uncertified(point) for job, point in state.trials.items()}
        return {**state.best, **trials}

    def certified(self, state: GramState, jobs: Sequence[int], found: Certified) -> GramState:
        """Keep what is better than before, and refine what is above ``tol`` and got better."""
        best, trials = dict(state.best), dict(state.trials)
        before = np.array([best[job].gap for job in jobs])
        gaps = found.relative_gap
        first = np.array([not best[job].certified for job in jobs])
        for k in np.flatnonzero((gaps < before) | first).tolist():
            best[jobs[k]] = Solution(
                nonzeros_of(trials[jobs[k]]),
                float(found.certificate.primal[k]),
                float(gaps[k]),
                float(found.found.sums.slope[k]),
                certified=True,
            )
        for job in jobs:
            del trials[job]
        again = np.flatnonzero((gaps > self.settings.tol) & (gaps < REFINED_GAP_SHARE * before))
        refined = self._refined(state.jobs, np.asarray(jobs), found, again)
        for column, k in enumerate(again.tolist()):
            trials[jobs[k]] = refined[:, column]
        done = sum(one.certified and one.gap <= self.settings.tol for one in best.values())
        standing = Standing(
            n_done=done,
            n_problems=len(state.jobs),
            worst_gap=float(gaps.max()),
            n_nonzero=int(found.certificate.n_nonzero[-1]),
        )
        return replace(state, best=best, trials=trials, standing=standing)

    # -- in memory ----------------------------------------------------------------------------

    def _path(self, target: int, alphas: np.ndarray) -> np.ndarray:
        """(n_alphas, n_features) solutions on the moments."""
        yy = 2.0 * float(self.problem.null_loss[target])
        return self._solve(Quadratic(self._gram, self._products[:, target], yy), target, alphas)

    def _solve(
        self,
        quadratic: Quadratic,
        target: int,
        alphas: np.ndarray,
        start: np.ndarray | None = None,
    ) -> np.ndarray:
        frame, penalty = self.problem.frame, self.problem.objective.penalty
        tol = max(MEMORY_TOL_SHARE * self.settings.tol, LEAST_TOL)
        return solve_path(
            quadratic,
            penalty.at(1.0, frame.l1_factor, frame.l2_factor),
            alphas,
            tol=tol * float(self.problem.null_loss[target]),
            start=start,
        ).coef

    def _refined(
        self, jobs: Jobs, some: np.ndarray, certified: Certified, which: np.ndarray
    ) -> np.ndarray:
        """Points after one step of refinement, (n_features, len(which))."""
        points, gradient = to_numpy(certified.found.points), to_numpy(certified.found.gradient)
        sums = certified.found.sums
        moved = np.empty((len(points), len(which)))
        for column, k in enumerate(which):
            u, loss = points[:, k], sums.loss[k]
            if self.problem.objective.fit_intercept:
                loss = loss - 0.5 * sums.slope[k] ** 2
            product = self._gram @ u
            linear = product - gradient[:, k]
            model = Quadratic(self._gram, linear, 2.0 * (loss + linear @ u) - u @ product)
            job = np.array([some[k]])
            target = int(jobs.target(job)[0])
            moved[:, column] = self._solve(model, target, jobs.alpha(job), start=u)[0]
        return moved

    def _unpenalised(self) -> Unpenalised | None:
        index = self.problem.unpenalised
        if not index.size:
            return None
        check_unpenalised(index)
        cross = np.ascontiguousarray(self._gram[:, index])
        return Unpenalised(
            index, self.engine.by_columns(cross), cross[index], self._products[index]
        )
