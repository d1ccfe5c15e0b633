"""The model without features against a search by scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from dasklasso.dataset.dataset import from_arrays
from dasklasso.errors import ValueFound
from dasklasso.objective.best_constant import best_constant, row_derivatives
from dasklasso.objective.losses.huber import Huber
from dasklasso.objective.losses.logistic import Logistic
from dasklasso.objective.losses.poisson import Poisson
from dasklasso.objective.losses.squared import SQUARED
from dasklasso.problem.null_model import null_model
from dasklasso.problem.zero_scan import moments_of_targets
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.runners import InProcess


def found_for(loss, y, weight=None, *, fit_intercept=True):
    y = np.asarray(y, dtype=float)
    engine = ScanEngine(from_arrays(np.ones((len(y), 1)), y, weight), InProcess(1))
    return null_model(engine, loss, moments_of_targets(engine), fit_intercept=fit_intercept)


def targets(rng, loss, n, scale):
    if loss.name == "poisson":
        y = rng.poisson(scale, n).astype(float)
        y[0] = y[1] + 1.0
        return y
    return scale * rng.standard_t(1.0, n)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(2, 40),
    scale=st.sampled_from([1e-3, 0.3, 5.0, 1e4]),
    loss=st.sampled_from([Huber(), Huber(1e-3), Huber(1e5), Poisson()]),
    weighted=st.booleans(),
)
def test_no_constant_is_better(seed, n, scale, loss, weighted):
    rng = np.random.default_rng(seed)
    y = targets(rng, loss, n, scale)
    weight = 10.0 ** rng.uniform(-8, 8, n) if weighted else None
    pi = np.ones(n) / n if weight is None else weight / weight.sum()
    prediction, value = found_for(loss, y, weight)

    def mean_loss(b):
        return pi @ loss.value(b + 0 * y, y)

    assert value[0] == pytest.approx(mean_loss(prediction[0]), rel=1e-12)
    reach = (np.log(pi @ y) - 1, np.log(pi @ y) + 1) if loss.name == "poisson" else (min(y), max(y))
    theirs = minimize_scalar(mean_loss, bounds=reach, method="bounded").fun
    assert value[0] <= theirs * (1 + 1e-12)
    size = pi @ np.abs(loss.gradient(prediction[0] + 0 * y, y))
    assert abs(pi @ loss.gradient(prediction[0] + 0 * y, y)) <= 1e-9 * size + 1e-15 * np.max(
        np.abs(y)
    )


def test_a_flat_bottom_has_some_best_constant():
    prediction, value = found_for(Huber(1.0), [0.0, 0.0, 100.0, 100.0])
    assert 1.0 <= prediction[0] <= 99.0
    assert value[0] == pytest.approx(49.5)


def test_one_row_far_away_is_left_behind():
    prediction, _ = found_for(Huber(1.0), [0.0, 0.0, 0.0, 1e12])
    assert prediction[0] == pytest.approx(1 / 3)


def test_the_best_constant_of_poisson_is_the_logarithm_of_the_mean():
    y = np.array([0.0, 1.0, 7.0, 2.0])
    prediction, value = found_for(Poisson(), y)
    assert prediction[0] == pytest.approx(np.log(2.5), rel=1e-15)
    logs = y * np.log(np.where(y > 0, y, 1) / 2.5)
    assert value[0] == pytest.approx(np.mean(logs), rel=1e-12)


@pytest.mark.parametrize("loss", [Huber(), Poisson()])
def test_without_an_intercept_the_constant_is_zero(loss):
    y = np.array([0.0, 3.0, 1.0])
    prediction, value = found_for(loss, y, fit_intercept=False)
    assert prediction[0] == 0.0
    assert value[0] == pytest.approx(np.mean(loss.value(0 * y, y)), rel=1e-14)


@pytest.mark.parametrize("loss", [SQUARED, Logistic()])
def test_what_moments_tell_is_taken_from_them(loss):
    y = np.random.default_rng(0).uniform(0, 1, 20)
    found, known = found_for(loss, y), loss.null_model(y.mean(), y.var(), fit_intercept=True)
    assert np.concatenate(found) == pytest.approx(np.array(known), rel=1e-14)


def test_counts_that_are_all_zero_have_no_best_constant():
    with pytest.raises(ValueFound, match="target 0 is 0 in every row of positive sample_weight"):
        found_for(Poisson(), np.zeros(7))


@pytest.mark.parametrize(
    ("loss", "value"),
    [(Huber(), 0.0), (Huber(), 0.1), (Huber(), 1e9), (Poisson(), 0.1), (Poisson(), 1e9)],
)
def test_targets_that_are_all_the_same_leave_nothing(loss, value):
    y = np.full(7, value)
    y[3] = 5.0
    weight = np.ones(7)
    weight[3] = 0.0
    assert found_for(loss, y, weight)[1][0] == 0.0


def test_several_targets_are_searched_at_once():
    rng = np.random.default_rng(0)
    y = rng.standard_t(1.0, (30, 3)) * np.array([1.0, 1e3, 1e-3])
    prediction, value = found_for(Huber(0.5), y)
    for k in range(3):
        alone = found_for(Huber(0.5), y[:, k])
        assert (prediction[k], value[k]) == pytest.approx((alone[0][0], alone[1][0]), rel=1e-12)


def test_a_loss_that_falls_without_end_has_no_best_constant():
    y = np.zeros((3, 1))

    def derivatives(b):
        found = row_derivatives(Poisson(), b, y, None)
        return found[:-1] / found[-1]

    with pytest.raises(ValueFound, match="target 0: no constant is the best"):
        best_constant(derivatives, np.zeros(1))
