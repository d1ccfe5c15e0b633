"""Paths from second moments alone are the paths of the rows they were taken of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import ElasticNet
from sklearn.preprocessing import StandardScaler

from dasklasso.errors import ValueFound
from dasklasso.moments.cross_moments import cross_moments
from dasklasso.objective.objective import Objective
from dasklasso.objective.penalties.elastic_net import elastic_net
from dasklasso.solvers.quadratic.from_moments import problem_of, solve_moments

ALPHAS = np.array([0.3, 0.1, 0.01])


def rows(seed, n=80, d=6):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) * rng.uniform(0.5, 2, d) + rng.uniform(-3, 3, d)
    return X, X @ rng.standard_normal(d) + rng.standard_normal(n) + 5.0, rng.uniform(0.5, 2, n)


def by_scikit_learn(X, y, s, alpha, objective):
    model = ElasticNet(
        alpha=alpha,
        l1_ratio=objective.l1_ratio,
        fit_intercept=objective.fit_intercept,
        positive=objective.penalty.nonnegative,
        tol=1e-14,
        max_iter=1_000_000,
    ).fit(X, y, s)
    return model.coef_, model.intercept_


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    l1_ratio=st.sampled_from([1.0, 0.5]),
    fit_intercept=st.booleans(),
    positive=st.booleans(),
)
def test_they_are_the_solutions_that_scikit_learn_finds(seed, l1_ratio, fit_intercept, positive):
    X, y, s = rows(seed)
    objective = Objective(l1_ratio, fit_intercept, penalty_type=elastic_net(nonnegative=positive))
    found = solve_moments(cross_moments(X, y, s), objective, ALPHAS, tol=1e-12)
    assert np.all(found.gap <= 1e-12)
    for k, alpha in enumerate(ALPHAS):
        coef, intercept = by_scikit_learn(X, y, s, alpha, objective)
        np.testing.assert_allclose(found.coef[k], coef, atol=1e-5 * (1 + np.abs(coef).max()))
        assert found.intercept[k] == pytest.approx(intercept, abs=1e-4)


def test_standardising_is_scaling_the_columns():
    X, y, _ = rows(1)
    found = solve_moments(cross_moments(X, y), Objective(standardize=True), ALPHAS, tol=1e-12)
    scaler = StandardScaler().fit(X)
    ones = np.ones(len(X))
    for k, alpha in enumerate(ALPHAS):
        coef, _ = by_scikit_learn(scaler.transform(X), y, ones, alpha, Objective())
        np.testing.assert_allclose(found.coef[k], coef / scaler.scale_, atol=1e-5)


def test_each_target_is_solved_by_itself():
    X, y, _ = rows(2)
    both = cross_moments(X, np.column_stack([y, X[:, 0] - y]))
    alone = solve_moments(cross_moments(X, X[:, 0] - y), Objective(), ALPHAS)
    found = solve_moments(both, Objective(), ALPHAS, target=1)
    np.testing.assert_allclose(found.coef, alone.coef, atol=1e-6)


def test_a_column_that_does_not_vary_has_no_coefficient():
    X, y, _ = rows(3)
    X[:, 2] = 0.1
    found = solve_moments(cross_moments(X, y), Objective(), ALPHAS)
    assert not found.coef[:, 2].any()
    assert np.all(found.gap <= 1e-10)


def test_a_start_changes_nothing_but_the_work():
    X, y, _ = rows(4)
    moments = cross_moments(X, y)
    cold = solve_moments(moments, Objective(), ALPHAS, tol=1e-12)
    warm = solve_moments(moments, Objective(), ALPHAS, tol=1e-12, start=cold.coef[-1])
    np.testing.assert_allclose(warm.coef, cold.coef, atol=1e-5)


@pytest.mark.parametrize("value", [3.0, 0.1, 0.0])
def test_a_constant_target_has_zero_coefficients_and_a_unit_for_its_gap(value):
    X, _, _ = rows(5)
    moments = cross_moments(X, np.full(len(X), value))
    path = solve_moments(moments, Objective(), np.array([0.1]))
    assert problem_of(moments, Objective()).null_loss[0] > 0
    assert not path.coef.any()
    assert path.intercept[0] == value
    assert path.gap[0] == 0


@pytest.mark.parametrize("scale", [1e-170, 1e-163, 1e160, 1e200])
def test_a_column_of_extreme_size_is_solved_for(scale):
    X, y, _ = rows(5)
    usual = solve_moments(cross_moments(X, y), Objective(standardize=True), np.array([0.01]))
    X[:, 1] *= scale
    path = solve_moments(cross_moments(X, y), Objective(standardize=True), np.array([0.01]))
    expected = usual.coef[0].copy()
    expected[1] /= scale
    assert expected[1] != 0
    np.testing.assert_allclose(path.coef[0], expected, rtol=1e-9)


def test_squares_of_a_target_beyond_float64_are_refused():
    X, y, _ = rows(5)
    for scale in (1e-170, 1e200):
        with pytest.raises(ValueFound, match=r"target 0 has values of about .*beyond float64"):
            problem_of(cross_moments(X, y * scale), Objective())
