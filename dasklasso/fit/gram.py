"""A fit on second moments: one scan or none for them, one to certify every alpha at once."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np

from dasklasso.cross_validation.curves import cross_validate_ratios
from dasklasso.cross_validation.error_curve import CrossValidation
from dasklasso.cross_validation.record import CvRecord, over_targets
from dasklasso.dataset.dataset import Dataset
from dasklasso.dataset.row_folds import FoldAssignment
from dasklasso.errors import DataWarning
from dasklasso.fit.moments_session import Session, open_session
from dasklasso.fit.session import Solved, over_workers
from dasklasso.moments.gram_scan import exact_products
from dasklasso.objective.alpha_grid import saturated_at
from dasklasso.options import CvOptions, FitOptions, RunOptions
from dasklasso.problem.problem import Problem
from dasklasso.scan.engine import ScanEngine
from dasklasso.solvers.base import Jobs, ScanEvent
from dasklasso.solvers.gram.solver import GramSolver
from dasklasso.solvers.quadratic.from_moments import problem_of

CV_TOL = 1e-8  # of tol: curves are compared with each other, so solved far beyond what is certified
LEAST_CV_TOL = 1e-15
SURE_SHARE = 1e-4  # of a variance: errors below it have lost all but three digits in float32


def solve_by_gram(
    data: Dataset,
    engine: ScanEngine,
    options: FitOptions,
    run: RunOptions,
    cv: CvOptions | None,
    assignment: FoldAssignment,
    progress: Callable[[ScanEvent], None] | None,
    announce: Callable[[str], None] | None = None,
) -> Solved:
    """Solve for every alpha; with ``cv``, after its folds have chosen the l1_ratio.

    Parameters
    ----------
    assignment : FoldAssignment
        The folds of ``cv``, or one of all rows.

    Raises
    ------
    DasklassoError
    """
    with open_session(
        data, engine, options, run, assignment, progress=progress, announce=announce
    ) as session:
        return _solved(session, cv)


def _solved(session: Session, cv: CvOptions | None) -> Solved:
    objective = session.objective
    problem = problem_of(session.moments, objective)
    solver = session.solver(problem)
    ratios = [objective.l1_ratio] if cv is None or not cv.l1_ratios else list(cv.l1_ratios)
    grids = [_grid(session, solver, ratio) for ratio in ratios]
    record = None
    if cv is not None:
        record = _cross_validate(session, problem, cv, ratios, grids)
        solver.penalise(record.l1_ratio)
        _warn_of(record, problem, session.data)
    jobs = Jobs(grids[0] if record is None else record.best.alphas, problem.n_targets)
    found = session.certify(solver, jobs, solver.solve(jobs))
    return Solved(solver.problem, jobs, found.best, "gram", found.scans, found.bytes_read, record)


def _grid(session: Session, solver: GramSolver, l1_ratio: float) -> np.ndarray:
    """The alphas of one l1_ratio."""
    options = session.options
    grid = options.grid(session.data, solver.alpha_max(), l1_ratio)
    if options.stop_saturated and options.alphas is None:  # who names alphas wants them all
        solver.penalise(l1_ratio)
        jobs = Jobs(grid, solver.problem.n_targets)
        grid = grid[: saturated_at(solver.explained(jobs, solver.solve(jobs)))]
    return grid


def _cross_validate(
    session: Session,
    problem: Problem,
    cv: CvOptions,
    ratios: Sequence[float],
    grids: Sequence[np.ndarray],
) -> CvRecord:
    """Every fold, l1_ratio and target, on the workers."""
    folds = session.cells.by_fold()
    tol = max(CV_TOL * session.options.tol, LEAST_CV_TOL)
    by_target: list[tuple[CrossValidation, ...]] = []
    for target in range(problem.n_targets):
        choice = cross_validate_ratios(
            folds,
            session.objective,
            ratios,
            grids,
            target=target,
            tol=tol,
            map=over_workers(session.engine.runner),
        )
        by_target.append(choice.by_ratio)
    return CvRecord(
        folds=cv.kind,
        n_folds=len(folds),
        seed=cv.seed,
        rule=cv.rule,
        by_ratio=over_targets(by_target, 2.0 * problem.null_loss),
    )


def _warn_of(record: CvRecord, problem: Problem, data: Dataset) -> None:
    """Say where curves are less exact than they look."""
    variance = 2.0 * float(problem.null_loss[0]) if problem.n_targets == 1 else 1.0
    least = float(record.best.mean_error.min()) / variance
    if least < SURE_SHARE and not exact_products(data):
        warnings.warn(
            f"folds: the least mean squared error is {least:.1g} of the target's variance, and "
            "float32 products are sure to about 1e-7 of it; ingest with --dtype float64 for more "
            "digits",
            DataWarning,
            stacklevel=2,
        )
