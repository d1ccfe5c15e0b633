"""Error bounds of stability selection: by hand, and against the worst distribution there is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from dasklasso.errors import OptionError
from dasklasso.selection.error_bounds import expected_false, selected_for, threshold_for

BOUNDS = ["unimodal", "meinshausen_buhlmann"]


@pytest.mark.parametrize(
    ("bound", "threshold", "expected"),
    [
        # q = 20, p = 1000, B = 50: q²/p = 0.4
        ("meinshausen_buhlmann", 0.6, 0.4 / 0.2),
        ("meinshausen_buhlmann", 0.9, 0.4 / 0.8),
        ("unimodal", 0.6, 0.4 / (2 * (0.2 - 0.01))),
        ("unimodal", 0.75, 0.4 / (2 * (0.5 - 0.01))),
        ("unimodal", 0.9, 0.4 * 4 * (0.1 + 0.01) / 1.02),
        ("unimodal", 1.0, 0.4 * 4 * 0.01 / 1.02),
    ],
)
def test_bounds_by_hand(bound, threshold, expected):
    assert expected_false(threshold, 20.0, 1000, 50, bound) == pytest.approx(expected, rel=1e-12)


def worst_tail(share: float, mean: float, n_pairs: int) -> float:
    """Largest chance to reach 2π − 1 of a unimodal variable on 0, 1/B … 1 of at most that mean.

    The share of pairs whose two halves both select a feature is such a variable.
    """
    value = np.arange(n_pairs + 1) / n_pairs
    reached = value >= 2 * share - 1 - 1e-9
    step = np.diff(np.eye(n_pairs + 1), axis=0)
    worst = 0.0
    for mode in range(n_pairs + 1):
        sign = np.where(np.arange(n_pairs) < mode, -1.0, 1.0)[:, None]
        found = linprog(
            -reached.astype(float),
            A_ub=np.vstack([sign * step, value]),
            b_ub=np.append(np.zeros(n_pairs), mean),
            A_eq=np.ones((1, n_pairs + 1)),
            b_eq=[1.0],
        )
        if found.success:  # a mode may be too high for that mean
            worst = max(worst, -found.fun)
    return worst


@pytest.mark.parametrize("share", [0.6, 0.65, 0.75, 0.8, 0.95, 1.0])
@pytest.mark.parametrize("theta", [0.05, 0.2])
def test_no_unimodal_distribution_beats_the_unimodal_bound(share, theta):
    # p = 1 candidate of chance θ: the bound is C θ², on the chance to keep it
    bound = expected_false(share, theta, 1, 10)
    assert worst_tail(share, theta**2, 10) <= bound * (1 + 1e-7)


def test_a_threshold_between_two_shares_counts_as_the_upper():
    assert expected_false(0.701, 5.0, 100, 50) == expected_false(0.71, 5.0, 100, 50)
    assert expected_false(0.1 + 0.6, 5.0, 100, 50) == expected_false(0.7, 5.0, 100, 50)


@pytest.mark.parametrize(
    ("threshold", "q", "bound"),
    [
        (0.5, 1.0, "meinshausen_buhlmann"),
        (0.505, 1.0, "unimodal"),  # below ½ + 1/B
        (0.55, 30.0, "unimodal"),  # θ = 0.3, and ½ + θ² = 0.59
        (0.9, 60.0, "unimodal"),  # θ above 1/√3
    ],
)
def test_where_a_theorem_does_not_reach_there_is_no_bound(threshold, q, bound):
    assert expected_false(threshold, q, 100, 50, bound) == np.inf


@pytest.mark.parametrize("bound", BOUNDS)
@given(q=st.floats(0.1, 20.0), wanted=st.floats(0.2, 50.0))
def test_the_threshold_for_a_bound_is_the_smallest_that_gives_it(bound, q, wanted):
    if expected_false(1.0, q, 200, 50, bound) > wanted:
        with pytest.raises(OptionError, match=r"expected_false: \S+ found, expected at least"):
            threshold_for(wanted, q, 200, 50, bound)
        return
    threshold = threshold_for(wanted, q, 200, 50, bound)
    assert expected_false(threshold, q, 200, 50, bound) <= wanted
    if threshold > 0.51:
        assert expected_false(threshold - 0.01, q, 200, 50, bound) > wanted


@pytest.mark.parametrize("bound", BOUNDS)
@given(threshold=st.floats(0.53, 1.0), wanted=st.floats(0.01, 100.0))
def test_the_largest_q_for_a_bound_gives_it(bound, threshold, wanted):
    q = selected_for(wanted, threshold, 200, 50, bound)
    assert expected_false(threshold, q, 200, 50, bound) <= wanted * (1 + 1e-12)
    if q < 200:
        assert expected_false(threshold, 1.001 * q, 200, 50, bound) > wanted


@pytest.mark.parametrize("threshold", [0.49, 1.01, np.nan])
def test_a_threshold_outside_of_a_half_to_1_is_an_option_error(threshold):
    with pytest.raises(OptionError, match=f"threshold: {threshold} found"):
        expected_false(threshold, 1.0, 10, 50)


def test_an_unknown_bound_is_an_option_error():
    with pytest.raises(OptionError, match="bound: 'none' found"):
        expected_false(0.6, 1.0, 10, 50, "none")
