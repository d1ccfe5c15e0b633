"""A fit by proximal stochastic gradient: the first look, then epochs, certified as they are."""

from __future__ import annotations

from collections.abc import Callable

from dasklasso.dataset.dataset import Dataset
from dasklasso.errors import OptionError
from dasklasso.fit.session import Solved
from dasklasso.objective.objective import Objective
from dasklasso.options import FitOptions, RunOptions
from dasklasso.problem.zero_scan import look, meet
from dasklasso.scan.engine import ScanEngine
from dasklasso.solvers.base import Jobs, ScanEvent, Settings
from dasklasso.solvers.driver import Driver
from dasklasso.solvers.prox_sgd.solver import ProxSgd, Schedule


def solve_by_sgd(
    data: Dataset,
    engine: ScanEngine,
    objective: Objective,
    options: FitOptions,
    run: RunOptions,
    progress: Callable[[ScanEvent], None] | None,
) -> Solved:
    """Solve for every alpha, to whatever gap the epochs lead to.

    Raises
    ------
    OptionError
        When a checkpoint was asked for, epochs keep none; when the loss has several predictions
        of a row, or no largest curvature for steps to go by.
    DasklassoError
    """
    if run.checkpoint is not None:
        raise OptionError("checkpoint: solver prox_sgd keeps none, use solver fista")
    loss = objective.loss
    if loss.n_outputs > 1 or loss.unbounded:
        lacks = "a single prediction of a row" if loss.n_outputs > 1 else "a bounded curvature"
        raise OptionError(f"loss: {loss.name} found, but prox_sgd needs one with {lacks}")
    problem, nbytes = meet(data, engine, objective, run.device)
    frame = engine.placed(problem.frame)
    first = look(engine, problem, frame, run.device)
    jobs = Jobs(options.grid(data, first.alpha_max, objective.l1_ratio), problem.n_targets)
    settings = Settings(options.tol, options.max_scans, run.device)
    schedule = Schedule(options.epochs, options.batch_size, options.seed)
    driver = Driver(engine, problem, frame, first.free, settings, progress=progress)
    solver = ProxSgd(engine, problem, frame, first.free, settings, schedule)
    state = driver.run(solver, solver.init(jobs, first, engine.scans, nbytes + first.bytes_read))
    return Solved(problem, jobs, state.solved, "prox_sgd", state.scans, state.bytes_read)
