"""Paths by active sets: exact where they arrive, and nothing where they do not."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from dasklasso.objective.penalties.elastic_net import ElasticNet, NonNegativeElasticNet
from dasklasso.solvers.quadratic import active_set, follow
from dasklasso.solvers.quadratic.active_set import ActiveSet
from dasklasso.solvers.quadratic.path import Quadratic, solve_path

D = 12
ONES = np.ones(D)
USABLE = np.ones(D, bool)
PENALTIES = [ElasticNet.of(1.0), ElasticNet.of(0.4), NonNegativeElasticNet.of(1.0)]


def quadratic_of(rank: int, seed: int = 0) -> Quadratic:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rank, D)) @ (np.eye(D) + 0.3)
    y = X @ np.where(rng.random(D) < 0.5, rng.standard_normal(D), 0.0)
    y += rng.standard_normal(rank)
    return Quadratic(X.T @ X / rank, X.T @ y / rank, float(y @ y) / rank)


@pytest.fixture(scope="module")
def quadratic() -> Quadratic:
    return quadratic_of(60)


def grid(quadratic: Quadratic, eps: float = 1e-3, n: int = 40) -> np.ndarray:
    return 2.0 * np.abs(quadratic.linear).max() * np.geomspace(1.0, eps, n)


def made(quadratic, penalty, usable=USABLE):
    yy, unit = quadratic.yy, penalty.at(1.0, ONES, ONES)
    return ActiveSet(quadratic.gram, quadratic.linear, unit, usable, yy, 1e-10 * yy)


def found(quadratic, penalty, alphas, start=None, usable=USABLE):
    one = made(quadratic, penalty, usable)
    return one.solve(alphas, np.zeros(D) if start is None else start)


@pytest.mark.parametrize("penalty", PENALTIES, ids=str)
def test_conditions_of_an_optimum_hold_at_every_alpha(quadratic, penalty):
    alphas = grid(quadratic)
    path = found(quadratic, penalty, alphas)
    assert len(path) == len(alphas)
    for alpha, (u, q, _) in zip(alphas, path, strict=True):
        np.testing.assert_allclose(q, quadratic.linear - quadratic.gram @ u, atol=1e-12)
        violation = penalty.at(alpha, 1.0, 1.0).violation(u[:, None], q[:, None])
        assert violation.max() <= 1e-12
        assert not penalty.nonnegative or u.min() >= 0.0


def test_alphas_between_which_no_sign_changes_take_one_pass(quadratic):
    alphas = grid(quadratic)
    path = found(quadratic, PENALTIES[0], alphas)
    patterns = [tuple(np.sign(one.u)) for one in path]
    changes = sum(a != b for a, b in pairwise(patterns))
    assert sum(one.passes for one in path) <= 3 * (changes + 1)


@pytest.mark.parametrize("penalty", PENALTIES[:2], ids=str)
def test_columns_that_are_not_usable_stay_at_zero(quadratic, penalty):
    usable = USABLE.copy()
    usable[[0, 5]] = False
    path = found(quadratic, penalty, grid(quadratic), usable=usable)
    assert all(not one.u[[0, 5]].any() for one in path)


def test_where_columns_outnumber_rows_it_ends_where_the_rows_are_explained():
    quadratic = quadratic_of(5)
    path = found(quadratic, PENALTIES[0], grid(quadratic, 1e-9))
    assert all(np.count_nonzero(one.u) <= 5 for one in path)


def test_a_singular_face_is_left_to_others():
    quadratic = quadratic_of(60)
    for twin in (quadratic.gram, quadratic.gram.T):
        twin[1] = twin[0]
    quadratic.linear[1] = quadratic.linear[0]
    both = np.zeros(D)
    both[:2] = 1.0  # two columns that are one: no factor
    assert found(quadratic, PENALTIES[0], grid(quadratic)[20:], both) == []


def test_what_never_arrives_is_not_tried_for_ever(quadratic, monkeypatch):
    monkeypatch.setattr(active_set, "MOST_ROUNDS", 0)
    one = made(quadratic, PENALTIES[0])
    for _ in range(active_set.MOST_FRUITLESS):
        assert one.solve(grid(quadratic), np.zeros(D)) == []
    monkeypatch.setattr(active_set, "MOST_ROUNDS", 6)
    assert one.solve(grid(quadratic), np.zeros(D)) == []


@pytest.mark.parametrize("penalty", PENALTIES, ids=str)
def test_paths_are_those_of_descent(quadratic, penalty, monkeypatch):
    alphas, tol = grid(quadratic), 1e-12 * quadratic.yy
    ours = solve_path(quadratic, penalty, alphas, tol=tol)
    monkeypatch.setattr(follow.PathFollower, "ahead", lambda *_: [])
    theirs = solve_path(quadratic, penalty, alphas, tol=tol)
    np.testing.assert_allclose(ours.objective, theirs.objective, rtol=1e-11)
    assert ours.gap.max() <= tol


def test_a_path_that_is_solved_in_part_goes_on_by_descent(quadratic, monkeypatch):
    alphas, tol = grid(quadratic), 1e-12 * quadratic.yy
    whole = solve_path(quadratic, PENALTIES[0], alphas, tol=tol)
    monkeypatch.setattr(active_set, "MOST_ROUNDS", 1)  # at every change of the set
    parts = solve_path(quadratic, PENALTIES[0], alphas, tol=tol)
    np.testing.assert_allclose(parts.objective, whole.objective, rtol=1e-11)
    assert parts.gap.max() <= tol
