"""Another solver for the problems on which the chosen one makes no more progress."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from dasklasso.dataset.dataset import Dataset
from dasklasso.errors import DataWarning
from dasklasso.fit.session import Solved
from dasklasso.options import FitOptions, RunOptions
from dasklasso.problem.zero_scan import look
from dasklasso.scan.engine import ScanEngine
from dasklasso.solvers.base import ScanEvent, Setup
from dasklasso.solvers.checkpoint import FALLBACK, is_of
from dasklasso.solvers.driver import Checkpoints, Driver
from dasklasso.solvers.fista.solver import Fista
from dasklasso.solvers.registry import solver_entry


def fista_can_finish(solved: Solved) -> bool:
    """Tell whether fista solves the problems of another solver too."""
    problem = solved.problem
    requires = solver_entry(Fista.name).requires
    return not problem.unpenalised.size or requires.has_unpenalised(problem.loss)


def finish_by_fista(
    data: Dataset,
    engine: ScanEngine,
    solved: Solved,
    options: FitOptions,
    run: RunOptions,
    progress: Callable[[ScanEvent], None] | None,
    checkpoints: Checkpoints | None = None,
) -> Solved:
    """Go on with the problems that another solver left above the tolerance, from where they are.

    A warning says so. Problems without a fold stay as they are.

    Parameters
    ----------
    solved : of every job, by a solver that no longer got on
    checkpoints : Checkpoints or None
        Of that solver, which has a state there: those of this one are in a folder beside it.
    """
    # classes are one problem: its gap is in the solution of each
    gaps = [solved.solutions[job].gap for job in range(0, len(solved.jobs), solved.jobs.n_outputs)]
    n_open = sum(gap > options.tol for gap in gaps)
    warnings.warn(
        f"{solved.solver} no longer gets on: {n_open} of {len(gaps)} problems have "
        f"gaps of up to {solved.worst_gap:.2g}, above {options.tol:.2g}, after {solved.scans} "
        "scans; fista goes on with them from there"
        + ("" if solved.cross_validation is None else ", and those of folds stay as they are"),
        DataWarning,
        stacklevel=4,
    )
    problem, jobs, before = solved.problem, solved.jobs, engine.scans
    frame = engine.placed(problem.frame)
    first = look(engine, problem, frame, run.device)
    setup = Setup(data, options, run, engine, problem, frame, first)
    own = None
    if checkpoints is not None and np.isfinite(checkpoints.seconds):
        own = replace(checkpoints, folder=checkpoints.folder / FALLBACK)
    driver = Driver(
        engine, problem, frame, first.free, setup.settings, progress=progress, checkpoints=own
    )
    solver = Fista(setup)
    solutions = {
        job: replace(one, certified=one.certified and one.gap <= options.tol)
        for job, one in solved.solutions.items()
    }
    scans = solved.scans + engine.scans - before  # a fit that was resumed had scans before
    nbytes = solved.bytes_read + first.bytes_read
    state = solver.go_on(jobs, solutions, scans, nbytes)
    if run.resume and own is not None and is_of(own.folder, own.key):
        state = driver.resume(solver)
    state = driver.run(solver, state)
    found = {  # fista may stop at a point that is worse than where it began
        job: min(one, solved.solutions[job], key=lambda each: each.gap)
        for job, one in state.solved.items()
    }
    return replace(solved, solutions=found, scans=state.scans, bytes_read=state.bytes_read)
