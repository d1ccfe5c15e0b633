"""The compiled solvers spell the elastic net out: what they find is what its class says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dasklasso.objective.penalties.elastic_net import elastic_net
from dasklasso.solvers.quadratic.face import Face, minimise
from dasklasso.solvers.quadratic.path import Quadratic, solve_path

SEED = st.integers(0, 2**32 - 1)


def draw(seed, d=6):
    """A diagonal matrix, a vector, and penalty factors."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0.2, 5, d), 2 * rng.standard_normal(d), *rng.uniform(0.1, 2, (2, d))


@given(seed=SEED, l1_ratio=st.sampled_from([1.0, 0.6, 0.0]), nonnegative=st.booleans())
def test_of_a_diagonal_matrix_a_path_is_the_prox(seed, l1_ratio, nonnegative):
    diagonal, c, l1, l2 = draw(seed)
    alphas, yy = np.array([1.0, 0.4, 0.1]), 1.0 + np.sum(c**2 / diagonal)
    whole = elastic_net(nonnegative=nonnegative).of(l1_ratio).at(1.0, l1, l2)
    found = solve_path(Quadratic(np.diag(diagonal), c, yy), whole, alphas, tol=1e-15 * yy)
    for k, alpha in enumerate(alphas):
        penalty = elastic_net(nonnegative=nonnegative).of(l1_ratio).at(alpha, l1, l2)
        u = penalty.prox(c / diagonal, 1.0 / diagonal)
        assert found.coef[k] == pytest.approx(u, rel=1e-12, abs=1e-14)
        assert np.array_equal(found.coef[k] != 0, u != 0)
        loss = 0.5 * (yy - 2 * c @ u + u @ (diagonal * u))
        assert found.objective[k] == pytest.approx(loss + np.sum(penalty.value(u)), rel=1e-12)


@given(seed=SEED, l2=st.sampled_from([0.0, 0.3]), nonnegative=st.booleans())
def test_of_a_diagonal_matrix_a_face_ends_at_the_prox(seed, l2, nonnegative):
    diagonal, c, l1, _ = draw(seed)
    penalty = elastic_net(nonnegative=nonnegative)(l1, np.full_like(l1, l2))
    # the quadratic part is in the matrix
    face = Face(np.diag(diagonal + l2), -c, 0 * c, l1, np.full(c.shape, nonnegative))
    found = minimise(face, 1e-13)
    u = penalty.prox(c / diagonal, 1.0 / diagonal)
    assert found == pytest.approx(u, rel=1e-8, abs=1e-10)
    violation = np.maximum(penalty.violation(u, c - diagonal * u), 0.0)
    ours = face.violation(diagonal * u + l2 * u - c, u)
    assert ours == pytest.approx(violation, abs=1e-12)
    away = u + np.where(u != 0, 0.5 * u, 0.0)
    violation = np.maximum(penalty.violation(away, c - diagonal * away), 0.0)
    ours = face.violation((diagonal + l2) * away - c, away)
    assert ours == pytest.approx(violation, rel=1e-12, abs=1e-12)
