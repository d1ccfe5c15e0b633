"""The logistic duality gap: never negative, never below the true distance from the optimum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dasklasso.backend import backend_for, to_numpy
from dasklasso.objective.certificate import (
    column_sums,
    shift_share,
    smooth_certificate,
    widened,
)
from dasklasso.objective.penalties import ElasticNet


def slopes_of(X, y, w, b):
    return 1.0 / (1.0 + np.exp(-(X @ w + b))) - y


def objective(X, y, pi, w, b, l1, l2):
    p = X @ w + b
    return pi @ (np.logaddexp(0, p) - y * p) + np.sum(l1 * np.abs(w) + l2 / 2 * w**2)


def certify(X, y, pi, w, b, l1, l2, positive, intercept):
    """The certificate at (w, b), for standardised columns."""
    p = X @ w + b
    g = slopes_of(X, y, w, b)
    sums = np.array([[pi @ (np.logaddexp(0, p) - y * p)], [pi @ g], [pi @ g**2]])
    v = -(X.T @ (pi * g))[:, None]
    d = len(w)
    penalty = ElasticNet(np.full((d, 1), l1), np.full((d, 1), l2), positive)
    dual = widened(v, sums, penalty) if intercept else None
    columns = column_sums(w[:, None], v, penalty, dual)
    return smooth_certificate(sums, columns, np.array([b]) if intercept else None, quadratic=l2 > 0)


def nearly_optimal(X, y, pi, l1, l2, positive, intercept):
    """Many steps of accelerated proximal gradient, by the formulas."""
    d = X.shape[1]
    step = 4.0 / max(1.0, np.linalg.norm(np.sqrt(pi)[:, None] * X, 2) ** 2)
    w, b, z, c, t = np.zeros(d), 0.0, np.zeros(d), 0.0, 1.0
    for _ in range(400):
        g = pi * slopes_of(X, y, z, c)
        u = z - step * (X.T @ g)
        u = (
            np.maximum(u - step * l1, 0)
            if positive
            else np.sign(u) * np.maximum(np.abs(u) - step * l1, 0)
        )
        u, e = u / (1 + step * l2), c - 4.0 * g.sum() * intercept
        following = (1 + np.sqrt(1 + 4 * t**2)) / 2
        z, c = u + (t - 1) / following * (u - w), e + (t - 1) / following * (e - b)
        w, b, t = u, e, following
    return w, b


def draw(seed, n, d, soft, weighted, intercept):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) + 0.5 * rng.standard_normal((n, 1))
    pi = rng.uniform(0.1, 1, n) if weighted else np.ones(n)
    pi /= pi.sum()
    if intercept:
        X = X - pi @ X
    X /= np.sqrt(pi @ X**2)
    y = rng.uniform(0, 1, n) if soft else (rng.random(n) < 0.4).astype(float)
    y[:2] = 0.0, 1.0
    return rng, X, y, pi


PROBLEMS = {
    "seed": st.integers(0, 2**32 - 1),
    "n": st.integers(4, 30),
    "d": st.integers(1, 12),
    "soft": st.booleans(),
    "weighted": st.booleans(),
    "intercept": st.booleans(),
    "alpha": st.floats(0.003, 0.3),
    "l1_ratio": st.sampled_from([1.0, 1.0, 0.6, 0.0]),
    "positive": st.booleans(),
}


@settings(deadline=None)
@given(**PROBLEMS, distance=st.sampled_from([0.0, 1e-6, 1e-3, 0.1, 1.0, 10.0]))
def test_the_gap_is_never_below_the_true_suboptimality(
    seed, n, d, soft, weighted, intercept, alpha, l1_ratio, positive, distance
):
    rng, X, y, pi = draw(seed, n, d, soft, weighted, intercept)
    l1, l2 = alpha * l1_ratio, alpha * (1 - l1_ratio)
    w, b = nearly_optimal(X, y, pi, l1, l2, positive, intercept)
    best = objective(X, y, pi, w, b, l1, l2)
    for _ in range(5):
        away = w + distance * rng.standard_normal(d) * rng.integers(0, 2)
        away = np.maximum(away, 0) if positive else away
        at = b + distance * rng.standard_normal() if intercept else 0.0
        found = certify(X, y, pi, away, at, l1, l2, positive, intercept)
        assert found.gap[0] >= 0
        assert found.gap[0] >= found.primal[0] - best - 1e-12


@settings(deadline=None)
@given(**PROBLEMS)
def test_the_gap_closes_at_the_optimum(
    seed, n, d, soft, weighted, intercept, alpha, l1_ratio, positive
):
    _, X, y, pi = draw(seed, n + 10, min(d, 5), soft, weighted, intercept)
    alpha = max(alpha, 0.03)  # so that the steps of the test come near enough
    l1, l2 = alpha * l1_ratio, alpha * (1 - l1_ratio)
    w, b = nearly_optimal(X, y, pi, l1, l2, positive, intercept)
    assert certify(X, y, pi, w, b, l1, l2, positive, intercept).gap[0] <= 1e-4


@given(seed=st.integers(0, 2**32 - 1), bias=st.floats(-6, 6))
def test_the_share_that_is_shrunk_is_never_less_than_what_makes_slopes_sum_to_zero(seed, bias):
    rng, X, y, pi = draw(seed, 20, 3, False, True, True)
    g = slopes_of(X, y, rng.standard_normal(3), bias)
    total = pi @ g
    side = pi @ np.maximum(np.sign(total) * g, 0)
    sums = np.array([[0.0], [total], [pi @ g**2]])
    assert abs(total) / side <= shift_share(sums)[0] + 1e-15
    assert shift_share(sums)[0] <= 1.0


def test_slopes_that_sum_to_zero_stay_as_they_are():
    sums = np.array([[0.5, 0.0], [0.0, 0.0], [0.2, 0.0]])
    assert shift_share(sums).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("positive", [False, True])
def test_columns_without_a_penalty_are_not_widened(positive):
    sums = np.array([[0.5], [0.1], [0.2]])
    l1 = np.array([[0.0], [1.0]])
    found = widened(np.zeros((2, 1)), sums, ElasticNet(l1, 0 * l1, positive))
    assert found[0] == 0
    assert found[1] > 0


@pytest.mark.parametrize("positive", [False, True])
def test_widened_is_the_same_on_a_device(positive):
    rng = np.random.default_rng(3)
    v, l1 = rng.standard_normal((6, 2)), np.full((6, 1), 0.3)
    sums = np.array([[0.5, 0.6], [0.1, -0.2], [0.2, 0.3]])
    move = backend_for("strict").asarray
    found = widened(move(v), move(sums), ElasticNet(move(l1), move(0 * l1), positive))
    expected = widened(v, sums, ElasticNet(l1, 0 * l1, positive))
    assert np.allclose(to_numpy(found), expected, rtol=1e-14)
