"""A quadratic model of one step is minimised, whatever its matrix is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dasklasso.solvers.quadratic.face import Face, minimise


def face_of(seed: int, p: int, rank: int, *, dtype: type = np.float64, share: float = 0.2) -> Face:
    """A random model around a random point, of a matrix of some rank."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rank, p))
    matrix = (X.T @ X / rank).astype(dtype)
    # in the range of the matrix, so that there is a minimum also where nothing is penalised
    gradient = matrix.astype(np.float64) @ rng.standard_normal(p)
    u = np.where(rng.random(p) < 0.5, rng.standard_normal(p), 0.0)
    l1 = np.full(p, share * np.max(np.abs(gradient)))
    return Face(matrix, gradient, u, l1, np.zeros(p, bool))


def violation_at(face: Face, u: np.ndarray) -> float:
    """The worst violation of the conditions of an optimum, from the matrix itself."""
    gradient = face.gradient + face.matrix.astype(np.float64) @ (u - face.u)
    at_zero = np.maximum(np.where(face.bounded, -gradient, np.abs(gradient)) - face.l1, 0.0)
    return float(np.max(np.where(u != 0, np.abs(gradient + face.l1 * np.sign(u)), at_zero)))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 6, 25]), st.booleans(), st.booleans())
def test_the_conditions_of_an_optimum_hold(seed, p, singular, bounded):
    face = face_of(seed, p, rank=max(p // 2, 1) if singular else 4 * p)
    if bounded:
        face = replace(face, u=np.abs(face.u), bounded=np.ones(p, bool))
    found = minimise(face, 1e-6 * face.l1[0])
    assert violation_at(face, found) <= 2e-6 * face.l1[0]
    assert not bounded or np.all(found >= 0.0)


@pytest.mark.parametrize("p", [12, 300])
def test_single_precision_matrices_are_minimised_to_their_own_optimum(p):
    face = face_of(0, p, rank=2 * p, dtype=np.float32)
    assert violation_at(face, minimise(face, 1e-4 * face.l1[0])) <= 2e-4 * face.l1[0]


def test_a_start_at_the_optimum_stays_there():
    face = face_of(1, 20, rank=80)
    found = minimise(face, 1e-10 * face.l1[0])
    gradient = face.gradient + face.matrix @ (found - face.u)
    again = minimise(replace(face, u=found, gradient=gradient), 1e-8 * face.l1[0])
    np.testing.assert_allclose(again, found, rtol=1e-7)


def test_unpenalised_coordinates_end_where_they_have_no_slope():
    face = face_of(2, 20, rank=80)
    l1 = face.l1.copy()
    l1[[3, 11]] = 0.0
    face = replace(face, l1=l1)
    found = minimise(face, 1e-8 * l1.max())
    slope = face.gradient + face.matrix @ (found - face.u)
    np.testing.assert_allclose(slope[[3, 11]], 0.0, atol=1e-6 * l1.max())


def test_duplicated_coordinates_keep_the_optimum():
    one = face_of(3, 10, rank=40)
    twice = np.r_[np.arange(10), 4]
    matrix = np.ascontiguousarray(one.matrix[np.ix_(twice, twice)])
    both = Face(matrix, one.gradient[twice], np.r_[one.u, 0.0], one.l1[twice], np.zeros(11, bool))
    found, single = minimise(both, 1e-9), minimise(one, 1e-9)
    together = np.r_[found[:4], found[4] + found[10], found[5:10]]
    np.testing.assert_allclose(together, single, atol=1e-6)


def test_coordinates_without_curvature_stay_where_they_are():
    face = face_of(4, 8, rank=32)
    matrix = face.matrix.copy()
    matrix[5], matrix[:, 5] = 0.0, 0.0
    found = minimise(replace(face, matrix=matrix), 1e-8)
    assert found[5] == face.u[5]


def test_a_matrix_of_zeros_moves_nothing():
    face = replace(face_of(5, 4, rank=16), matrix=np.zeros((4, 4)))
    assert np.array_equal(minimise(face, 1e-8), face.u)


def test_what_is_given_is_left_as_it_was():
    face = face_of(6, 10, rank=40)
    before = [face.matrix.copy(), face.gradient.copy(), face.u.copy()]
    minimise(face, 1e-8)
    assert all(map(np.array_equal, before, [face.matrix, face.gradient, face.u]))
