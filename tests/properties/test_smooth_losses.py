"""Losses that are no quadratics: gaps are bounds, and what is the same problem has one solution.

What bounds a gap from below is a descent from the solution, by L-BFGS-B on the objective written
out afresh.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import logsumexp, xlogy

from dasklasso.dataset.dataset import from_arrays
from dasklasso.fit import fit_path
from dasklasso.options import FitOptions, RunOptions

RUN = RunOptions(in_process=True)
NULL = 1e-9  # of the null loss: rounding in an objective that is a difference of larger numbers


@dataclass(frozen=True)
class Case:
    seed: int
    loss: str
    n: int
    d: int
    strength: float
    decades: int
    spread: int
    duplicate: bool
    intercept: bool
    standardize: bool
    l1_ratio: float
    float32: bool

    @property
    def options(self):
        return FitOptions(
            loss=self.loss,
            huber_delta=1.35,
            n_classes=3 if self.loss == "softmax" else None,
            n_alphas=3,
            eps=0.01,
            l1_ratio=self.l1_ratio,
            fit_intercept=self.intercept,
            standardize=self.standardize,
            solver="newton",
            max_scans=400,
        )

    def draw(self):
        rng = np.random.default_rng(self.seed)
        X = rng.standard_normal((self.n, self.d)) + rng.standard_normal(self.d)
        p = self.strength * (X[:, 0] - X[:, -1] + 0.3 * rng.standard_normal(self.n))
        if self.duplicate:
            X[:, self.d // 2] = X[:, 0]
        # powers of two: float32 has the same digits
        X = X * 2.0 ** rng.integers(-self.decades, self.decades + 1, self.d)
        if self.loss == "logistic":
            y = (rng.random(self.n) < 1 / (1 + np.exp(-p))).astype(float)
            y[:2] = 0.0, 1.0
        elif self.loss == "softmax":
            y = np.digitize(p, np.quantile(p, [0.3, 0.6])).astype(float)
            flipped = rng.random(self.n) < 0.1
            y[flipped] = rng.integers(0, 3, flipped.sum())
            y[:3] = 0.0, 1.0, 2.0
        elif self.loss == "poisson":
            y = rng.poisson(np.exp(np.clip(p, -20, 6))).astype(float)
            y[0] = 3.0
        else:
            y = p + rng.standard_t(1.5, self.n)
        weight = 10.0 ** rng.uniform(-self.spread, 0, self.n) if self.spread else None
        return X.astype(np.float32 if self.float32 else np.float64), y, weight


def cases(**more):
    parts = {
        "seed": st.integers(0, 2**32 - 1),
        "loss": st.sampled_from(["logistic", "huber", "poisson", "softmax"]),
        "n": st.integers(12, 60),
        "d": st.integers(2, 15),
        "strength": st.sampled_from([0.0, 1.0, 10.0]),
        "decades": st.sampled_from([0, 3]),
        "spread": st.sampled_from([0, 1, 6]),
        "duplicate": st.booleans(),
        "intercept": st.booleans(),
        "standardize": st.booleans(),
        "l1_ratio": st.sampled_from([1.0, 1.0, 0.5]),
        "float32": st.booleans(),
    }
    return st.builds(Case, **{**parts, **more})


FEW = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)


class Judge:
    """The objective of one case, written out; coefficients (d, C) and intercepts (C,)."""

    def __init__(self, X, y, weight, options):
        self.X, self.y, self.options = X.astype(float), y, options
        s = np.ones(len(y)) if weight is None else weight
        self.pi = s / s.sum()
        self.mean = self.pi @ self.X
        self.std = np.sqrt(self.pi @ (self.X - self.mean) ** 2)
        self.unit = self.std if options.standardize else np.ones(X.shape[1])

    def loss(self, p):
        """Of each row, and its slope in predictions (n, C)."""
        y = self.y
        if self.options.loss == "softmax":
            hit = np.eye(3)[y.astype(int)]
            total = logsumexp(p, axis=1)
            return total - np.sum(hit * p, axis=1), np.exp(p - total[:, None]) - hit
        p = p[:, 0]
        if self.options.loss == "logistic":
            value, slope = np.logaddexp(0, p) - y * p, 1 / (1 + np.exp(-np.clip(p, -700, 700))) - y
        elif self.options.loss == "poisson":
            mean = np.exp(np.minimum(p, 300))
            value, slope = mean - y * p - (y - xlogy(y, y)), mean - y
        else:
            slope = np.clip(p - y, -self.options.huber_delta, self.options.huber_delta)
            value = slope * (p - y) - slope**2 / 2
        return value, slope[:, None]

    def objective(self, w, b, alpha):
        rho, scaled = self.options.l1_ratio, self.unit[:, None] * w
        penalty = rho * np.abs(scaled).sum() + (1 - rho) / 2 * np.sum(scaled**2)
        return self.pi @ self.loss(self.X @ w + b)[0] + alpha * penalty

    def below(self, w, b, alpha):
        """The objective, or less of it, from there down."""
        d, k = w.shape
        rho, centre = self.options.l1_ratio, self.mean if self.options.fit_intercept else 0.0
        Z, l1 = (self.X - centre) / self.std, alpha * (self.unit / self.std)[:, None]
        free = self.options.fit_intercept

        def both(z):
            up, down, c = z[: d * k].reshape(d, k), z[d * k : 2 * d * k].reshape(d, k), z[-k:]
            u = up - down
            value, slope = self.loss(Z @ u + c)
            v = Z.T @ (self.pi[:, None] * slope) + (1 - rho) * alpha * (l1 / alpha) ** 2 * u
            total = self.pi @ value + rho * np.sum(l1 * (up + down))
            total += (1 - rho) / 2 * alpha * np.sum((l1 / alpha * u) ** 2)
            pull = np.broadcast_to(rho * l1, (d, k))
            moved = self.pi @ slope if free else np.zeros(k)
            return total, np.concatenate([(pull + v).ravel(), (pull - v).ravel(), moved])

        u, c = w * self.std[:, None], b + np.dot(centre, w) if free else b
        start = np.concatenate([np.maximum(u, 0).ravel(), np.maximum(-u, 0).ravel(), c])
        bounds = [(0, None)] * (2 * d * k) + [(None, None)] * k
        method = {"maxiter": 300, "ftol": 0.0, "gtol": 1e-14}
        return minimize(both, start, jac=True, method="L-BFGS-B", bounds=bounds, options=method).fun


def solution(path, i):
    coef = path.coef[i].reshape(path.coef.shape[1], -1)
    return coef, np.atleast_1d(path.intercept[i])


@FEW
@given(case=cases())
def test_a_gap_is_no_less_than_what_the_objective_still_loses(case):
    X, y, weight = case.draw()
    path = fit_path(from_arrays(X, y, weight), case.options, RUN)
    judge, null = Judge(X, y, weight, case.options), path.objective[0]
    assert path.converged
    assert np.all(path.dual_gaps >= 0)
    for i, alpha in enumerate(path.alphas):
        w, b = solution(path, i)
        assert path.objective[i] == pytest.approx(judge.objective(w, b, alpha), rel=1e-9)
        lost = path.objective[i] - judge.below(w, b, alpha)
        assert lost <= path.dual_gaps[i].max() * null * (1 + 1e-6) + NULL * null


def assert_same(path, other):
    """Two paths are of the same problem, each solved as well as its gaps say."""
    null = path.objective[0]
    assert np.allclose(path.alphas, other.alphas, rtol=1e-5)
    allowed = (path.dual_gaps.max() + other.dual_gaps.max()) * null
    assert path.converged
    assert other.converged
    assert np.max(np.abs(path.objective - other.objective)) <= allowed + NULL * null


@FEW
@given(case=cases(spread=st.sampled_from([0, 3])))
def test_the_order_of_rows_and_columns_and_their_chunks_change_nothing(case, make_store):
    X, y, weight = case.draw()
    options = replace(case.options, tol=1e-7)
    path = fit_path(from_arrays(X, y, weight), options, RUN)
    options = replace(options, alphas=tuple(path.alphas))
    rng = np.random.default_rng(case.seed)
    rows, columns = rng.permutation(case.n), rng.permutation(case.d)
    data = from_arrays(X[rows][:, columns], y[rows], None if weight is None else weight[rows])
    assert_same(path, fit_path(data, options, RUN))
    store = make_store(X, y, weight, dtype=X.dtype, chunk_rows=5)
    assert_same(path, fit_path(store, options, replace(RUN, band_bytes=4000)))


@FEW
@given(case=cases(standardize=st.just(True)))
def test_units_of_columns_change_nothing_where_they_are_standardised(case):
    X, y, weight = case.draw()
    scale = 2.0 ** np.random.default_rng(case.seed).integers(-20, 21, case.d)
    path = fit_path(from_arrays(X, y, weight), case.options, RUN)
    other = fit_path(from_arrays((X * scale).astype(X.dtype), y, weight), case.options, RUN)
    assert_same(path, other)


@FEW
@given(case=cases(duplicate=st.just(False), standardize=st.just(False), l1_ratio=st.just(1.0)))
def test_a_column_that_is_there_twice_changes_no_objective(case):
    X, y, weight = case.draw()
    options = replace(case.options, tol=1e-7)
    path = fit_path(from_arrays(X, y, weight), options, RUN)
    twice = from_arrays(np.column_stack([X, X[:, :1], X[:, 1:2]]), y, weight)
    assert_same(path, fit_path(twice, replace(options, alphas=tuple(path.alphas)), RUN))


@FEW
@given(case=cases(l1_ratio=st.just(1.0), spread=st.just(0)), factor=st.integers(2, 5))
def test_a_weight_is_a_row_as_many_times(case, factor):
    X, y, _ = case.draw()
    weight = np.ones(case.n)
    weight[::3] = factor
    path = fit_path(from_arrays(X, y, weight), case.options, RUN)
    many = np.repeat(np.arange(case.n), weight.astype(int))
    assert_same(path, fit_path(from_arrays(X[many], y[many]), case.options, RUN))
