"""A factor in single precision follows a face: columns that join, leave and return."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dasklasso.solvers.quadratic import face_factor
from dasklasso.solvers.quadratic.conjugate_gradients import minimise_face
from dasklasso.solvers.quadratic.descent import descend
from dasklasso.solvers.quadratic.face_factor import FaceFactor

ENOUGH = 1e12  # credit for whatever it does


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(face_factor, "FRESH_FROM", 1)
    monkeypatch.setattr(face_factor, "BLOCK", 7)


def following(problem, *faces):
    """A factor that was shown some faces in turn."""
    factor = FaceFactor(problem.linear.size)
    factor.credit = ENOUGH
    for face in faces:
        u = np.zeros(problem.linear.size)
        u[face] = 1.0
        factor.grow(problem, np.flatnonzero(u), u)
    return factor


def solves(factor, problem, face):
    """Whether it solves with the matrix of a face, to single precision."""
    face = np.sort(face)
    x = np.random.default_rng(0).standard_normal(len(face))
    matrix = problem.matrix[np.ix_(face, face)] + np.diag(problem.b[face])
    found = factor.apply(face, matrix @ x, problem.curvature[face])
    np.testing.assert_allclose(found, x, rtol=2e-3, atol=2e-3)


FIRST = np.arange(0, 20)


@pytest.mark.parametrize(
    "faces",
    [
        [FIRST],
        [FIRST[:11], FIRST],
        [FIRST, FIRST[3:]],
        [FIRST, FIRST[3:], FIRST[1:]],
        [FIRST[:12], FIRST[3:12], FIRST[2:18], FIRST[5:]],
    ],
    ids=["made", "joined", "left", "returned", "joined after some left"],
)
@pytest.mark.parametrize("b", [0.0, 0.3])
def test_it_solves_with_the_matrix_of_the_face(subproblem, b, faces):
    problem = subproblem(b=b)
    solves(following(problem, *faces), problem, faces[-1])


def test_it_is_made_afresh_where_many_have_left(subproblem, monkeypatch):
    monkeypatch.setattr(face_factor, "FEW_STALE", 2)
    problem = subproblem()
    factor = following(problem, FIRST, FIRST[3:])
    assert sorted(factor.members) == list(FIRST[3:])
    solves(factor, problem, FIRST[3:])


def test_a_column_that_it_does_not_know_has_its_own_curvature(subproblem):
    problem = subproblem()
    factor = following(problem, FIRST[:5])
    slope = np.zeros(6)
    slope[5] = 3.0
    found = factor.apply(FIRST[:6], slope, problem.curvature[:6])
    assert found[5] == 3.0 / problem.curvature[5]


def test_it_waits_until_as_much_has_been_spent_as_it_takes(subproblem):
    problem = subproblem()
    factor = FaceFactor(20)
    u = np.ones(20)
    factor.grow(problem, FIRST, u)
    assert not factor.members.size
    factor.credit = ENOUGH
    factor.grow(problem, FIRST, u)
    assert factor.members.size == 20
    assert factor.credit < ENOUGH


def test_columns_may_go_by_other_numbers(subproblem):
    whole = subproblem()
    names = np.array([4, 11, 2, 17, 8])
    corner = np.ascontiguousarray(whole.matrix[np.ix_(names, names)])
    part = replace(
        whole, matrix=corner, linear=whole.linear[names], diagonal=whole.diagonal[names],
        a=whole.a[names], b=whole.b[names], order=np.arange(5),
    )  # fmt: skip
    factor = following(part, [0, 2, 4])
    factor.renumber(names, 20)
    solves(factor, whole, names[[0, 2, 4]])


@pytest.mark.parametrize(
    "case",
    [
        {},
        {"positive": True},
        {"b": 0.1},
        {"mixing": 0.999, "share": 0.01},
        {"twins": ((0, 5), (0, 6), (3, 9)), "share": 0.02},
        {"n": 12, "d": 40, "share": 0.05},
    ],
    ids=["lasso", "positive", "elastic net", "correlated", "twins", "more columns than rows"],
)
def test_descent_with_it_ends_at_an_optimum(subproblem, violation, case):
    problem = subproblem(**case)
    factor = following(problem)
    u, q = np.zeros(problem.linear.size), problem.linear.copy()
    descend(problem, factor, 1e-15 * problem.yy, 10_000, u, q)
    assert violation(problem, u) <= 1e-7 * np.max(np.abs(problem.linear))


def test_many_coefficients_that_reach_zero_leave_in_few_steps(subproblem):
    problem = subproblem(n=400, d=200, share=0.3)
    factor, u = following(problem), np.linalg.solve(problem.matrix, problem.linear)
    q = problem.linear - problem.matrix @ u
    steps, _ = minimise_face(problem, factor, 0.0, 1000, u, q)
    assert np.count_nonzero(u) < 150
    assert steps < 40
