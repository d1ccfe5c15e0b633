"""Sums over rows have names, add up over disjoint rows, and can be taken apart by point."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from dasklasso.backend import backend_for
from dasklasso.objective.loss_sums import LossSums

NAMES = (
    "loss",
    "slope",
    "slope_squares",
    "slope_ratio",
    "slack",
    "slack_product",
    "slack_squares",
)


def some(n_sums, seed=0, k=4):
    return LossSums(*np.random.default_rng(seed).standard_normal((n_sums, k)))


@pytest.mark.parametrize("n_sums", [3, 4, 7])
def test_sums_of_disjoint_rows_add_up_name_by_name(n_sums):
    a, b = some(n_sums, 1), some(n_sums, 2)
    found = a + b
    for name in NAMES[:n_sums]:
        assert np.array_equal(getattr(found, name), getattr(a, name) + getattr(b, name))
    assert [getattr(found, name) for name in NAMES[n_sums:]] == [None] * (7 - n_sums)


def test_adding_changes_neither():
    a, b = some(3, 1), some(3, 2)
    before = a.loss.copy(), b.loss.copy()
    _ = a + b
    assert np.array_equal(a.loss, before[0])
    assert np.array_equal(b.loss, before[1])


def test_means_may_have_a_total_for_each_point():
    sums, totals = some(4), np.array([1.0, 2.0, 4.0, 8.0])
    assert np.array_equal((sums / totals).slope_ratio, sums.slope_ratio / totals)
    assert np.array_equal((sums / 2.0).loss, sums.loss / 2.0)


@pytest.mark.parametrize("points", [slice(1, 3), np.array([2, 0])])
def test_some_points_have_their_own_sums(points):
    sums = some(7)
    found = sums[points]
    assert len(found) == 2
    assert np.array_equal(found.slack_squares, sums.slack_squares[points])


def test_points_one_after_the_other_are_those_of_each():
    sums = some(7)
    found = LossSums.concatenate([sums[:1], sums[1:]])
    for name in NAMES:
        assert np.array_equal(getattr(found, name), getattr(sums, name))


def test_a_point_is_finite_where_all_its_sums_are():
    sums = some(7)
    sums.slack[1], sums.loss[2] = np.inf, np.nan
    assert sums.finite.tolist() == [True, False, False, True]


def test_sums_of_a_device_come_back_as_they_were():
    sums = some(4)
    found = sums.map(backend_for("strict").asarray).to_numpy()
    assert np.array_equal(found.slope, sums.slope)
    assert found.slack is None


def test_sums_travel():
    assert np.array_equal(pickle.loads(pickle.dumps(some(3))).slope, some(3).slope)
