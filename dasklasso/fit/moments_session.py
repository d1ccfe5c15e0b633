"""What every fit on second moments has at hand: those of the rows, and a certificate."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dasklasso.cross_validation.record import CvRecord
from dasklasso.dataset.dataset import Dataset
from dasklasso.dataset.row_folds import FoldAssignment
from dasklasso.fit.assemble import as_path
from dasklasso.fit.session import Solved
from dasklasso.fit.statistics import moments_in_float64, moments_of_data
from dasklasso.model.path import FittedPath
from dasklasso.moments.cross_moments import CrossMoments
from dasklasso.moments.grouped import GroupedMoments
from dasklasso.objective.objective import Objective
from dasklasso.options import FitOptions, RunOptions
from dasklasso.problem.problem import Problem
from dasklasso.scan.engine import ScanEngine
from dasklasso.solvers.base import Jobs, ScanEvent, Settings
from dasklasso.solvers.cost import n_problems_of
from dasklasso.solvers.driver import Driver
from dasklasso.solvers.gram.solver import GramSolver, GramState
from dasklasso.solvers.quadratic.path import load_kernels

PATH_TOL_SHARE = 1e-6  # of tol: supports are compared, so paths are solved far beyond it
LEAST_TOL = 1e-13
SECONDS_BEFORE_TOLD = 1.0  # of waiting for kernels: they come from the cache in less


@dataclass(frozen=True)
class Session:
    """The moments of the rows of some data, and how paths on them are certified.

    Attributes
    ----------
    data, engine, options, run, assignment, progress : of the fit
    objective : Objective
        What ``options`` describe.
    grouped : GroupedMoments
    moments : CrossMoments
        Of all rows.
    bytes_read : int
        By the scan that took the moments.
    plan : dict or None
    began : float
        When the fit did, as ``time.monotonic()`` has it.
    """

    data: Dataset
    engine: ScanEngine
    options: FitOptions
    run: RunOptions
    assignment: FoldAssignment
    objective: Objective
    grouped: GroupedMoments
    moments: CrossMoments
    bytes_read: int
    plan: dict[str, Any] | None
    progress: Callable[[ScanEvent], None] | None
    began: float

    @property
    def tol(self) -> float:
        """Relative gap to which paths are solved on moments."""
        return max(PATH_TOL_SHARE * self.options.tol, LEAST_TOL)

    def in_float64(self) -> Session:
        """Return the session on moments that another scan takes in float64."""
        grouped, nbytes = moments_in_float64(self.data, self.engine, self.assignment, self.run)
        return replace(
            self, grouped=grouped, moments=grouped.total(), bytes_read=self.bytes_read + nbytes
        )

    def solver(self, problem: Problem) -> GramSolver:
        """Return the solver of one problem on the moments of all rows."""
        return GramSolver(self.engine, problem, self.moments, self._settings)

    @property
    def _settings(self) -> Settings:
        return Settings.of(self.options, self.run)

    def certify(self, solver: GramSolver, jobs: Jobs, points: np.ndarray) -> GramState:
        """Certify every job at its point (n_features, n_jobs); refine those above ``tol``."""
        driver = Driver(
            self.engine,
            solver.problem,
            self.engine.placed(solver.problem.frame),
            solver.free,
            self._settings,
            progress=self.progress,
            began=self.began,
        )
        return driver.run(solver, solver.begin(jobs, points, self.engine.scans, self.bytes_read))

    def alphas(self, solver: GramSolver) -> np.ndarray:
        """(n_alphas,) the user's own, or a grid that begins where the first feature comes in."""
        return self.options.grid(self.data, solver.alpha_max(), self.options.l1_ratio)

    def certified(
        self,
        solver: GramSolver,
        alphas: np.ndarray,
        coef: np.ndarray,
        record: CvRecord | None = None,
    ) -> tuple[FittedPath, int]:
        """Certify a path that was solved on moments, all of it in one scan.

        Parameters
        ----------
        coef : (n_alphas, n_features)
            In the units of the data.

        Returns
        -------
        path : FittedPath
        bytes_read : int
            In all.
        """
        inverse = solver.problem.frame.inverse_scale
        points = np.zeros((len(inverse), len(alphas)))
        np.divide(coef.T, inverse[:, None], out=points, where=inverse[:, None] > 0)
        jobs = Jobs(alphas, 1)
        done = self.certify(solver, jobs, points)
        solved = Solved(
            solver.problem,
            jobs,
            done.best,
            "gram",
            done.scans,
            done.bytes_read,
            record,
        )
        path = as_path(self.data, solved, self.options, seconds=0.0, peak=0, plan=self.plan)
        return path, done.bytes_read


@contextmanager
def open_session(
    data: Dataset,
    engine: ScanEngine,
    options: FitOptions,
    run: RunOptions,
    assignment: FoldAssignment,
    *,
    plan: dict[str, Any] | None = None,
    progress: Callable[[ScanEvent], None] | None,
    announce: Callable[[str], None] | None,
) -> Iterator[Session]:
    """Open a context with the moments of the data: stored ones, or taken by a scan and then stored.

    Kernels are loaded, or compiled, during the scan; moments are written while the caller works
    with them, and are on disk when the context ends.

    Parameters
    ----------
    assignment : FoldAssignment
        How rows are grouped; ``n_blocks`` of its scheme is the least that will do.
    progress : called after the scan, if there is one
    announce : called with a line where the caller has to wait for kernels
    """
    began = time.monotonic()
    with ThreadPoolExecutor(1) as executor:
        kernels = executor.submit(load_kernels, data.n_features)
        grouped, bytes_read = moments_of_data(data, engine, assignment, run, executor)
        if progress is not None and engine.scans:
            seconds, n_jobs = time.monotonic() - began, n_problems_of(data, options)
            progress(ScanEvent(engine.scans, 0, n_jobs, 1.0, 0, bytes_read, seconds))
        try:
            kernels.result(timeout=SECONDS_BEFORE_TOLD)
        except TimeoutError:
            if announce is not None:
                announce("Compiling the solver, once for this installation: a second or two.")
            kernels.result()
        yield Session(
            data=data,
            engine=engine,
            options=options,
            run=run,
            assignment=assignment,
            objective=options.objective(),
            grouped=grouped,
            moments=grouped.total(),
            bytes_read=bytes_read,
            plan=plan,
            progress=progress,
            began=began,
        )
