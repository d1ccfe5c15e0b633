"""Huber and Poisson: their formulas at the ends, and gaps that are never too small."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from dasklasso.errors import OptionError
from dasklasso.objective.duality import column_sums, smooth_certificate, widened
from dasklasso.objective.losses.huber import Huber
from dasklasso.objective.losses.poisson import Poisson
from dasklasso.objective.losses.registry import loss_named
from dasklasso.objective.penalties.elastic_net import ElasticNet, elastic_net
from dasklasso.scan.queries.row_terms import loss_sums


@pytest.mark.parametrize("delta", [0.0, -1.0, np.inf, np.nan])
def test_a_delta_that_is_no_positive_number_is_refused(delta):
    with pytest.raises(OptionError, match=r"huber_delta: .* found, expected a positive number"):
        loss_named("huber", huber_delta=delta)


@given(r=st.floats(-1e3, 1e3), delta=st.floats(1e-3, 1e3))
def test_huber_is_squares_within_delta_and_absolute_values_beyond(r, delta):
    y = np.array(0.25)
    inside = 0.5 * r**2 if abs(r) <= delta else delta * (abs(r) - 0.5 * delta)
    assert Huber(delta).value(y + r, y) == pytest.approx(inside, rel=1e-9, abs=1e-12 * delta)
    assert Huber(delta).gradient(y + r, y) == pytest.approx(np.clip(r, -delta, delta), abs=1e-12)


@pytest.mark.parametrize("u", [-1.4, 1.4])
def test_beyond_delta_the_conjugate_of_huber_is_infinite(u):
    assert np.isinf(Huber().conjugate(np.array(u), np.array(0.3)))


@given(r=st.floats(-50, 50), delta=st.floats(0.1, 10))
def test_overshoot_is_what_a_tail_s_prediction_is_beyond_the_corner(r, delta):
    loss, y = Huber(delta), 2.0
    value, slope = loss.value_and_gradient(np.array(y + r), np.array(y))
    corner = np.clip(y + r, y - delta, y + delta)
    expected = slope * (y + r - corner)
    assert loss.overshoot(value, slope**2) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(y=st.floats(0, 1e6), p=st.floats(-700, 40))
def test_poisson_is_half_the_deviance(y, p):
    found = Poisson().value(np.array(p), np.array(y))
    xlogx = y * np.log(y) if y > 0 else 0.0
    expected = np.exp(p) - y * p - (y - xlogx)
    assert found >= 0
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12 * (1 + y * (1 + abs(p))))


def test_poisson_is_zero_where_the_mean_is_the_target():
    y = np.array([0.5, 1.0, 7.0, 1e9])
    assert Poisson().value(np.log(y), y) == pytest.approx(0.0, abs=1e-6)
    assert Poisson().value(np.array(-800.0), np.array(0.0)) == 0.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("p", [-1e4, -800.0, 800.0, 1e4])
@pytest.mark.filterwarnings("error")
def test_poisson_overflows_nowhere(dtype, p):
    for y in (0.0, 3.0):
        terms = Poisson().terms(np.array([p], dtype), np.array([y], dtype))
        value, slope, _, slack = terms
        assert all(t.dtype == dtype for t in terms)
        assert np.isfinite([value, slope, slope * slope, slack, slack * slack]).all()


@pytest.mark.parametrize("p", [-900.0, -40.0, 0.0, 1.0, 40.0])
@pytest.mark.parametrize("y", [0.0, 0.3, 5.0])
def test_the_ratio_of_slope_squares_and_curvature_is_exact_where_both_vanish(p, y):
    found = loss_sums(np.array([[p]]), np.array([[y]]), None, Poisson(), 1).slope_ratio[0]
    with np.errstate(over="ignore"):
        expected = (np.exp(p / 2) - (y * np.exp(-p / 2) if y else 0.0)) ** 2
    assert found > 1e300 or found == pytest.approx(expected, rel=1e-9, abs=1e-300)


@given(y=st.floats(0, 100), u=st.floats(-101, 50))
def test_the_conjugate_of_poisson_is_infinite_below_the_targets_and_zero_at_zero(y, u):
    found = Poisson().conjugate(np.array(u), np.array(y))
    assert np.isinf(found) == (u + y < -1e-15 * (1 + y))
    assert Poisson().conjugate(np.array(0.0), np.array(y)) == 0.0


@given(r=st.floats(-50, 50), s=st.floats(-50, 50), delta=st.floats(0.1, 10))
def test_the_quadratic_that_stands_for_huber_is_nowhere_below(r, s, delta):
    loss, zero = Huber(delta), np.array(0.0)
    value, slope = loss.value_and_gradient(np.array(r), zero)
    quadratic = value + slope * (s - r) + loss.model_curvature(np.array(r), zero) * (s - r) ** 2 / 2
    assert loss.value(np.array(s), zero) <= quadratic + 1e-9 * (1 + abs(quadratic))


@given(p=st.floats(-600, 20), y=st.floats(1e-3, 1e6))
def test_a_step_of_one_row_of_counts_does_not_go_beyond_its_target(p, y):
    loss, y = Poisson(), np.array(y)
    step = -loss.gradient(np.array(p), y) / loss.model_curvature(np.array(p), y)
    assert step <= max(0.0, np.log(y) - p) * (1 + 1e-3) + 1e-9
    assert loss.model_curvature(np.array(p), y) >= np.exp(p) * (1 - 1e-9)


def test_a_gap_beyond_all_counts_is_not_below_the_true_suboptimality():
    y, pi = np.array([3.0, 1.0]), np.array([0.5, 0.5])
    X = np.array([[1.0], [-1.0]])
    for w in (330.0, 344.0, 345.0, 360.0, 900.0):
        found = certify(Poisson(), X, y, pi, np.array([w]), 0.0, 0.03, 0.0, False, False)
        at_zero = objective(Poisson(), X, y, pi, np.zeros(1), 0.0, 0.03, 0.0)
        assert found.primal[0] - at_zero <= found.gap[0] * (1 + 1e-12)
        assert np.isfinite(found.gap[0])


# -- gaps -----------------------------------------------------------------------------------------


def objective(loss, X, y, pi, w, b, l1, l2):
    return pi @ loss.value(X @ w + b, y) + np.sum(l1 * np.abs(w) + l2 / 2 * w**2)


def certify(loss, X, y, pi, w, b, l1, l2, positive, intercept):
    """The certificate at (w, b), for standardised columns."""
    p = X @ w + b
    sums = loss_sums(p[:, None], y[:, None], pi[:, None], loss, 1)
    v = -(X.T @ (pi * loss.gradient(p, y)))[:, None]
    ones = np.ones((len(w), 1))
    penalty = elastic_net(nonnegative=positive)(l1 * ones, l2 * ones)
    columns = column_sums(w[:, None], v, penalty, widened(v, sums, penalty) if intercept else None)
    return smooth_certificate(
        sums,
        columns,
        np.array([b]) if intercept else None,
        quadratic=l2 > 0,
        slack_ratio=loss.slack_ratio,
        overshoot=loss.overshoot(sums.loss, sums.slope_squares),
    )


def nearly_optimal(loss, X, y, pi, l1, l2, positive, intercept):
    """L-BFGS-B on the positive and the negative parts of w."""
    d = X.shape[1]

    def both(z):
        w, b = z[:d] - z[d : 2 * d], z[-1]
        g = pi * loss.gradient(X @ w + b, y)
        slope = X.T @ g + l2 * w
        value = pi @ loss.value(X @ w + b, y) + l1 * z[:-1].sum() + l2 / 2 * w @ w
        return value, np.r_[l1 + slope, l1 - slope, g.sum()]

    free = (None, None) if intercept else (0, 0)
    bounds = [(0, None)] * d + [(0, 0 if positive else None)] * d + [free]
    start = np.zeros(2 * d + 1)
    if intercept:
        start[-1] = loss.link(pi @ y)
    options = {"maxiter": 500, "ftol": 1e-15, "gtol": 1e-12}
    z = minimize(both, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    return z[:d] - z[d : 2 * d], z[-1]


def draw(seed, n, d, name, weighted, intercept):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) + 0.5 * rng.standard_normal((n, 1))
    pi = 10.0 ** rng.uniform(-6, 0, n) if weighted else np.ones(n)
    pi /= pi.sum()
    if intercept:
        X = X - pi @ X
    X /= np.sqrt(pi @ X**2)
    signal = X @ rng.standard_normal(d) * 0.5
    if name == "poisson":
        y = rng.poisson(np.exp(np.clip(signal, -5, 3))).astype(float)
        y[0] = 3.0
    else:
        y = signal + rng.standard_t(1.0, n)
    return rng, X, y, pi


PROBLEMS = {
    "seed": st.integers(0, 2**32 - 1),
    "n": st.integers(4, 30),
    "d": st.integers(1, 8),
    "loss": st.sampled_from([Huber(), Huber(0.2), Huber(30.0), Poisson()]),
    "weighted": st.booleans(),
    "intercept": st.booleans(),
    "alpha": st.floats(0.003, 0.3),
    "l1_ratio": st.sampled_from([1.0, 1.0, 0.6, 0.0]),
    "positive": st.booleans(),
}


@settings(deadline=None, max_examples=40)
@given(**PROBLEMS, distance=st.sampled_from([0.0, 1e-6, 1e-3, 0.1, 1.0, 10.0]))
def test_the_gap_is_never_below_the_true_suboptimality(
    seed, n, d, loss, weighted, intercept, alpha, l1_ratio, positive, distance
):
    rng, X, y, pi = draw(seed, n, d, loss.name, weighted, intercept)
    l1, l2 = alpha * l1_ratio, alpha * (1 - l1_ratio)
    w, b = nearly_optimal(loss, X, y, pi, l1, l2, positive, intercept)
    best = objective(loss, X, y, pi, w, b, l1, l2)
    for _ in range(5):
        away = w + distance * rng.standard_normal(d) * rng.integers(0, 2)
        away = np.maximum(away, 0) if positive else away
        at = b + distance * rng.standard_normal() if intercept else 0.0
        found = certify(loss, X, y, pi, away, at, l1, l2, positive, intercept)
        assert found.gap[0] >= 0
        assert found.gap[0] >= found.primal[0] - best - 1e-12 * (1 + found.primal[0])


@settings(deadline=None, max_examples=40)
@given(**PROBLEMS)
def test_the_gap_closes_at_the_optimum(
    seed, n, d, loss, weighted, intercept, alpha, l1_ratio, positive
):
    _, X, y, pi = draw(seed, n + 10, min(d, 4), loss.name, False, intercept)
    alpha = max(alpha, 0.03)
    l1, l2 = alpha * l1_ratio, alpha * (1 - l1_ratio)
    w, b = nearly_optimal(loss, X, y, pi, l1, l2, positive, intercept)
    found = certify(loss, X, y, pi, w, b, l1, l2, positive, intercept)
    assert found.gap[0] <= 1e-4 * (1 + found.primal[0])


def test_without_overshoot_the_gap_of_huber_would_be_too_small():
    loss, shrunk = Huber(1.0), 0
    for seed in range(40):
        _, X, y, pi = draw(seed, 12, 1, "huber", False, False)
        y = 10 * y
        alpha = 0.5 * np.max(np.abs(X.T @ (pi * loss.gradient(0 * y, y))))
        w, b = nearly_optimal(loss, X, y, pi, alpha, 0.0, False, False)
        p, away = X @ (0.9 * w), 0.9 * w
        sums = loss_sums(p[:, None], y[:, None], pi[:, None], loss, 1)
        v = -(X.T @ (pi * loss.gradient(p, y)))[:, None]
        penalty = ElasticNet(np.full((1, 1), alpha), np.zeros((1, 1)))
        found = smooth_certificate(
            sums, column_sums(away[:, None], v, penalty), None, quadratic=False, slack_ratio=1.0
        )
        best = objective(loss, X, y, pi, w, b, alpha, 0.0)
        shrunk += found.gap[0] < found.primal[0] - best - 1e-9
    assert shrunk > 0
