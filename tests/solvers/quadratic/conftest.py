"""Quadratics that the tests of this folder solve."""

from __future__ import annotations

import numpy as np
import pytest

from dasklasso.solvers.quadratic.subproblem import Subproblem


@pytest.fixture
def subproblem():
    """A maker of subproblems over all columns, as (problem, X, y); ``a`` is a share of its most."""

    def make(
        n: int = 60,
        d: int = 20,
        *,
        seed: int = 0,
        mixing: float = 0.5,
        share: float = 0.1,
        b: float = 0.0,
        positive: bool = False,
        compiled: bool = False,
        twins: tuple[tuple[int, int], ...] = (),
        free: tuple[int, ...] = (),
    ) -> Subproblem:
        rng = np.random.default_rng(seed)
        X = np.sqrt(1 - mixing**2) * rng.standard_normal((n, d))
        X += mixing * rng.standard_normal((n, 1))
        for first, second in twins:
            X[:, second] = X[:, first]
        y = X @ np.where(rng.random(d) < 0.3, rng.standard_normal(d), 0.0)
        y += rng.standard_normal(n)
        gram, linear = X.T @ X / n, X.T @ y / n
        a, l2 = np.full(d, share * np.max(np.abs(linear))), np.full(d, b)
        a[list(free)] = l2[list(free)] = 0.0
        return Subproblem(
            gram, linear, gram.diagonal().copy(), a, l2, np.arange(d), float(y @ y / n), positive,
            compiled,
        )  # fmt: skip

    return make


@pytest.fixture
def violation():
    """A function of a subproblem and a point: the worst violation of the conditions of an optimum,
    from the matrix itself."""

    def worst(problem: Subproblem, u: np.ndarray) -> float:
        d = u.size
        q = problem.linear - problem.matrix[:d, :d] @ u - problem.b * u
        size = q if problem.positive else np.abs(q)
        at_zero = np.maximum(size - problem.a, 0.0)
        return float(np.max(np.where(u != 0, np.abs(q - problem.a * np.sign(u)), at_zero)))

    return worst
