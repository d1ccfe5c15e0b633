"""What is projected off residuals, so that they are dual points where columns have no penalty."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dasklasso.objective.penalties.elastic_net import elastic_net
from dasklasso.problem.unpenalised import project


def drawn(seed: int, n: int = 12, d: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns that correlate, non-negative points of two problems, and their residuals."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) + 2.0 * rng.standard_normal((n, 1))
    X *= 10.0 ** rng.integers(-4, 5, d)
    u = np.where(rng.random((d, 2)) < 0.4, rng.random((d, 2)), 0.0)
    return X, u, rng.standard_normal((n, 2))


def projected(X: np.ndarray, u: np.ndarray, r: np.ndarray, *, nonnegative: bool) -> np.ndarray:
    """Each residual less its projection."""
    return r - X @ project(u, -X.T @ r, X.T @ X, elastic_net(nonnegative=nonnegative)())


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_projected_residual_is_orthogonal_to_every_column(seed):
    X, u, r = drawn(seed)
    left = X.T @ projected(X, u, r, nonnegative=False)
    assert np.max(np.abs(left) / np.linalg.norm(X, axis=0)[:, None]) < 1e-9


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_with_a_sign_constraint_it_is_dual_feasible_all_the_same(seed):
    X, u, r = drawn(seed)
    left = X.T @ projected(X, u, r, nonnegative=True) / np.linalg.norm(X, axis=0)[:, None]
    assert np.max(left) < 1e-9
    assert np.max(np.abs(left[u > 0]), initial=0.0) < 1e-9


@pytest.mark.parametrize("nonnegative", [False, True])
def test_twins_share_what_is_projected(nonnegative):
    X, u, r = drawn(0)
    X[:, 3] = X[:, 1]
    u[:] = 1.0
    c = project(u, -X.T @ r, X.T @ X, elastic_net(nonnegative=nonnegative)())
    assert c[3] == pytest.approx(c[1])
