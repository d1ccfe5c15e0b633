"""Hard losses are approached through easier ones: each path of these begins where the last ended.

A Huber loss whose delta is far below the residuals is next to all corners: of its gradient little
is left to tell how far to step. With a delta of the residuals' size it is nearly a squared loss,
and from one delta to the next, a few times smaller, solutions move by about a delta (continuation
in the smoothing parameter: Becker, Bobin and Candès, 2011, NESTA, section 3.3). Slopes grow with
delta, so alphas do too. Nothing is certified but the loss that was asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from dasklasso.dataset.dataset import Dataset
from dasklasso.fit.targets import sampled_targets
from dasklasso.objective.losses.base import Loss
from dasklasso.problem.null_model import null_model
from dasklasso.problem.problem import Problem, unit_loss
from dasklasso.problem.zero_scan import look, moments_of_targets
from dasklasso.solvers.base import Jobs, ScanEvent, Setup, Solver, State
from dasklasso.solvers.driver import Driver
from dasklasso.solvers.entry import SolverEntry

EASIER_TOL = 1e-2  # relative gap of an easier path: it only has to end near the next
EASIER_SCANS = 300  # for each of them
FEWEST_EASIER = 3  # losses: a loss that fewer lead to is not so hard


def easier_losses(data: Dataset, problem: Problem) -> Sequence[Loss]:
    """Return losses that lead to a problem's, the easiest first; none where it is easy itself.

    Reads some rows of y.
    """
    loss = problem.loss
    if not loss.has_easier:
        return ()
    y = sampled_targets(data).y
    prediction = np.broadcast_to(problem.null_intercept, y.shape)
    found = [loss.easier(prediction[:, k], y[:, k]) for k in range(problem.n_targets)]
    longest = max(found, key=len)
    return longest if len(longest) >= FEWEST_EASIER else ()


def approached(
    entry: SolverEntry,
    setup: Setup,
    jobs: Jobs,
    scans: float,
    bytes_read: int,
    progress: Callable[[ScanEvent], None] | None,
) -> State | None:
    """Solve the paths of easier losses, one after the other: the state of the last.

    None where the loss is easy, or the solver does without: proximal Newton, whose models are
    damped, takes more scans to follow losses than to solve the one that is asked for.

    Parameters
    ----------
    setup : of the loss that is asked for, after the scan at zero
    jobs : its alphas
    scans, bytes_read : reads of X before, and their bytes
    """
    engine, data = setup.engine, setup.data
    if not entry.continues or engine.is_split:
        return None
    state: State | None = None
    for loss in easier_losses(data, setup.problem):
        before = engine.scans
        there = _at(entry, setup, loss)
        assert there.first is not None
        scans += engine.scans - before
        bytes_read += there.first.bytes_read
        options = replace(setup.options, tol=EASIER_TOL)
        most = min(options.max_scans, math.ceil(scans) + EASIER_SCANS)
        there = replace(there, options=replace(options, max_scans=most))
        driver = Driver(
            engine,
            there.problem,
            there.frame,
            there.free,
            there.settings,
            progress=_told_as(loss, progress),
        )
        assert entry.make is not None
        solver: Solver[Any] = entry.make(replace(there, watch=driver.watch, stage=driver.stage))
        larger = replace(jobs, alphas=jobs.alphas * (loss.steepness / setup.problem.loss.steepness))
        if state is None:
            begun = solver.init(larger, scans, bytes_read)
        else:
            begun = solver.after(replace(state, scans=scans, bytes_read=bytes_read), larger)
        state = driver.run(solver, begun)
        scans, bytes_read = state.scans, state.bytes_read
    return state


def _at(entry: SolverEntry, setup: Setup, loss: Loss) -> Setup:
    """Return the same for another loss, after its scan at zero, and without folds."""
    problem, engine = setup.problem, setup.engine
    objective = replace(problem.objective, loss=loss)
    targets = moments_of_targets(engine)
    constant, least = null_model(engine, loss, targets, fit_intercept=objective.fit_intercept)
    problem = replace(
        problem,
        objective=objective,
        null_loss=unit_loss(least, targets),
        null_intercept=constant,
    )
    there = replace(setup, problem=problem, folds=None, first=None)
    requests = list(entry.zero_requests(there))
    first = look(engine, problem, setup.frame, setup.run.device, requests)
    return replace(there, first=first, zero_requests=requests)


def _told_as(
    loss: Loss, progress: Callable[[ScanEvent], None] | None
) -> Callable[[ScanEvent], None] | None:
    """Say of every scan which loss it is of: its problems are not those that are asked for."""
    if progress is None:
        return None
    parameters = ", ".join(f"{name} {value:.3g}" for name, value in loss.parameters.items())

    def told(event: ScanEvent) -> None:
        progress(replace(event, stage=event.stage or f"with {parameters}"))

    return told
