"""Steps of proximal Newton: the minimum of a model with its penalty, against a slow reference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from dasklasso.objective.penalties.elastic_net import elastic_net
from dasklasso.solvers.newton.hessian_model import Quadric
from dasklasso.solvers.newton.step import (
    FEWEST_SWEEPS,
    MOST_SWEEPS,
    Point,
    most_sweeps,
    newton_step,
)


def drawn(seed, d=5, l1_ratio=1.0, nonnegative=False):
    """A point, a model around it on some columns, and a penalty."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((3 * d, d + 1))
    columns = np.arange(d)
    u = np.where(rng.random(d) < 0.5, rng.standard_normal(d), 0.0)
    u = np.abs(u) if nonnegative else u
    point = Point(u, 0.3, 1.0, rng.standard_normal(d), float(rng.standard_normal()))
    penalty = elastic_net(nonnegative=nonnegative).of(l1_ratio)
    own_penalty = penalty.at(0.2, rng.uniform(0.5, 2.0, d), rng.uniform(0.5, 2.0, d))
    return point, Quadric(columns, A.T @ A / len(A)), own_penalty


def model(point, quadric, own_penalty, u, b):
    along = np.append(u - point.u, b - point.b)
    slope = np.append(point.gradient, point.slope)
    return slope @ along + 0.5 * along @ quadric.matrix @ along + own_penalty.value(u).sum()


def step_of(point, quadric, own_penalty, fit_intercept=True):
    return newton_step(
        point, quadric, own_penalty, fit_intercept=fit_intercept, tol=1e-13, added=100.0
    )  # fmt: skip


@pytest.mark.parametrize("nonnegative", [False, True])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.4])
def test_a_step_is_the_minimum_that_a_general_optimiser_finds(nonnegative, fit_intercept, l1_ratio):
    point, quadric, own_penalty = drawn(1, l1_ratio=l1_ratio, nonnegative=nonnegative)
    d = len(point.u)

    def split(parts):  # u = its positive part less its negative part
        u = parts[:d] - (0.0 if nonnegative else parts[d : 2 * d])
        return u, point.b + (parts[-1] if fit_intercept else 0.0)

    def value(parts):
        smooth = model(point, quadric, own_penalty, *split(parts))
        u = split(parts)[0]
        both = parts[:d] + (0.0 if nonnegative else parts[d : 2 * d])
        # where both parts are in use the penalty of the split is larger, and smooth
        return smooth + own_penalty.l1 @ (both - np.abs(u))

    bounds = [(0, None)] * (2 * d) + [(None, None)]
    reference = minimize(value, np.full(2 * d + 1, 0.2), bounds=bounds, tol=1e-16).fun
    step = step_of(point, quadric, own_penalty, fit_intercept)
    found = model(point, quadric, own_penalty, step.u, step.b)
    assert found == pytest.approx(reference, abs=1e-8)
    assert found <= reference + 1e-12


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), nonnegative=st.booleans(), l1_ratio=st.sampled_from([1.0, 0.3]))
def test_no_point_nearby_is_better(seed, nonnegative, l1_ratio):
    point, quadric, own_penalty = drawn(seed, l1_ratio=l1_ratio, nonnegative=nonnegative)
    step = step_of(point, quadric, own_penalty)
    here = model(point, quadric, own_penalty, step.u, step.b)
    rng = np.random.default_rng(seed)
    for size in (1e-3, 1e-1, 1.0):
        u = step.u + size * rng.standard_normal(len(step.u))
        u = np.maximum(u, 0.0) if nonnegative else u
        assert model(point, quadric, own_penalty, u, step.b + size * rng.standard_normal()) >= here


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_what_is_predicted_is_what_the_model_loses(seed):
    point, quadric, own_penalty = drawn(seed)
    step = step_of(point, quadric, own_penalty)
    lost = own_penalty.value(point.u).sum() - model(point, quadric, own_penalty, step.u, step.b)
    assert step.predicted == pytest.approx(lost, abs=1e-12)
    assert step.predicted >= 0


def test_columns_that_the_model_lacks_stay_where_they_are():
    point, quadric, own_penalty = drawn(2)
    some = np.array([0, 3])
    place = np.append(some, 5)
    step = step_of(point, Quadric(some, quadric.matrix[np.ix_(place, place)]), own_penalty)
    others = np.setdiff1d(np.arange(5), some)
    assert np.array_equal(step.u[others], point.u[others])


@pytest.mark.parametrize("factor", [1.0, 1.0 + 1e-9, 1e-3])
def test_columns_that_are_multiples_of_each_other_have_a_minimum_all_the_same(factor):
    point, quadric, own_penalty = drawn(3)
    twice = np.array([0, 1, 2, 3, 4, 0, 5])
    scale = np.ones(7)
    scale[5] = factor
    matrix = quadric.matrix[np.ix_(twice, twice)] * np.outer(scale, scale)
    more = twice[:-1]
    point = Point(
        np.append(point.u, 0.0), point.b, point.loss, point.gradient[more] * scale[:-1], point.slope
    )
    own_penalty = replace(own_penalty, l1=own_penalty.l1[more], l2=own_penalty.l2[more])
    step = step_of(point, Quadric(np.arange(6), matrix), own_penalty)
    alone = step_of(*drawn(3))
    assert np.all(np.isfinite(step.u))
    assert step.predicted == pytest.approx(alone.predicted, rel=1e-6)


def test_a_step_s_work_is_bounded():
    assert most_sweeps(1) == MOST_SWEEPS
    assert most_sweeps(100_000) == FEWEST_SWEEPS
    assert FEWEST_SWEEPS < most_sweeps(2000) < MOST_SWEEPS
