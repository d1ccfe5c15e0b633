"""The gap that is reported holds for the model that is returned, in exact arithmetic."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dasklasso.dataset.dataset import from_arrays
from dasklasso.fit.fit import fit_path
from dasklasso.options import FitOptions, RunOptions
from dasklasso.solvers.rounding import summed_exactly

RUN = RunOptions(in_process=True, keep_statistics=False)


def objective(X, y, alpha, w, b) -> Fraction:
    """Of a lasso, in exact arithmetic."""
    n = len(y)
    residuals = [y[i] - b - sum(X[i][j] * w[j] for j in range(len(w))) for i in range(n)]
    return sum(r * r for r in residuals) / (2 * n) + alpha * sum(abs(v) for v in w)


def solve(matrix, right):
    """A linear system in exact arithmetic; None where it is singular."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for k in range(len(rows)):
        pivot = next((i for i in range(k, len(rows)) if rows[i][k] != 0), None)
        if pivot is None:
            return None
        rows[k], rows[pivot] = rows[pivot], rows[k]
        for i in range(len(rows)):
            if i != k and rows[i][k] != 0:
                factor = rows[i][k] / rows[k][k]
                rows[i] = [a - factor * c for a, c in zip(rows[i], rows[k], strict=True)]
    return [rows[k][-1] / rows[k][k] for k in range(len(rows))]


def least(X, y, alpha, *, fit_intercept) -> Fraction:
    """The least objective: of the stationary points of all patterns of signs, the best one."""
    n, d = len(y), len(X[0])
    columns = [[X[i][j] for i in range(n)] for j in range(d)]
    target, best = y, None
    if fit_intercept:
        columns = [[v - sum(column) / n for v in column] for column in columns]
        target = [v - sum(y) / n for v in y]
    dot = lambda a, b: sum(p * q for p, q in zip(a, b, strict=True)) / n  # noqa: E731
    rows = [[columns[j][i] for j in range(d)] for i in range(n)]
    for signs in itertools.product((-1, 0, 1), repeat=d):
        used = [j for j in range(d) if signs[j]]
        matrix = [[dot(columns[j], columns[k]) for k in used] for j in used]
        found = solve(matrix, [dot(columns[j], target) - alpha * signs[j] for j in used])
        if found is None or any(v * signs[j] < 0 for j, v in zip(used, found, strict=True)):
            continue
        w = [Fraction(0)] * d
        for j, v in zip(used, found, strict=True):
            w[j] = v
        value = objective(rows, target, alpha, w, Fraction(0))
        best = value if best is None else min(best, value)
    assert best is not None
    return best


def exact(values):
    return [[Fraction(float(v)) for v in row] for row in np.atleast_2d(values)]


def check(X, y, share, *, fit_intercept=True):
    centred = (X - X.mean(axis=0), y - y.mean()) if fit_intercept else (X, y)
    alpha = share * float(np.abs(centred[0].T @ centred[1]).max()) / len(y)
    if not alpha > 1e-290:
        return
    options = FitOptions(alphas=(alpha,), fit_intercept=fit_intercept, tol=1e-12)
    path = fit_path(from_arrays(X, y), options, RUN)
    w = [Fraction(v) for v in path.coef[0].tolist()]
    columns, target = exact(X), exact(y)[0]
    returned = objective(columns, target, Fraction(alpha), w, Fraction(float(path.intercept[0])))
    best = least(columns, target, Fraction(alpha), fit_intercept=fit_intercept)
    mean = sum(target) / len(target) if fit_intercept else Fraction(0)
    null = sum((v - mean) ** 2 for v in target) / (2 * len(target))
    assert best <= returned  # or the exact solution is not
    assert float((returned - best) / null) <= path.dual_gaps[0, 0]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(3, 8),
    d=st.integers(1, 2),
    share=st.sampled_from([0.9, 0.3, 0.01]),
    y_shift=st.sampled_from([0.0, 1.0, 1e8, -1e15]),
    x_shift=st.sampled_from([0.0, 3.0, 1e6]),
    y_scale=st.sampled_from([1.0, 1e-100, 1e100, 1e-3]),
    x_scale=st.sampled_from([1.0, 1e-8, 1e8, 1e-165, 1e160]),
    fit_intercept=st.booleans(),
)
def test_the_gap_is_never_below_the_true_one(
    seed, n, d, share, y_shift, x_shift, y_scale, x_scale, fit_intercept
):
    rng = np.random.default_rng(seed)
    X = (rng.normal(size=(n, d)) + x_shift) * np.array([x_scale, 1.0])[:d]
    y = (rng.normal(size=n) + y_shift) * y_scale
    if np.ptp(y) == 0:
        return
    check(X, y, share, fit_intercept=fit_intercept)


def test_a_target_far_from_zero_has_the_gap_of_its_rounded_intercept():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(8, 2)), rng.normal(size=8) * 50.0 + 1e15
    check(X, y, 0.1)
    path = fit_path(from_arrays(X, y), FitOptions(alphas=(1.0,)), RUN)
    assert 1e-12 < path.dual_gaps[0, 0] < 1e-5  # half a unit in the last place of 1e15 is 1/16


def test_an_ordinary_fit_gains_little():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 10))
    y = X[:, 0] + rng.normal(size=2000)
    path = fit_path(from_arrays(X, y), FitOptions(n_alphas=5, tol=1e-12), RUN)
    assert path.dual_gaps.max() < 1e-12


@pytest.mark.parametrize("seed", range(5))
def test_sums_of_products_are_rounded_once(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=9) * 10.0 ** rng.integers(-9, 9, 9), rng.normal(size=9)
    found, off = summed_exactly([1e9, -3.0], a, b)
    true = Fraction(10**9 - 3) - sum(
        Fraction(x) * Fraction(z) for x, z in zip(a.tolist(), b.tolist(), strict=True)
    )
    assert found == float(true)
    assert off == pytest.approx(abs(float(true - Fraction(found))), rel=1e-9)
