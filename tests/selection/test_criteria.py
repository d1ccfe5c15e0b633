"""Information criteria from moments, against scikit-learn and their formulas on the data."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.special import comb
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LassoLarsIC, LinearRegression, lars_path

from dasklasso.errors import OptionError, ValueFound
from dasklasso.moments.cross_moments import cross_moments
from dasklasso.objective.objective import Objective
from dasklasso.objective.penalties.elastic_net import NonNegativeElasticNet
from dasklasso.selection.criteria import information_criteria
from dasklasso.solvers.quadratic.from_moments import solve_moments


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    return load_diabetes(return_X_y=True)


@pytest.fixture(scope="module")
def moments(data):
    return cross_moments(*data)


@pytest.fixture(scope="module")
def alphas(data) -> np.ndarray:
    """Between the knots of the lasso path, where a support is not in doubt."""
    X, y = data
    knots = lars_path(X, y - y.mean(), method="lasso")[0]
    return np.sqrt(knots[:-1] * np.append(knots[1:-1], knots[-2] / 3))


@pytest.fixture(scope="module")
def coef(moments, alphas) -> np.ndarray:
    return solve_moments(moments, Objective(), alphas, tol=1e-14).coef


@pytest.mark.parametrize("criterion", ["aic", "bic"])
@pytest.mark.parametrize("noise_variance", [None, 2900.0])
def test_criteria_at_the_knots_are_those_of_lasso_lars_ic(data, moments, criterion, noise_variance):
    theirs = LassoLarsIC(criterion=criterion, noise_variance=noise_variance).fit(*data)
    knots = theirs.alphas_[1:-1]
    coef = lars_path(data[0], data[1] - data[1].mean(), method="lasso")[2].T[1:-1]
    ours = information_criteria(
        moments, Objective(), knots, coef, noise_variance=noise_variance or "estimated"
    )
    assert ours.noise_variance == pytest.approx(theirs.noise_variance_)
    np.testing.assert_allclose(getattr(ours, criterion), theirs.criterion_[1:-1], rtol=1e-10)
    assert ours.alpha(criterion) == pytest.approx(theirs.alpha_)


def test_without_a_noise_variance_the_likelihood_is_the_greatest(data, moments, alphas, coef):
    X, y = data
    found = information_criteria(moments, Objective(), alphas, coef)
    n, k = len(y), np.count_nonzero(coef, axis=1)
    mse = np.mean((y - y.mean() - coef @ (X - X.mean(axis=0)).T) ** 2, axis=1)
    density = -0.5 * n * (np.log(2 * np.pi * mse) + 1)
    np.testing.assert_allclose(found.mse, mse)
    np.testing.assert_allclose(found.aic, -2 * density + 2 * k)
    np.testing.assert_allclose(found.bic, -2 * density + np.log(n) * k)
    np.testing.assert_allclose(found.ebic - found.bic, 2 * np.log(comb(10, k)), atol=1e-9)


def test_extended_bic_with_gamma_zero_is_bic(moments, alphas, coef):
    found = information_criteria(moments, Objective(), alphas, coef, gamma=0.0)
    np.testing.assert_array_equal(found.ebic, found.bic)


def test_unpenalised_features_are_no_choice(moments, alphas):
    factor = np.ones(10)
    factor[[0, 1]] = 0.0
    objective = Objective(penalty_factor=factor)
    coef = solve_moments(moments, objective, alphas, tol=1e-12).coef
    found = information_criteria(moments, objective, alphas, coef)
    chosen = np.count_nonzero(coef, axis=1) - 2
    np.testing.assert_allclose(found.ebic - found.bic, 2 * np.log(comb(8, chosen)), atol=1e-9)
    assert found.degrees_of_freedom[-1] == chosen[-1] + 2


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_degrees_of_freedom_of_the_elastic_net_are_the_trace_of_its_hat(standardize, fit_intercept):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 6)) * np.geomspace(0.1, 10, 6) + 2
    y = X @ rng.normal(size=6) + rng.normal(size=80)
    factor = np.array([1.0, 2.0, 0.0, 1.0, 0.5, 1.0])
    objective = Objective(0.3, fit_intercept, standardize, penalty_factor=factor)
    moments, alphas = cross_moments(X, y), np.array([0.5, 0.05])
    coef = solve_moments(moments, objective, alphas).coef
    found = information_criteria(moments, objective, alphas, coef).degrees_of_freedom
    centred = X - X.mean(axis=0) if fit_intercept else X
    unit = X.std(axis=0) if standardize else np.ones(6)
    for k, alpha in enumerate(alphas):
        used = coef[k] != 0
        A = centred[:, used]
        ridge = np.diag(80 * alpha * 0.7 * (factor * unit**2)[used])
        hat = A @ np.linalg.solve(A.T @ A + ridge, A.T)
        assert found[k] == pytest.approx(np.trace(hat), rel=1e-9)


def test_unpenalised_features_that_depend_on_one_another_count_once(data):
    X, y = data
    doubled = np.concatenate([X, X[:, :1]], axis=1)
    factor = np.ones(11)
    factor[[0, 10]] = 0.0
    objective = Objective(0.5, penalty_factor=factor)
    coef = np.zeros((1, 11))
    coef[0, [0, 10]] = 1.0
    found = information_criteria(cross_moments(doubled, y), objective, np.ones(1), coef)
    assert found.degrees_of_freedom[0] == pytest.approx(1.0, abs=1e-6)


def test_without_an_intercept_the_mean_is_residual(data):
    X, y = data
    found = information_criteria(
        cross_moments(X, y), Objective(fit_intercept=False), np.ones(1), np.zeros((1, 10))
    )
    assert found.mse[0] == pytest.approx(np.mean(y**2))


def test_the_noise_variance_of_positive_models_is_that_of_positive_least_squares(data):
    X, y = data
    objective, moments = Objective(penalty_type=NonNegativeElasticNet), cross_moments(X, y)
    found = information_criteria(
        moments, objective, np.ones(1), np.zeros((1, 10)), noise_variance="estimated"
    )
    model = LinearRegression(positive=True).fit(X, y)
    expected = np.sum((y - model.predict(X)) ** 2) / (442 - 11)
    assert found.noise_variance == pytest.approx(expected, rel=1e-9)


def test_an_exact_fit_is_never_preferred():
    X = np.random.default_rng(0).normal(size=(30, 3))
    moments = cross_moments(X, X @ [1.0, 2.0, 3.0])
    coef = np.array([[0.9, 1.9, 2.9], [1.0, 2.0, 3.0]])
    found = information_criteria(moments, Objective(), np.array([0.1, 1e-9]), coef)
    assert found.index("bic") == 0
    assert json.loads(json.dumps(found.table()))[1]["bic"] is None


def test_nothing_but_exact_fits_is_a_fault_of_the_data():
    X = np.random.default_rng(0).normal(size=(30, 3))
    w = np.array([[1.0, 2.0, 3.0]])
    found = information_criteria(cross_moments(X, X @ w[0]), Objective(), np.ones(1), w)
    with pytest.raises(ValueFound, match="aic: every model of the path fits the target exactly"):
        found.index("aic")


def test_too_few_rows_to_estimate_the_noise_are_named():
    rng = np.random.default_rng(0)
    moments = cross_moments(rng.normal(size=(5, 5)), rng.normal(size=5))
    with pytest.raises(ValueFound, match="noise_variance: 5 rows and 5 features"):
        information_criteria(
            moments, Objective(), np.ones(1), np.zeros((1, 5)), noise_variance="estimated"
        )


@pytest.mark.parametrize("variance", [0.0, -1.0, np.nan, np.inf, "guess"])
def test_a_noise_variance_that_cannot_be_used_is_named(moments, alphas, coef, variance):
    with pytest.raises(OptionError, match=f"noise_variance: '?{variance}"):
        information_criteria(moments, Objective(), alphas, coef, noise_variance=variance)


@pytest.mark.parametrize("gamma", [-0.1, 1.1, np.nan])
def test_a_gamma_outside_of_0_to_1_is_an_option_error(moments, alphas, coef, gamma):
    with pytest.raises(OptionError, match=f"gamma: {gamma} found"):
        information_criteria(moments, Objective(), alphas, coef, gamma=gamma)


def test_an_unknown_criterion_is_an_option_error(moments, alphas, coef):
    with pytest.raises(OptionError, match="criterion: 'cp' found"):
        information_criteria(moments, Objective(), alphas, coef).index("cp")
