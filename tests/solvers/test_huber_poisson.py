"""Huber and Poisson solutions against scikit-learn, scipy, and optimality conditions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.linear_model import PoissonRegressor

from dasklasso.dataset.dataset import from_arrays
from dasklasso.errors import OptionError, ValueFound
from dasklasso.fit import fit_path
from dasklasso.options import FitOptions, RunOptions
from dasklasso.scoring.predict import predict_store

RUN = RunOptions(in_process=True)
HUBER = FitOptions(loss="huber", huber_delta=1.35, n_alphas=3, eps=0.05, tol=1e-9)
POISSON = replace(HUBER, loss="poisson")


def drawn(loss, n=150, d=6, seed=0, spread=1.0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) + 0.5 * rng.standard_normal((n, 1)) + 2.0
    p = spread * (X[:, 0] - 0.7 * X[:, d // 2] - 0.3)
    if loss == "poisson":
        return X, np.append(rng.poisson(np.exp(np.minimum(p[1:], 8))), 3.0)
    return X, p + rng.standard_t(1.0, n)


def loss_and_slope(options, p, y):
    if options.loss == "huber":
        g = np.clip(p - y, -options.huber_delta, options.huber_delta)
        return g * (p - y) - g**2 / 2, g
    least = np.where(y > 0, y - y * np.log(np.maximum(y, 1e-300)), 0.0)
    return np.exp(p) - y * p - least, np.exp(p) - y


def objective(X, y, pi, w, b, alpha, options):
    penalty = options.l1_ratio * np.abs(w).sum() + (1 - options.l1_ratio) / 2 * w @ w
    return pi @ loss_and_slope(options, X @ w + b, y)[0] + alpha * penalty


def solved(X, y, pi, alpha, options):
    """L-BFGS-B on the positive and the negative parts of w."""
    d, rho = X.shape[1], options.l1_ratio

    def both(z):
        w, b = z[:d] - z[d:-1], z[-1]
        value, slope = loss_and_slope(options, X @ w + b, y)
        v = X.T @ (pi * slope) + alpha * (1 - rho) * w
        total = pi @ value + alpha * (rho * z[:-1].sum() + (1 - rho) / 2 * w @ w)
        return total, np.r_[alpha * rho + v, alpha * rho - v, pi @ slope]

    free = (None, None) if options.fit_intercept else (0, 0)
    bounds = [(0, None)] * d + [(0, 0 if options.positive else None)] * d + [free]
    z, found = np.zeros(2 * d + 1), np.inf
    for _ in range(20):  # restarts: each forgets what it had learnt of the curvature
        last, method = found, {"maxiter": 5000, "maxfun": 10**5, "ftol": 0.0, "gtol": 1e-13}
        result = minimize(both, z, jac=True, method="L-BFGS-B", bounds=bounds, options=method)
        z, found = result.x, result.fun
        if last - found <= 1e-13 * found:
            break
    return objective(X, y, pi, z[:d] - z[d:-1], z[-1], alpha, options)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"fit_intercept": False},
        {"positive": True},
        {"l1_ratio": 0.5},
        {"huber_delta": 0.1},
        {"huber_delta": 1e3},
        {"loss": "poisson"},
        {"loss": "poisson", "fit_intercept": False, "l1_ratio": 0.5},
        {"loss": "poisson", "positive": True},
        {"loss": "poisson", "solver": "fista"},
        {"loss": "poisson", "solver": "fista", "fit_intercept": False, "l1_ratio": 0.5},
    ],
    ids=str,
)
@pytest.mark.parametrize("weighted", [False, True])
def test_solutions_agree_with_an_independent_solver(more, weighted, make_store):
    options = replace(HUBER, **more)
    X, y = drawn(options.loss)
    s = 10.0 ** np.random.default_rng(2).uniform(-4, 4, len(y)) if weighted else None
    pi = np.full(len(y), 1 / len(y)) if s is None else s / s.sum()
    path = fit_path(make_store(X, y, s, chunk_rows=40), options, RUN)
    for i, alpha in enumerate(path.alphas):
        ours = objective(X, y, pi, path.coef[i], path.intercept[i], alpha, options)
        theirs = solved(X, y, pi, alpha, options)
        assert ours <= theirs * (1 + 1e-8)
        assert ours >= theirs * (1 - 1e-8)
        assert path.objective[i] == pytest.approx(ours, rel=1e-10)
    assert np.all((path.dual_gaps >= 0) & (path.dual_gaps <= options.tol))


@pytest.mark.parametrize("weighted", [False, True])
def test_a_ridge_on_counts_is_scikit_learns(weighted):
    X, y = drawn("poisson")
    s = np.random.default_rng(1).uniform(0.1, 3, len(y)) if weighted else None
    options = replace(POISSON, alphas=(0.5, 0.01), l1_ratio=0.0)
    path = fit_path(from_arrays(X, y, s), options, RUN)
    for i, alpha in enumerate(path.alphas):
        model = PoissonRegressor(alpha=alpha, solver="newton-cholesky", tol=1e-11, max_iter=1000)
        model.fit(X, y, s)
        assert np.allclose(path.coef[i], model.coef_, rtol=1e-5, atol=1e-6)
        assert np.allclose(path.predict(X, alpha), model.predict(X), rtol=1e-4)


@pytest.mark.parametrize("options", [HUBER, POISSON], ids=lambda o: o.loss)
def test_the_optimality_conditions_hold(options):
    X, y = drawn(options.loss)
    path = fit_path(from_arrays(X, y), replace(options, n_alphas=6, tol=1e-12), RUN)
    for w, b, alpha in zip(path.coef, path.intercept, path.alphas, strict=True):
        slope = loss_and_slope(options, X @ w + b, y)[1] / len(y)
        v = -X.T @ slope
        missed = np.where(w != 0, np.abs(v - alpha * np.sign(w)), np.maximum(abs(v) - alpha, 0))
        assert max(missed.max(), abs(slope.sum())) <= 1e-4 * path.alphas[0]
    assert path.n_nonzero[0] == 0 < path.n_nonzero[-1]


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    loss=st.sampled_from(["huber", "poisson"]),
    spread=st.sampled_from([0.1, 1.0, 5.0]),
    largest=st.sampled_from([0, 6, 12]),
)
def test_gaps_are_reached_and_never_below_the_true_suboptimality(seed, loss, spread, largest):
    X, y = drawn(loss, n=30, d=4, seed=seed, spread=spread)
    s = 10.0 ** np.random.default_rng(seed).uniform(0, largest, len(y))
    options = replace(HUBER, loss=loss, n_alphas=2, tol=1e-6, solver="newton")
    path = fit_path(from_arrays(X, y, s), options, RUN)
    assert path.converged
    best = fit_path(from_arrays(X, y, s), replace(options, tol=1e-11), RUN)
    null = path.objective[0]
    for i in range(2):
        lost = path.objective[i] - min(path.objective[i], best.objective[i])
        assert lost <= path.dual_gap[i] * null * (1 + 1e-9) + 1e-14 * null


@pytest.mark.parametrize("options", [HUBER, POISSON], ids=lambda o: o.loss)
def test_solutions_do_not_depend_on_chunks(options, make_store):
    X, y = drawn(options.loss)
    whole = fit_path(from_arrays(X, y), options, RUN)
    for chunks in ({"chunk_rows": 7}, {"chunk_rows": 64, "codec": "zstd"}):
        path = fit_path(make_store(X, y, **chunks), options, replace(RUN, band_bytes=2000))
        assert np.allclose(path.alphas, whole.alphas, rtol=1e-9)
        assert np.allclose(path.objective, whole.objective, rtol=1e-9)


@pytest.mark.parametrize("options", [HUBER, POISSON], ids=lambda o: o.loss)
def test_fista_in_parts_of_columns_finds_what_newton_does(options, make_store):
    X, y = drawn(options.loss)
    newton = fit_path(from_arrays(X, y), replace(options, solver="newton"), RUN)
    store = make_store(X, y, chunk_rows=50, chunk_columns=3)
    fista = fit_path(store, options, replace(RUN, band_bytes=8 * 3 * 50))
    assert (newton.solver, fista.solver) == ("newton", "fista")
    assert np.allclose(newton.objective, fista.objective, rtol=1e-9)


def test_a_large_delta_is_squared_loss():
    X, y = drawn("huber")
    huber = fit_path(from_arrays(X, y), replace(HUBER, huber_delta=1e6), RUN)
    squared = fit_path(from_arrays(X, y), replace(HUBER, loss="squared"), RUN)
    assert np.allclose(huber.alphas, squared.alphas, rtol=1e-9)
    assert np.allclose(huber.coef, squared.coef, atol=1e-5)


def test_rows_far_off_do_not_move_huber():
    X, y = drawn("huber")
    data = from_arrays(X, y)
    far = y + 1e9 * (np.abs(y - np.median(y)) > 30)
    options = replace(HUBER, alphas=(0.05,))
    assert np.any(far != y)
    moved = fit_path(from_arrays(X, far), options, RUN).coef
    squared = fit_path(from_arrays(X, far), replace(options, loss="squared"), RUN).coef
    assert np.allclose(moved, fit_path(data, options, RUN).coef, atol=0.5)
    assert np.max(np.abs(squared)) > 1e3


def test_an_exposure_as_offset_is_a_rate_with_weights():
    X, y = drawn("poisson")
    exposure = np.random.default_rng(1).uniform(0.2, 4.0, len(y))
    options = replace(POISSON, alphas=(0.1,))
    beside = fit_path(from_arrays(X, y, offset=np.log(exposure)), options, RUN)
    alpha = 0.1 * len(y) / exposure.sum()
    rates = from_arrays(X, y / exposure, exposure)
    rate = fit_path(rates, replace(options, alphas=(alpha,)), RUN)
    assert np.allclose(beside.coef, rate.coef, atol=1e-5)
    assert np.allclose(beside.intercept, rate.intercept, atol=1e-5)


def test_counts_are_predicted_as_means():
    X, y = drawn("poisson")
    data = from_arrays(X, y)
    path = fit_path(data, replace(POISSON, alphas=(0.05,)), RUN)
    expected = np.exp(X @ path.coef[0] + path.intercept[0])
    assert np.allclose(path.predict(X), expected)
    assert np.allclose(path.linear_prediction(X), np.log(expected))
    [(_, _, found)] = predict_store(data, path, run=RUN)
    assert np.allclose(found[:, 0], expected)
    assert np.mean(expected) == pytest.approx(y.mean(), rel=1e-4)  # as an intercept makes it


def test_a_model_knows_its_delta():
    path = fit_path(from_arrays(*drawn("huber")), replace(HUBER, huber_delta=0.5), RUN)
    assert path.loss_value.delta == 0.5
    assert path.penalty_options["huber_delta"] == 0.5


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([0.0, 0.0, 0.0, 0.0], "target 0 is 0 in every row of positive sample_weight"),
        (
            [0.0, 2.0, -1.0, 0.0],
            "the data: target y is -1 at row 2; loss poisson expects numbers >= 0",
        ),
    ],
)
def test_targets_that_are_no_counts_are_refused(y, message):
    with pytest.raises(ValueFound, match=message):
        fit_path(from_arrays(np.eye(4, 2), np.array(y)), POISSON, RUN)


def test_counts_that_are_zero_wherever_rows_have_weight_are_refused():
    data = from_arrays(np.eye(4, 2), np.array([0.0, 0, 0, 5]), np.array([1.0, 1, 1, 0]))
    with pytest.raises(ValueFound, match="target 0 is 0 in every row of positive sample_weight"):
        fit_path(data, POISSON, RUN)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"solver": "prox_sgd"}, "poisson found, but prox_sgd needs one with a bounded curvature"),
        ({"solver": "gram"}, "poisson found, but gram needs squared"),
        ({"huber_delta": -1.0, "loss": "huber"}, "huber_delta: -1.0 found"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(more, message):
    with pytest.raises(OptionError, match=message):
        fit_path(from_arrays(*drawn("poisson")), replace(POISSON, **more), RUN)


def test_a_step_beyond_numbers_is_taken_back():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 3)).astype(np.float32)
    counts = rng.poisson(np.exp(9 + X[:, 0])).astype(float)
    offset = np.full(60, -30.0)  # which makes curvature look e³⁰ times less than it is
    offset[::2] = 20.0
    options = replace(POISSON, solver="fista", fit_intercept=False, tol=1e-6, n_alphas=2)
    path = fit_path(from_arrays(X, counts, offset=offset), options, RUN)
    assert path.converged
