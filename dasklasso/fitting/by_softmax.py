"""A fit of a softmax loss by proximal Newton: rows come home with the first look."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dasklasso.backend import to_numpy
from dasklasso.choice import held_step, softmax_coordinates
from dasklasso.dataset.dataset import Dataset
from dasklasso.fit_options import FitOptions, RunOptions
from dasklasso.fitting.by_fista import problem_key
from dasklasso.fitting.session import Solved
from dasklasso.scan.engine import Asked, ScanEngine
from dasklasso.scan.sampling import SampleRows
from dasklasso.solvers.checkpoint import has_checkpoint
from dasklasso.solvers.events import ScanEvent
from dasklasso.solvers.first_look import look, meet
from dasklasso.solvers.newton_checkpoint import load_tracks, save_tracks
from dasklasso.solvers.problem import Objective
from dasklasso.solvers.slots import Jobs
from dasklasso.solvers.softmax_newton import SoftmaxNewton
from dasklasso.solvers.softmax_rows import HeldRows, Seen
from dasklasso.solvers.solution import Solution, nonzeros_of
from dasklasso.solvers.state import Settings


def solve_softmax_by_newton(
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
    problem, nbytes = meet(data, engine, objective, run.device)
    frame, c = engine.placed(problem.frame), problem.n_targets
    key = problem_key(data, options, run)
    folder = None if run.checkpoint is None else Path(run.checkpoint)
    saved = None
    if run.resume and folder is not None and has_checkpoint(folder):
        saved = load_tracks(folder, key)
    every = held_step(data)
    first = look(engine, problem, frame, run.device, [Asked(SampleRows(every))])
    if saved is None:
        alphas, start = options.grid(data, first.alpha_max, objective.l1_ratio), None
    else:
        alphas, start = saved.alphas, saved.start
    scans, before = (0, 0) if saved is None else (saved.scans, saved.bytes_read)
    jobs = Jobs(alphas, c, c)

    def save(newton: SoftmaxNewton) -> None:
        assert folder is not None
        save_tracks(
            folder,
            key,
            newton.tracks,
            engine,
            alphas=alphas,
            scans=scans + engine.scans,
            bytes_read=newton.bytes_read,
        )

    newton = SoftmaxNewton(
        engine,
        problem,
        frame,
        jobs,
        Settings(
            options.tol,
            options.max_scans,
            run.device,
            checkpoint_seconds=run.checkpoint_seconds,
            key=key,
        ),
        HeldRows(first.beside[0], data, problem, run.band_bytes, whole=every == 1),
        softmax_coordinates(data, options),
        progress,
        bytes_read=before + nbytes + first.bytes_read,
        save=None if folder is None else save,
    )
    newton.run(Seen(to_numpy(first.gradient)[:, :c], first.sums, 0), start)
    solutions = {job: _solution(newton, job) for job in range(len(jobs))}
    return Solved(problem, jobs, solutions, "newton", scans + engine.scans, newton.bytes_read)


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
