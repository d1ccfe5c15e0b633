"""In-memory paths on a Gram matrix: this package beside scikit-learn, at the same worst gap.

    python tests/benchmarks/quadratic.py [--features 500 2000] [--gap 1e-6 1e-10]

Columns are an AR(1) process along the features. Both solve 100 alphas down to a thousandth of
alpha_max from the same matrix; scikit-learn's tolerance is tightened until its worst gap, judged by
the same certificate, is as small. Times are the best of several, compiled and warm.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import enet_path

from dasklasso.objective.penalties.elastic_net import ElasticNet
from dasklasso.solvers.quadratic.path import Quadratic, certify, solve_path

ROWS, ALPHAS, EPS = 5_000, 100, 1e-3


def ar1(n_features: int, correlation: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows whose neighbouring columns correlate, standardised, and a target of 5 % of them."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((ROWS, n_features))
    for j in range(1, n_features):
        X[:, j] = correlation * X[:, j - 1] + np.sqrt(1 - correlation**2) * X[:, j]
    truth = np.where(rng.random(n_features) < 0.05, rng.standard_normal(n_features), 0.0)
    y = X @ truth
    y += y.std() * rng.standard_normal(ROWS)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    return X, y - y.mean()


def best_time(function: Callable[[], object], repeats: int) -> float:
    """Seconds of the fastest of some calls."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return min(times)


def compare(n_features: int, correlation: float, goal: float, repeats: int) -> None:
    """Print one line: both times, both gaps, the ratio."""
    X, y = ar1(n_features, correlation)
    gram, linear, yy = X.T @ X, X.T @ y, float(y @ y)
    quadratic = Quadratic(gram / ROWS, linear / ROWS, yy / ROWS)
    null = 0.5 * quadratic.yy
    alphas = np.max(np.abs(quadratic.linear)) * np.geomspace(1.0, EPS, ALPHAS)
    lasso = ElasticNet.of(1.0)

    def ours() -> np.ndarray:
        return solve_path(quadratic, lasso, alphas, tol=goal * null).coef

    def theirs(tol: float) -> np.ndarray:
        path = enet_path(
            X, y, l1_ratio=1.0, alphas=alphas, precompute=gram, Xy=linear, copy_X=False,
            tol=tol, max_iter=100_000, check_input=False,
        )  # fmt: skip
        return path[1].T

    def worst_gap(coef: np.ndarray) -> float:
        found = certify(quadratic, coef, lasso.at(alphas, np.ones((n_features, 1)), 1.0))
        return float(found.gap.max() / null)

    our_gap = worst_gap(ours())
    tol = 10.0 * goal
    while (their_gap := worst_gap(theirs(tol))) > max(goal, our_gap) and tol > 1e-15:
        tol *= 0.5
    our_time, their_time = best_time(ours, repeats), best_time(lambda: theirs(tol), repeats)
    print(
        f"d={n_features} correlation={correlation}: dasklasso {our_time:.3f} s (gap {our_gap:.1e}),"
        f" scikit-learn {their_time:.3f} s (gap {their_gap:.1e}), {their_time / our_time:.1f} times"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--features", type=int, nargs="+", default=[500, 2000])
    parser.add_argument("--correlation", type=float, nargs="+", default=[0.5, 0.95])
    parser.add_argument("--gap", type=float, nargs="+", default=[1e-6, 1e-10])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    for goal in options.gap:
        print(f"relative gap {goal:g}")
        for n_features in options.features:
            for correlation in options.correlation:
                compare(n_features, correlation, goal, options.repeats)


if __name__ == "__main__":
    main()
