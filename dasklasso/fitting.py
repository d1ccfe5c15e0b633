"""Fitting: data and options in, a certified path out. What every face of the package calls."""

from __future__ import annotations

import hashlib
import json
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from dasklasso.backend import backend_for
from dasklasso.dataset.blocks import MemoryBlocks
from dasklasso.dataset.dataset import Dataset
from dasklasso.errors import ModelError, OptionError
from dasklasso.fit_options import FitOptions, RunOptions
from dasklasso.memory import PeakMemory
from dasklasso.result import FittedPath
from dasklasso.scan.cluster import runner_for
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.queries import Prediction
from dasklasso.selection.grid import SMALLEST_L1_RATIO, alpha_grid, given_alphas
from dasklasso.solvers.checkpoint import has_checkpoint, remove_checkpoint, saved_alphas
from dasklasso.solvers.drive import Drive
from dasklasso.solvers.events import ScanEvent
from dasklasso.solvers.first_look import column_moments, look, moments_of_targets
from dasklasso.solvers.problem import Objective, Problem, make_problem, stored_values
from dasklasso.solvers.slots import Jobs
from dasklasso.solvers.state import Settings, State


def fit_path(
    data: Dataset,
    options: FitOptions,
    run: RunOptions | None = None,
    *,
    progress: Callable[[ScanEvent], None] | None = None,
    announce: Callable[[str], None] | None = None,
) -> FittedPath:
    """Solve for every alpha, each certified by a duality gap.

    Parameters
    ----------
    data : Dataset
        With a target.
    progress : called after every scan
    announce : called with a line about the dashboard once there is one

    Returns
    -------
    FittedPath
        A gap above ``tol`` is possible where ``max_scans`` ran out: see ``converged``.

    Raises
    ------
    DasklassoError
    """
    run = run or RunOptions()
    objective = options.objective()
    backend_for(run.device)
    if run.resume and run.checkpoint is None:
        raise OptionError("resume: needs a checkpoint folder")
    if data.y is None:
        raise OptionError(f"{data.location}: has no target y, and a fit needs one")
    began = time.monotonic()
    with ExitStack() as stack:
        runner = stack.enter_context(_runner(data, run, announce))
        peak = stack.enter_context(PeakMemory())
        stack.callback(runner.forget, data.fingerprint)
        engine = ScanEngine(data, runner, run.band_bytes)
        folder = _anchor(engine, run, stack)
        problem, jobs, state = _solve(data, engine, objective, options, run, folder, progress)
    if run.checkpoint is not None and all(
        one.gap <= options.tol for one in state.solutions.values()
    ):
        remove_checkpoint(Path(run.checkpoint))
    return _as_path(
        data,
        problem,
        jobs,
        state,
        options,
        seconds=time.monotonic() - began,
        peak=peak.nbytes,
    )


def predict_store(
    data: Dataset, path: FittedPath, *, alpha: float | None = None, run: RunOptions | None = None
) -> Iterator[tuple[int, int, np.ndarray]]:
    """Predict every row of a data set, in bounded memory.

    Yields
    ------
    (row_start, row_stop, prediction)
        In row order; prediction is (rows, n_targets) float64.

    Raises
    ------
    ModelError
        When the model has other features than the data.
    """
    run = run or RunOptions()
    if path.n_features != data.n_features:
        raise ModelError(
            f"{data.location}: {data.n_features} features found, expected the model's "
            f"{path.n_features}"
        )
    rows, intercepts = path.coefficients_at(alpha)
    with _runner(data, run, None) as runner:
        engine = ScanEngine(replace(data, y=None, sample_weight=None), runner, run.band_bytes)
        query = Prediction(tuple(float(b) for b in intercepts), run.device)
        yield from engine.predictions(query, rows)


def _runner(data: Dataset, run: RunOptions, announce: Any) -> Any:
    in_memory = isinstance(data.X, MemoryBlocks)
    row_chunk = int(np.diff(data.X.row_bounds).max())
    column_chunk = int(np.diff(data.X.column_bounds).max())
    return runner_for(
        workers=run.workers,
        scheduler=run.scheduler,
        device=run.device,
        memory=run.memory,
        dashboard=run.dashboard,
        block_bytes=0 if in_memory else row_chunk * column_chunk * data.X.dtype.itemsize,
        in_process=run.in_process,
        held_here=in_memory,
        announce=announce,
    )


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


