"""The lasso path of the diabetes data in Efron, Hastie, Johnstone and Tibshirani (2004).

Least Angle Regression, Annals of Statistics 32: 442 patients, ten columns of unit norm. Features
are numbered as there: 1 age, 2 sex, 3 bmi, 4 map, 5 tc, 6 ldl, 7 hdl, 8 tch, 9 ltg, 10 glu.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import lars_path

from dasklasso.scan.cross_moments import CrossMoments, cross_moments
from dasklasso.solvers.from_moments import solve_moments
from dasklasso.solvers.problem import Objective

DATA = Path(__file__).parents[2] / "data" / "diabetes.csv"
# Believed to be what R's lars prints ($lambda, RSS, last coefficients), but written down without
# the source at hand: not yet verified against it. This file's data agree to about four digits.
KNOTS = [949.43526, 889.315991, 452.900969, 316.074053, 130.130851, 88.782430]
KNOTS += [68.965221, 19.981255, 5.477473, 5.089179, 2.182250, 1.310435]
RSS = [2621009, 2510465, 1700369, 1527165, 1365734, 1324118, 1308932, 1275355, 1270233]
RSS += [1269390, 1264977, 1264765, 1263983]
LEAST_SQUARES = [-10.012, -239.819, 519.840, 324.390, -792.184]
LEAST_SQUARES += [476.746, 101.045, 177.064, 751.279, 67.625]
MOVES = [3, 9, 4, 7, 2, 10, 5, 8, 6, 1, -7, 7]  # a feature enters, or leaves


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    table = np.loadtxt(DATA, delimiter=",", skiprows=1)
    X, y = table[:, :-1], table[:, -1]
    X = X - X.mean(axis=0)
    return X / np.linalg.norm(X, axis=0), y


@pytest.fixture(scope="module")
def moments(data) -> CrossMoments:
    return cross_moments(*data)


def path_at(moments: CrossMoments, multiplier: list[float] | np.ndarray) -> np.ndarray:
    """Coefficients where the paper's multiplier of the l1 norm, n alpha, has these values."""
    alphas = np.asarray(multiplier) / moments.weight
    return solve_moments(moments, Objective(), alphas, tol=1e-15).coef


def test_features_enter_and_leave_in_the_papers_order(moments):
    between = np.sqrt(np.array(KNOTS) * np.array([*KNOTS[1:], 0.5]))
    supports = path_at(moments, between) != 0
    expected: set[int] = set()
    for support, move in zip(supports, MOVES, strict=True):
        expected = expected - {-move} if move < 0 else expected | {move}
        assert set(np.flatnonzero(support) + 1) == expected


def test_residual_sums_of_squares_at_the_knots_are_the_papers(data, moments):
    X, y = data
    coef = path_at(moments, [*KNOTS, 1e-9])
    found = np.sum((y - y.mean() - coef @ X.T) ** 2, axis=1)
    np.testing.assert_allclose(found, RSS, rtol=1e-5)


def test_coefficients_at_the_knots_are_those_of_least_angle_regression(data, moments):
    X, y = data
    knots, _, theirs = lars_path(X, y - y.mean(), method="lasso")
    np.testing.assert_allclose(knots[:-1] * len(y), KNOTS, rtol=5e-4)
    ours = path_at(moments, knots[:-1] * len(y))
    np.testing.assert_allclose(ours, theirs.T[:-1], rtol=1e-6, atol=1e-6 * np.abs(theirs).max())


def test_the_path_ends_at_least_squares(moments):
    np.testing.assert_allclose(path_at(moments, [1e-9])[0], LEAST_SQUARES, rtol=5e-4)
