"""A fit by proximal Newton: a first look, a path on a sample of rows, then scans of all of them.

The sample is brought home by the first look. Its mean loss is tilted so that its gradient at the
null model is that of all rows (the first-order correction of Shamir, Srebro and Zhang, 2014,
Communication-efficient distributed optimization using an approximate Newton-type method, eq. 13,
at that model); its path, solved in memory, is where the scans of all rows begin.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from dasklasso.backend import to_numpy
from dasklasso.cross_validation.fold_scores import curve_of
from dasklasso.cross_validation.record import CvRecord
from dasklasso.dataset.dataset import Dataset
from dasklasso.dataset.row_folds import FoldAssignment
from dasklasso.errors import OptionError
from dasklasso.fit.by_scans import problem_key
from dasklasso.fit.session import Solved
from dasklasso.options import CvOptions, FitOptions, RunOptions
from dasklasso.problem.folds import Folds, folds_of, warn_of_constant_columns
from dasklasso.problem.problem import Problem, gradient_query
from dasklasso.problem.zero_scan import FirstLook, look, meet
from dasklasso.scan.engine import Request, ScanEngine
from dasklasso.scan.frame import PlacedFrame
from dasklasso.scan.gather import gather
from dasklasso.scan.queries.gradient import LossGradient
from dasklasso.scan.queries.hessian import WeightedGrams
from dasklasso.scan.queries.sample import Sample, SampleRows, as_dataset
from dasklasso.scan.runners import InProcess, threads_each
from dasklasso.solvers.base import Jobs, ScanEvent, Settings, Solution, nonzeros_of
from dasklasso.solvers.certificate_scan import check_finite
from dasklasso.solvers.checkpoint import has_checkpoint
from dasklasso.solvers.cost import n_problems_of
from dasklasso.solvers.newton.checkpoint import Saved, load_tracks, save_tracks, start_at
from dasklasso.solvers.newton.cost import held_whole, newton_limits, sample_step
from dasklasso.solvers.newton.hessian_schedule import Limits
from dasklasso.solvers.newton.in_memory import HeldColumns, solve_in_memory
from dasklasso.solvers.newton.iterate import Track
from dasklasso.solvers.newton.solver import Newton, Start, Tilt
from dasklasso.solvers.newton.start import (
    NullModels,
    columns_at_null,
    first_start,
    null_hessians,
    null_models,
)

SAMPLE_TOL = 1e-4  # relative gap on the sample: it differs from all rows by more
SAMPLE_SCANS = 12
SAMPLE_NOISE_SE = 1.0  # standard errors that a gradient of a sample may be off by
MARGIN = 0.5  # of tol: where the scan that certifies will be content


def solve_by_newton(
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
    assignment : FoldAssignment
        The folds of ``cv``.

    Raises
    ------
    DasklassoError
    """
    objective = options.objective()
    problem, nbytes = meet(data, engine, objective, run.device)
    if problem.unpenalised.size:
        raise OptionError(
            f"solver: newton has no unpenalised features, and feature {problem.unpenalised[0]} is "
            "constant, so that standardize takes its penalty away; gram and fista can"
        )
    fit = _Fit(data, engine, problem, options, run, progress, bytes_read=nbytes)
    if cv is None:
        newton, scans = fit.path()
        record = None
    else:
        folds = fit.folds = folds_of(engine, assignment)
        ratios = cv.l1_ratios or (objective.l1_ratio,)
        paths = [fit.path(ratio) for ratio in ratios]
        curves = tuple(curve_of(one.problem, one.jobs, one.tracks, folds, cv) for one, _ in paths)
        record = CvRecord(cv.kind, len(folds.weights), cv.seed, cv.rule, curves)
        newton, scans = paths[[curve is record.best for curve in curves].index(True)]
    jobs = newton.jobs
    solutions = {job: _solution(track) for job, track in enumerate(newton.tracks[: len(jobs)])}
    return Solved(
        newton.problem,
        jobs,
        solutions,
        "newton",
        scans + engine.scans,
        fit.bytes_read,
        record,
    )


