"""Where a proximal Newton fit begins: null models, and a path on rows that the first scan gathered.

Where all rows fit in memory, paths are solved there, and scans only certify them. Else a sample's
mean loss is tilted so that its gradient at the null model is that of all rows (the first-order
correction of Shamir, Srebro and Zhang, 2014, Communication-efficient distributed optimization
using an approximate Newton-type method, eq. 13, at that model); its path, solved in memory, is
where the scans of all rows begin.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from dasklasso.backend import to_numpy
from dasklasso.problem.problem import Problem, gradient_query
from dasklasso.scan.engine import Request, ScanEngine
from dasklasso.scan.frame import PlacedFrame
from dasklasso.scan.queries.hessian import WeightedGrams
from dasklasso.scan.queries.sample import Sample, SampleRows, as_dataset
from dasklasso.scan.runners import InProcess, threads_each
from dasklasso.solvers.base import Jobs, ScanEvent, Setup
from dasklasso.solvers.certificate_scan import check_finite
from dasklasso.solvers.driver import Driver
from dasklasso.solvers.newton.cost import held_whole, newton_limits, sample_step
from dasklasso.solvers.newton.hessian_schedule import Limits
from dasklasso.solvers.newton.in_memory import HeldColumns, solve_in_memory
from dasklasso.solvers.newton.shared import Start, start_at
from dasklasso.solvers.newton.solver import Newton
from dasklasso.solvers.newton.start import (
    NullModels,
    columns_at_null,
    first_start,
    null_hessians,
    null_models,
)
from dasklasso.solvers.newton.trials import Tilt, Trials

SAMPLE_TOL = 1e-4  # relative gap on the sample: it differs from all rows by more
SAMPLE_SCANS = 12
SAMPLE_NOISE_SE = 1.0  # standard errors that a gradient of a sample may be off by
MEMORY_TOL_SHARE = 0.5  # of tol: gaps in memory, so that the scan that certifies finds less

T = TypeVar("T")


def zero_requests(setup: Setup) -> Sequence[Request]:
    """Return what the scan at zero is asked: rows to hold, or the Hessians of the null models."""
    data, problem = setup.data, setup.problem
    every = 0
    if not setup.resumed:
        every = 1 if held_whole(data) else sample_step(data)
    if every:
        return [Request(SampleRows(every))]
    limits = newton_limits(data, setup.options, setup.run)
    some = columns_at_null(problem, np.zeros((problem.n_features, 1)), problem.n_features)
    if some.size > limits.columns:
        return []
    return [_request(setup, setup.engine, setup.frame, _hessians(setup, some))]


def make_newton(setup: Setup) -> Newton:
    """Return the solver of a problem, after the scan at zero."""
    first, problem = setup.zero, setup.problem
    assert first is not None
    limits = newton_limits(setup.data, setup.options, setup.run)
    gradient = to_numpy(first.gradient)[:, : problem.n_targets]
    check_finite(np.isfinite(gradient))
    hessians = _asked(setup, WeightedGrams)
    some = columns_at_null(problem, gradient, limits.columns)
    if hessians is not None:
        some = hessians.columns[0]
    matrices = [] if hessians is None else first.answers[hessians]
    null = null_models(problem, gradient, first.slope, some, matrices)
    rows = _asked(setup, SampleRows)
    sample = None if rows is None else first.answers[rows]
    return Newton(setup, limits, null.points, BeginningOnRows(setup, limits, null, sample))


@dataclass(frozen=True)
class BeginningOnRows:
    """How the first trials of a fit are found.

    Attributes
    ----------
    setup : Setup
    limits : Limits
    null : NullModels
        Without matrices where the scan at zero could not take them.
    sample : rows that it gathered, or None
    """

    setup: Setup
    limits: Limits
    null: NullModels
    sample: Sample | None

    def start(self, jobs: Jobs) -> Start | None:
        """Return the first trials; None where they need a scan (:meth:`question`)."""
        if self.sample is None:
            return self._first_start(jobs, self.null) if self.null.matrices else None
        if held_whole(self.setup.data):
            return self._solved_in_memory(jobs, self.sample)
        return self._on_sample(jobs, self.sample)

    def question(self) -> Trials:
        """Return the null models on all rows, with Hessians over the columns that matter there."""
        return _at_null(self.setup, self.setup.engine, self.setup.frame, self.null.columns)

    def start_after(self, jobs: Jobs, matrices: Sequence[np.ndarray]) -> Start:
        """Return the first trials, once a scan has taken the Hessians of the null models."""
        return self._first_start(jobs, replace(self.null, matrices=list(matrices)))

    def _report(self, stage: str) -> Callable[[int, int], None]:
        """Return what a stage in memory calls with how many problems are done, and of how many."""

        def report(done: int, total: int) -> None:
            if self.setup.stage is not None:
                self.setup.stage(stage, done, total)

        return report

    def _first_start(self, jobs: Jobs, null: NullModels) -> Start:
        return first_start(self.setup.problem, jobs, null, self._report("a first path"))

    def _solved_in_memory(self, jobs: Jobs, sample: Sample) -> Start:
        """Solutions of all jobs on all rows, and without each fold: scans only certify them."""
        setup = self.setup

        points, intercepts, gradients = solve_in_memory(
            HeldColumns(sample, setup.problem),
            setup.problem,
            jobs,
            setup.folds,
            goal=MEMORY_TOL_SHARE * setup.options.tol,
            most=self.limits.columns,
            report=self._report("in memory"),
        )
        return Start(points, intercepts, gradients, solved=True)

    def _on_sample(self, jobs: Jobs, sample: Sample) -> Start:
        """Return the path of a tilted sample."""
        setup, null = self.setup, self.null
        problem = replace(setup.problem, total_weight=sample.total_weight)
        rows = as_dataset(sample, setup.data)
        engine = ScanEngine(rows, InProcess(threads_each(None)), setup.run.band_bytes)
        frame = engine.placed(problem.frame)
        whole = np.stack([point.gradient for point in null.points], axis=1)
        slope = np.array([point.slope for point in null.points])
        options = replace(setup.options, tol=SAMPLE_TOL, max_scans=1 + SAMPLE_SCANS)
        there = replace(
            setup, options=options, engine=engine, problem=problem, frame=frame, folds=None
        )  # with the stages of the fit, so that long steps are told of too
        tried = _at_null(there, engine, frame, null.columns).ask(engine)
        assert tried.matrices is not None
        at = tried.found
        tilt = Tilt(whole - to_numpy(at.gradient), slope - at.sums.slope)
        here = null_models(problem, whole, slope, null.columns, tried.matrices)
        report = self._report("on a sample of rows")

        def scanned(event: ScanEvent) -> None:
            report(event.n_done, event.n_alphas)

        newton = Newton(there, self.limits, here.points, tilt=tilt)
        driver = Driver(engine, problem, frame, None, there.settings, progress=scanned)
        begins = newton.begin(jobs, engine.scans, 0, first_start(problem, jobs, here, report))
        state = driver.run(newton, begins)
        # columns are of unit spread: a gradient's standard error is that of a mean of slopes
        error = float(np.sqrt(at.sums.slope_squares.max() / len(sample.x)))
        return replace(start_at(state.iterates), noise=SAMPLE_NOISE_SE * error)


def _at_null(setup: Setup, engine: ScanEngine, frame: PlacedFrame, columns: np.ndarray) -> Trials:
    """Return a scan at the null models: loss, gradients, and Hessians over some columns."""
    problem = setup.problem
    null = problem.null_intercept if problem.steps_intercept else None
    query = gradient_query(problem, range(problem.n_targets), "float64", setup.run.device, null)
    request = _request(setup, engine, frame, _hessians(setup, columns))
    return Trials(query, request.inputs[0], frame, request)


def _hessians(setup: Setup, columns: np.ndarray) -> WeightedGrams:
    dtype = "float64" if setup.data.X.dtype == np.float64 else "float32"
    return null_hessians(setup.problem, columns, setup.run.device, dtype)


def _request(
    setup: Setup, engine: ScanEngine, frame: PlacedFrame, hessians: WeightedGrams
) -> Request:
    problem: Problem = setup.problem
    zeros = np.zeros((problem.n_features, problem.n_targets))
    return Request(hessians, (engine.by_columns(zeros), frame))


def _asked(setup: Setup, kind: type[T]) -> T | None:
    """Return the query of a kind that the scan at zero was asked."""
    found: list[Any] = [one.query for one in setup.zero_requests if isinstance(one.query, kind)]
    return found[0] if found else None
