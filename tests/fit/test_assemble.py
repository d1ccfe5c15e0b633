"""The deviance that models explain, against scikit-learn on the rows they were fitted on."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import d2_log_loss_score, r2_score

from dasklasso.dataset.dataset import from_arrays
from dasklasso.fit import fit_path
from dasklasso.model.path import load_model
from dasklasso.options import FitOptions, RunOptions
from dasklasso.scoring.score import score_store

RUN = RunOptions(in_process=True)


def drawn():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 6)) * [1, 5, 0.1, 1, 1, 1]
    return X, X[:, 0] - 0.3 * X[:, 1] + rng.standard_normal(300), rng.uniform(0.1, 2, 300)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.4])
def test_of_squared_loss_it_is_r2(l1_ratio):
    X, y, weight = drawn()
    options = FitOptions(n_alphas=5, l1_ratio=l1_ratio, standardize=True)
    path = fit_path(from_arrays(X, y, weight), options, RUN)
    expected = [r2_score(y, path.predict(X, alpha), sample_weight=weight) for alpha in path.alphas]
    assert np.allclose(path.deviance_explained, expected, atol=1e-10)


def test_of_a_logistic_loss_it_is_d2():
    X, y, weight = drawn()
    labels = (y > 0).astype(float)
    path = fit_path(from_arrays(X, labels, weight), FitOptions(loss="logistic", n_alphas=5), RUN)
    expected = [
        d2_log_loss_score(labels, path.predict_proba(X, alpha), sample_weight=weight)
        for alpha in path.alphas
    ]
    assert np.allclose(path.deviance_explained, expected, atol=1e-8)


def test_of_classes_it_is_of_all_of_them():
    X, y, _ = drawn()
    labels = np.digitize(y, [-1.0, 1.0]).astype(float)
    options = FitOptions(loss="softmax", n_alphas=4, tol=1e-5, l1_ratio=0.7)
    path = fit_path(from_arrays(X, labels), options, RUN)
    expected = [d2_log_loss_score(labels, path.predict_proba(X, alpha)) for alpha in path.alphas]
    assert np.allclose(path.deviance_explained, expected, atol=1e-8)


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_standard_deviations_of_the_columns_are_the_path_s(loss):
    X, y, weight = drawn()
    target = y if loss == "squared" else (y > 0).astype(float)
    path = fit_path(from_arrays(X, target, weight), FitOptions(loss=loss, alphas=(0.1,)), RUN)
    mean = np.average(X, axis=0, weights=weight)
    expected = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=weight))
    assert path.feature_scales is not None
    np.testing.assert_allclose(path.feature_scales, expected, rtol=1e-10)


def test_without_an_intercept_standard_deviations_are_not_known():
    X, y, _ = drawn()
    path = fit_path(from_arrays(X, y), FitOptions(alphas=(0.1,), fit_intercept=False), RUN)
    assert path.feature_scales is None


def test_it_is_saved_and_in_the_table(tmp_path):
    X, y, _ = drawn()
    path = fit_path(from_arrays(X, y), FitOptions(n_alphas=4), RUN)
    path.save(tmp_path / "m")
    kept = load_model(tmp_path / "m")
    assert np.array_equal(kept.deviance_explained, path.deviance_explained)
    assert [row["deviance_explained"] for row in kept.table()] == kept.deviance_explained.tolist()


@pytest.mark.parametrize("loss", ["squared", "huber", "logistic", "poisson"])
def test_scored_with_offsets_it_is_that_of_the_fit(loss):
    X, y, weight = drawn()
    y = {"logistic": (y > 0).astype(float), "poisson": np.floor(np.abs(y))}.get(loss, y)
    offset = np.random.default_rng(1).standard_normal(len(y))
    data = from_arrays(X, y, weight, offset=offset)
    path = fit_path(data, FitOptions(loss=loss, n_alphas=3, eps=0.1), RUN)
    scored = score_store(data, path, all_alphas=True, run=RUN).metrics["deviance_explained"]
    assert np.allclose(scored[:, 0], path.deviance_explained, atol=1e-8)
