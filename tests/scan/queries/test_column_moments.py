"""Column moments merge to those of all rows, also where the mean is a million spreads away."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dasklasso.backend import backend_for, to_numpy
from dasklasso.scan.columns.dense import DenseBlock
from dasklasso.scan.queries.column_moments import (
    column_moments,
    indicator_moments,
    merge_moments,
    moments_of,
    to_host,
)
from dasklasso.scan.rows import Rows


def assert_moments(found, X, weight=None):
    weight = np.ones(len(X)) if weight is None else weight[:, 0]
    total = weight.sum()
    mean = weight @ X / total
    assert found.weight == pytest.approx(total)
    assert np.allclose(found.mean, mean, rtol=1e-13, atol=1e-13)
    assert np.allclose(found.squares, weight @ (X - mean) ** 2, rtol=1e-9)
    assert np.array_equal(found.minimum, X.min(axis=0))
    assert np.array_equal(found.maximum, X.max(axis=0))


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(2, 200),
    cut=st.integers(1, 199),
    mean=st.sampled_from([0.0, 1e6, -1e6]),
    weighted=st.booleans(),
)
def test_merged_moments_are_those_of_the_union(seed, n, cut, mean, weighted):
    rng = np.random.default_rng(seed)
    X = mean + rng.standard_normal((n, 3))
    weight = rng.uniform(0.1, 2.0, (n, 1)) if weighted else None
    cut = min(cut, n - 1)
    halves = [
        moments_of(DenseBlock(X[rows]), None if weight is None else weight[rows])
        for rows in (slice(0, cut), slice(cut, n))
    ]
    assert_moments(merge_moments(*halves), X, weight)


def test_rows_of_weight_zero_merge_to_nothing():
    X = np.arange(6.0).reshape(3, 2)
    none = moments_of(DenseBlock(X + 100), np.zeros((3, 1)))
    merged = merge_moments(none, moments_of(DenseBlock(X), None))
    assert np.array_equal(merged.mean, X.mean(axis=0))
    assert np.all(merge_moments(none, none).squares == 0)


@pytest.mark.parametrize("device", ["cpu", "strict"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_moments_of_blocks_are_those_of_the_table(device, dtype):
    rng = np.random.default_rng(1)
    X = rng.integers(0, 200, (5000, 7)).astype(dtype)
    weight = rng.uniform(0, 1, (5000, 1))
    rows = Rows(0, [DenseBlock(X[:, :4]), DenseBlock(X[:, 4:])], None, weight)
    found = to_host(column_moments(rows, backend_for(device)), to_numpy)
    assert_moments(found, X.astype(float), weight)


@pytest.mark.parametrize("scale", [1e-200, 1e-162, 1e160, 1e250])
def test_the_deviation_of_columns_of_extreme_size_is_a_number(scale):
    X = np.random.default_rng(0).normal(3.0, 1.0, (300, 2))
    X[:100, 1] = 2.0  # so far it does not vary
    extreme = X * np.array([1.0, scale])
    parts = [
        moments_of(DenseBlock(extreme[:100]), None),
        moments_of(DenseBlock(extreme[100:]), None),
    ]
    for found in (moments_of(DenseBlock(extreme), None), merge_moments(*parts)):
        np.testing.assert_allclose(found.std, X.std(axis=0) * [1.0, scale], rtol=1e-12)


def test_values_that_are_not_finite_are_counted_and_left_out():
    X = np.array([[1.0, np.nan], [np.inf, 2.0], [3.0, np.nan]])
    found = moments_of(DenseBlock(X), None)
    assert found.bad.tolist() == [1.0, 2.0]
    assert np.all(np.isfinite(found.mean))


def test_moments_of_indicators_follow_from_the_weight_of_each_class():
    rng = np.random.default_rng(0)
    own, weight = np.eye(4)[rng.integers(0, 4, 50)], rng.uniform(0.5, 2, (50, 1))
    assert_moments(indicator_moments(weight[:, 0] @ own), own, weight)
