"""A factor that grows column by column is a fresh Cholesky factor's inverse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dasklasso.solvers.quadratic.growing_factor import ALWAYS, ONE_BY_ONE, GrowingFactor


def grown(problem, *groups, **options):
    """A factor to which groups of columns have been added in turn, and all of them in use."""
    factor = GrowingFactor(problem.linear.size, **options)
    u = np.zeros(problem.linear.size)
    for columns in groups:
        u[columns] = 1.0
        factor.grow(problem, np.flatnonzero(u), u)
    return factor, u


def is_fresh(factor, problem):
    """Whether W is the inverse of the Cholesky factor of the members' matrix."""
    index = factor.members
    matrix = problem.matrix[np.ix_(index, index)] + np.diag(problem.b[index])
    expected = np.linalg.inv(np.linalg.cholesky(matrix))
    np.testing.assert_allclose(np.tril(factor.inverse), expected, atol=1e-9 * expected.max())
    assert not np.triu(factor.inverse, 1).any()


@pytest.mark.parametrize("b", [0.0, 0.3])
@pytest.mark.parametrize("size", [1, ONE_BY_ONE, ONE_BY_ONE + 1, 20])
def test_columns_are_appended_one_by_one_and_together(subproblem, b, size):
    problem = subproblem(b=b)
    factor, _ = grown(problem, *np.array_split(np.arange(20), 20 // size))
    assert sorted(factor.members) == list(range(20))
    is_fresh(factor, problem)


@pytest.mark.parametrize("compiled", [False, True])
def test_it_solves_with_the_members_matrix(subproblem, compiled):
    problem = subproblem()
    factor, _ = grown(problem, [3, 1], np.arange(5, 15), [19], compiled=compiled)
    x = np.random.default_rng(0).standard_normal(13)
    matrix = problem.matrix[np.ix_(factor.members, factor.members)]
    np.testing.assert_allclose(matrix @ factor.solve(x), x, atol=1e-10)


@pytest.mark.parametrize("together", [False, True])
def test_columns_that_others_explain_are_left_out(subproblem, together):
    problem = subproblem(twins=((2, 9), (4, 11)))
    groups = [np.arange(20)] if together else [[j] for j in range(20)]
    factor, _ = grown(problem, *groups)
    assert len(factor.members) == 18
    assert len({2, 9} & set(factor.members)) == len({4, 11} & set(factor.members)) == 1
    is_fresh(factor, problem)


def test_rows_of_columns_that_have_left_go(subproblem):
    problem = subproblem()
    factor, u = grown(problem, np.arange(20))
    gone = factor.members[[4, 8, 15]]
    u[gone] = 0.0
    factor.grow(problem, np.flatnonzero(u), u)
    assert sorted(factor.members) == sorted(set(range(20)) - set(gone))
    is_fresh(factor, problem)


def test_a_twin_comes_in_once_the_other_has_left(subproblem):
    problem = subproblem(twins=((2, 9),))
    factor, u = grown(problem, [2], [9], [5])
    assert list(factor.members) == [2, 5]
    u[2] = 0.0
    factor.grow(problem, np.flatnonzero(u), u)
    assert sorted(factor.members) == [5, 9]


def test_it_waits_until_as_much_has_been_spent_as_growing_takes(subproblem):
    problem = subproblem(n=300, d=ALWAYS + 50)
    factor, u = grown(problem, np.arange(ALWAYS + 50))
    assert not len(factor.members)
    factor.credit = 1e9
    factor.grow(problem, np.flatnonzero(u), u)
    assert len(factor.members) == ALWAYS + 50
    assert factor.credit < 1e9


def test_it_takes_no_more_than_its_most_rows(subproblem):
    factor, _ = grown(subproblem(), np.arange(8), np.arange(8, 20), max_rows=10)
    assert len(factor.members) == 8


def test_columns_may_go_by_other_numbers(subproblem):
    whole = subproblem(d=20)
    names = np.array([4, 11, 2, 17, 8])
    corner = np.ascontiguousarray(whole.matrix[np.ix_(names, names)])
    part = replace(
        whole, matrix=corner, linear=whole.linear[names], diagonal=whole.diagonal[names],
        a=whole.a[names], b=whole.b[names], order=np.arange(5),
    )  # fmt: skip
    factor, _ = grown(part, [0, 2, 4])
    factor.renumber(names, 20)
    assert sorted(factor.members) == [2, 4, 8]
    u = np.zeros(20)
    u[[2, 4, 8, 15]] = 1.0
    factor.grow(whole, np.flatnonzero(u), u)
    assert sorted(factor.members) == [2, 4, 8, 15]
    is_fresh(factor, whole)
