"""A fit by FISTA: the first look, then scans until every alpha is certified."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import numpy as np

from dasklasso.dataset.dataset import Dataset
from dasklasso.errors import OptionError
from dasklasso.fit.session import Solved
from dasklasso.objective.objective import Objective
from dasklasso.options import FitOptions, RunOptions
from dasklasso.problem.problem import Problem
from dasklasso.problem.zero_scan import look, meet
from dasklasso.scan.engine import ScanEngine
from dasklasso.solvers.base import Jobs, ScanEvent, Settings
from dasklasso.solvers.checkpoint import has_checkpoint, saved_alphas
from dasklasso.solvers.fista.solver import Drive
from dasklasso.solvers.fista.state import State


def solve_by_fista(
    data: Dataset,
    engine: ScanEngine,
    objective: Objective,
    options: FitOptions,
    run: RunOptions,
    progress: Callable[[ScanEvent], None] | None,
) -> Solved:
    """Solve for every alpha.

    Raises
    ------
    DasklassoError
    """
    with ExitStack() as stack:
        folder = _anchor(engine, run, stack)
        problem, jobs, state = _solve(data, engine, objective, options, run, folder, progress)
    return Solved(problem, jobs, state.solutions, "fista", state.scans, state.bytes_read)


def _solve(
    data: Dataset,
    engine: ScanEngine,
    objective: Objective,
    options: FitOptions,
    run: RunOptions,
    folder: Path | None,
    progress: Callable[[ScanEvent], None] | None,
) -> tuple[Problem, Jobs, State]:
    problem, nbytes = meet(data, engine, objective, run.device)
    frame = engine.placed(problem.frame)
    settings = Settings(
        tol=options.tol,
        max_scans=options.max_scans,
        device=run.device,
        checkpoint=folder,
        # a temporary folder only anchors what is out on workers: no need to write by the clock
        checkpoint_seconds=run.checkpoint_seconds if run.checkpoint else float("inf"),
        key=problem_key(data, options, run),
    )
    alphas = None
    resumed = run.resume and folder is not None and has_checkpoint(folder)
    first = None
    if not resumed or problem.unpenalised.size:
        first = look(engine, problem, frame, run.device)
        alphas = options.grid(data, first.alpha_max, objective.l1_ratio)
    free = None if first is None else first.free

    def drive_for(grid: np.ndarray) -> Drive:
        jobs = Jobs(grid, problem.n_targets, objective.loss.n_outputs)
        return Drive(engine, problem, frame, jobs, free, settings, progress)

    if resumed and folder is not None:
        drive = drive_for(saved_alphas(folder, settings.key))
        state = drive.resume(folder)
    else:
        assert first is not None
        assert alphas is not None
        drive = drive_for(alphas)
        state = drive.begin(first, engine.scans, nbytes + first.bytes_read)
    return problem, drive.jobs, drive.run(state)


def _anchor(engine: ScanEngine, run: RunOptions, stack: ExitStack) -> Path | None:
    """The checkpoint folder; where w stays on workers, there must be one they all reach."""
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


def problem_key(data: Dataset, options: FitOptions, run: RunOptions) -> str:
    """Names a problem: the same key means the same steps, bit for bit."""
    parts = asdict(options)
    factor = parts.pop("penalty_factor")
    del parts["max_scans"]  # a resumed fit may be given more
    parts |= {
        "penalty_factor": None if factor is None else hashlib.sha256(factor.tobytes()).hexdigest(),
        "fingerprint": data.fingerprint,
        "band_bytes": run.band_bytes,
        "device": run.device,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
