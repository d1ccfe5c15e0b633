"""The softmax duality gap: never negative, never below the true distance from the optimum."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import xlogy

from dasklasso.backend import backend_for, to_numpy
from dasklasso.objective.duality import RATIO, column_sums, together
from dasklasso.objective.duality_softmax import entropy_cost, offsets, softmax_certificate
from dasklasso.objective.loss_sums import LossSums
from dasklasso.objective.losses.softmax import Softmax, indicators
from dasklasso.objective.penalties.elastic_net import elastic_net
from dasklasso.objective.penalties.group import GroupElasticNet

SEED = st.integers(0, 2**32 - 1)


def penalty_of(n_classes, l1, l2, positive, grouped):
    weights = np.full((1, 1), l1), np.full((1, 1), l2)
    if grouped:
        return GroupElasticNet(*weights, n_classes)
    return elastic_net(nonnegative=positive)(*weights)


def objective(X, y, pi, W, b, penalty):
    values = Softmax(len(b)).value(X @ W + b, y)
    return pi @ values + penalty.value(W).sum()


def sums_of(X, y, pi, W, b):
    """Sums over rows, and V."""
    value, g, ratio = Softmax(len(b)).terms(X @ W + b, y)
    loss, bent = np.full(len(b), pi @ value), np.full(len(b), pi @ ratio)
    return LossSums(loss, pi @ g, pi @ g**2, bent), -(X.T @ (pi[:, None] * g))


def certify(X, y, pi, W, b, penalty, intercept):
    """The certificate at (W, b), for standardised columns."""
    sums, v = sums_of(X, y, pi, W, b)
    frequency = pi @ indicators(y, len(b), float)
    dual = penalty.size(v) if penalty.nonnegative else np.abs(v)
    dual = dual + offsets(sums.slope, frequency) if intercept else v
    columns = together(column_sums(W, v, penalty, dual), len(b), RATIO)
    if not intercept:
        return softmax_certificate(sums, columns, None, len(b), None)
    return softmax_certificate(sums, columns, b, len(b), frequency)


NO_MOVE = 1e-14  # of coefficients of order one, in a step


def nearly_optimal(X, y, pi, n_classes, penalty, intercept):
    """Many steps of accelerated proximal gradient, by the formulas."""
    step = 2.0 / max(1.0, np.linalg.norm(np.sqrt(pi)[:, None] * X, 2) ** 2)
    W = Z = np.zeros((X.shape[1], n_classes))
    b = c = np.zeros(n_classes)
    t = 1.0
    for _ in range(400):
        sums, v = sums_of(X, y, pi, Z, c)
        U, e = penalty.prox(Z + step * v, step), c - 2.0 * sums.slope * intercept
        following = (1 + np.sqrt(1 + 4 * t**2)) / 2
        Z, c = U + (t - 1) / following * (U - W), e + (t - 1) / following * (e - b)
        moved = max(np.abs(U - W).max(), np.abs(e - b).max())
        W, b, t = U, e, following
        if moved < NO_MOVE:
            break
    return W, b


def draw(seed, n, d, n_classes, weighted, intercept):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) + 0.5 * rng.standard_normal((n, 1))
    pi = rng.uniform(0.1, 1, n) if weighted else np.ones(n)
    pi /= pi.sum()
    if intercept:
        X = X - pi @ X
    X /= np.sqrt(pi @ X**2)
    y = rng.integers(0, n_classes, n).astype(float)
    y[:n_classes] = np.arange(n_classes)
    return rng, X, y, pi


PROBLEMS = {
    "seed": SEED,
    "n": st.integers(8, 30),
    "d": st.integers(1, 10),
    "n_classes": st.integers(2, 5),
    "weighted": st.booleans(),
    "intercept": st.booleans(),
    "alpha": st.floats(0.003, 0.3),
    "l1_ratio": st.sampled_from([1.0, 1.0, 0.6, 0.0]),
    "positive": st.booleans(),
    "grouped": st.booleans(),
}


@settings(deadline=None, max_examples=60)
@given(**PROBLEMS, distance=st.sampled_from([0.0, 1e-6, 1e-3, 0.1, 1.0, 10.0]))
def test_the_gap_is_never_below_the_true_suboptimality(
    seed, n, d, n_classes, weighted, intercept, alpha, l1_ratio, positive, grouped, distance
):
    rng, X, y, pi = draw(seed, n, d, n_classes, weighted, intercept)
    penalty = penalty_of(n_classes, alpha * l1_ratio, alpha * (1 - l1_ratio), positive, grouped)
    W, b = nearly_optimal(X, y, pi, n_classes, penalty, intercept)
    best = objective(X, y, pi, W, b, penalty)
    for _ in range(5):
        away = W + distance * rng.standard_normal(W.shape) * rng.integers(0, 2)
        away = np.maximum(away, 0) if penalty.nonnegative else away
        at = b + distance * rng.standard_normal(n_classes) * intercept
        found = certify(X, y, pi, away, at - at.mean(), penalty, intercept)
        assert found.gap[0] >= 0
        assert found.gap[0] >= found.primal[0] - best - 1e-12
        assert np.all(found.gap == found.gap[0])


@settings(deadline=None, max_examples=40)
@given(**PROBLEMS)
def test_the_gap_closes_at_the_optimum(
    seed, n, d, n_classes, weighted, intercept, alpha, l1_ratio, positive, grouped
):
    _, X, y, pi = draw(seed, n + 20, min(d, 5), n_classes, weighted, intercept)
    alpha = max(alpha, 0.05)  # so that the steps of the test come near enough
    penalty = penalty_of(n_classes, alpha * l1_ratio, alpha * (1 - l1_ratio), positive, grouped)
    W, b = nearly_optimal(X, y, pi, n_classes, penalty, intercept)
    assert certify(X, y, pi, W, b, penalty, intercept).gap[0] <= 1e-4


def moved(seed, n_classes, s, bias):
    """A distribution over classes for each row, and the same with means ``ȳ``, as the proof has."""
    rng, X, y, pi = draw(seed, 25, 3, n_classes, True, True)
    p = X @ rng.standard_normal((3, n_classes)) + bias * rng.standard_normal(n_classes)
    own = indicators(y, n_classes, float)
    slope = pi @ (Softmax(n_classes).mean(p) - own)
    frequency = pi @ own
    t = (1 - s) * own + s * Softmax(n_classes).mean(p)
    keep = np.minimum(1.0, frequency / (pi @ t))
    less = np.maximum(-slope, 0)
    tau = keep * t + (t @ (1 - keep))[:, None] * (less / less.sum())
    return X, pi, t, tau, slope, frequency


@given(SEED, st.integers(2, 6), st.floats(0.01, 1.0), st.floats(0.0, 5.0))
def test_moving_probability_repairs_the_means_within_the_bounds(seed, n_classes, s, bias):
    X, pi, t, tau, slope, frequency = moved(seed, n_classes, s, bias)
    assert np.allclose(pi @ tau, frequency, atol=1e-14)
    assert tau.min() >= 0
    lost = -pi @ (xlogy(t, t).sum(axis=1) - xlogy(tau, tau).sum(axis=1))
    assert lost <= entropy_cost(np.array([s]), slope[None], frequency)[0] + 1e-14
    shift = np.abs(X.T @ (pi[:, None] * (tau - t)))
    assert np.all(shift <= s * offsets(slope, frequency) + 1e-14)


def test_slopes_that_sum_to_zero_cost_nothing():
    frequency, nothing = np.array([0.2, 0.8]), np.zeros(2)
    assert offsets(nothing, frequency).tolist() == [0.0, 0.0]
    assert entropy_cost(np.ones(1), nothing[None], frequency).tolist() == [0.0]


def test_a_rare_class_costs_a_logarithm_not_its_rarity():
    slope = np.array([[1e-6, -1e-6]])
    costs = [
        entropy_cost(np.ones(1), slope, np.array([rare, 1 - rare]))[0] for rare in (1e-1, 1e-5)
    ]
    assert costs[1] <= 6 * costs[0]


def test_sums_of_problems_are_apart():
    sums = np.arange(20.0).reshape(5, 4)
    found = together(sums, 2, RATIO)
    assert found[0].tolist() == [1, 1, 5, 5]
    assert found[RATIO].tolist() == [9, 9, 11, 11]
    assert together(sums, 1, RATIO) is sums


def test_offsets_are_the_same_on_a_device():
    slope, frequency = np.array([0.1, -0.02, -0.08, 0.0, 0.1, -0.1]), np.array([0.5, 0.3, 0.2])
    move = backend_for("strict").asarray
    found = to_numpy(offsets(move(slope), move(frequency)))
    assert np.allclose(found, offsets(slope, frequency), rtol=1e-14)
