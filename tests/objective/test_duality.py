"""The duality gap: never negative, never below the true distance from the optimum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import ElasticNet as TheirElasticNet

from dasklasso.backend import backend_for, to_numpy
from dasklasso.objective.duality import (
    column_sums,
    combine_column_sums,
    squared_certificate,
)
from dasklasso.objective.penalties.elastic_net import ElasticNet, elastic_net


def certify(X, y, w, l1, l2, positive=False):
    """The certificate at w (d, K), without an intercept."""
    r = y[:, None] - X @ w
    v = X.T @ r / len(y)
    sums = column_sums(w, v, elastic_net(nonnegative=positive)(l1, l2))
    return squared_certificate(np.sum(r**2, axis=0) / len(y), sums, quadratic=bool(np.any(l2 > 0)))


SEEDS = st.integers(0, 2**32 - 1)


@settings(deadline=None)
@given(
    seed=SEEDS,
    n=st.integers(2, 30),
    d=st.integers(1, 20),
    alpha=st.floats(1e-3, 10),
    l1_ratio=st.sampled_from([1.0, 0.7, 0.1]),
    positive=st.booleans(),
    distance=st.floats(0, 2),
)
def test_the_gap_is_never_below_the_true_suboptimality(
    seed, n, d, alpha, l1_ratio, positive, distance
):
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((n, d)), rng.standard_normal(n)
    model = TheirElasticNet(
        alpha=alpha, l1_ratio=l1_ratio, positive=positive, fit_intercept=False,
        tol=1e-14, max_iter=100_000,
    ).fit(X, y)  # fmt: skip
    l1, l2 = np.full((d, 1), alpha * l1_ratio), np.full((d, 1), alpha * (1 - l1_ratio))
    best = certify(X, y, model.coef_[:, None], l1, l2, positive)
    away = model.coef_[:, None] + distance * rng.standard_normal((d, 3))
    away = np.maximum(away, 0) if positive else away
    found = certify(X, y, away, l1, l2, positive)
    null = 0.5 * np.mean(y**2)
    assert np.all(best.gap <= 1e-9 * null + 2 * model.dual_gap_)  # where theirs has converged
    assert np.all(found.gap >= 0)
    # best.primal is itself above the optimum by at most its own gap
    assert np.all(found.gap >= found.primal - best.primal - 1e-12 * (null + found.primal))


@given(seed=SEEDS, l1=st.floats(0.01, 1), l2=st.sampled_from([0.0, 0.3]))
def test_the_primal_is_the_objective(seed, l1, l2):
    rng = np.random.default_rng(seed)
    X, y, w = rng.standard_normal((9, 4)), rng.standard_normal(9), rng.standard_normal((4, 1))
    found = certify(X, y, w, np.full((4, 1), l1), np.full((4, 1), l2))
    loss = 0.5 * np.mean((y - X @ w[:, 0]) ** 2)
    expected = loss + l1 * np.abs(w).sum() + l2 / 2 * np.sum(w**2)
    assert found.primal[0] == pytest.approx(expected, rel=1e-12)


def test_a_perfect_fit_at_no_penalty_has_no_gap():
    found = squared_certificate(np.zeros(1), np.zeros((5, 1)), quadratic=False)
    assert found.gap.tolist() == [0.0]


def test_a_slope_along_an_unpenalised_column_leaves_only_the_null_dual_point():
    w, v = np.zeros((1, 1)), np.ones((1, 1))
    sums = column_sums(w, v, ElasticNet(np.zeros((1, 1)), np.zeros((1, 1))))
    assert np.isinf(sums[2, 0])
    found = squared_certificate(np.array([2.0]), sums, quadratic=False)
    assert found.gap[0] == pytest.approx(1.0)  # all of the loss


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("l2", [0.0, 0.4])
def test_sums_over_parts_combine_to_those_over_all_columns(positive, l2):
    rng = np.random.default_rng(2)
    w, v = rng.standard_normal((10, 3)), rng.standard_normal((10, 3))
    w[w < 0] = 0
    l1, l2 = rng.uniform(0.1, 1, (10, 1)), np.full((10, 1), l2)

    def some(part):
        return column_sums(w[part], v[part], elastic_net(nonnegative=positive)(l1[part], l2[part]))

    joined = combine_column_sums(np.stack([some(slice(0, 4)), some(slice(4, 10))]))
    assert np.allclose(joined, some(slice(None)), rtol=1e-13)
    assert np.array_equal(joined[4], np.count_nonzero(w, axis=0))


@pytest.mark.parametrize("l1", [0.0, 0.5])
@pytest.mark.parametrize("l2", [0.0, 0.4])
def test_column_sums_are_the_same_on_a_device(l1, l2):
    rng = np.random.default_rng(3)
    w, v = rng.standard_normal((6, 2)), rng.standard_normal((6, 2))
    l1, l2 = np.full((6, 1), l1), np.full((6, 1), l2)
    move = backend_for("strict").asarray
    found = column_sums(move(w), move(v), ElasticNet(move(l1), move(l2)), move(v + 1))
    expected = column_sums(w, v, ElasticNet(l1, l2), v + 1)
    assert np.allclose(to_numpy(found), expected, rtol=1e-14)
