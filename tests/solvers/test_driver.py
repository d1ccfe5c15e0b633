"""The driver: it scans, counts, watches, saves and certifies, whatever the solver is."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from dasklasso.dataset.dataset import from_arrays
from dasklasso.errors import CheckpointError
from dasklasso.options import FitOptions, RunOptions
from dasklasso.problem.zero_scan import look, meet
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.runners import InProcess
from dasklasso.solvers.base import Frozen, Jobs, Setup, Solver, Standing, State
from dasklasso.solvers.certificate_scan import CertificateQuestion
from dasklasso.solvers.driver import Checkpoints, Driver
from dasklasso.solvers.registry import solver_entry
from dasklasso.solvers.solution import Solution, confirmed, uncertified

RUN = RunOptions(in_process=True)


@dataclass(frozen=True)
class Walk(State):
    steps: int
    at: np.ndarray
    solved: dict[int, Solution]


class Walker(Solver[Walk]):
    """Takes as many scans as it is told to, and leaves the null model to be certified."""

    name = "walker"

    def __init__(self, setup, n_steps):
        self.setup, self.n_steps, self.problem = setup, n_steps, setup.problem

    def init(self, jobs, scans, bytes_read):
        return Walk(jobs, scans, bytes_read, 0, np.zeros((self.problem.n_features, 1)), {})

    def done(self, state):
        return state.steps >= self.n_steps

    def ask(self, state):
        points = self.setup.engine.by_columns(state.at)
        one = np.zeros(1, int)
        return CertificateQuestion(self.problem, self.setup.frame, None, points, one, one + 1.0)

    def tell(self, state, answer):
        done = state.steps + 1
        solved = {0: uncertified(state.at[:, 0])} if done == self.n_steps else {}
        standing = Standing(0, 1, float(answer.relative_gap[0]), 0)
        return replace(state, steps=done, solved=solved, standing=standing)

    def stop(self, state):
        return replace(state, solved={0: uncertified(state.at[:, 0])})

    def solutions(self, state):
        return state.solved

    def certified(self, state, jobs, found):
        return replace(state, solved=confirmed(state.solved, jobs, found))

    def freeze(self, state):
        by_columns = self.setup.engine.by_columns
        return Frozen(
            {"steps": state.steps}, dict.fromkeys(("points", "gradient"), by_columns(state.at))
        )

    def thaw(self, jobs, scans, bytes_read, frozen):
        at = frozen.arrays["points"].compute()
        return Walk(jobs, scans, bytes_read, frozen.numbers["steps"], at, {})


@pytest.fixture
def setup():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 4))
    data = from_arrays(X, X[:, 0] + rng.standard_normal(60), None)
    options = FitOptions(alphas=(1.0,))
    engine = ScanEngine(data, InProcess(1))
    problem, _ = meet(data, engine, options.objective(), "cpu")
    return Setup(data, options, RUN, engine, problem, engine.placed(problem.frame))


def driver_of(setup, max_scans=100, **more):
    settings = replace(setup.settings, max_scans=max_scans)
    return Driver(setup.engine, setup.problem, setup.frame, None, settings, **more)


JOBS = Jobs(np.array([1.0]), 1)


def test_scans_and_bytes_are_counted_by_the_driver(setup):
    solver = Walker(setup, 3)
    state = driver_of(setup).run(solver, solver.init(JOBS, 5, 1000))
    assert state.scans == 5 + 3 + 1  # the last certifies
    assert state.bytes_read == 1000 + 4 * 60 * 4 * 8


def test_what_a_solver_did_not_certify_is_certified(setup):
    solver = Walker(setup, 1)
    state = driver_of(setup).run(solver, solver.init(JOBS, 0, 0))
    assert state.solved[0].certified
    assert np.isfinite(state.solved[0].gap)


def test_out_of_scans_a_solver_is_stopped_and_its_points_get_their_true_gaps(setup):
    solver = Walker(setup, 50)
    state = driver_of(setup, max_scans=4).run(solver, solver.init(JOBS, 0, 0))
    assert (state.steps, state.scans) == (4, 5)
    assert state.solved[0].certified


def test_a_solver_that_wants_no_last_certificate_gets_none(setup):
    solver = Walker(setup, 50)
    solver.certifies_when_stopped = False
    state = driver_of(setup, max_scans=4).run(solver, solver.init(JOBS, 0, 0))
    assert state.scans == 4
    assert not state.solved[0].certified


def test_scans_that_a_solver_must_have_are_beyond_the_limit(setup):
    solver = Walker(setup, 1)
    solver.least_scans = 1
    state = driver_of(setup, max_scans=2).run(solver, solver.init(JOBS, 2, 0))
    assert state.steps == 1


def test_every_scan_is_told_of(setup):
    events = []
    solver = Walker(setup, 3)
    driver_of(setup, progress=events.append).run(solver, solver.init(JOBS, 0, 0))
    assert [event.scan for event in events] == [1, 2, 3, 4]


def test_a_stage_in_memory_is_told_of_by_name(setup):
    events = []
    driver_of(setup, progress=events.append).stage("in memory", 2, 9)
    assert (events[0].stage, events[0].n_done, events[0].n_alphas) == ("in memory", 2, 9)


def test_a_resumed_state_is_the_one_that_was_saved(setup, tmp_path):
    solver, checkpoints = Walker(setup, 50), Checkpoints(tmp_path, "key", 0.0)
    first = driver_of(setup, max_scans=4, checkpoints=checkpoints)
    first.run(solver, solver.init(JOBS, 0, 0))
    state = driver_of(setup, checkpoints=checkpoints).resume(solver)
    assert (state.steps, state.scans, state.jobs.alphas.tolist()) == (4, 4, [1.0])


def test_a_checkpoint_of_another_solver_is_refused(setup, tmp_path):
    solver, checkpoints = Walker(setup, 50), Checkpoints(tmp_path, "key", 0.0)
    driver = driver_of(setup, max_scans=2, checkpoints=checkpoints)
    driver.run(solver, solver.init(JOBS, 0, 0))
    solver.name = "runner"
    with pytest.raises(CheckpointError, match="solver walker found, expected one of runner"):
        driver.resume(solver)


@pytest.mark.parametrize("name", ["fista", "prox_sgd"])
def test_asking_and_telling_change_no_state(name, setup):
    first = look(setup.engine, setup.problem, setup.frame, "cpu")
    entry = solver_entry(name)
    assert entry.make is not None
    solver = entry.make(replace(setup, first=first))
    state = solver.init(JOBS, 1, 0)
    answer = solver.ask(state).ask(setup.engine)
    one, two = solver.tell(state, answer), solver.tell(state, answer)
    again = solver.ask(state).ask(setup.engine)
    three = solver.tell(state, again)
    for other in (two, three):
        assert solver.solutions(one).keys() == solver.solutions(other).keys()
        assert one.standing == other.standing
