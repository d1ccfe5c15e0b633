"""Which iterates are accepted, what curvature steps allow for next, and where problems begin."""

from __future__ import annotations

import numpy as np
import pytest

from dasklasso.solvers.fista.backtracking import Backtracking
from dasklasso.solvers.fista.step import STEP, SUMMARY_ROWS, ZERO, Plan

HELD = Backtracking(np.array([3.0, 5.0]), np.array([10.0, 20.0]), 1e-13)
GOES_ON, STARTS_AGAIN = (2, 0), (0, 0)  # base and iterate before


def plan(base, previous):
    both = np.ones(2)
    places = np.array([base, 1]), np.array([previous, 1])
    return Plan(*places, 0 * both, both, 8.0 * both, None, True)


def step(square):
    summary = np.zeros((SUMMARY_ROWS, 2))
    summary[STEP] = square
    return summary


@pytest.mark.parametrize(
    ("places", "objective", "is_kept"),
    [
        (STARTS_AGAIN, 9.0, True),  # promised ½ · 8 · 0.25 = 1, and at least half of that
        (STARTS_AGAIN, 9.8, False),
        ((ZERO, ZERO), 9.8, False),
        (GOES_ON, 9.8, True),
        (GOES_ON, 10.1, False),
        (GOES_ON, 10.0 + 5e-13, True),  # the same but for rounding
        (GOES_ON, np.nan, False),
    ],
)
def test_an_iterate_is_kept_where_it_gained_enough(places, objective, is_kept):
    accepted = HELD.accepted(plan(*places), step(0.25), np.array([objective, 0.0]))
    assert accepted.tolist() == [is_kept, True]


@pytest.mark.parametrize(
    ("places", "objective", "steep", "curvature"),
    [
        (STARTS_AGAIN, 9.0, False, 3.0),
        (STARTS_AGAIN, 9.8, False, 6.0),
        (STARTS_AGAIN, np.nan, False, 48.0),
        (STARTS_AGAIN, 10 - 0.96 * 2, False, 1.5),  # as though there were no curvature
        (GOES_ON, 10.1, False, 3.0),  # momentum is to blame
        (GOES_ON, 9.8, True, 4.5),
    ],
)
def test_curvature_follows_what_steps_showed(places, objective, steep, curvature):
    numbers, one = np.array([objective, 0.0]), plan(*places)
    accepted = HELD.accepted(one, step(0.25), numbers)
    after = HELD.after(one, step(0.25), numbers, accepted, np.array([steep, False]))
    assert after.curvature[0] == curvature
    assert after.objective[0] == (objective if accepted[0] else 10.0)


def test_who_begins_at_zero_takes_any_first_step():
    begun = HELD.of(np.array([1, ZERO]))
    assert begun.objective.tolist() == [20.0, np.inf]
    assert begun.accepted(plan(*STARTS_AGAIN), step(0.25), np.array([20.1, 1e9])).tolist() == [
        False,
        True,
    ]
