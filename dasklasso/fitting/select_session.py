"""What every way to select features has at hand: the moments of the rows, and a certificate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dasklasso.dataset.dataset import Dataset
from dasklasso.fit_options import FitOptions, RunOptions
from dasklasso.fitting.assemble import as_path
from dasklasso.fitting.session import Solved
from dasklasso.result import FittedPath
from dasklasso.scan.cells import Cells
from dasklasso.scan.cross_moments import CrossMoments
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.kernels import INVERSE_SCALE
from dasklasso.selection.cv_record import CvRecord
from dasklasso.solvers.events import ScanEvent
from dasklasso.solvers.gram import GramSolver
from dasklasso.solvers.problem import Objective, Problem
from dasklasso.solvers.slots import Jobs
from dasklasso.solvers.state import Settings

TIGHT = (
    1e-6  # of tol: supports are compared with each other, so solved far beyond what is certified
)
LEAST_TOL = 1e-13


@dataclass(frozen=True)
class Found:
    """What a method found, before anybody knows what it cost.

    Attributes
    ----------
    path : FittedPath or None
        Its ``seconds`` and ``peak_memory_bytes`` are not known yet.
    features, chosen, table :
        As :class:`~dasklasso.fitting.selected.Selected` has them.
    bytes_read : int
    """

    path: FittedPath | None
    features: tuple[dict[str, Any], ...]
    chosen: dict[str, Any]
    table: list[dict[str, Any]]
    bytes_read: int


@dataclass(frozen=True)
class Session:
    """The moments of the rows of some data, and how paths on them are certified.

    Attributes
    ----------
    data, engine, options, run, progress : of the selection
    objective : Objective
        What ``options`` describe.
    cells : Cells
    moments : CrossMoments
        Of all rows.
    bytes_read : int
        By the scan that brought the moments.
    plan : dict or None
    """

    data: Dataset
    engine: ScanEngine
    options: FitOptions
    run: RunOptions
    objective: Objective
    cells: Cells
    moments: CrossMoments
    bytes_read: int
    plan: dict[str, Any] | None
    progress: Callable[[ScanEvent], None] | None

    @property
    def tol(self) -> float:
        """Relative gap to which paths are solved on moments."""
        return max(TIGHT * self.options.tol, LEAST_TOL)

    def solver(self, problem: Problem) -> GramSolver:
        """The solver of one problem on the moments of all rows."""
        options = self.options
        settings = Settings(tol=options.tol, max_scans=options.max_scans, device=self.run.device)
        return GramSolver(
            self.engine, problem, self.moments, settings, self.progress, bytes_read=self.bytes_read
        )

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
        inverse = solver.problem.frame[:, INVERSE_SCALE]
        points = np.zeros((len(inverse), len(alphas)))
        np.divide(coef.T, inverse[:, None], out=points, where=inverse[:, None] > 0)
        jobs = Jobs(alphas, 1)
        done = solver.certify(jobs, points)
        solved = Solved(
            solver.problem,
            jobs,
            done.solutions,
            "gram",
            self.engine.scans,
            done.bytes_read,
            record,
        )
        path = as_path(self.data, solved, self.options, seconds=0.0, peak=0, plan=self.plan)
        return path, done.bytes_read
