"""Duality gaps of losses that are no quadratics: never negative, never below the true distance from
the optimum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dasklasso.backend import backend_for, to_numpy
from dasklasso.objective.duality import (
    bend,
    column_sums,
    shift_of,
    smooth_certificate,
    widened,
)
from dasklasso.objective.loss_sums import LossSums
from dasklasso.objective.losses.logistic import Logistic
from dasklasso.objective.penalties.elastic_net import ElasticNet, elastic_net
from dasklasso.scan.queries.row_terms import loss_sums

LOSS = Logistic()


def objective(X, y, pi, w, b, l1, l2):
    return pi @ LOSS.value(X @ w + b, y) + np.sum(l1 * np.abs(w) + l2 / 2 * w**2)


def certify(X, y, pi, w, b, l1, l2, positive, intercept):
    """The certificate at (w, b), for standardised columns."""
    p = X @ w + b
    sums = loss_sums(p[:, None], y[:, None], pi[:, None], LOSS, 1)
    v = -(X.T @ (pi * LOSS.gradient(p, y)))[:, None]
    d = len(w)
    penalty = elastic_net(nonnegative=positive)(np.full((d, 1), l1), np.full((d, 1), l2))
    dual = widened(v, sums, penalty) if intercept else None
    columns = column_sums(w[:, None], v, penalty, dual)
    return smooth_certificate(
        sums,
        columns,
        np.array([b]) if intercept else None,
        quadratic=l2 > 0,
        slack_ratio=LOSS.slack_ratio,
    )


NO_MOVE = 1e-14  # of coefficients of order one, in a step


def nearly_optimal(X, y, pi, l1, l2, positive, intercept):
    """Many steps of accelerated proximal gradient, by the formulas."""
    d = X.shape[1]
    step = 4.0 / max(1.0, np.linalg.norm(np.sqrt(pi)[:, None] * X, 2) ** 2)
    w, b, z, c, t = np.zeros(d), 0.0, np.zeros(d), 0.0, 1.0
    for _ in range(600):
        g = pi * LOSS.gradient(X @ z + c, y)
        u = z - step * (X.T @ g)
        size = u - step * l1 if positive else np.abs(u) - step * l1
        u = np.sign(u) * np.maximum(size, 0) / (1 + step * l2)
        e = c - 4.0 * g.sum() * intercept
        following = (1 + np.sqrt(1 + 4 * t**2)) / 2
        if (z - u) @ (u - w) + (c - e) * (e - b) * step / 4.0 > 0:
            following = 1.0
        z, c = u + (t - 1) / following * (u - w), e + (t - 1) / following * (e - b)
        moved = max(np.abs(u - w).max(), abs(e - b))
        w, b, t = u, e, following
        if moved < NO_MOVE:
            break
    return w, b


def draw(seed, n, d, soft, weighted, intercept):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) + 0.5 * rng.standard_normal((n, 1))
    pi = 10.0 ** rng.uniform(-6, 0, n) if weighted else np.ones(n)
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


@pytest.mark.parametrize("share", [0.5, 0.1, 0.01])
@pytest.mark.parametrize("intercept", [False, True])
def test_near_the_optimum_scaling_costs_a_small_part_of_its_share_of_the_loss(share, intercept):
    _, X, y, pi = draw(5, 200, 4, False, False, intercept)
    alpha = share * np.max(np.abs(X.T @ (pi * (y - (pi @ y if intercept else 0.5)))))
    w, b = nearly_optimal(X, y, pi, alpha, 0.0, False, intercept)
    w, b = w * (1 - 1e-5), b + 1e-6 * intercept
    found = certify(X, y, pi, w, b, alpha, 0.0, False, intercept)
    v = X.T @ (pi * LOSS.gradient(X @ w + b, y))
    infeasible = 1 - 1 / np.max(np.abs(v) / alpha)
    assert infeasible > 1e-7
    assert found.gap[0] < 0.3 * infeasible * found.primal[0]


@given(
    seed=st.integers(0, 2**32 - 1),
    bias=st.floats(-3, 3),
    soft=st.booleans(),
    spread=st.floats(0, 3),
)
def test_shifted_slopes_sum_to_zero_within_the_domain_and_what_v_is_widened_by(
    seed, bias, soft, spread
):
    rng, X, y, pi = draw(seed, 20, 3, soft, True, True)
    p = spread * X @ rng.standard_normal(3) + bias
    _, g, _, slack = LOSS.terms(p, y)
    sums = loss_sums(p[:, None], y[:, None], pi[:, None], LOSS, 1)
    c = shift_of(sums)[0]
    shifted = g - c * slack
    assert np.all(np.isfinite(LOSS.conjugate(shifted, y)))
    if c != 0:
        assert abs(pi @ shifted) <= 1e-14
    v, ones = -(X.T @ (pi * g))[:, None], np.ones((3, 1))
    wider = widened(v, sums, ElasticNet(ones, 0 * ones))[:, 0]
    assert np.all(np.abs(X.T @ (pi * shifted)) <= wider + 1e-15)


@given(a=st.floats(0, 1))
def test_bend_is_what_its_integral_is(a):
    nodes, weights = np.polynomial.legendre.leggauss(60)
    x = (nodes + 1) / 2  # ∫₀ᵃ (a − τ)/(1 − τ) dτ, with 1 − τ = (1 − a)ˣ
    logarithm = np.log1p(-a) if a < 1 else 0.0
    tau = -np.expm1(x * logarithm)
    expected = 1.0 if a == 1 else 0.5 * np.sum(weights * (a - tau) * -logarithm)
    assert bend(np.array(a)) == pytest.approx(expected, rel=1e-6, abs=1e-16)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("intercept", [False, True])
def test_hopeless_rows_leave_the_gap_finite(intercept):
    y, pi = np.array([1.0, 0.0, 1.0, 0.0]), np.full(4, 0.25)
    X = np.array([[1.0], [-1.0], [-1.0], [1.0]])
    found = certify(X, y, pi, np.array([2e3]), 0.0, 0.1, 0.0, False, intercept)
    assert found.primal[0] - np.log(2) <= found.gap[0] <= found.primal[0]


@pytest.mark.parametrize("p", [-900.0, -40.0, -1.0, 0.0, 1.0, 40.0])
@pytest.mark.parametrize("y", [0.0, 0.3, 1.0])
def test_the_ratio_of_slope_squares_and_curvature_is_exact_where_both_vanish(p, y):
    sums = loss_sums(np.array([[p]]), np.array([[y]]), None, LOSS, 1)
    # g²/f'' = ((1−y) e^(p/2) − y e^(−p/2))²
    with np.errstate(over="ignore"):
        expected = ((1 - y) * np.exp(p / 2) - y * np.exp(-p / 2)) ** 2
    found = sums.slope_ratio[0]
    assert (
        found > 1e300
        if np.isinf(expected) or expected > 1e300
        else (found == pytest.approx(expected, rel=1e-9, abs=1e-300))
    )


@pytest.mark.parametrize("positive", [False, True])
def test_columns_without_a_penalty_are_not_widened(positive):
    sums = LossSums(*np.array([[0.5], [0.05], [0.2], [0.3], [0.2], [0.1], [0.05]]))
    l1 = np.array([[0.0], [1.0]])
    found = widened(np.zeros((2, 1)), sums, elastic_net(nonnegative=positive)(l1, 0 * l1))
    assert found[0] == 0
    assert found[1] > 0


@pytest.mark.parametrize("positive", [False, True])
def test_widened_is_the_same_on_a_device(positive):
    rng = np.random.default_rng(3)
    v, l1 = rng.standard_normal((6, 2)), np.full((6, 1), 0.3)
    p, y = rng.standard_normal((9, 2)), rng.uniform(0, 1, (9, 2))
    sums = loss_sums(p, y, np.full((9, 1), 1 / 9), LOSS, 2)
    move = backend_for("strict").asarray
    kind = elastic_net(nonnegative=positive)
    found = widened(move(v), sums.map(move), kind(move(l1), move(0 * l1)))
    expected = widened(v, sums, kind(l1, 0 * l1))
    assert np.allclose(to_numpy(found), expected, rtol=1e-14)
