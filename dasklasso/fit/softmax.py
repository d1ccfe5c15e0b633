"""A fit of a softmax loss by proximal Newton: rows come home with the first look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from dasklasso.backend import to_numpy
from dasklasso.cross_validation.fold_scores import curve_of
from dasklasso.cross_validation.record import CvRecord
from dasklasso.dataset.dataset import Dataset
from dasklasso.dataset.row_folds import FoldAssignment
from dasklasso.fit.by_scans import problem_key
from dasklasso.fit.session import Solved
from dasklasso.options import CvOptions, FitOptions, RunOptions
from dasklasso.problem.folds import Folds, folds_of, warn_of_constant_columns, weights_by_class
from dasklasso.problem.problem import Problem
from dasklasso.problem.zero_scan import FirstLook, look, meet
from dasklasso.scan.engine import Request, ScanEngine
from dasklasso.scan.queries.sample import Sample, SampleRows
from dasklasso.solvers.base import Jobs, ScanEvent, Settings, Solution, nonzeros_of
from dasklasso.solvers.checkpoint import has_checkpoint
from dasklasso.solvers.cost import n_problems_of
from dasklasso.solvers.newton.checkpoint import Saved, load_tracks, save_tracks
from dasklasso.solvers.softmax.cost import held_step, softmax_coordinates
from dasklasso.solvers.softmax.folds import trainings
from dasklasso.solvers.softmax.rows import HeldRows, Seen
from dasklasso.solvers.softmax.solver import SoftmaxNewton


def solve_softmax_by_newton(
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
    folds = None if cv is None else folds_of(engine, assignment)
    rows, asked = SampleRows(held_step(data)), None
    also = [Request(rows)]
    if folds is not None:
        asked = folds.queries(problem, n_problems_of(data, options), data.X, run.device)
        also += asked.requests
    first = look(engine, problem, engine.placed(problem.frame), run.device, also)
    if folds is not None and asked is not None:
        folds = folds.with_answers(asked, first.answers)
        warn_of_constant_columns(folds, problem, data.feature_names)
    sample = first.answers[rows]
    fit = _Fit(
        data, engine, problem, options, run, progress, first, sample, nbytes + first.bytes_read
    )
    if cv is None or folds is None:
        newton, scans = fit.path()
        record = None
    else:
        ratios = cv.l1_ratios or (objective.l1_ratio,)
        paths = [fit.path(ratio, folds) for ratio in ratios]
        curves = tuple(curve_of(one.problem, one.jobs, one.tracks, folds, cv) for one, _ in paths)
        record = CvRecord(cv.kind, len(folds.weights), cv.seed, cv.rule, curves)
        newton, scans = paths[[curve is record.best for curve in curves].index(True)]
    jobs = newton.jobs
    solutions = {job: _solution(newton, job) for job in range(len(jobs))}
    return Solved(
        newton.problem, jobs, solutions, "newton", scans + engine.scans, fit.bytes_read, record
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
    first: FirstLook
    sample: Sample
    bytes_read: int

    def __post_init__(self) -> None:
        self.key = problem_key(self.data, self.options, self.run)

    def path(
        self, l1_ratio: float | None = None, folds: Folds | None = None
    ) -> tuple[SoftmaxNewton, int]:
        """Solve for every alpha, of one l1_ratio: the solver, and scans before this engine's."""
        saved = self.saved()
        data, options, run, problem = self.data, self.options, self.run, self.problem
        if l1_ratio is not None:
            problem = replace(problem, objective=replace(problem.objective, l1_ratio=l1_ratio))
        c, scans, start = problem.n_targets, 0, None
        if saved is None:
            alphas = options.grid(data, self.first.alpha_max, problem.objective.l1_ratio)
        else:
            alphas, scans, start = saved.alphas, saved.scans, saved.start
            self.bytes_read += saved.bytes_read
        rows = HeldRows(self.sample, problem, whole=held_step(data) == 1)
        newton = SoftmaxNewton(
            self.engine,
            problem,
            self.engine.placed(problem.frame),
            Jobs(alphas, c, c),
            Settings(options.tol, options.max_scans, run.device),
            rows,
            softmax_coordinates(data, options),
            self.progress,
            without=None
            if folds is None
            else trainings(problem, rows, folds, weights_by_class(data, folds.assignment, c)),
            bytes_read=self.bytes_read,
            save=None if run.checkpoint is None else partial(self.save, scans),
            checkpoint_seconds=run.checkpoint_seconds,
        )
        newton.run(Seen(to_numpy(self.first.gradient)[:, :c], self.first.sums, 0), start)
        self.bytes_read = newton.bytes_read
        return newton, scans

    def saved(self) -> Saved | None:
        """The checkpoint that the fit goes on from."""
        if not self.run.resume or self.run.checkpoint is None:
            return None
        folder = Path(self.run.checkpoint)
        return load_tracks(folder, self.key) if has_checkpoint(folder) else None

    def save(self, scans: int, newton: SoftmaxNewton) -> None:
        """Write a checkpoint, after so many scans before this engine's."""
        assert self.run.checkpoint is not None
        alphas = newton.jobs.alphas
        save_tracks(
            Path(self.run.checkpoint),
            self.key,
            newton.tracks,
            self.engine,
            alphas=alphas,
            scans=scans + self.engine.scans,
            bytes_read=newton.bytes_read,
        )


def _solution(newton: SoftmaxNewton, job: int) -> Solution:
    index, k = divmod(job, newton.problem.n_targets)
    track = newton.tracks[index]
    return Solution(
        nonzeros_of(track.point.u[:, k]),
        track.objective,
        track.gap,
        float(track.point.slope[k]),
        certified=track.exact,
        intercept=float(track.point.b[k]),
    )
