"""Least squares on some columns of a quadratic, against NumPy on the data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import nnls

from dasklasso.selection.least_squares import least_squares
from dasklasso.solvers.quadratic.path import Quadratic


def quadratic(X: np.ndarray, y: np.ndarray) -> Quadratic:
    return Quadratic(X.T @ X / len(y), X.T @ y / len(y), float(y @ y) / len(y))


def problem(seed: int = 0, n: int = 30, d: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=n)


@given(seed=st.integers(0, 500), n=st.integers(2, 30), d=st.integers(1, 8))
def test_it_is_the_solution_of_least_norm(seed, n, d):
    X, y = problem(seed, n, d)
    found = least_squares(quadratic(X, y), np.arange(d))
    expected, _, _, singular = np.linalg.lstsq(X, y, rcond=None)
    if singular[min(n, d) - 1] > 1e-2:
        np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-7)


def test_columns_left_out_are_zero():
    X, y = problem()
    found = least_squares(quadratic(X, y), np.array([4, 1]))
    np.testing.assert_allclose(found[[1, 4]], np.linalg.lstsq(X[:, [1, 4]], y, rcond=None)[0])
    assert not found[[0, 2, 3, 5]].any()


def test_copies_of_a_column_share_its_coefficient():
    X, y = problem()
    doubled = np.concatenate([X, X[:, :1]], axis=1)
    found = least_squares(quadratic(doubled, y), np.arange(7))
    single = np.linalg.lstsq(X, y, rcond=None)[0]
    np.testing.assert_allclose(found[[0, 6]], single[0] / 2, rtol=1e-9)
    np.testing.assert_allclose(found[1:6], single[1:], rtol=1e-9)


def test_a_column_of_zeros_stays_at_zero():
    X, y = problem()
    X[:, 2] = 0.0
    assert least_squares(quadratic(X, y), np.arange(6))[2] == 0.0


def test_a_ridge_is_added_to_the_diagonal():
    X, y = problem()
    ridge = np.linspace(0.0, 1.0, 6)
    found = least_squares(quadratic(X, y), np.arange(6), ridge=ridge)
    expected = np.linalg.solve(X.T @ X / 30 + np.diag(ridge), X.T @ y / 30)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("seed", range(5))
def test_positive_coefficients_are_those_of_nonnegative_least_squares(seed):
    X, y = problem(seed)
    found = least_squares(quadratic(X, y), np.arange(6), positive=True)
    np.testing.assert_allclose(found, nnls(X, y)[0], rtol=1e-8, atol=1e-10)


def test_the_quadratic_is_left_as_it_was():
    X, y = problem()
    given_quadratic = quadratic(X, y)
    before = given_quadratic.gram.copy()
    least_squares(given_quadratic, np.arange(6), ridge=np.ones(6))
    np.testing.assert_array_equal(given_quadratic.gram, before)
