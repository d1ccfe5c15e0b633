"""Cross-validation from moments, against scikit-learn on the data."""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_diabetes
from sklearn.linear_model import ElasticNetCV, LassoCV

from dasklasso.cross_validation.curves import (
    cross_validate,
    cross_validate_ratios,
    fold_path,
    training_moments,
)
from dasklasso.cross_validation.error_curve import CrossValidation
from dasklasso.dataset.generate import Model
from dasklasso.errors import OptionError
from dasklasso.moments.cross_moments import CrossMoments, cross_moments
from dasklasso.objective.objective import Objective

# scikit-learn's own, at tolerances that rounding forbids it to reach
pytestmark = pytest.mark.filterwarnings("ignore:Objective did not converge")

TIGHT = {"tol": 1e-14, "max_iter": 1_000_000}


def diabetes() -> tuple[np.ndarray, np.ndarray]:
    return load_diabetes(return_X_y=True, scaled=False)


def bad_mix(n: int = 1000, d: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Means of 1e6, scales from 1e-3 to 1e3, every column of use."""
    rng = np.random.default_rng(3)
    z = rng.normal(size=(n, d)) + 0.5 * rng.normal(size=(n, 1))
    y = z @ rng.normal(size=d) + rng.normal(size=n)
    return z * np.geomspace(1e-3, 1e3, d) + 1e6, y + 1e4


def labels(n: int, n_folds: int = 5) -> np.ndarray:
    """Random folds of unequal size."""
    rng = np.random.default_rng(1)
    return rng.choice(n_folds, size=n, p=np.arange(1, n_folds + 1) / (n_folds * (n_folds + 1) / 2))


def splits(fold: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in np.unique(fold)]


def moments_of_folds(X, y, fold, weight=None) -> list[CrossMoments]:
    return [
        cross_moments(X[fold == k], y[fold == k], None if weight is None else weight[fold == k])
        for k in np.unique(fold)
    ]


def grid(X: np.ndarray, y: np.ndarray, n_alphas: int = 20, eps: float = 1e-3) -> np.ndarray:
    largest = np.abs((X - X.mean(axis=0)).T @ (y - y.mean())).max() / len(y)
    return largest * np.geomspace(1.0, eps, n_alphas)


@pytest.mark.parametrize("data", [diabetes, bad_mix])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_errors_are_scikit_learns(data, weighted, fit_intercept):
    X, y = data()
    if not fit_intercept:
        X, y = X - X.mean(axis=0) * 0.999999, y - y.mean()
    weight = np.random.default_rng(2).uniform(0.0, 3.0, len(y)) if weighted else None
    fold, alphas = labels(len(y)), grid(X, y)
    theirs = LassoCV(alphas=alphas, cv=splits(fold), fit_intercept=fit_intercept, **TIGHT)
    theirs.fit(X, y, sample_weight=weight)
    ours = cross_validate(
        moments_of_folds(X, y, fold, weight), Objective(fit_intercept=fit_intercept), alphas
    )
    np.testing.assert_allclose(ours.error_path, theirs.mse_path_, rtol=1e-6)
    assert ours.alpha_min == pytest.approx(theirs.alpha_, rel=1e-12)


@pytest.mark.parametrize(
    ("n", "d"), [(2000, 60), pytest.param(10_000, 500, marks=pytest.mark.slow)]
)
def test_errors_of_a_whole_path_on_synthetic_data_are_scikit_learns(n, d):
    seed = np.random.SeedSequence(1)
    X, y = Model.draw("tall", d, 1, 0).rows(n, np.dtype("float32"), seed)
    X, y = X.astype(np.float64), y[:, 0]
    fold, alphas = labels(n), grid(X, y, 100)
    theirs = LassoCV(alphas=alphas, cv=splits(fold), tol=1e-12, max_iter=10**6).fit(X, y)
    ours = cross_validate(moments_of_folds(X, y, fold), Objective(), alphas)
    np.testing.assert_allclose(ours.error_path, theirs.mse_path_, rtol=1e-6)
    assert ours.alpha_min == theirs.alpha_


def test_every_column_of_another_scale_is_found_where_it_is_standardised():
    X, y = bad_mix()
    fold, alphas = labels(len(y)), np.geomspace(1.0, 1e-3, 10)
    ours = cross_validate(moments_of_folds(X, y, fold), Objective(standardize=True), alphas)
    for k, (train, test) in enumerate(splits(fold)):
        mean, std = X[train].mean(axis=0), X[train].std(axis=0)
        Z = (X - mean) / std
        theirs = LassoCV(alphas=alphas, cv=[(train, test)], **TIGHT).fit(Z, y)
        np.testing.assert_allclose(ours.error_path[:, k], theirs.mse_path_.ravel(), rtol=1e-6)


def test_several_l1_ratios_choose_as_scikit_learn_does():
    X, y = diabetes()
    fold, alphas, ratios = labels(len(y)), grid(X, y, 10), [0.2, 0.7, 1.0]
    theirs = ElasticNetCV(l1_ratio=ratios, alphas=alphas, cv=splits(fold), **TIGHT).fit(X, y)
    ours = cross_validate_ratios(
        moments_of_folds(X, y, fold), Objective(), ratios, [alphas] * len(ratios)
    )
    mse = np.stack([found.error_path for found in ours.by_ratio])
    np.testing.assert_allclose(mse, theirs.mse_path_, rtol=1e-6)
    assert ours.l1_ratio == theirs.l1_ratio_
    assert ours.alpha_min == pytest.approx(theirs.alpha_)


def test_an_error_tiny_against_the_target_keeps_its_digits():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 5)) + 1e3
    y = X @ np.array([3.0, -2.0, 1.0, 0.0, 0.0]) + 1e-4 * rng.normal(size=300) + 1e5
    fold, alphas = np.arange(300) % 3, np.array([1e-5, 1e-7])
    ours = cross_validate(moments_of_folds(X, y, fold), Objective(), alphas, tol=1e-16)
    theirs = LassoCV(alphas=alphas, cv=splits(fold), tol=1e-18, max_iter=10**6).fit(X, y)
    assert ours.error_path.max() < 1e-7 * y.var()
    np.testing.assert_allclose(ours.error_path, theirs.mse_path_, rtol=1e-4)


def test_every_target_has_errors_of_its_own():
    X, y = diabetes()
    two = np.stack([y, X[:, 0] - y], axis=1)
    fold, alphas = labels(len(y)), grid(X, y, 5)
    folds = moments_of_folds(X, two, fold)
    second = cross_validate(folds, Objective(), alphas, target=1)
    alone = cross_validate(moments_of_folds(X, two[:, 1], fold), Objective(), alphas)
    np.testing.assert_allclose(second.error_path, alone.error_path, rtol=1e-9)


@given(n_folds=st.integers(2, 23), seed=st.integers(0, 5))
def test_a_fold_trains_on_all_the_others(n_folds, seed):
    rng = np.random.default_rng(seed)
    parts = [rng.normal(size=(rng.integers(1, 6), 3)) + 100 for _ in range(n_folds)]
    folds = [cross_moments(part[:, :2], part[:, 2]) for part in parts]
    for k, found in enumerate(training_moments(folds)):
        rest = np.concatenate(parts[:k] + parts[k + 1 :])
        direct = cross_moments(rest[:, :2], rest[:, 2])
        assert found.count == direct.count
        np.testing.assert_allclose(found.mean, direct.mean, rtol=1e-12)
        np.testing.assert_allclose(found.products, direct.products, rtol=1e-9, atol=1e-9)


def test_a_fold_with_nearly_all_the_weight_costs_no_digits():
    X, y = diabetes()
    fold = np.arange(len(y)) % 3
    weight = np.where(fold == 0, 1e12, 1.0)
    train = next(training_moments(moments_of_folds(X, y, fold, weight)))
    direct = cross_moments(X[fold != 0], y[fold != 0])
    np.testing.assert_allclose(train.products, direct.products, rtol=1e-9)


def curve(error_path: np.ndarray, fold_weights: np.ndarray) -> CrossValidation:
    alphas = np.arange(len(error_path), 0.0, -1.0)
    return CrossValidation(alphas, 1.0, error_path, fold_weights, np.zeros_like(error_path))


def test_the_standard_error_of_equal_folds_is_the_textbooks():
    mse = np.random.default_rng(0).uniform(1, 2, size=(4, 5))
    found = curve(mse, np.full(5, 7.0))
    np.testing.assert_allclose(found.standard_error, mse.std(axis=1, ddof=1) / np.sqrt(5))


def test_the_one_standard_error_rule_takes_the_largest_alpha_within_reach():
    mse = np.array([[9.0, 11.0], [4.2, 4.4], [3.0, 5.0], [3.1, 5.1]])
    found = curve(mse, np.ones(2))
    assert found.index_min == 2
    assert found.index_1se == 1
    assert (found.alpha_1se, found.alpha_min) == (3.0, 2.0)


def test_of_equal_errors_the_largest_alpha_is_chosen():
    assert curve(np.ones((3, 2)), np.ones(2)).index_min == 0


def test_the_table_is_json_with_one_row_for_each_alpha():
    mse = np.array([[1.0, 3.0], [2.0, 2.0]])
    rows = json.loads(json.dumps(curve(mse, np.ones(2)).table()))
    assert rows[0] == {
        "alpha": 2.0,
        "mean_mse": 2.0,
        "standard_error": 1.0,
        "mse_fold_0": 1.0,
        "mse_fold_1": 3.0,
    }
    assert len(rows) == 2


@pytest.mark.parametrize("executor", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_solving_folds_in_parallel_changes_no_bit(executor):
    X, y = diabetes()
    folds, alphas = moments_of_folds(X, y, labels(len(y))), grid(X, y, 5)
    one = cross_validate(folds, Objective(), alphas)
    with executor(2) as pool:
        many = cross_validate(folds, Objective(), alphas, map=pool.map)
    np.testing.assert_array_equal(one.error_path, many.error_path)


def test_the_unit_of_work_judges_a_path_on_other_rows():
    X, y = diabetes()
    train, test = cross_moments(X[100:], y[100:]), cross_moments(X[:100], y[:100])
    found = fold_path(train, test, Objective(), np.array([1e9]), 0, 1e-10)
    assert found.mse == pytest.approx(np.mean((y[:100] - y[100:].mean()) ** 2))


def test_one_fold_is_an_option_error():
    X, y = diabetes()
    with pytest.raises(OptionError, match="folds: 1 found, expected at least 2"):
        cross_validate([cross_moments(X, y)], Objective(), np.array([1.0]))


def test_a_fold_without_weight_is_named():
    X, y = diabetes()
    folds = [cross_moments(X, y), cross_moments(X, y, np.zeros(len(y)))]
    with pytest.raises(OptionError, match="fold 1 has no rows of positive weight"):
        cross_validate(folds, Objective(), np.array([1.0]))


def test_a_target_constant_in_training_predicts_that_constant():
    X, _ = diabetes()
    y = np.where(np.arange(len(X)) < 100, np.arange(len(X)), 5.0)
    folds = moments_of_folds(X, y, np.where(np.arange(len(X)) < 100, 0, 1))
    found = cross_validate(folds, Objective(), np.array([1.0]))
    assert found.error_path[0, 0] == pytest.approx(np.mean((y[:100] - 5.0) ** 2))


def test_a_fold_that_cannot_be_trained_is_named():
    X, y = diabetes()
    factors = np.ones(X.shape[1] + 1)
    with pytest.raises(OptionError, match="penalty_factor"):
        cross_validate(
            moments_of_folds(X, y, labels(len(y))),
            Objective(penalty_factor=factors),
            np.array([1.0]),
        )


@pytest.mark.parametrize("alphas", [[1.0, 2.0], [], [1.0, -1.0], [np.nan], [[1.0]]])
def test_alphas_that_do_not_go_down_from_positive_numbers_are_refused(alphas):
    X, y = diabetes()
    folds = moments_of_folds(X, y, labels(len(y)))
    with pytest.raises(OptionError, match="alphas:"):
        cross_validate(folds, Objective(), np.array(alphas))


def test_an_alpha_without_an_error_on_every_fold_is_not_chosen():
    error = np.array([[3.0, 3.0], [2.0, 2.5], [np.nan, 1.0]])
    found = CrossValidation(np.arange(3.0, 0, -1), 1.0, error, np.ones(2), np.zeros((3, 2)))
    assert (found.index_min, found.index_1se) == (1, 1)
    nothing = CrossValidation(found.alphas, 1.0, error * np.nan, np.ones(2), found.gap)
    with pytest.raises(OptionError, match="no alpha has a mean squared error on every fold"):
        _ = nothing.index_min
