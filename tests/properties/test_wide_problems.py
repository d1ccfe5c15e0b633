"""Twenty wide problems with duplicates, weights, penalty factors and covariates.

Each is compared with scikit-learn on what is left once all that has no penalty is projected out.
"""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Lasso

from dasklasso.dataset.dataset import from_arrays
from dasklasso.fit import fit_path
from dasklasso.options import FitOptions, RunOptions

RUN = RunOptions(in_process=True, keep_statistics=False)
N, D = 32, 150
NEAR = 1e-6  # of alpha: where rounding decides whether a feature is in use


class Wide:
    """A problem, from a seed; every other one has weights, every third no penalty factors."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.X = rng.standard_normal((N, D)) + rng.uniform(-3, 3, D)
        self.X[:, 1::2] += 0.7 * self.X[:, ::2]
        self.X[:, 10:16] = self.X[:, :6]
        self.X[:, 20:26] = self.X[:, :6] + 1e-5 * rng.standard_normal((N, 6))
        self.covariates = np.column_stack([rng.integers(20, 80, N), rng.integers(0, 2, N)])
        effects = np.append(3.0 * rng.standard_normal(6), rng.standard_normal(2) / [20, 1])
        self.y = np.column_stack([self.X[:, :6], self.covariates]) @ effects
        self.y += rng.standard_normal(N)
        self.weight = rng.uniform(0.2, 3.0, N) if seed % 2 else None
        self.factor = np.ones(D)
        if seed % 3:
            self.factor = rng.uniform(0.5, 2.0, D)
            self.factor[[7, 60]] = 0.0
        # where nearly equal columns cost the same, coordinate descent takes ages
        self.factor[20:26] = self.factor[:6] * rng.uniform(1.01, 1.2, 6)

    @property
    def root(self) -> np.ndarray:
        """(N,) square roots of weights whose mean is 1."""
        weight = np.ones(N) if self.weight is None else self.weight
        return np.sqrt(weight / weight.mean())

    def left(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return which features have a penalty, and these and y without what has none."""
        penalised = np.flatnonzero(self.factor)
        free = np.column_stack([np.ones(N), self.covariates, self.X[:, self.factor == 0]])
        free = free * self.root[:, None]
        both = np.column_stack([self.X[:, penalised], self.y]) * self.root[:, None]
        both -= free @ np.linalg.lstsq(free, both, rcond=None)[0]
        return penalised, both[:, :-1], both[:, -1]


@pytest.mark.parametrize("seed", range(20))
def test_objectives_and_supports_are_scikit_learns(seed, columns_beside):
    wide = Wide(seed)
    data = columns_beside(from_arrays(wide.X, wide.y, wide.weight), wide.covariates)
    options = FitOptions(
        solver="working_set", n_alphas=3, eps=0.15, tol=1e-11,
        penalty_factor=np.append(wide.factor, [0.0, 0.0]),
    )  # fmt: skip
    path = fit_path(data, options, RUN)
    penalised, X, y = wide.left()
    factor = wide.factor[penalised]
    alpha = path.alphas[1]
    model = Lasso(alpha=alpha, fit_intercept=False, tol=1e-12, max_iter=100_000)
    theirs = model.fit(X / factor, y).coef_ / factor
    ours = path.coef[1][penalised]
    value = [0.5 * np.mean((y - X @ w) ** 2) + alpha * factor @ np.abs(w) for w in (ours, theirs)]
    assert path.objective[1] == pytest.approx(value[0], rel=1e-10)
    assert value[0] == pytest.approx(value[1], rel=1e-8)
    correlation = np.abs(X.T @ (y - X @ ours)) / N
    clear = np.abs(correlation - alpha * factor) > NEAR * alpha
    np.testing.assert_array_equal(ours[clear] != 0, np.abs(theirs[clear]) > 1e-9)
