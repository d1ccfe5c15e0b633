"""A quadratic with a penalty on groups: its minimum, whatever the matrix."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from dasklasso.solvers.quadratic.groups import (
    Groups,
    descend,
    descend_kernel,
    minimise_groups,
)


def drawn(seed, n_groups=5, width=3, singular=False, dtype="float64", free=False):
    rng = np.random.default_rng(seed)
    p = n_groups * width
    A = rng.standard_normal((p - 4 if singular else 3 * p, p))
    matrix = (A.T @ A / len(A)).astype(dtype)
    starts = np.arange(0, p + 1, width)
    l1 = rng.uniform(0.05, 1.0, n_groups)
    if free:
        l1[-1] = 0.0
    u = np.where(rng.random(p) < 0.5, rng.standard_normal(p), 0.0)
    # a gradient that the matrix can take away: bounded below along free directions
    gradient = matrix.astype(float) @ (u - rng.standard_normal(p))
    return Groups(matrix, gradient, u, starts, l1)


def objective(problem, v):
    step = v - problem.u
    smooth = problem.gradient @ step + 0.5 * step @ problem.matrix.astype(float) @ step
    return smooth + problem.l1 @ problem.norms(v)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), singular=st.booleans(), free=st.booleans())
def test_every_group_meets_its_optimality_condition(seed, singular, free):
    problem = drawn(seed, singular=singular, free=free)
    found = minimise_groups(problem, 1e-9)
    gradient = problem.gradient + problem.matrix @ (found - problem.u)
    assert problem.violation(gradient, found).max() <= 1e-7


@pytest.mark.parametrize("seed", range(3))
def test_the_minimum_is_that_of_a_general_optimiser(seed):
    problem = drawn(seed)
    found = objective(problem, minimise_groups(problem, 1e-10))
    smoothed = minimize(
        lambda v: objective(problem, v), problem.u + 0.01, method="Powell",
        options={"maxiter": 100_000, "maxfev": 200_000, "xtol": 1e-10, "ftol": 1e-14},
    ).fun  # fmt: skip
    assert found <= smoothed + 1e-9
    assert found == pytest.approx(smoothed, rel=1e-3)


def test_groups_of_one_are_the_lasso():
    problem = drawn(3, n_groups=6, width=1)
    found = minimise_groups(problem, 1e-12)
    gradient = problem.gradient + problem.matrix @ (found - problem.u)
    assert np.allclose(gradient[found != 0], -(problem.l1 * np.sign(found))[found != 0])
    assert np.all(np.abs(gradient[found == 0]) <= problem.l1[found == 0] + 1e-12)


def test_a_large_penalty_leaves_no_group():
    problem = drawn(4)
    big = Groups(problem.matrix, problem.gradient, problem.u, problem.starts, problem.l1 + 1e3)
    assert not minimise_groups(big, 1e-9).any()


def test_single_precision_ends_near_the_same_minimum():
    double, single = drawn(5), drawn(5, dtype="float32")
    ends = [objective(double, minimise_groups(one, 1e-6)) for one in (double, single)]
    assert ends[1] == pytest.approx(ends[0], rel=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_kernel_descends_as_numpy_does(dtype):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 24))
    matrix = np.ascontiguousarray(X.T @ X / 60).astype(dtype)
    gradient, u = rng.standard_normal(24), 0.1 * rng.standard_normal(24)
    starts, l1 = np.array([0, 1, 4, 10, 24]), np.array([0.0, 0.2, 0.5, 3.0])
    problem = Groups(matrix, gradient, u, starts, l1)
    bounds = problem.curvature_bounds()
    at = [(gradient.copy(), u.copy()) for _ in range(2)]
    descend(problem, *at[0], bounds, 3)
    descend_kernel(matrix, *at[1], starts, l1, bounds, np.empty(24), 3)
    np.testing.assert_allclose(at[0][1], at[1][1], atol=1e-12)
    np.testing.assert_allclose(at[0][0], at[1][0], atol=1e-12)
