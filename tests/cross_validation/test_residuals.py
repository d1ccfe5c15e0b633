"""Mean squared residuals from moments, against the residuals themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dasklasso.cross_validation.curves import mean_squared_residual
from dasklasso.moments.cross_moments import cross_moments


@given(
    seed=st.integers(0, 1000),
    n=st.integers(1, 40),
    d=st.integers(0, 5),
    mean=st.sampled_from([0.0, 1e3]),
    weighted=st.booleans(),
)
def test_it_is_the_weighted_mean_of_squared_residuals(seed, n, d, mean, weighted):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * 10.0 ** rng.uniform(-2, 2, d) + mean
    y = rng.normal(size=(n, 2)) + mean
    weight = rng.uniform(0.1, 2.0, n) if weighted else np.ones(n)
    coef = rng.normal(size=(3, d)) / 10.0 ** rng.uniform(-2, 2, d)
    moments = cross_moments(X, y, weight)
    for target in range(2):
        residual = y[:, target] - coef @ X.T
        expected = np.average(residual**2, axis=1, weights=weight)
        centre = np.average(residual, axis=1, weights=weight)
        found = mean_squared_residual(moments, coef, centre, target)
        np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_an_exact_fit_leaves_nothing_and_never_less():
    rng = np.random.default_rng(0)
    X, coef = rng.normal(size=(50, 8)), rng.normal(size=(100, 8))
    for w in coef:
        found = mean_squared_residual(cross_moments(X, X @ w), w[None], np.zeros(1))
        assert 0.0 <= found[0] < 1e-13


def test_a_residual_of_a_millionth_of_the_target_keeps_its_digits():
    rng = np.random.default_rng(1)
    X, w = rng.normal(size=(500, 6)), rng.normal(size=6)
    noise = 1e-6 * rng.normal(size=500)
    found = mean_squared_residual(cross_moments(X, X @ w + noise), w[None], np.zeros(1))
    assert found[0] == pytest.approx(noise.var(), rel=1e-2)
