"""A fit by FISTA: the first look, then scans until every alpha is certified."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from dasklasso.dataset.dataset import Dataset
from dasklasso.errors import OptionError
from dasklasso.fit.session import Solved
from dasklasso.objective.objective import Objective
from dasklasso.options import FitOptions, RunOptions
from dasklasso.problem.zero_scan import look, meet
from dasklasso.scan.engine import ScanEngine
from dasklasso.solvers.base import Jobs, ScanEvent, Settings
from dasklasso.solvers.checkpoint import has_checkpoint
from dasklasso.solvers.driver import Checkpoints, Driver
from dasklasso.solvers.fista.solver import Fista


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
        problem, nbytes = meet(data, engine, objective, run.device)
        frame = engine.placed(problem.frame)
        checkpoints = _checkpoints(data, options, run, _anchor(engine, run, stack))
        resumed = run.resume and checkpoints is not None and has_checkpoint(checkpoints.folder)
        first = None
        if not resumed or problem.unpenalised.size:
            first = look(engine, problem, frame, run.device)
        free = None if first is None else first.free
        settings = Settings(options.tol, options.max_scans, run.device)
        driver = Driver(
            engine, problem, frame, free, settings, progress=progress, checkpoints=checkpoints
        )
        solver = Fista(engine, problem, frame, free, settings)
        if resumed:
            state = driver.resume(solver)
        else:
            assert first is not None
            alphas = options.grid(data, first.alpha_max, objective.l1_ratio)
            jobs = Jobs(alphas, problem.n_targets, objective.loss.n_outputs)
            state = solver.init(jobs, first, engine.scans, nbytes + first.bytes_read)
        state = driver.run(solver, state)
    return Solved(problem, state.jobs, state.solved, "fista", state.scans, state.bytes_read)


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


def _checkpoints(
    data: Dataset, options: FitOptions, run: RunOptions, folder: Path | None
) -> Checkpoints | None:
    if folder is None:
        return None
    # a temporary folder only anchors what is out on workers: no need to write by the clock
    seconds = run.checkpoint_seconds if run.checkpoint else float("inf")
    return Checkpoints(folder, problem_key(data, options, run), seconds)


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