@dataclass
class _Fit:
    """What the steps of one fit have in common."""

    data: Dataset
    engine: ScanEngine
    problem: Problem
    options: FitOptions
    run: RunOptions
    progress: Callable[[ScanEvent], None] | None
    bytes_read: int
    folds: Folds | None = None

    def __post_init__(self) -> None:
        options = self.options
        self.frame = self.engine.placed(self.problem.frame)
        self.limits: Limits = newton_limits(self.data, self.options, self.run)
        self.settings = Settings(options.tol, options.max_scans, self.run.device)
        self.key = problem_key(self.data, options, self.run)
        self.dtype = "float64" if self.data.X.dtype == np.float64 else "float32"
        self._looked: tuple[FirstLook, NullModels, Sample | None] | None = None

    def path(self, l1_ratio: float | None = None) -> tuple[Newton, int]:
        """Solve for every alpha, of one l1_ratio: the solver, and scans before this engine's."""
        if l1_ratio is not None:
            objective = replace(self.problem.objective, l1_ratio=l1_ratio)
            self.problem = replace(self.problem, objective=objective)
        saved = self.saved()
        if self._looked is None:
            self._looked = self.look(sampled=saved is None)
            self.bytes_read += self._looked[0].bytes_read
        first, null, sample = self._looked
        if saved is None:
            alphas = self.options.grid(self.data, first.alpha_max, self.problem.objective.l1_ratio)
            jobs = Jobs(alphas, self.problem.n_targets)
            start, noise = self.start(jobs, null, sample)
        else:
            jobs, start, noise = Jobs(saved.alphas, self.problem.n_targets), saved.start, 0.0
            self.bytes_read += saved.bytes_read
        scans = 0 if saved is None else saved.scans
        newton = Newton(
            self.engine,
            self.problem,
            self.frame,
            jobs,
            self.settings,
            self.limits,
            self.progress,
            noise=noise,
            bytes_read=self.bytes_read,
            save=None if self.run.checkpoint is None else partial(self.save, scans),
            checkpoint_seconds=self.run.checkpoint_seconds,
            folds=self.folds,
        )
        newton.run(start, null.points)
        self.bytes_read = newton.bytes_read
        return newton, scans

    def saved(self) -> Saved | None:
        """The checkpoint that the fit goes on from."""
        if not self.run.resume or self.run.checkpoint is None:
            return None
        folder = Path(self.run.checkpoint)
        return load_tracks(folder, self.key) if has_checkpoint(folder) else None

    def save(self, scans: int, newton: Newton) -> None:
        """Write a checkpoint, after so many scans before this engine's."""
        assert self.run.checkpoint is not None
        save_tracks(
            Path(self.run.checkpoint),
            self.key,
            newton.tracks,
            self.engine,
            alphas=newton.jobs.alphas,
            scans=scans + self.engine.scans,
            bytes_read=newton.bytes_read,
        )

    def look(self, *, sampled: bool) -> tuple[FirstLook, NullModels, Sample | None]:
        """The scan at zero: null models, and a sample of rows where one is worth it."""
        every = sample_step(self.data) if sampled else 0
        if sampled and held_whole(self.data):
            every = 1
        problem, limits = self.problem, self.limits
        some = columns_at_null(problem, np.zeros((problem.n_features, 1)), problem.n_features)
        sample = SampleRows(every) if every else None
        hessians = None
        if sample is None and some.size <= limits.columns:
            hessians = self._hessians(problem, some)
        also = [] if sample is None else [Request(sample)]
        if hessians is not None:
            also = [self._request(hessians, self.engine, self.frame)]
        asked = None
        if self.folds is not None:
            n_models = n_problems_of(self.data, self.options)
            asked = self.folds.queries(problem, n_models, self.data.X, self.run.device)
            also += asked.requests
        first = look(self.engine, problem, self.frame, self.run.device, also)
        if self.folds is not None and asked is not None:
            self.folds = self.folds.with_answers(asked, first.answers)
            warn_of_constant_columns(self.folds, problem, self.data.feature_names)
        gradient = to_numpy(first.gradient)[:, : problem.n_targets]
        check_finite(np.isfinite(gradient))
        if sample is not None:
            null = null_models(problem, gradient, first.slope, some, [])
            return first, null, first.answers[sample]
        if hessians is not None:
            matrices = first.answers[hessians]
        else:
            some = columns_at_null(problem, gradient, limits.columns)
            _, matrices = self._at_null(problem, some, self.engine, self.frame)
        return first, null_models(problem, gradient, first.slope, some, matrices), None

    def start(self, jobs: Jobs, null: NullModels, sample: Sample | None) -> tuple[Start, float]:
        """Where scans of all rows begin, and by how much its gradients may be off."""
        if sample is None:
            return first_start(self.problem, jobs, null), 0.0
        if held_whole(self.data):
            return self.solved_in_memory(jobs, sample), 0.0
        rows = as_dataset(sample, self.data)
        problem = replace(self.problem, total_weight=sample.total_weight)
        engine = ScanEngine(rows, InProcess(threads_each(None)), self.run.band_bytes)
        frame = engine.placed(problem.frame)
        whole = np.stack([point.gradient for point in null.points], axis=1)
        slope = np.array([point.slope for point in null.points])
        some = columns_at_null(problem, whole, self.limits.columns)
        at, matrices = self._at_null(problem, some, engine, frame)
        tilt = Tilt(whole - at.gradient, slope - at.sums.slope)
        here = null_models(problem, whole, slope, some, matrices)
        newton = Newton(
            engine,
            problem,
            frame,
            jobs,
            Settings(SAMPLE_TOL, engine.scans + SAMPLE_SCANS, self.run.device),
            self.limits,
            tilt=tilt,
        )
        newton.run(first_start(problem, jobs, here), here.points)
        # columns are of unit spread: a gradient's standard error is that of a mean of slopes
        error = float(np.sqrt(at.sums.slope_squares.max() / len(sample.x)))
        return start_at(newton.tracks), SAMPLE_NOISE_SE * error

    def solved_in_memory(self, jobs: Jobs, sample: Sample) -> Start:
        """Solutions of all jobs on all rows, and without each fold: scans only certify them."""
        began = time.monotonic()

        def report(done: int, total: int) -> None:
            if self.progress is not None:
                self.progress(
                    ScanEvent(
                        scan=self.engine.scans,
                        n_done=done,
                        n_alphas=total,
                        worst_gap=float("inf"),
                        n_nonzero=0,
                        bytes_read=self.bytes_read,
                        seconds=time.monotonic() - began,
                        stage="in memory",
                    )
                )

        points, intercepts, gradients = solve_in_memory(
            HeldColumns(sample, self.problem),
            self.problem,
            jobs,
            self.folds,
            goal=MARGIN * self.options.tol,
            most=self.limits.columns,
            report=report,
        )
        return Start(points, intercepts, gradients, solved=True)

    def _hessians(self, problem: Problem, columns: np.ndarray) -> WeightedGrams:
        return null_hessians(problem, columns, self.run.device, self.dtype)

    def _request(self, hessians: WeightedGrams, engine: ScanEngine, frame: PlacedFrame) -> Request:
        zeros = np.zeros((self.problem.n_features, self.problem.n_targets))
        return Request(hessians, (engine.by_columns(zeros), frame))

    def _at_null(
        self, problem: Problem, columns: np.ndarray, engine: ScanEngine, frame: PlacedFrame
    ) -> tuple[LossGradient, list[np.ndarray]]:
        """A scan at the null models: loss, gradients, and Hessians over some columns."""
        null = problem.null_intercept if problem.steps_intercept else None
        query = gradient_query(problem, range(problem.n_targets), "float64", self.run.device, null)
        hessians = self._hessians(problem, columns)
        request = self._request(hessians, engine, frame)
        points = request.inputs[0]
        found = gather(engine, points, engine.gradient(query, points, frame, [request]))
        return found[query], found[hessians]


def _solution(track: Track) -> Solution:
    point = track.point
    return Solution(
        nonzeros_of(point.u),
        track.objective,
        track.gap,
        point.slope,
        certified=track.exact,
        intercept=point.b,
    )
