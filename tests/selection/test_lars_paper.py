"""The lasso path of the diabetes data in Efron, Hastie, Johnstone and Tibshirani (2004).

Least Angle Regression, Annals of Statistics 32: 442 patients, ten columns of unit norm. Features
are numbered as there: 1 age, 2 sex, 3 bmi, 4 map, 5 tc, 6 ldl, 7 hdl, 8 tch, 9 ltg, 10 glu.

The paper itself was not at hand: no figure here is read from its text or drawings. What is held to
are numbers that two programs printed for the paper's data, each in a public file that shows the
call: ``lars``, the R package of the paper's first two authors, and scikit-learn. A third leg is
scikit-learn's lars_path, run here.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import lars_path

from dasklasso.moments.cross_moments import CrossMoments, cross_moments
from dasklasso.objective.objective import Objective
from dasklasso.selection.criteria import degrees_of_freedom, noise_variance_of, training_mse
from dasklasso.solvers.quadratic.from_moments import problem_of, solve_moments

DATA = Path(__file__).parents[2] / "data" / "diabetes.csv"
# This table is of the raw values, to five digits; R and early scikit-learn come with columns of
# unit norm, made elsewhere. Where the path bends differs by up to 2e-4 between the two.

# lars(x, y): "Sequence of LASSO moves", a feature that enters, or with a minus leaves. lars 1.2 in
# jarad/jarad.github.com, _posts/2013-09-12-bayesian-lasso-exploration.md; the same in the next.
MOVES = [3, 9, 4, 7, 2, 10, 5, 8, 6, 1, -7, 7]

# lars(x, y, type = "lasso"): summary() after 0 … 12 moves, and $beta after 7 and after 9 of them.
# yanyul987/yanyul987.github.io, _posts/2019-6-11-DataMining-Part1.md.
DF = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 10, 11]
RSS = [2621009, 2510465, 1700369, 1527165, 1365734, 1324118, 1308932, 1275355, 1270233]
RSS += [1269390, 1264977, 1264765, 1263983]
CP = [453.726255, 418.032217, 143.801193, 86.741078, 33.695679, 21.505224, 18.327003]
CP += [8.877493, 9.131148, 10.843547, 11.338975, 9.266761, 11.0]
BETA_7 = [0, -197.756501, 522.264847, 297.159737, -103.946249]
BETA_7 += [0, -223.926033, 0, 514.749481, 54.767681]
BETA_9 = [0, -227.175798, 526.390594, 314.950467, -237.340973]
BETA_9 += [33.628274, -134.599352, 111.384129, 545.482597, 64.606670]

# lars_path(X, y, method="lasso", verbose=True): column C, the largest product of a column and the
# residual at each move. An early build of scikit-learn's gallery of examples, kept in
# jaquesgrobler/Online-Scikit-Learn-stat-tut,
# _sources/auto_examples/linear_model/plot_lasso_lars.txt.
KNOTS = [949.435260384, 889.315990735, 452.900968908, 316.074052698, 130.130851302, 88.7824298155]
KNOTS += [68.9652212024, 19.9812546781, 5.47747294605, 5.0891788056, 2.18224972883, 1.31043524851]

# LinearRegression().fit(X, y): schen18/m2cgen, README.md, as the constants of a program.
# R's lm prints the same to a decimal in the post named first.
LEAST_SQUARES = [-10.012198, -239.819089, 519.839787, 324.390428, -792.184162]
LEAST_SQUARES += [476.745838, 101.044570, 177.064176, 751.279321, 67.625386]


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


def after_each_move(moments: CrossMoments) -> np.ndarray:
    """Coefficients half way, on a log scale, from each move to the next (to 0.5 from the last)."""
    return path_at(moments, np.sqrt(np.array(KNOTS) * np.array([*KNOTS[1:], 0.5])))


def test_features_enter_and_leave_in_the_order_that_lars_prints(moments):
    expected: set[int] = set()
    for support, move in zip(after_each_move(moments) != 0, MOVES, strict=True):
        expected = expected - {-move} if move < 0 else expected | {move}
        assert set(np.flatnonzero(support) + 1) == expected


def test_residual_sums_of_squares_are_those_that_lars_prints(data, moments):
    X, y = data
    coef = path_at(moments, [*KNOTS, 1e-9])
    found = np.sum((y - y.mean() - coef @ X.T) ** 2, axis=1)
    np.testing.assert_allclose(found, RSS, rtol=1e-5)


@pytest.mark.parametrize(("moves", "expected"), [(7, BETA_7), (9, BETA_9)])
def test_coefficients_are_those_that_lars_prints(moments, moves, expected):
    found = path_at(moments, [KNOTS[moves]])[0]
    np.testing.assert_allclose(found, expected, atol=2e-5 * np.max(np.abs(expected)))
    np.testing.assert_array_equal(found == 0, np.array(expected) == 0)


def test_degrees_of_freedom_and_cp_are_those_that_lars_prints(moments):
    # Cp = RSS / σ² − n + 2 df with the σ² of least squares, and df that counts the intercept and
    # the features in use on the way to a move
    problem, n = problem_of(moments, Objective()), moments.weight
    coef = after_each_move(moments)
    df = 1.0 + np.append(0.0, degrees_of_freedom(moments, problem, np.ones(len(coef)), coef))
    np.testing.assert_array_equal(df, DF)
    rss = n * training_mse(moments, Objective(), path_at(moments, [*KNOTS, 1e-9]))
    cp = rss / noise_variance_of(moments, problem, 0, n) - n + 2.0 * df
    np.testing.assert_allclose(cp, CP, atol=5e-3)


def test_the_path_bends_where_scikit_learn_printed_it(data):
    X, y = data
    knots, _, _ = lars_path(X, y - y.mean(), method="lasso")
    np.testing.assert_allclose(knots[:-1] * len(y), KNOTS, rtol=2e-4)


def test_coefficients_are_those_of_least_angle_regression(data, moments):
    X, y = data
    knots, _, theirs = lars_path(X, y - y.mean(), method="lasso")
    ours = path_at(moments, knots[:-1] * len(y))
    np.testing.assert_allclose(ours, theirs.T[:-1], rtol=1e-6, atol=1e-6 * np.abs(theirs).max())


def test_the_path_ends_at_least_squares(moments):
    found = path_at(moments, [1e-9])[0]
    np.testing.assert_allclose(found, LEAST_SQUARES, atol=2e-5 * np.max(np.abs(LEAST_SQUARES)))
