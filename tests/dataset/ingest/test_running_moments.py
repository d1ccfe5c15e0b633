"""Column statistics agree with NumPy in float64, whatever the blocks and however large the mean."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dasklasso.dataset.ingest.running_moments import RunningMoments


def in_blocks(X: np.ndarray, edges: list[int]) -> RunningMoments:
    moments = RunningMoments(X.shape[1])
    bounds = [0, *sorted({edge % (len(X) + 1) for edge in edges} - {0, len(X)}), len(X)]
    for start, stop in pairwise(bounds):
        moments.update(X[start:stop])
    return moments


@settings(max_examples=60, deadline=None)
@given(
    X=hnp.arrays(
        st.sampled_from([np.float32, np.float64, np.int16, np.uint8]),
        st.tuples(st.integers(1, 60), st.integers(1, 4)),
        elements=st.integers(0, 200),
    ),
    edges=st.lists(st.integers(0, 100), max_size=6),
)
def test_statistics_agree_with_numpy_for_any_blocks(X: np.ndarray, edges: list[int]) -> None:
    moments = in_blocks(X, edges)
    exact = X.astype(np.float64)
    np.testing.assert_allclose(moments.mean, exact.mean(axis=0), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(moments.std, exact.std(axis=0), rtol=1e-11, atol=1e-11)
    np.testing.assert_array_equal(moments.minimum, exact.min(axis=0))
    np.testing.assert_array_equal(moments.maximum, exact.max(axis=0))


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    mean=st.sampled_from([1e6, -1e8, 3e9]),
    edges=st.lists(st.integers(1, 50_000), max_size=5),
)
def test_a_mean_far_above_the_deviation_does_not_cancel(
    seed: int, mean: float, edges: list[int]
) -> None:
    X = mean + np.random.default_rng(seed).standard_normal((50_000, 2))
    moments = in_blocks(X, edges)
    shifted = X - mean  # exact to rounding of X itself
    np.testing.assert_allclose(moments.std, shifted.std(axis=0), rtol=1e-9)
    np.testing.assert_allclose(moments.mean, mean + shifted.mean(axis=0), rtol=1e-15)


def test_wide_blocks_are_taken_in_by_columns() -> None:
    X = np.random.default_rng(1).integers(0, 3, (150, 5000)) + np.arange(5000) * 1e5
    moments = in_blocks(X, [3, 90])
    np.testing.assert_allclose(moments.mean, X.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(moments.std, (X - X[0]).std(axis=0), rtol=1e-9)
    np.testing.assert_array_equal(moments.minimum, X.min(axis=0))
    np.testing.assert_array_equal(moments.maximum, X.max(axis=0))


def test_an_outlier_in_the_first_row_does_not_spoil_the_deviation() -> None:
    X = np.random.default_rng(0).standard_normal((10_000, 1))
    X[0] = 1e8
    np.testing.assert_allclose(in_blocks(X, [1]).std, X.std(axis=0), rtol=1e-12)


def test_a_constant_column_has_exactly_no_deviation() -> None:
    assert in_blocks(np.full((1_000, 1), 0.1, dtype=np.float32), [7, 300]).std[0] == 0.0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_shows(value: float) -> None:
    X = np.ones((10, 2))
    X[4, 1] = value
    moments = in_blocks(X, [3])
    assert np.isfinite(moments.mean).tolist() == [True, False]
