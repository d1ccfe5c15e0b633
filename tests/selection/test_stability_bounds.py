"""Error bounds of stability selection: by hand, and against the worst distribution there is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from dasklasso.errors import OptionError
from dasklasso.selection.stability_bounds import (
    _largest_tails,
    expected_false,
    selected_for,
    threshold_for,
)

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


# What stabs prints (hofnerb/stabs on GitHub, tests/regtest-inference.Rout.save, R 4.0.3) for
# 50 pairs and 100 features: threshold, q, bound.
STABS_UNIMODAL = [(0.6, 1, 0.02631579), (0.6, 4, 0.4210526), (0.6, 10, 2.631579)]
STABS_R_CONCAVE = [(0.6, 4, 0.1637231), (0.6, 5, 0.2605329), (0.6, 6, 0.3820466)]
STABS_R_CONCAVE += [(0.6, 7, 0.5295188), (0.6, 8, 0.7042719), (0.6, 9, 0.9077127)]
STABS_R_CONCAVE += [(0.6, 10, 1.141338), (0.61, 10, 1.005863), (0.62, 10, 0.8971682)]
STABS_R_CONCAVE += [(0.6, 30, 16.24975), (0.5, 10, 2.484542)]
# Here its search, which ends 1e-4 from the best decay, stays visibly below the maximum.
STABS_CUT_SHORT = [(0.6, 1, 0.006971364), (0.6, 2, 0.03342845), (0.6, 3, 0.08691176)]
STABS_CUT_SHORT += [(1.0, 10, 0.005184816)]


@pytest.mark.parametrize(
    ("bound", "figures", "rtol"),
    [
        ("unimodal", STABS_UNIMODAL, 1e-6),
        ("r-concave", STABS_R_CONCAVE, 1e-5),
        ("r-concave", STABS_CUT_SHORT, 0.06),
    ],
)
def test_bounds_are_those_that_stabs_prints(bound, figures, rtol):
    for threshold, q, expected in figures:
        found = expected_false(threshold, q, 100, 50, bound)
        assert found == pytest.approx(expected, rel=rtol)
        assert found > expected * (1 - 1e-6)


@pytest.mark.parametrize("r", [-0.5, -0.25])
def test_no_r_concave_distribution_beats_the_largest_tail(r):
    n = 20
    rng = np.random.default_rng(0)
    value = np.arange(n + 1.0)
    closest = 0.0
    for _ in range(60):
        # a probability to the power r is convex: the largest of lines, infinite off an interval
        slope, at = rng.normal(size=3) * rng.choice([0.1, 1.0, 10.0]), rng.uniform(0, n, 3)
        convex = np.max(slope * (value[:, None] - at), axis=1)
        convex += rng.exponential() + max(0.0, -convex.min())
        f = convex ** (1 / r) * (value <= rng.integers(5, n + 1))
        f /= f.sum()
        tail = np.cumsum(f[::-1])[::-1]
        largest = _largest_tails(float(f @ value) / n, n, r)
        assert np.all(tail <= largest * (1 + 1e-9))
        closest = max(closest, np.max(tail[largest < 1] / largest[largest < 1], initial=0.0))
    assert closest > 0.9  # the comparison is not idle


@pytest.mark.parametrize("n_pairs", [10, 50])
@pytest.mark.parametrize("n_features", [100, 10_000])
def test_the_more_a_bound_supposes_the_lower_it_is(n_pairs, n_features):
    strictly = 0
    for theta in (1e-3, 0.02, 0.1, 0.3):
        for threshold in (0.55, 0.6, 0.75, 0.9, 1.0):
            least, middle, most = (
                expected_false(threshold, theta * n_features, n_features, n_pairs, bound)
                for bound in ("r-concave", "unimodal", "meinshausen_buhlmann")
            )
            assert least <= middle
            assert middle <= most * (1 + 1e-12) or middle == np.inf  # where it does not reach
            strictly += least < 0.9 * middle
    assert strictly >= 10


def test_the_r_concave_bound_is_inverted():
    threshold = threshold_for(1.0, 10.0, 100, 50, "r-concave")
    assert threshold == 0.62  # as stabs finds
    q = selected_for(1.0, 0.6, 100, 50, "r-concave")
    assert 9.0 < q < 10.0  # stabs finds 9, of integers
    assert expected_false(0.6, q, 100, 50, "r-concave") <= 1.0
    assert expected_false(0.6, 1.001 * q, 100, 50, "r-concave") > 1.0


def test_where_no_feature_is_selected_the_r_concave_bound_is_zero():
    assert expected_false(0.6, 0.0, 100, 50, "r-concave") == 0.0
    assert selected_for(0.0, 0.6, 100, 50, "r-concave") == 0.0


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
