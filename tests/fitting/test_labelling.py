"""Logistic fits to labels of any values: the same models, and the labels recorded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dasklasso.errors import ValueFound
from dasklasso.fit_options import FitOptions, RunOptions
from dasklasso.fitting import fit_path
from dasklasso.result import load_model

RUN = RunOptions(in_process=True)
OPTIONS = FitOptions(loss="logistic", alphas=(0.05, 0.02), tol=1e-8)


def binary(n=150, d=5, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    return X, (rng.random(n) < 1 / (1 + np.exp(-2 * X[:, 0]))).astype(float)


@pytest.mark.parametrize("pair", [(-1, 1), (1, 2), (3, 7)])
def test_any_two_labels_give_the_model_of_0_and_1(pair, make_store):
    X, y = binary()
    plain = fit_path(make_store(X, y, chunk_rows=40), OPTIONS, RUN)
    data = make_store(X, np.where(y == 1, pair[1], pair[0]), chunk_rows=40)
    path = fit_path(data, OPTIONS, RUN)
    assert np.array_equal(path.coef, plain.coef)
    assert np.array_equal(path.intercept, plain.intercept)
    assert path.classes == (pair,)
    assert path.fingerprint == data.fingerprint


def test_labels_are_saved_and_loaded(make_store, tmp_path):
    X, y = binary()
    data = replace(make_store(X, y), target_classes=(("default", "paid"),))
    fit_path(data, OPTIONS, RUN).save(tmp_path / "model")
    assert load_model(tmp_path / "model").classes == (("default", "paid"),)


def test_probabilities_and_numbers_have_no_labels(make_store):
    X, y = binary()
    assert fit_path(make_store(X, 0.2 + 0.5 * y), OPTIONS, RUN).classes is None
    assert fit_path(make_store(X, y), replace(OPTIONS, loss="squared"), RUN).classes is None


def test_one_class_where_rows_have_weight_is_named(make_store):
    X, y = binary()
    with pytest.raises(ValueFound, match=r"target y0 is of one class, 7, in every row of pos"):
        fit_path(make_store(X, 3 + 4 * y, weight=y), OPTIONS, RUN)


def test_swapped_labels_turn_the_coefficients(make_store):
    X, y = binary()
    one, other = make_store(X, 1 + y), make_store(X, 2 - y)
    a, b = (fit_path(data, OPTIONS, RUN) for data in (one, other))
    assert np.allclose(a.coef, -b.coef, atol=1e-5)
