"""The Gram solver: paths in memory, on second moments; scans only to certify and to refine.

The moments of one scan are those of the data but for rounding, so a solution on them is one of the
data to about that. One more scan, at all solutions at once, says how far it is. Where that is too
far, it also brought the exact gradient, and the model

    f(u₀) + ∇f(u₀)ᵀ(u − u₀) + ½ (u − u₀)ᵀG(u − u₀) + penalty

is minimised instead, whose error is that of G times a step that is small by now: iterative
refinement, as for linear systems (Wilkinson, 1963, Rounding Errors in Algebraic Processes).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import dask.array as da
import numpy as np

from dasklasso.backend import to_numpy
from dasklasso.errors import OptionError
from dasklasso.moments.cross_moments import CrossMoments
from dasklasso.problem.problem import Problem, penalty_at
from dasklasso.problem.unpenalised import MOST, Unpenalised
from dasklasso.scan.engine import ScanEngine
from dasklasso.solvers.base import Jobs, ScanEvent, Settings, Solution, dense_columns, nonzeros_of
from dasklasso.solvers.certificate_scan import Certified, certify_points
from dasklasso.solvers.quadratic.from_moments import standardised_gram, standardised_products
from dasklasso.solvers.quadratic.path import Quadratic, solve_path

IN_MEMORY = 1e-2  # of tol: what the solve in memory may add to the gap of the moments
LEAST_TOL = 1e-14  # relative gaps below this are rounding of float64
POINT_BYTES = 48  # for each feature of a point that is certified: gradients and partial sums too
POINTS_BYTES = 512 << 20  # of all points of one certificate scan
HAIR = 1e-14
WORTHWHILE = 0.5  # a refinement that does not halve the gap is the last


@dataclass(frozen=True)
class GramSolved:
    """What the solver found.

    Attributes
    ----------
    solutions : for each job
    bytes_read : int
    """

    solutions: dict[int, Solution]
    bytes_read: int


class GramSolver:
    """One path on moments: solve, certify, refine.

    Parameters
    ----------
    engine : ScanEngine
    problem : Problem
        Of the moments (:func:`dasklasso.solvers.quadratic.from_moments.problem_of`).
    moments : CrossMoments
        Of all rows.
    settings : Settings
    progress : called after every scan
    bytes_read : by the scan that brought the moments
    began : when the fit did, as ``time.monotonic()`` has it
    """

    def __init__(
        self,
        engine: ScanEngine,
        problem: Problem,
        moments: CrossMoments,
        settings: Settings,
        progress: Callable[[ScanEvent], None] | None = None,
        *,
        bytes_read: int = 0,
        began: float | None = None,
    ) -> None:
        self.engine, self.problem, self.settings = engine, problem, settings
        self.progress = progress
        self._gram = standardised_gram(moments, problem)
        self._products = standardised_products(moments, problem)
        self._free = self._unpenalised()
        self._frame = engine.placed(problem.frame)
        self._bytes_read = bytes_read
        self._began = time.monotonic() if began is None else began

    def alpha_max(self) -> np.ndarray:
        """(n_targets,) smallest alpha at which only unpenalised columns are in use, at l1_ratio 1.

        It is that of the moments, and a hair more, so that rounding lets nobody in at it.
        """
        products = self._products
        index = self.problem.unpenalised
        if index.size:
            within = self._gram[np.ix_(index, index)]
            start = np.linalg.lstsq(within, products[index], rcond=None)[0]
            products = products - self._gram[:, index] @ start
        penalty = penalty_at(self.problem.frame, 1.0, self.problem.objective.l1_penalty)
        return penalty.alpha_max(products) * (1.0 + HAIR)

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

    def certify(self, jobs: Jobs, points: np.ndarray) -> GramSolved:
        """Certify every job at its point, and refine those whose gap is too large.

        A gap above ``tol`` remains where refinement no longer helps or ``max_scans`` is reached.
        """
        # none is certified until a scan has been there
        solutions = {job: _open(points[:, job]) for job in range(len(jobs))}
        batch = points_at_once(self.problem.n_features)
        for first in range(0, len(jobs), batch):
            some = np.arange(first, min(first + batch, len(jobs)))
            self._certify(jobs, some, points[:, some], solutions)
        return GramSolved(solutions, self._bytes_read)

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
        objective = self.problem.objective
        tol = max(IN_MEMORY * self.settings.tol, LEAST_TOL)
        return solve_path(
            quadratic,
            self.problem.frame.l1_factor,
            self.problem.frame.l2_factor,
            alphas,
            l1_ratio=objective.l1_ratio,
            positive=objective.penalty.nonnegative,
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

    # -- scans --------------------------------------------------------------------------------

    def _certify(
        self, jobs: Jobs, some: np.ndarray, points: np.ndarray, solutions: dict[int, Solution]
    ) -> None:
        """Certify some jobs at these points, and refine those whose gap is above ``tol``."""
        while some.size and self.engine.scans < self.settings.max_scans:
            certified = certify_points(
                self.engine,
                self.problem,
                self._frame,
                self._free,
                self._placed(points),
                jobs.target(some),
                jobs.alpha(some),
                self.settings.device,
            )
            self._bytes_read += certified.found.bytes_read
            before = np.array([solutions[job].gap for job in some.tolist()])
            gaps = certified.relative_gap
            for k in np.flatnonzero(gaps < before):
                solutions[int(some[k])] = Solution(
                    nonzeros_of(points[:, k]),
                    float(certified.certificate.primal[k]),
                    float(gaps[k]),
                    float(certified.found.sums.slope[k]),
                    certified=True,
                )
            self._tell(jobs, solutions, certified)
            again = np.flatnonzero((gaps > self.settings.tol) & (gaps < WORTHWHILE * before))
            points = self._refined(jobs, some, certified, again)
            some = some[again]

    def _placed(self, points: np.ndarray) -> da.Array:
        columns = [nonzeros_of(points[:, k]) for k in range(points.shape[1])]
        return dense_columns(columns, self.engine)

    def _unpenalised(self) -> Unpenalised | None:
        index = self.problem.unpenalised
        if not index.size:
            return None
        if index.size > MOST:
            raise OptionError(
                f"penalty_factor: {index.size} features have factor 0, expected at most {MOST}"
            )
        cross = np.ascontiguousarray(self._gram[:, index])
        return Unpenalised(
            index, self.engine.by_columns(cross), cross[index], self._products[index]
        )

    def _tell(self, jobs: Jobs, solutions: dict[int, Solution], certified: Certified) -> None:
        if self.progress is None:
            return
        tol = self.settings.tol
        self.progress(
            ScanEvent(
                scan=self.engine.scans,
                n_done=sum(one.certified and one.gap <= tol for one in solutions.values()),
                n_alphas=len(jobs),
                worst_gap=float(certified.relative_gap.max()),
                n_nonzero=int(certified.certificate.n_nonzero[-1]),
                bytes_read=self._bytes_read,
                seconds=time.monotonic() - self._began,
            )
        )


def points_at_once(n_features: int) -> int:
    """How many points one scan certifies."""
    return max(16, POINTS_BYTES // (POINT_BYTES * n_features))


def _open(point: np.ndarray) -> Solution:
    return Solution(nonzeros_of(point), np.inf, np.inf, 0.0, certified=False)
