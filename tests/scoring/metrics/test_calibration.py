"""Bins hold equal shares of the weight, and add up to all of it."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dasklasso.objective.ranks import groups
from dasklasso.scoring.metrics.calibration import Calibration


def table(score, y, weight, bins, size=10**6):
    order = np.argsort(score, kind="stable")
    found = Calibration(bins, float(weight.sum()), lambda score: score / 100)
    cuts = [order[k : k + size] for k in range(0, len(order), size)]
    for some in groups((score[c], y[c], weight[c]) for c in cuts):
        found.add(some)
    return found.table()


def test_distinct_scores_are_cut_into_equal_bins():
    score = np.arange(100.0)
    rows = table(score[::-1], np.ones(100), np.ones(100), 4)
    assert [row["rows"] for row in rows] == [25] * 4
    assert [row["lowest"] for row in rows] == [0.0, 0.25, 0.5, 0.75]
    assert [row["highest"] for row in rows] == [0.24, 0.49, 0.74, 0.99]
    assert [row["mean_prediction"] for row in rows] == pytest.approx([0.12, 0.37, 0.62, 0.87])


def test_equal_scores_share_a_bin():
    rows = table(np.full(50, 20.0), np.arange(50) % 2, np.ones(50), 10)
    assert len(rows) == 1
    assert rows[0] | {"bin": 1} == {
        "bin": 1,
        "lowest": 0.2,
        "highest": 0.2,
        "rows": 50,
        "weight": 50.0,
        "mean_prediction": pytest.approx(0.2),
        "observed_rate": 0.5,
    }


@given(st.integers(1, 60), st.integers(1, 12), st.integers(1, 9), st.integers(0, 999))
def test_bins_add_up_however_rows_come(n, bins, size, seed):
    rng = np.random.default_rng(seed)
    score, y, s = rng.integers(0, 20, n).astype(float), rng.random(n), rng.exponential(size=n)
    rows = table(score, y, s, bins, size)
    assert len(rows) <= bins
    assert sum(row["rows"] for row in rows) == n
    assert sum(row["weight"] for row in rows) == pytest.approx(s.sum())
    total = sum(row["weight"] * row["observed_rate"] for row in rows)
    assert total == pytest.approx(s @ y)
    predicted = sum(row["weight"] * row["mean_prediction"] for row in rows)
    assert predicted == pytest.approx(s @ score / 100)
    assert all(a["highest"] < b["lowest"] for a, b in itertools.pairwise(rows))
