"""The softmax loss: derivatives by differences, its conjugate, and what classes' names change."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp, softmax

from dasklasso.backend import backend_for, to_numpy
from dasklasso.objective.losses.logistic import Logistic
from dasklasso.objective.losses.softmax import Softmax, indicators

SEED = st.integers(0, 2**32 - 1)
CLASSES = st.integers(2, 7)


def draw(seed, n_classes, n=12, spread=3.0):
    rng = np.random.default_rng(seed)
    return spread * rng.standard_normal((n, n_classes)), rng.integers(0, n_classes, n).astype(float)


@given(seed=SEED, n_classes=CLASSES)
def test_value_and_gradient_are_the_formulas(seed, n_classes):
    p, y = draw(seed, n_classes)
    value, gradient = Softmax(n_classes).value_and_gradient(p, y)
    own = np.take_along_axis(p, y.astype(int)[:, None], axis=1)[:, 0]
    assert np.allclose(value, logsumexp(p, axis=1) - own, rtol=1e-13, atol=1e-14)
    assert np.allclose(gradient, softmax(p, axis=1) - np.eye(n_classes)[y.astype(int)], atol=1e-14)


@given(seed=SEED, n_classes=CLASSES)
def test_the_curvature_is_the_derivative_of_the_gradient(seed, n_classes):
    p, y = draw(seed, n_classes)
    loss, step = Softmax(n_classes), 1e-5
    for k in range(n_classes):
        move = step * np.eye(n_classes)[k]
        change = loss.gradient(p + move, y)[:, k] - loss.gradient(p - move, y)[:, k]
        assert np.allclose(change / (2 * step), loss.curvature(p, y)[:, k], atol=1e-9)


@given(seed=SEED, n_classes=CLASSES)
def test_no_direction_is_more_curved_than_the_bound(seed, n_classes):
    p, _ = draw(seed, n_classes)
    loss = Softmax(n_classes)
    for t in loss.mean(p):
        assert np.linalg.eigvalsh(np.diag(t) - np.outer(t, t)).max() <= loss.max_curvature + 1e-15


@given(seed=SEED, n_classes=CLASSES)
def test_fenchel_and_young_with_equality_at_the_gradient(seed, n_classes):
    p, y = draw(seed, n_classes)
    loss = Softmax(n_classes)
    value, g = loss.value_and_gradient(p, y)
    assert np.allclose(loss.conjugate(g, y) + value, np.sum(g * p, axis=1), atol=1e-12)
    elsewhere = loss.gradient(draw(seed + 1, n_classes)[0], y)
    slack = loss.conjugate(elsewhere, y) + value - np.sum(elsewhere * p, axis=1)
    assert slack.min() >= -1e-12


def test_the_conjugate_is_infinite_where_there_is_no_distribution():
    loss, y = Softmax(3), np.zeros(3)
    dual = np.array([[0.5, -0.5, 0.0], [0.1, 0.0, 0.0], [-1.0, 1.0, 0.0]])
    assert loss.conjugate(dual, y).tolist() == [np.inf, np.inf, 0.0]


def test_predictions_of_any_size_give_finite_values():
    p = np.array([[1e4, -1e4, 0.0], [-1e300, 1e300, 0.0], [710.0, 0.0, 0.0]])
    value, gradient = Softmax(3).value_and_gradient(p, np.array([1.0, 1.0, 1.0]))
    assert value.tolist() == [2e4, 0.0, 710.0]
    assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_of_rows_that_are_all_but_certain_the_loss_has_all_its_digits(dtype):
    p, y = np.array([[46.0, 1.0, 0.0], [2.0, 50.0, 2.0]], dtype), np.array([0, 1], dtype)
    value, gradient, ratio = Softmax(3).terms(p, y)
    rest = np.array([np.exp(-45.0) + np.exp(-46.0), 2.0 * np.exp(-48.0)])
    for found in (value, ratio, -gradient[[0, 1], [0, 1]]):
        assert np.allclose(found, rest, rtol=10 * np.finfo(dtype).eps, atol=0.0)


@given(seed=SEED)
def test_two_classes_are_the_logistic_loss_of_the_difference(seed):
    p, y = draw(seed, 2)
    value, gradient = Softmax(2).value_and_gradient(p, y)
    binary, slope = Logistic().value_and_gradient(p[:, 1] - p[:, 0], y)
    assert np.allclose(value, binary, atol=1e-12)
    assert np.allclose(gradient, np.column_stack([-slope, slope]), atol=1e-13)


@given(seed=SEED, n_classes=CLASSES)
def test_another_order_of_classes_changes_nothing(seed, n_classes):
    p, y = draw(seed, n_classes)
    order = np.random.default_rng(seed).permutation(n_classes)
    renamed = np.argsort(order)[y.astype(int)].astype(float)
    value, gradient = Softmax(n_classes).value_and_gradient(p, y)
    same, moved = Softmax(n_classes).value_and_gradient(p[:, order], renamed)
    assert np.allclose(same, value, atol=1e-13)
    assert np.allclose(moved, gradient[:, order], atol=1e-14)


def test_one_column_of_codes_serves_predictions_of_many_problems():
    p, y = draw(0, 4, n=6 * 5)
    p, y = p.reshape(6, 5, 4), y[:6]
    value, gradient = Softmax(4).value_and_gradient(p, y[:, None])
    for k in range(5):
        alone = Softmax(4).value_and_gradient(p[:, k], y)
        assert np.allclose(value[:, k], alone[0], rtol=1e-14)
        assert np.allclose(gradient[:, k], alone[1], rtol=1e-14)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_the_null_model_is_the_best_constant(fit_intercept):
    frequency = np.array([0.5, 0.3, 0.2])
    loss = Softmax(3)
    b, null = loss.null_model(frequency, frequency, fit_intercept=fit_intercept)
    costs = loss.value(np.tile(b, (3, 1)), np.arange(3.0))
    assert np.allclose(null, frequency @ costs, rtol=1e-14)
    assert abs(b.sum()) <= 1e-15
    if fit_intercept:
        assert np.allclose(loss.mean(b), frequency, rtol=1e-14)


def test_one_class_leaves_nothing_to_fit():
    assert not Softmax(2).null_model(np.array([1.0, 0.0]), np.zeros(2), fit_intercept=True)[1].any()


def test_indicators_name_the_class():
    assert indicators(np.array([2.0, 0.0]), 3, np.float32).tolist() == [[0, 0, 1], [1, 0, 0]]


def test_the_same_on_a_device():
    p, y = draw(5, 4)
    move = backend_for("strict").asarray
    loss = Softmax(4)
    found = [*loss.value_and_gradient(move(p), move(y)), loss.curvature(move(p), move(y))]
    found.append(loss.conjugate(loss.gradient(move(p), move(y)), move(y)))
    expected = [*loss.value_and_gradient(p, y), loss.curvature(p, y)]
    expected.append(loss.conjugate(loss.gradient(p, y), y))
    for mine, theirs in zip(found, expected, strict=True):
        assert np.allclose(to_numpy(mine), theirs, rtol=1e-14)
