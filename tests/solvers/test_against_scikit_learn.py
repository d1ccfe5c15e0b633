"""Solutions at tol 1e-10 against scikit-learn's, and against a certificate written out afresh.

Every test is run by each solver.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.linear_model import ElasticNet, Lasso

from dasklasso.fit import fit_path
from dasklasso.options import FitOptions, RunOptions

TIGHT = {"tol": 1e-15, "max_iter": 1_000_000}
RUN = RunOptions(in_process=True)


@pytest.fixture(autouse=True, params=["fista", "gram", "working_set"])
def by_each_solver(request, monkeypatch):
    plain = fit_path

    def fit(data, options, run):
        run = replace(run, keep_statistics=False)
        return plain(data, replace(options, solver=request.param), run)

    monkeypatch.setattr(sys.modules[__name__], "fit_path", fit)
    return request.param


REAL = {"diabetes": load_diabetes, "breast cancer": load_breast_cancer, "digits": load_digits}


def real_data(name):
    X, y = REAL[name](return_X_y=True)
    return X, y.astype(float)


def assert_same_solutions(path, models, X, y, options, judge, weight=None, coefficients=True):
    std = X.std(axis=0)
    for i, (alpha, model) in enumerate(zip(path.alphas, models, strict=True)):
        ours = judge(X, y, path.coef[i], path.intercept[i], alpha, options, weight)
        theirs = judge(X, y, model.coef_, model.intercept_, alpha, options, weight)
        assert ours.objective == pytest.approx(theirs.objective, rel=1e-8)
        if coefficients:
            scale = np.max(np.abs(model.coef_) * std, initial=1e-300)
            assert np.max(np.abs(path.coef[i] - model.coef_) * std) <= 1e-4 * scale


def fit_theirs(path, X, y, weight=None, **options):
    return [Lasso(alpha=a, **TIGHT, **options).fit(X, y, weight) for a in path.alphas]


@pytest.mark.parametrize("name", REAL)
def test_real_data_agree_with_scikit_learn(name, make_store, judge, assert_certified):
    X, y = real_data(name)
    data = make_store(X, y, chunk_rows=200)
    options = FitOptions(n_alphas=4, eps=0.01, tol=1e-10)
    path = fit_path(data, options, RUN)
    assert_same_solutions(path, fit_theirs(path, X, y), X, y, options, judge)
    assert_certified(path, X, y, options)


@pytest.mark.parametrize("name", REAL)
def test_real_data_split_by_columns_agree_with_scikit_learn(name, make_store, judge):
    X, y = real_data(name)
    columns = -(-X.shape[1] // 2)
    data = make_store(X, y, chunk_rows=-(-len(X) // 2), chunk_columns=columns)
    run = RunOptions(in_process=True, band_bytes=8 * columns * 200)
    options = FitOptions(n_alphas=2, eps=0.1, tol=1e-10)
    path = fit_path(data, options, run)
    assert_same_solutions(path, fit_theirs(path, X, y), X, y, options, judge)


def test_elastic_net_agrees_with_scikit_learn(make_store, judge, assert_certified):
    X, y = real_data("diabetes")
    options = FitOptions(n_alphas=3, eps=0.01, l1_ratio=0.3, tol=1e-10)
    path = fit_path(make_store(X, y), options, RUN)
    models = [ElasticNet(alpha=a, l1_ratio=0.3, **TIGHT).fit(X, y) for a in path.alphas]
    assert_same_solutions(path, models, X, y, options, judge)
    assert_certified(path, X, y, options)


def test_ridge_is_the_elastic_net_without_l1(make_store, assert_certified, regression):
    X, y = regression(80, 10)
    options = FitOptions(alphas=(1.0, 0.1), l1_ratio=0.0, tol=1e-10)
    path = fit_path(make_store(X, y), options, RUN)
    centred, n = X - X.mean(axis=0), len(X)
    for i, alpha in enumerate(path.alphas):
        gram = centred.T @ centred / n + alpha * np.eye(10)
        assert np.allclose(path.coef[i], np.linalg.solve(gram, centred.T @ y / n), atol=1e-4)
    assert_certified(path, X, y, options)


def test_positive_agrees_with_scikit_learn(make_store, judge, assert_certified):
    X, y = real_data("diabetes")
    options = FitOptions(n_alphas=4, eps=0.01, positive=True, tol=1e-10)
    path = fit_path(make_store(X, y), options, RUN)
    assert path.coef.min() >= 0
    assert_same_solutions(path, fit_theirs(path, X, y, positive=True), X, y, options, judge)
    assert_certified(path, X, y, options)


def test_sample_weights_agree_with_scikit_learn(make_store, judge, assert_certified):
    X, y = real_data("diabetes")
    weight = np.random.default_rng(1).uniform(0.0, 3.0, len(X))
    weight[:20] = 0.0
    options = FitOptions(n_alphas=4, eps=0.01, tol=1e-10)
    path = fit_path(make_store(X, y, weight, chunk_rows=100), options, RUN)
    models = fit_theirs(path, X, y, weight)
    assert_same_solutions(path, models, X, y, options, judge, weight)


def test_weights_count_rows(make_store, regression):
    X, y = regression(40, 6)
    weight = np.arange(40) % 3 + 1.0
    repeat = np.repeat(np.arange(40), weight.astype(int))
    options = FitOptions(alphas=(0.05,), tol=1e-10)
    weighted = fit_path(make_store(X, y, weight), options, RUN)
    repeated = fit_path(make_store(X[repeat], y[repeat]), options, RUN)
    assert np.allclose(weighted.coef, repeated.coef, atol=1e-5)


def test_no_intercept_agrees_with_scikit_learn(make_store, judge, assert_certified):
    X, y = real_data("breast cancer")
    X = X[:, :8]
    options = FitOptions(n_alphas=3, eps=0.05, fit_intercept=False, tol=1e-10)
    path = fit_path(make_store(X, y), options, RUN)
    models = fit_theirs(path, X, y, fit_intercept=False)
    assert np.all(path.intercept == 0)
    assert_same_solutions(path, models, X, y, options, judge)
    assert_certified(path, X, y, options)


def test_standardize_is_scikit_learn_on_standardised_columns(make_store, judge, assert_certified):
    X, y = real_data("breast cancer")
    options = FitOptions(n_alphas=3, eps=0.05, standardize=True, tol=1e-10)
    path = fit_path(make_store(X, y), options, RUN)
    std = X.std(axis=0)
    models = fit_theirs(path, (X - X.mean(axis=0)) / std, y)
    for i, model in enumerate(models):
        ours = judge(X, y, path.coef[i], path.intercept[i], path.alphas[i], options).objective
        w = model.coef_ / std
        b = y.mean() - X.mean(axis=0) @ w
        theirs = judge(X, y, w, b, path.alphas[i], options).objective
        assert ours == pytest.approx(theirs, rel=1e-8)
    assert_certified(path, X, y, options)


def test_penalty_factors_are_scikit_learn_on_divided_columns(make_store, assert_certified):
    X, y = real_data("diabetes")
    factor = np.linspace(0.2, 3.0, X.shape[1])
    options = FitOptions(n_alphas=3, eps=0.05, penalty_factor=factor, tol=1e-10)
    path = fit_path(make_store(X, y), options, RUN)
    for i, model in enumerate(fit_theirs(path, X / factor, y)):
        coef = model.coef_ / factor
        assert np.allclose(path.coef[i], coef, atol=1e-4 * np.abs(coef).max() + 1e-12)
    assert_certified(path, X, y, options)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_unpenalised_columns_are_regressed_out(l1_ratio, make_store, assert_certified):
    X, y = real_data("diabetes")
    factor = np.ones(X.shape[1])
    factor[[1, 4]] = 0.0
    options = FitOptions(n_alphas=3, eps=0.05, penalty_factor=factor, l1_ratio=l1_ratio, tol=1e-10)
    path = fit_path(make_store(X, y, chunk_rows=150, chunk_columns=4), options, RUN)
    assert_certified(path, X, y, options)
    free = np.column_stack([np.ones(len(X)), X[:, [1, 4]]])
    rest = X[:, factor > 0]
    without = rest - free @ np.linalg.lstsq(free, rest)[0]
    y_without = y - free @ np.linalg.lstsq(free, y)[0]
    for i, alpha in enumerate(path.alphas):
        model = ElasticNet(alpha=alpha, l1_ratio=l1_ratio, fit_intercept=False, **TIGHT)
        coef = model.fit(without, y_without).coef_
        found = path.coef[i][factor > 0]
        assert np.allclose(found, coef, atol=1e-4 * np.abs(path.coef[i]).max())


def test_at_the_first_alpha_of_a_grid_only_unpenalised_columns_are_in_use(make_store):
    X, y = real_data("diabetes")
    factor = np.ones(X.shape[1])
    factor[2] = 0.0
    options = FitOptions(n_alphas=2, eps=0.5, penalty_factor=factor, tol=1e-10)
    path = fit_path(make_store(X, y), options, RUN)
    assert abs(path.coef[0, 2]) > 100
    assert np.max(np.abs(np.delete(path.coef[0], 2))) < 0.1  # sqrt(tol) of it
    assert np.max(np.abs(np.delete(path.coef[1], 2))) > 100


def test_positive_and_unpenalised_together_solve_the_bounded_problem(make_store, regression):
    from scipy.optimize import lsq_linear

    X, y = regression(60, 5, seed=3)
    options = FitOptions(alphas=(0.1,), penalty_factor=np.zeros(5), positive=True, tol=1e-10)
    path = fit_path(make_store(X, y), options, RUN)
    centred = X - X.mean(axis=0)
    bounded = lsq_linear(centred, y - y.mean(), bounds=(0, np.inf), tol=1e-14).x
    assert np.allclose(path.coef[0], bounded, atol=1e-4)
    assert path.dual_gaps[0, 0] <= 1e-10


def test_several_targets_are_several_problems(make_store, assert_certified, regression):
    X, y = regression(90, 8)
    Y = np.column_stack([y, 100 * np.sin(y), -y + X[:, 1]])
    options = FitOptions(n_alphas=3, eps=0.05, tol=1e-10)
    path = fit_path(make_store(X, Y, chunk_rows=40), options, RUN)
    assert path.coef.shape == (3, 8, 3)
    assert_certified(path, X, Y, options)
    for k in range(3):
        coef = np.array([m.coef_ for m in fit_theirs(path, X, Y[:, k])])
        assert np.allclose(path.coef[:, :, k], coef, atol=1e-4 * np.abs(coef).max() + 1e-12)


def test_a_mean_of_a_million_costs_no_digits_in_float32(make_store, judge, regression):
    X, y = regression(300, 6)
    X = (X + 1e6).astype(np.float32)
    options = FitOptions(n_alphas=3, eps=0.01, tol=1e-10)
    path = fit_path(make_store(X, y, dtype=np.float32, chunk_rows=100), options, RUN)
    wide = X.astype(np.float64)
    models = fit_theirs(path, wide - wide.mean(axis=0), y)
    for i, model in enumerate(models):
        b = model.intercept_ - wide.mean(axis=0) @ model.coef_
        ours = judge(wide, y, path.coef[i], path.intercept[i], path.alphas[i], options)
        theirs = judge(wide, y, model.coef_, b, path.alphas[i], options)
        assert ours.objective == pytest.approx(theirs.objective, rel=1e-8)
        # the intercept, near 1e7, is stored to 1e-9: its square is what can be missing
        assert ours.relative_gap <= 1e-10 + 1e-12


@pytest.mark.parametrize("tol", [1e-6, 1e-10])
def test_a_float32_store_reaches_any_tolerance(tol, make_store, assert_certified, regression):
    X, y = regression(200, 10)
    X = X.astype(np.float32)
    options = FitOptions(n_alphas=5, tol=tol)
    path = fit_path(make_store(X, y, dtype=np.float32, chunk_rows=64), options, RUN)
    assert_certified(path, X.astype(np.float64), y, options)


@pytest.mark.parametrize("columns", [None, 20])
def test_a_store_of_small_integers_is_fitted_exactly(columns, make_store, assert_certified):
    rng = np.random.default_rng(5)
    X = rng.integers(0, 256, (150, 40)).astype(np.uint8)
    y = X[:, :3].astype(float) @ [1.0, -2.0, 0.5] + rng.standard_normal(150)
    options = FitOptions(n_alphas=3, eps=0.01, tol=1e-10)
    run = RunOptions(in_process=True, band_bytes=64 << 20 if columns is None else 2000)
    data = make_store(X, y, dtype=np.uint8, chunk_rows=75, chunk_columns=columns)
    assert_certified(fit_path(data, options, run), X.astype(float), y, options)


@pytest.mark.parametrize("value", [0.0, 7.0, 1e6 + 0.1])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_column_without_variance_keeps_coefficient_zero(
    value, dtype, make_store, without_statistics, regression, assert_certified
):
    X, y = regression(70, 5)
    X[:, 2] = value
    X = X.astype(dtype)
    options = FitOptions(n_alphas=3, eps=0.01, tol=1e-8)
    data = without_statistics(make_store(X, y, dtype=dtype, chunk_rows=30))
    path = fit_path(data, options, RUN)
    assert np.all(path.coef[:, 2] == 0)
    assert_certified(path, X.astype(float), y, options)


def test_columns_of_any_unit_are_fitted_alike(make_store, judge, regression):
    X, y = regression(120, 8)
    unit = np.array([1e-6, 1e6, 1.0, 1e3, 1e-3, 1e6, 1e-6, 1.0])
    options = FitOptions(n_alphas=3, eps=0.01, standardize=True, tol=1e-10)
    plain = fit_path(make_store(X, y), options, RUN)
    scaled = fit_path(make_store(X * unit, y), options, RUN)
    assert np.allclose(scaled.coef * unit, plain.coef, atol=1e-5)
    assert scaled.scans == pytest.approx(plain.scans, rel=0.1)


def test_the_gap_reported_is_the_gap_there_is(make_store, judge, regression):
    X, y = regression(100, 12)
    options = FitOptions(alphas=(0.05,), tol=1e-3)
    path = fit_path(make_store(X, y), options, RUN)
    found = judge(X, y, path.coef[0], path.intercept[0], 0.05, options)
    assert path.dual_gaps[0, 0] == pytest.approx(found.relative_gap, rel=1e-6)


FASHION = Path("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz")


@pytest.mark.slow
@pytest.mark.skipif(
    not FASHION.exists(), reason="Debian's package dataset-fashion-mnist is not installed"
)
def test_fashion_mnist_agrees_with_scikit_learn(make_store, judge, assert_certified):
    import gzip

    images = gzip.decompress(FASHION.read_bytes())
    labels = FASHION.with_name("train-labels-idx1-ubyte.gz").read_bytes()
    X = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 784)[:10_000]
    y = np.frombuffer(gzip.decompress(labels), np.uint8, offset=8)[:10_000].astype(float)
    options = FitOptions(n_alphas=3, eps=0.05, tol=1e-10)
    path = fit_path(make_store(X, y, dtype=np.uint8), options, RUN)
    wide = X.astype(float)
    models = fit_theirs(path, wide, y)
    assert_same_solutions(path, models, wide, y, options, judge)
    assert_certified(path, wide, y, options)
