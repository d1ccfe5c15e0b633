"""A fit by any solver of the registry that asks scans of its own."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from dasklasso.cross_validation.fold_scores import curve_of
from dasklasso.cross_validation.record import CvRecord
from dasklasso.dataset.dataset import Dataset
from dasklasso.dataset.row_folds import FoldAssignment
from dasklasso.errors import OptionError
from dasklasso.files.documents import one_line
from dasklasso.fit.continuation import approached
from dasklasso.fit.session import Solved
from dasklasso.options import CvOptions, FitOptions, RunOptions
from dasklasso.problem.constant_columns import warn_of_constant_columns
from dasklasso.problem.folds import folds_of
from dasklasso.problem.problem import Problem
from dasklasso.problem.zero_scan import look, meet
from dasklasso.scan.engine import ScanEngine
from dasklasso.solvers.base import Jobs, ScanEvent, Setup, Solver, State
from dasklasso.solvers.checkpoint import has_checkpoint
from dasklasso.solvers.cost import n_problems_of
from dasklasso.solvers.driver import Checkpoints, Driver
from dasklasso.solvers.entry import SolverEntry


def solve_by_scans(
    entry: SolverEntry,
    data: Dataset,
    engine: ScanEngine,
    options: FitOptions,
    run: RunOptions,
    cv: CvOptions | None,
    assignment: FoldAssignment,
    progress: Callable[[ScanEvent], None] | None,
) -> Solved:
    """Solve for every alpha; with ``cv`` without each fold too, on the same scans.

    Parameters
    ----------
    entry : SolverEntry
    assignment : FoldAssignment
        The folds of ``cv``, or one of all rows.

    Raises
    ------
    DasklassoError
    """
    with ExitStack() as stack:
        objective = options.objective()
        free = entry.requires.has_unpenalised(objective.loss)
        problem, bytes_read = meet(data, engine, objective, run.device, unpenalised=free)
        _check_penalties(entry, problem)
        checkpoints = checkpoints_of(data, options, run, cv, _anchor(engine, run, stack))
        resumed = run.resume and checkpoints is not None and has_checkpoint(checkpoints.folder)
        setup = Setup(data, options, run, engine, problem, engine.placed(problem.frame))
        setup = replace(setup, resumed=resumed)
        if cv is not None:
            setup = replace(setup, folds=folds_of(engine, assignment))
        if not resumed or problem.unpenalised.size or entry.looks_when_resumed:
            setup = _looked(entry, setup)
            assert setup.first is not None
            bytes_read += setup.first.bytes_read
        ratios = (options.l1_ratio,) if cv is None else cv.l1_ratios or (options.l1_ratio,)
        scans, found = engine.scans, []
        for l1_ratio in ratios:
            solver, state = _path(
                entry, _at(setup, l1_ratio), checkpoints, progress, scans, bytes_read, resumed
            )
            scans, bytes_read = state.scans, state.bytes_read
            found.append((solver, state))
    record = None
    solver, state = found[0]
    if cv is not None:
        assert setup.folds is not None
        curves = tuple(
            curve_of(one.problem, at.jobs, one.left_out(at), setup.folds, cv) for one, at in found
        )
        record = CvRecord(cv.kind, len(setup.folds.weights), cv.seed, cv.rule, curves)
        solver, state = found[[curve is record.best for curve in curves].index(True)]
    solutions = solver.solutions(state)
    return Solved(solver.problem, state.jobs, solutions, entry.name, scans, bytes_read, record)


def _looked(entry: SolverEntry, setup: Setup) -> Setup:
    """Run the scan at zero: what the solver wants of it, and what problems of folds need."""
    if entry.look is not None:
        return entry.look(setup)
    requests, folds, asked = list(entry.zero_requests(setup)), setup.folds, None
    if folds is not None:
        n_models = n_problems_of(setup.data, setup.options)
        asked = folds.queries(setup.problem, n_models, setup.data.X, setup.run.device)
    also = requests if asked is None else [*requests, *asked.requests]
    first = look(setup.engine, setup.problem, setup.frame, setup.run.device, also)
    if folds is not None and asked is not None:
        folds = folds.with_answers(asked, first.answers)
        warn_of_constant_columns(folds, setup.problem, setup.data)
    return replace(setup, first=first, folds=folds, zero_requests=requests)


def _at(setup: Setup, l1_ratio: float) -> Setup:
    """Return the same for another share of the l1 penalty."""
    problem = setup.problem
    objective = replace(problem.objective, l1_ratio=l1_ratio)
    return replace(setup, problem=replace(problem, objective=objective))


def _path(
    entry: SolverEntry,
    setup: Setup,
    checkpoints: Checkpoints | None,
    progress: Callable[[ScanEvent], None] | None,
    scans: float,
    bytes_read: int,
    resumed: bool,
) -> tuple[Solver[Any], State]:
    """Drive one path of alphas to its end."""
    problem, options = setup.problem, setup.options
    driver = Driver(
        setup.engine,
        problem,
        setup.frame,
        setup.free,
        setup.settings,
        progress=progress,
        checkpoints=checkpoints,
    )
    assert entry.make is not None
    solver = entry.make(replace(setup, watch=driver.watch, stage=driver.stage))
    if resumed:
        return solver, driver.run(solver, driver.resume(solver))
    assert setup.first is not None
    alphas = options.grid(setup.data, setup.first.alpha_max, problem.objective.l1_ratio)
    jobs = Jobs(alphas, problem.n_targets, problem.loss.n_outputs)
    near = approached(entry, setup, jobs, scans, bytes_read, progress)
    begun = solver.init(jobs, scans, bytes_read) if near is None else solver.after(near, jobs)
    return solver, driver.run(solver, begun)


def _check_penalties(entry: SolverEntry, problem: Problem) -> None:
    """Refuse columns without a penalty that only the data show."""
    if entry.requires.penalised and problem.unpenalised.size:
        raise OptionError(
            f"solver: {entry.name} has no unpenalised features, and feature "
            f"{problem.unpenalised[0]} is constant, so that standardize takes its penalty away; "
            "gram and fista can"
        )


def _anchor(engine: ScanEngine, run: RunOptions, stack: ExitStack) -> Path | None:
    """Return the checkpoint folder; where w stays on workers, there must be one they all reach."""
    if run.checkpoint is not None:
        return Path(run.checkpoint)
    if not engine.is_split:
        return None
    if run.scheduler is not None:
        raise OptionError(
            "checkpoint: X is split by columns over the workers of a running scheduler, which "
            "needs a checkpoint folder that all of them can reach"
        )
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dasklasso-")))


def checkpoints_of(
    data: Dataset, options: FitOptions, run: RunOptions, cv: CvOptions | None, folder: Path | None
) -> Checkpoints | None:
    """Tell where a fit keeps its states; None where it has no folder for them."""
    if folder is None:
        return None
    # a temporary folder only anchors what is out on workers: no need to write by the clock
    seconds = run.checkpoint_seconds if run.checkpoint else float("inf")
    key, of = problem_key(data, options, run, cv), one_line(data.location)
    return Checkpoints(folder, key, seconds, of, data.check_unchanged)


def problem_key(data: Dataset, options: FitOptions, run: RunOptions, cv: CvOptions | None) -> str:
    """Name a problem: a checkpoint is only resumed under the key that it was written under."""
    parts = asdict(options)
    factor = parts.pop("penalty_factor")
    del parts["max_scans"]  # a resumed fit may be given more
    parts |= {
        "penalty_factor": None if factor is None else hashlib.sha256(factor.tobytes()).hexdigest(),
        "fingerprint": data.identity,
        "band_bytes": run.band_bytes,
        "device": run.device,
        "folds": None if cv is None else [cv.criterion, asdict(cv.scheme())],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
