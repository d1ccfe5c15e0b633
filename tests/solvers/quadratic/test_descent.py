"""Descent over a subproblem and over a face of it ends where the conditions of an optimum hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dasklasso.solvers.quadratic.conjugate_gradients import minimise_face
from dasklasso.solvers.quadratic.descent import descend
from dasklasso.solvers.quadratic.growing_factor import GrowingFactor

MOST = 10_000
CASES = {
    "lasso": {},
    "compiled": {"compiled": True},
    "correlated": {"mixing": 0.999, "share": 0.01},
    "more columns than rows": {"n": 12, "d": 40, "share": 0.05},
    "elastic net": {"b": 0.1},
    "ridge": {"b": 0.1, "share": 0.0},
    "positive": {"positive": True},
    "positive elastic net": {"positive": True, "b": 0.1},
    "unpenalised columns": {"free": (0, 5)},
    "twins": {"twins": ((0, 5), (0, 6), (3, 9)), "share": 0.02},
    "positive twins": {"twins": ((0, 5), (3, 9)), "share": 0.02, "positive": True},
    "one column": {"d": 1},
}


@pytest.fixture(params=CASES, ids=CASES.keys())
def problem(request, subproblem):
    return subproblem(**CASES[request.param])


def solved(problem, u=None, tol=1e-15, **options):
    """The point where descent from u ends, the q that it has kept, and the passes it took."""
    d = problem.linear.size
    u = np.zeros(d) if u is None else u.copy()
    q = problem.linear - problem.matrix @ u
    passes = descend(problem, GrowingFactor(d), tol * problem.yy, MOST, u, q, **options)
    return u, q, passes


def test_the_conditions_of_an_optimum_hold(problem, violation):
    u, _, passes = solved(problem)
    assert passes < MOST
    assert violation(problem, u) <= 1e-7 * np.max(np.abs(problem.linear))


def test_the_gradient_is_that_of_the_point(problem):
    u, q, _ = solved(problem)
    np.testing.assert_allclose(q, problem.linear - problem.matrix @ u, atol=1e-12)


def test_signs_are_held_where_they_are_to_be(problem):
    if problem.positive:
        assert np.all(solved(problem)[0] >= 0.0)


@pytest.mark.parametrize("settled", [False, True])
def test_a_warm_start_ends_where_a_cold_one_does_with_fewer_passes(problem, settled):
    cold, q, passes = solved(problem)
    warm, q_warm, again = solved(problem, cold, settled=settled)
    assert again <= passes
    assert problem.value(warm, q_warm) == pytest.approx(problem.value(cold, q), abs=1e-13)


def test_any_start_ends_at_the_same_value(problem):
    u = 3.0 * np.random.default_rng(1).standard_normal(problem.linear.size)
    far = solved(problem, np.abs(u) if problem.positive else u)
    near = solved(problem)
    assert problem.value(*far[:2]) == pytest.approx(problem.value(*near[:2]), abs=1e-12)


def test_passes_end_at_their_limit(subproblem):
    problem = subproblem(mixing=0.999, share=0.001)
    u, q = np.zeros(20), problem.linear.copy()
    assert descend(problem, GrowingFactor(20), 0.0, 3, u, q) <= 3


def test_nothing_to_work_on_takes_no_pass(subproblem):
    problem = replace(subproblem(), order=np.empty(0, np.int64))
    u, q = np.zeros(20), problem.linear.copy()
    assert descend(problem, GrowingFactor(20), 0.0, MOST, u, q) == 0


def test_columns_outside_the_order_stay_at_zero(subproblem):
    problem = replace(subproblem(share=0.001), order=np.arange(0, 20, 2))
    u = solved(problem)[0]
    assert np.count_nonzero(u) == 10
    assert not u[1::2].any()


# -- a face ---------------------------------------------------------------------------------------


def over_face(problem, u, most=MOST):
    u, d = u.copy(), problem.linear.size
    q = problem.linear - problem.matrix @ u
    steps, _ = minimise_face(problem, GrowingFactor(d), 0.0, most, u, q)
    return u, q, steps


def test_a_face_where_no_sign_changes_is_solved_at_once(subproblem):
    problem = subproblem(share=0.05)
    u = solved(problem)[0]
    moved, _, steps = over_face(problem, u * np.random.default_rng(0).uniform(0.9, 1.1, 20))
    np.testing.assert_allclose(moved, u, atol=1e-9)
    assert steps <= 3


def test_no_coordinate_of_a_face_changes_its_sign(problem):
    rng = np.random.default_rng(2)
    u = np.where(rng.random(problem.linear.size) < 0.7, rng.standard_normal(problem.linear.size), 0)
    u = np.abs(u) if problem.positive else u
    held = (problem.a > 0.0) | problem.positive
    moved = over_face(problem, u)[0]
    assert np.all((moved * u >= 0.0)[held])
    assert not moved[u == 0.0].any()


def test_a_face_never_raises_the_objective(problem):
    u = np.random.default_rng(3).standard_normal(problem.linear.size)
    u = np.abs(u) if problem.positive else u
    before = problem.value(u, problem.linear - problem.matrix @ u)
    moved, q, _ = over_face(problem, u)
    assert problem.value(moved, q) <= before + 1e-12


def test_an_empty_face_takes_no_step(subproblem):
    problem = subproblem()
    u, _, steps = over_face(problem, np.zeros(20))
    assert (u.any(), steps) == (False, 0)
