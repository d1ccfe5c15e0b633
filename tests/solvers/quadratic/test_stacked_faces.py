"""Quadratics in a stack end where each of them does by itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dasklasso.solvers.quadratic.face import Face, minimise
from dasklasso.solvers.quadratic.stacked_faces import Faces, minimise_stacked


def stack_of(seed: int, k: int, p: int, *, bounded: bool = False) -> Faces:
    """Random models around random points, of matrices of random ranks, one coordinate free."""
    rng = np.random.default_rng(seed)
    ranks = rng.integers(1, 4 * p, k)
    X = [rng.standard_normal((rank, p)) * 10.0 ** rng.uniform(-1, 1, p) for rank in ranks]
    matrix = np.stack([one.T @ one / len(one) for one in X])
    # in the range of the matrix, so that there is a minimum also where nothing is penalised
    gradient = (matrix @ rng.standard_normal((k, p, 1)))[:, :, 0]
    u = np.where(rng.random((k, p)) < 0.5, rng.standard_normal((k, p)), 0.0)
    l1 = np.tile(0.2 * np.abs(gradient).max(axis=1, keepdims=True), p)
    if bounded:
        return Faces(matrix, gradient, np.abs(u), l1, np.ones((k, p), bool))
    l1[:, -1] = 0.0
    return Faces(matrix, gradient, u, l1, np.zeros((k, p), bool))


def apart(stack: Faces) -> list[Face]:
    return [
        Face(stack.matrix[i], stack.gradient[i], stack.u[i], stack.l1[i], stack.bounded[i])
        for i in range(len(stack))
    ]


def value(face: Face, u: np.ndarray) -> float:
    """Of the model and its penalty."""
    step = u - face.u
    return face.gradient @ step + 0.5 * step @ face.matrix @ step + face.l1 @ np.abs(u)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(2, 15), st.booleans())
def test_minima_are_those_of_each_alone(seed, k, p, bounded):
    stack = stack_of(seed, k, p, bounded=bounded)
    alone = [minimise(face, 1e-7 * face.l1.max()) for face in apart(stack)]
    starts = apart(stack_of(seed, k, p, bounded=bounded))
    found = minimise_stacked(stack, 1e-7 * stack.l1.max(axis=1))
    for face, ours, theirs in zip(starts, found, alone, strict=True):
        worst = max(abs(value(face, face.u)), abs(value(face, theirs)))
        assert value(face, ours) <= value(face, theirs) + 1e-6 * worst
        assert not bounded or np.all(ours >= 0.0)


def test_a_problem_does_not_depend_on_its_neighbours():
    together = minimise_stacked(stack_of(3, 6, 8), np.full(6, 1e-9))
    one = stack_of(3, 6, 8)
    alone = minimise_stacked(one.some(np.arange(4, 5), one.u, one.gradient), np.full(1, 1e-9))
    np.testing.assert_allclose(alone[0], together[4], rtol=1e-6, atol=1e-9)


def test_coordinates_without_curvature_stay():
    stack = stack_of(0, 3, 5)
    stack.matrix[:, 2], stack.matrix[:, :, 2], stack.gradient[:, 2] = 0.0, 0.0, 0.0
    before = stack.u[:, 2].copy()
    assert np.array_equal(minimise_stacked(stack, np.full(3, 1e-9))[:, 2], before)


@pytest.mark.parametrize("rounds", [0, 1])
def test_out_of_rounds_the_objective_has_not_risen(rounds, monkeypatch):
    monkeypatch.setattr("dasklasso.solvers.quadratic.stacked_faces.MAX_ROUNDS", rounds)
    starts = apart(stack_of(7, 5, 12))
    found = minimise_stacked(stack_of(7, 5, 12), np.zeros(5))
    for face, u in zip(starts, found, strict=True):
        assert value(face, u) <= value(face, face.u) + 1e-12
