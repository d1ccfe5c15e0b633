"""Iterates: which figures of a point count, and when a trial is where a problem goes on from."""

from __future__ import annotations

import numpy as np
import pytest

from dasklasso.solvers.newton.iterate import Iterate
from dasklasso.solvers.newton.step import Point


def point(at, loss=1.0):
    return Point(np.array([at]), 0.0, loss, np.array([0.1]), 0.0)


def iterate(**more):
    null = point(0.0)
    found = Iterate(0, 0, -1, (null.u, null.b), null, 1.0)
    for name, value in more.items():
        setattr(found, name, value)
    return found


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("objective", [0.5, 1.0, 2.0])
def test_figures_of_the_same_point_replace_those_that_were_known(objective, exact):
    one = iterate(gap=1e-9, noise=1e-9, step_share=0.25)
    one.take(point(0.0, objective), objective, 0.3, 1e-13, {"loss": 2.0}, exact=exact)
    assert (one.objective, one.gap, one.noise, one.exact) == (objective, 0.3, 1e-13, exact)
    assert one.scores == {"loss": 2.0}
    assert one.step_share == 0.25  # it is no step


def test_a_trial_that_is_refused_leaves_the_precision_of_what_is_known():
    one = iterate(gap=0.1)
    one.take(point(1.0, 2.0), 2.0, 0.2, 0.0, exact=True)
    assert (one.objective, one.gap, one.exact) == (1.0, 0.1, False)


def test_what_is_borrowed_has_no_gap_yet():
    one = iterate(gap=0.1, exact=True)
    one.borrow(point(1.0, 0.5), 0.0, 0.5)
    assert not one.known
    assert not one.exact


def test_a_step_that_fails_makes_models_cautious_and_steps_that_keep_their_promise_less_so():
    one = iterate(gap=0.5, predicted=0.1)
    dampings = []
    for trial in range(1, 4):
        one.take(point(trial, 2.0), 2.0, 0.9, 0.0, exact=True)
        dampings.append(one.damping)
    assert 0 < dampings[0] < dampings[1] < dampings[2] < 1
    one.step_share, one.predicted = 1.0, 0.1
    one.take(point(9.0, 0.9), 0.9, 0.4, 0.0, exact=True)
    assert one.damping < dampings[2]


def test_a_loss_that_is_no_number_is_a_step_that_fails():
    one = iterate()
    one.refuse()
    assert (one.step_share < 1, one.damping > 0, one.stalled, one.idle) == (True, True, 1, 1)


def test_a_problem_that_creeps_is_idle_and_one_that_moves_is_not():
    slow, fast = iterate(gap=1.0), iterate(gap=1.0)
    slow.mark = fast.mark = (1.0, 1.0)
    for k in range(1, 30):
        creeps = 1.0 - 1e-4 * k
        slow.take(point(k, creeps), creeps, creeps, 0.0, exact=True)
        fast.take(point(k, 0.9**k), 0.9**k, 0.8**k, 0.0, exact=True)
    assert (slow.stalled, slow.idle) == (0, 29)
    assert (fast.stalled, fast.idle) == (0, 0)


def test_what_a_trial_far_beyond_shows_of_curvature_is_not_learned():
    one = iterate(predicted=0.1)
    one.take(point(1.0, 1e100), 1e100, 1e100, 0.0, exact=True)
    assert not one.secants
    one.take(point(0.5, 1.5), 1.5, 1.0, 0.0, exact=True)
    assert len(one.secants) == 1
