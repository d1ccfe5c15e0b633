"""Relaxed and adaptive lasso from moments, against their formulas on the data."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.optimize import nnls
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Lasso, Ridge

from dasklasso.cross_validation.curves import cross_validate
from dasklasso.errors import OptionError
from dasklasso.moments.cross_moments import cross_moments
from dasklasso.objective.objective import Objective
from dasklasso.objective.penalties.elastic_net import NonNegativeElasticNet
from dasklasso.selection.relaxed_adaptive import (
    adaptive_factors,
    adaptive_path,
    cross_validate_adaptive,
    cross_validate_relaxed,
    initial_estimate,
    relaxed_path,
)
from dasklasso.solvers.quadratic.from_moments import solve_moments

ALPHAS = np.array([20.0, 5.0, 1.0, 0.1])


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    return load_diabetes(return_X_y=True, scaled=False)


@pytest.fixture(scope="module")
def moments(data):
    return cross_moments(*data)


def least_squares(X: np.ndarray, y: np.ndarray, support: np.ndarray) -> np.ndarray:
    w = np.zeros(X.shape[1])
    w[support] = np.linalg.lstsq(
        X[:, support] - X[:, support].mean(axis=0), y - y.mean(), rcond=None
    )[0]
    return w


def test_relaxing_moves_from_the_lasso_to_least_squares_on_its_support(data, moments):
    X, y = data
    found = relaxed_path(moments, Objective(), ALPHAS, [1.0, 0.3, 0.0])
    lasso = solve_moments(moments, Objective(), ALPHAS, tol=1e-12)
    np.testing.assert_array_equal(found.coef[0], lasso.coef)
    for k in range(len(ALPHAS)):
        refit = least_squares(X, y, lasso.coef[k] != 0)
        np.testing.assert_allclose(found.coef[2, k], refit, rtol=1e-7, atol=1e-9)
        mixed = 0.3 * lasso.coef[k] + 0.7 * refit
        np.testing.assert_allclose(found.coef[1, k], mixed, rtol=1e-7, atol=1e-9)
        assert found.intercept[1, k] == pytest.approx(np.mean(y - X @ mixed))


def test_a_relaxed_model_without_intercept_is_refitted_without_one(data, moments):
    X, y = data
    found = relaxed_path(moments, Objective(fit_intercept=False), ALPHAS, [0.0])
    used = found.coef[0, 1] != 0
    expected = np.linalg.lstsq(X[:, used], y, rcond=None)[0]
    np.testing.assert_allclose(found.coef[0, 1][used], expected, rtol=1e-7)
    assert not found.intercept.any()


def test_a_relaxed_positive_model_stays_positive(data, moments):
    X, y = data
    objective = Objective(penalty_type=NonNegativeElasticNet)
    lasso = solve_moments(moments, objective, ALPHAS).coef
    found = relaxed_path(moments, objective, ALPHAS, [0.0]).coef[0]
    for k in range(len(ALPHAS)):
        used = lasso[k] > 0
        expected = nnls(X[:, used] - X[:, used].mean(axis=0), y - y.mean())[0]
        np.testing.assert_allclose(found[k][used], expected, rtol=1e-6, atol=1e-9)


def test_relaxing_features_that_depend_on_one_another_predicts_as_least_squares_does(data):
    X, y = data
    doubled = np.concatenate([X, X[:, 2:3]], axis=1)
    factor = np.zeros(11)  # nothing is penalised, so that both copies are in use
    found = relaxed_path(
        cross_moments(doubled, y), Objective(penalty_factor=factor), np.ones(1), [0.0]
    )
    predicted = doubled @ found.coef[0, 0] + found.intercept[0, 0]
    expected = y.mean() + (X - X.mean(axis=0)) @ least_squares(X, y, np.ones(10, dtype=bool))
    np.testing.assert_allclose(predicted, expected, rtol=1e-6)


def test_relaxed_errors_are_those_on_the_data(data):
    X, y = data
    fold = np.arange(len(y)) % 3
    folds = [cross_moments(X[fold == k], y[fold == k]) for k in range(3)]
    found = cross_validate_relaxed(folds, Objective(), ALPHAS, [0.0, 0.5, 1.0])
    for k in range(3):
        train, test = fold != k, fold == k
        path = relaxed_path(cross_moments(X[train], y[train]), Objective(), ALPHAS, [0.5])
        residual = y[test] - path.coef[0] @ X[test].T - path.intercept[0][:, None]
        expected = np.mean(residual**2, axis=1)
        np.testing.assert_allclose(found.by_gamma[1].error_path[:, k], expected, rtol=1e-8)
    plain = cross_validate(folds, Objective(), ALPHAS)
    np.testing.assert_allclose(found.by_gamma[2].error_path, plain.error_path, rtol=1e-5)


def test_cross_validation_chooses_alpha_and_gamma_together(data):
    X, y = data
    folds = [cross_moments(X[k::4], y[k::4]) for k in range(4)]
    found = cross_validate_relaxed(folds, Objective(), ALPHAS, [0.0, 0.5, 1.0])
    rows = json.loads(json.dumps(found.table()))
    assert len(rows) == 3 * len(ALPHAS)
    best = min(rows, key=lambda row: row["mean_mse"])
    assert (found.gamma, found.alpha_min) == (best["gamma"], best["alpha"])


def test_the_adaptive_lasso_is_a_lasso_on_columns_scaled_by_the_first_estimate(data, moments):
    X, y = data
    first = initial_estimate(moments, Objective())
    np.testing.assert_allclose(first, least_squares(X, y, np.ones(10, dtype=bool)), rtol=1e-8)
    found = adaptive_path(moments, Objective(), ALPHAS, first, power=0.5)
    scale = np.abs(first) ** 0.5
    for k, alpha in enumerate(ALPHAS):
        theirs = Lasso(alpha=alpha, tol=1e-12, max_iter=10**6).fit(X * scale, y)
        np.testing.assert_allclose(found.coef[k], theirs.coef_ * scale, rtol=1e-5, atol=1e-5)
        assert found.intercept[k] == pytest.approx(theirs.intercept_, rel=1e-5)


def test_features_that_a_first_lasso_leaves_out_stay_out(moments):
    first = initial_estimate(moments, Objective(), "lasso", alpha=20.0)
    found = adaptive_path(moments, Objective(), np.array([1e-6]), first)
    assert 0 < np.count_nonzero(first) < 10
    np.testing.assert_array_equal(found.coef[0] != 0, first != 0)


def test_a_first_ridge_is_scikit_learns(data, moments):
    found = initial_estimate(moments, Objective(), "ridge", alpha=0.5)
    theirs = Ridge(alpha=0.5 * 442, tol=1e-12).fit(*data)
    np.testing.assert_allclose(found, theirs.coef_, rtol=1e-8)


def test_an_unpenalised_feature_stays_free_though_its_first_estimate_is_zero(moments):
    factor = np.ones(10)
    factor[3] = 0.0
    objective = Objective(penalty_factor=factor)
    found = adaptive_path(moments, objective, np.array([10.0]), np.eye(10)[0])
    assert set(np.flatnonzero(found.coef[0])) <= {0, 3}
    assert found.coef[0, 3] != 0


def test_a_first_estimate_of_nothing_leaves_the_mean(data, moments):
    found = adaptive_path(moments, Objective(), ALPHAS, np.zeros(10))
    assert not found.coef.any()
    np.testing.assert_allclose(found.intercept, data[1].mean())


def test_standardised_factors_do_not_depend_on_units(data):
    X, y = data
    units = np.geomspace(1e-3, 1e3, 10)
    objective = Objective(standardize=True)
    factors = []
    for features in (X, X * units):
        moments = cross_moments(features, y)
        first = initial_estimate(moments, objective)
        factors.append(adaptive_factors(moments, objective, first, power=2.0))
    np.testing.assert_allclose(factors[0], factors[1], rtol=1e-6)


def test_an_adaptive_cross_validation_makes_its_first_estimate_without_the_fold(data):
    X, y = data
    fold = np.arange(len(y)) % 3
    folds = [cross_moments(X[fold == k], y[fold == k]) for k in range(3)]
    found = cross_validate_adaptive(
        folds, Objective(), ALPHAS, method="ridge", initial_alpha=0.1, power=1.5
    )
    for k in range(3):
        train = cross_moments(X[fold != k], y[fold != k])
        first = initial_estimate(train, Objective(), "ridge", alpha=0.1)
        path = adaptive_path(train, Objective(), ALPHAS, first, power=1.5)
        residual = y[fold == k] - path.coef @ X[fold == k].T - path.intercept[:, None]
        np.testing.assert_allclose(found.error_path[:, k], np.mean(residual**2, axis=1), rtol=1e-8)


@pytest.mark.parametrize("gammas", [[-0.1], [0.5, 1.5], [np.nan], []])
def test_gammas_outside_of_0_to_1_are_an_option_error(moments, gammas):
    with pytest.raises(OptionError, match="gamma:"):
        relaxed_path(moments, Objective(), ALPHAS, gammas)


@pytest.mark.parametrize("power", [0.0, -1.0, np.inf, np.nan])
def test_a_power_that_is_not_positive_is_an_option_error(moments, power):
    with pytest.raises(OptionError, match=f"power: {power} found"):
        adaptive_path(moments, Objective(), ALPHAS, np.ones(10), power=power)


@pytest.mark.parametrize("initial", [np.ones(9), np.full(10, np.nan)])
def test_a_first_estimate_that_does_not_fit_is_an_option_error(moments, initial):
    with pytest.raises(OptionError, match=r"initial: \d+ numbers found, expected a finite one"):
        adaptive_path(moments, Objective(), ALPHAS, initial)


def test_penalty_factors_that_do_not_fit_are_an_option_error(moments):
    objective = Objective(penalty_factor=np.ones(3))
    with pytest.raises(OptionError, match="penalty_factor: 3 numbers found"):
        adaptive_path(moments, objective, ALPHAS, np.ones(10))


@pytest.mark.parametrize("method", ["ridge", "lasso"])
def test_a_first_ridge_or_lasso_needs_an_alpha(moments, method):
    with pytest.raises(
        OptionError, match=f"initial_alpha: None found, expected a positive number for a {method}"
    ):
        initial_estimate(moments, Objective(), method)


def test_an_unknown_first_estimate_is_an_option_error(moments):
    with pytest.raises(OptionError, match="initial: 'forest' found"):
        initial_estimate(moments, Objective(), "forest")
