"""A fit on second moments: one scan or none for them, one to certify every alpha at once."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np

from dasklasso.cross_validation.error_curve import BOUND, CrossValidation
from dasklasso.cross_validation.record import CvRecord, over_targets
from dasklasso.dataset.dataset import Dataset
from dasklasso.dataset.row_folds import FoldAssignment
from dasklasso.errors import DataWarning
from dasklasso.fit.moments_session import Session, open_session
from dasklasso.fit.session import Solved, over_workers
from dasklasso.moments.cross_moments import Precision
from dasklasso.objective.alpha_grid import saturated_at
from dasklasso.options import CvOptions, FitOptions, RunOptions
from dasklasso.problem.problem import Problem
from dasklasso.scan.engine import ScanEngine
from dasklasso.solvers.base import Jobs, ScanEvent
from dasklasso.solvers.gram.solver import GramSolver
from dasklasso.solvers.quadratic.from_moments import problem_of

CV_TOL = 1e-8  # of tol: curves are compared with each other, so solved far beyond what is certified
LEAST_CV_TOL = 1e-15
ROUNDED_SHARE = 1e-3  # of an error: if rounding may be more, moments are taken anew in float64
RETAKEN_BYTES = 512 << 20  # of moments that are taken anew: for a while both are there


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
    solver, alphas, record = _chosen(session, cv)
    if record is not None and _rounded(record) > ROUNDED_SHARE and _may_retake(session):
        session = session.in_float64()
        solver, alphas, record = _chosen(session, cv)
    if record is not None:
        _warn_of(record, session)
    jobs = Jobs(alphas, solver.problem.n_targets)
    found = session.certify(solver, jobs, solver.solve(jobs))
    return Solved(solver.problem, jobs, found.best, "gram", found.scans, found.bytes_read, record)


def _chosen(
    session: Session, cv: CvOptions | None
) -> tuple[GramSolver, np.ndarray, CvRecord | None]:
    """The solver, the alphas to solve for, and the cross-validation that chose among them."""
    objective = session.objective
    problem = problem_of(session.moments, objective)
    solver = session.solver(problem)
    ratios = [objective.l1_ratio] if cv is None or not cv.l1_ratios else list(cv.l1_ratios)
    grids = [_grid(session, solver, ratio) for ratio in ratios]
    if cv is None:
        return solver, grids[0], None
    record = _cross_validate(session, problem, cv, ratios, grids)
    solver.penalise(record.l1_ratio)
    return solver, record.best.alphas, record


def _grid(session: Session, solver: GramSolver, l1_ratio: float) -> np.ndarray:
    """Return the alphas of one l1_ratio."""
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
    from dasklasso.cross_validation.curves import cross_validate_ratios

    folds = session.grouped.by_fold()
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


def _rounded(record: CvRecord) -> float:
    """Return the largest share of a mean error that rounding of the moments may be."""
    share = 0.0
    for curve in record.by_ratio:
        error = np.maximum(curve.mean_error, np.finfo(np.float64).tiny)
        share = max(share, float(np.max(curve.mean_scores[BOUND] / error)))
    return share


def _may_retake(session: Session) -> bool:
    """Tell whether moments are in float32, and one more scan for others is within the limits."""
    held = sum(moments.products.nbytes for moments in session.grouped.moments)
    return (
        session.moments.precision > Precision.FLOAT64
        and held <= RETAKEN_BYTES
        and session.engine.scans + 2 <= session.options.max_scans
    )


def _warn_of(record: CvRecord, session: Session) -> None:
    """Say where curves are less exact than they look."""
    share = _rounded(record)
    if share > ROUNDED_SHARE:
        remedy = ""
        if session.moments.precision > Precision.FLOAT64:
            remedy = "; ingest with --dtype float64 for more digits"
        warnings.warn(
            f"folds: rounding of second moments may be up to {share:.1g} of a mean squared error "
            f"(its bound is in the curves, as {BOUND}){remedy}",
            DataWarning,
            stacklevel=2,
        )
