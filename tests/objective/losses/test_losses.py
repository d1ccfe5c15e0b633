"""Losses: gradient of the value, conjugate as the supremum, names."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dasklasso.backend import backend_for, to_numpy
from dasklasso.errors import OptionError
from dasklasso.objective.losses.logistic import Logistic
from dasklasso.objective.losses.registry import LOSSES, loss_named

NUMBER = st.floats(-1e3, 1e3, allow_subnormal=False)
SCALAR = [name for name in LOSSES if loss_named(name).n_outputs == 1]
each_loss = pytest.mark.parametrize("name", SCALAR)


def target_of(loss, number):
    """A target that the loss is defined for; labels and numbers between them where it has ends."""
    least, greatest = loss.target_range
    if np.isinf(least):
        return np.array(number)
    if np.isinf(greatest):
        return np.maximum(number, 0.0)
    return np.array(np.clip(0.5 + number / 1e3, least, greatest))


def prediction_of(loss, number):
    """A prediction whose exponential is not large, where that matters."""
    return np.array(number / 300.0 if np.isinf(loss.max_curvature) else number)


@each_loss
@given(p=NUMBER, y=NUMBER)
def test_the_gradient_is_the_slope_of_the_value(name, p, y):
    loss, h = loss_named(name), 1e-3
    p, y = prediction_of(loss, p), target_of(loss, y)
    slope = (loss.value(p + h, y) - loss.value(p - h, y)) / (2 * h)
    # where curvature jumps, as of Huber at delta, a difference over h is off by a quarter of h
    assert loss.gradient(p, y) == pytest.approx(slope, rel=1e-5, abs=0.5 * h)


@each_loss
@given(p=NUMBER, y=NUMBER, u=NUMBER)
def test_value_and_conjugate_obey_fenchel_and_young(name, p, y, u):
    loss = loss_named(name)
    p, y, u = prediction_of(loss, p), target_of(loss, y), np.array(u)
    total = loss.value(p, y) + loss.conjugate(u, y)
    assert np.isinf(total) or total >= u * p - 1e-9 * (1 + abs(u * p) + abs(total))


@each_loss
@given(p=NUMBER, y=NUMBER)
def test_fenchel_and_young_meet_at_the_gradient(name, p, y):
    loss = loss_named(name)
    p, y = prediction_of(loss, p), target_of(loss, y)
    u = loss.gradient(p, y)
    total = loss.value(p, y) + loss.conjugate(u, y)
    assert total == pytest.approx(u * p, rel=1e-9, abs=1e-6)


@each_loss
@given(p=NUMBER, q=NUMBER, y=NUMBER)
def test_no_curvature_exceeds_the_bound(name, p, q, y):
    loss = loss_named(name)
    p, q, y = prediction_of(loss, p), prediction_of(loss, q), target_of(loss, y)
    change = abs(loss.gradient(p, y) - loss.gradient(q, y))
    if np.isinf(loss.max_curvature):
        assert change <= loss.curvature(np.maximum(p, q), y) * abs(p - q) * (1 + 1e-9) + 1e-9
        return
    assert change <= loss.max_curvature * abs(p - q) * (1 + 1e-9) + 1e-9


@each_loss
@pytest.mark.parametrize(
    "method", ["value", "gradient", "curvature", "model_curvature", "conjugate"]
)
def test_every_method_gives_the_same_on_a_device(name, method):
    rng = np.random.default_rng(0)
    move, loss = backend_for("strict").asarray, loss_named(name)
    p, y = rng.standard_normal((5, 2)), target_of(loss, 300 * rng.standard_normal((5, 1)))
    found = getattr(loss, method)(move(p), move(y))
    assert np.allclose(to_numpy(found), getattr(loss, method)(p, y), rtol=1e-14)


@each_loss
@given(p=st.floats(-30, 30, allow_subnormal=False), y=NUMBER)
def test_the_curvature_is_the_slope_of_the_gradient(name, p, y):
    loss, h = loss_named(name), 1e-4
    p, y = prediction_of(loss, p), target_of(loss, y)
    if name == "huber" and abs(abs(p - y) - loss.delta) <= h:
        return  # a corner of the slope
    slope = (loss.gradient(p + h, y) - loss.gradient(p - h, y)) / (2 * h)
    assert loss.curvature(p, y) == pytest.approx(slope, rel=1e-5, abs=1e-8)


@given(p=st.floats(-100, 100), q=st.floats(-100, 100), y=st.floats(0, 1))
def test_the_quadratic_that_stands_for_logistic_is_nowhere_below(p, q, y):
    loss, p, q, y = Logistic(), np.array(p), np.array(q), np.array(y)
    value, slope = loss.value_and_gradient(p, y)
    quadratic = value + slope * (q - p) + loss.model_curvature(p, y) * (q - p) ** 2 / 2
    assert loss.value(q, y) <= quadratic + 1e-9 * (1 + abs(quadratic))


@each_loss
@given(p=NUMBER, y=NUMBER)
def test_value_and_gradient_are_what_each_is_alone(name, p, y):
    loss = loss_named(name)
    p, y = prediction_of(loss, p), target_of(loss, y)
    value, slope = loss.value_and_gradient(p, y)
    assert value == pytest.approx(loss.value(p, y), rel=1e-14, abs=1e-300)
    assert slope == loss.gradient(p, y)


@each_loss
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_no_other_constant_is_better_than_the_null_model(name, fit_intercept):
    loss = loss_named(name)
    y = target_of(loss, 400 * np.random.default_rng(1).standard_normal(50))
    known = loss.null_model(np.array([y.mean()]), np.array([y.var()]), fit_intercept=fit_intercept)
    if known is None:  # tests of the search are in test_null_model.py
        return
    found, value = known
    assert value[0] == pytest.approx(np.mean(loss.value(found + 0 * y, y)), rel=1e-12)
    slope = np.mean(loss.gradient(found + 0 * y, y))
    assert slope == pytest.approx(0.0, abs=1e-10) if fit_intercept else found[0] == 0


@pytest.mark.parametrize("p", [-1e4, 1e4, -1e308, 1e308])
@pytest.mark.parametrize("y", [0.0, 1.0])
@pytest.mark.filterwarnings("error")
def test_logistic_overflows_nowhere(p, y):
    loss, p, y = loss_named("logistic"), np.array(p), np.array(y)
    right = (p > 0) == (y == 1)
    assert loss.value(p, y) == (0.0 if right else abs(p))
    assert loss.gradient(p, y) == (0.0 if right else np.sign(p))
    assert loss.curvature(p, y) == 0.0


@given(p=NUMBER)
def test_the_mean_of_logistic_is_the_probability(p):
    assert loss_named("logistic").mean(np.array(p)) == pytest.approx(
        0.5 * (1 + np.tanh(p / 2)), rel=1e-12, abs=1e-15
    )


@pytest.mark.parametrize("u", [-0.31, 0.71])
def test_beyond_probabilities_the_conjugate_of_logistic_is_infinite(u):
    assert np.isinf(loss_named("logistic").conjugate(np.array(u), np.array(0.3)))


def test_an_unknown_loss_is_an_option_error_that_names_it():
    with pytest.raises(OptionError, match="loss: 'hinge' is none of squared, logistic"):
        loss_named("hinge")


@each_loss
def test_a_loss_is_a_value(name):
    loss = loss_named(name)
    again = pickle.loads(pickle.dumps(loss))
    assert again == loss
    assert hash(again) == hash(loss)
    assert [other == loss for other in map(loss_named, LOSSES)].count(True) == 1