def _solve(
    data: Dataset,
    engine: ScanEngine,
    objective: Objective,
    options: FitOptions,
    run: RunOptions,
    folder: Path | None,
    progress: Callable[[ScanEvent], None] | None,
) -> tuple[Problem, Jobs, State]:
    targets = moments_of_targets(engine)
    columns, nbytes = column_moments(data, engine, run.device)
    problem = make_problem(objective, columns, targets)
    frame = engine.placed(problem.frame)
    settings = Settings(
        tol=options.tol,
        max_scans=options.max_scans,
        device=run.device,
        checkpoint=folder,
        # a temporary folder only anchors what is out on workers: no need to write by the clock
        checkpoint_seconds=run.checkpoint_seconds if run.checkpoint else float("inf"),
        key=_key(data, options, run),
    )
    alphas = None if options.alphas is None else given_alphas(options.alphas)

    resumed = run.resume and folder is not None and has_checkpoint(folder)
    first = None
    if not resumed or problem.unpenalised.size:
        first = look(engine, problem, frame, run.device)
        if alphas is None:
            ratio = max(objective.l1_ratio, SMALLEST_L1_RATIO)
            alphas = alpha_grid(
                float(first.alpha_max.max()) / ratio,
                n_alphas=options.n_alphas,
                eps=options.eps,
                n_rows=data.n_rows,
                n_features=data.n_features,
            )
    free = None if first is None else first.free

    def drive_for(grid: np.ndarray) -> Drive:
        jobs = Jobs(grid, problem.n_targets)
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


def _key(data: Dataset, options: FitOptions, run: RunOptions) -> str:
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


def _as_path(
    data: Dataset,
    problem: Problem,
    jobs: Jobs,
    state: State,
    options: FitOptions,
    *,
    seconds: float,
    peak: int,
) -> FittedPath:
    n_alphas, n_targets = len(jobs.alphas), jobs.n_targets
    indices, values, sizes = [], [], []
    intercepts = np.zeros(len(jobs))
    found = [state.solutions[job] for job in range(len(jobs))]
    for job, one in enumerate(found):
        rows, w = stored_values(one.nonzeros, problem.frame)
        indices.append(rows)
        values.append(w)
        sizes.append(len(rows))
        if options.fit_intercept:
            centre = problem.centre[rows]
            mean = problem.y_mean[job % n_targets]
            intercepts[job] = mean - centre @ w - one.residual_mean
    coef = csr_array(
        (
            np.concatenate(values),
            np.concatenate(indices),
            np.concatenate([[0], np.cumsum(sizes)]),
        ),
        shape=(len(jobs), data.n_features),
    )
    shape = (n_alphas, n_targets)
    return FittedPath(
        alphas=jobs.alphas,
        coef_rows=coef,
        intercepts=intercepts.reshape(shape),
        dual_gaps=np.array([one.gap for one in found]).reshape(shape),
        objectives=np.array([one.objective for one in found]).reshape(shape),
        y_is_vector=data.y_is_vector,
        feature_names=data.feature_names,
        target_names=data.target_names,
        loss=options.loss,
        l1_ratio=options.l1_ratio,
        penalty_options={
            "fit_intercept": options.fit_intercept,
            "standardize": options.standardize,
            "positive": options.positive,
            "penalty_factor": options.penalty_factor is not None,
        },
        alpha_selected=float(jobs.alphas[0]) if n_alphas == 1 else None,
        solver="fista",
        tol=options.tol,
        scans=float(state.scans),
        bytes_read=state.bytes_read,
        seconds=seconds,
        peak_memory_bytes=peak,
        fingerprint=data.fingerprint,
        versions=_versions(),
    )


def _versions() -> dict[str, str]:
    named = ("dasklasso", "dask", "distributed", "numpy", "zarr")
    return {"python": platform.python_version(), **{name: version(name) for name in named}}
