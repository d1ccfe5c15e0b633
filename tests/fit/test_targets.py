"""Logistic fits to labels of any values: the same models, and the labels recorded."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.utils.class_weight import compute_sample_weight

from dasklasso.errors import DataWarning, OptionError, ValueFound
from dasklasso.fit import fit_path
from dasklasso.model.path import load_model
from dasklasso.options import FitOptions, RunOptions

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


@pytest.mark.parametrize("loss", ["squared", "huber", "poisson"])
def test_text_of_several_values_is_no_number(loss, make_store):
    X, y = binary()
    data = replace(make_store(X, np.arange(len(y)) % 3), target_classes=(("a", "b", "c"),))
    with pytest.raises(OptionError, match=f"loss: {loss} found, and target y0 .* text of 3"):
        fit_path(data, replace(OPTIONS, loss=loss), RUN)


def test_two_classes_that_a_loss_takes_for_numbers_are_named(make_store, recwarn):
    X, y = binary()
    data = replace(make_store(X, y), target_classes=(("no", "yes"),))
    fit_path(data, FitOptions(alphas=(0.1,), loss="logistic"))
    assert len(recwarn) == 0
    with pytest.warns(DataWarning, match="which is text, for numbers: no as 0 and yes as 1"):
        fit_path(data, FitOptions(alphas=(0.1,)))


def test_one_class_where_rows_have_weight_is_named(make_store):
    X, y = binary()
    with pytest.raises(ValueFound, match=r"target y0 is of one class, 7, in every row of pos"):
        fit_path(make_store(X, 3 + 4 * y, weight=y), OPTIONS, RUN)


def test_swapped_labels_turn_the_coefficients(make_store):
    X, y = binary()
    one, other = make_store(X, 1 + y), make_store(X, 2 - y)
    a, b = (fit_path(data, OPTIONS, RUN) for data in (one, other))
    assert np.allclose(a.coef, -b.coef, atol=1e-5)


# -- class weights -------------------------------------------------------------------------------


def theirs(X, y, alpha, class_weight, weight=None):
    factors = np.ones(len(y)) if weight is None else weight
    given = compute_sample_weight(class_weight, y) if class_weight != "balanced" else None
    if given is None:
        totals = {k: factors[y == k].sum() for k in (0, 1)}
        given = np.array([factors.sum() / (2 * totals[k]) for k in y])
    s = factors * given
    model = LogisticRegression(
        l1_ratio=1, C=1 / (alpha * s.sum()), solver="saga", tol=1e-10, max_iter=20_000
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.set_params(penalty="elasticnet").fit(X, y, s)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("class_weight", ["balanced", ((0, 3.0), (1, 0.5))])
def test_class_weights_agree_with_scikit_learn(class_weight, weighted, make_store):
    X, y = binary()
    y[:60] = 1.0
    weight = np.random.default_rng(1).uniform(0.5, 2, len(y)) if weighted else None
    data = make_store(X, y, weight, chunk_rows=40)
    path = fit_path(data, replace(OPTIONS, class_weight=class_weight), RUN)
    asked = class_weight if class_weight == "balanced" else {int(k): w for k, w in class_weight}
    for i, alpha in enumerate(path.alphas):
        model = theirs(X, y, alpha, asked, weight)
        assert np.allclose(path.coef[i], model.coef_[0], atol=2e-4)
        found, expected = path.predict_proba(X, alpha), model.predict_proba(X)[:, 1]
        assert np.max(np.abs(found - expected)) <= 1e-4


def test_class_weights_of_names_are_those_of_their_codes(make_store):
    X, y = binary()
    data = make_store(X, y)
    named = replace(data, target_classes=(("default", "paid"),))
    options = replace(OPTIONS, class_weight=((0, 3.0),))
    by_name = replace(OPTIONS, class_weight=(("default", 3.0),))
    assert np.array_equal(fit_path(data, options, RUN).coef, fit_path(named, by_name, RUN).coef)


@pytest.mark.parametrize(
    ("y", "loss", "message"),
    [
        (lambda y: 0.2 + 0.5 * y, "logistic", "probabilities as targets found, expected one"),
        (lambda y: np.column_stack([y, 1 - y]), "logistic", "2 targets found, expected one"),
    ],
)
def test_class_weights_need_one_target_of_labels(y, loss, message, make_store):
    X, labels = binary()
    options = replace(OPTIONS, loss=loss, class_weight="balanced")
    with pytest.raises(OptionError, match=message):
        fit_path(make_store(X, y(labels)), options, RUN)


def test_class_weights_need_a_loss_of_classes():
    with pytest.raises(OptionError, match="loss squared has no classes"):
        replace(OPTIONS, loss="squared", class_weight="balanced")
