"""The gap and the objective of points of a subproblem, in NumPy and compiled."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dasklasso.objective.penalties.elastic_net import elastic_net
from dasklasso.solvers.quadratic.path import Quadratic, certify

CASES = [
    {"b": 0.0},
    {"b": 0.2},
    {"b": 0.0, "positive": True},
    {"b": 0.2, "positive": True},
    {"free": (3, 7)},
    {"free": (3, 7), "positive": True},
]


def point(problem, seed=1):
    rng = np.random.default_rng(seed)
    u = np.where(rng.random(problem.linear.size) < 0.4, rng.standard_normal(20), 0.0)
    u = 0.2 * (np.abs(u) if problem.positive else u)
    return u, problem.linear - problem.matrix @ u


@pytest.mark.parametrize("case", CASES)
def test_the_kernel_finds_what_numpy_finds(subproblem, case):
    problem = subproblem(**case)
    u, q = point(problem)
    for order in (problem.order, np.flatnonzero(u)):
        plain = replace(problem, order=order)
        fast = replace(plain, compiled=True)
        assert fast.gap_and_value(u, q) == pytest.approx(plain.gap_and_value(u, q), rel=1e-12)


@pytest.mark.parametrize("case", CASES[:4])
def test_the_gap_is_the_certificates_where_all_columns_are_penalised(subproblem, case):
    problem = subproblem(**case)
    u, q = point(problem)
    quadratic = Quadratic(problem.matrix, problem.linear, problem.yy)
    penalty = elastic_net(nonnegative=problem.positive)(problem.a[:, None], problem.b[:, None])
    found = certify(quadratic, u[None], penalty)
    assert problem.gap(u, q) == pytest.approx(found.gap[0], rel=1e-10)


@pytest.mark.parametrize("case", CASES)
def test_the_value_is_the_objective_less_half_yy(subproblem, case):
    problem = subproblem(**case)
    u, q = point(problem)
    expected = 0.5 * u @ problem.matrix @ u - problem.linear @ u
    expected += problem.a @ np.abs(u) + 0.5 * problem.b @ u**2
    assert problem.value(u, q) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("n", [0, 1, 4, 7])
def test_times_is_a_product_with_some_columns(subproblem, compiled, n):
    problem = subproblem(compiled=compiled)
    index, values = np.arange(n) * 2 + 1, np.linspace(-1, 1, n)
    expected = problem.matrix[:, index] @ values
    np.testing.assert_allclose(problem.times(index, values), expected, atol=1e-14)
