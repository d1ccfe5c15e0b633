"""Thirty random problems at tol 1e-10, against scikit-learn and a certificate written afresh."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import ElasticNet

from dasklasso.fit import fit_path
from dasklasso.options import FitOptions, RunOptions


@dataclass(frozen=True)
class Case:
    seed: int
    n: int
    d: int
    correlation: float
    decades: int
    weighted: bool
    intercept: bool
    l1_ratio: float
    chunk_rows: int
    chunk_columns: int
    split: bool
    codec: str

    def draw(self):
        rng = np.random.default_rng(self.seed)
        common = rng.standard_normal((self.n, 1))
        X = np.sqrt(self.correlation) * common + np.sqrt(
            1 - self.correlation
        ) * rng.standard_normal((self.n, self.d))
        X += rng.standard_normal(self.d)
        w = rng.standard_normal(self.d) * (rng.random(self.d) < 0.4)
        y = X @ w + rng.standard_normal(self.n) + rng.standard_normal()
        # columns in units of their own; the penalty then prefers those in small units
        X = X * 10.0 ** rng.uniform(-self.decades, self.decades, self.d)
        return X, y, rng.uniform(0.1, 2.0, self.n) if self.weighted else None


CASES = st.builds(
    Case,
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(8, 60),
    d=st.integers(2, 40),
    correlation=st.sampled_from([0.0, 0.5, 0.95]),
    decades=st.sampled_from([0, 0, 1, 6]),
    weighted=st.booleans(),
    intercept=st.booleans(),
    l1_ratio=st.sampled_from([1.0, 1.0, 0.5]),
    chunk_rows=st.integers(4, 60),
    chunk_columns=st.integers(2, 40),
    split=st.booleans(),
    codec=st.sampled_from(["none", "zstd"]),
)
NOT_SLOW = settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],  # a case says all: shrinking fits would take long
    suppress_health_check=[HealthCheck.too_slow],
)


@pytest.mark.parametrize("solver", ["fista", "gram"])
@NOT_SLOW
@given(case=CASES)
def test_a_random_problem_is_solved_as_scikit_learn_solves_it(
    solver, case, make_store, judge, assert_certified
):
    X, y, weight = case.draw()
    rows, columns = max(case.chunk_rows, case.n // 2), max(case.chunk_columns, case.d // 2)
    data = make_store(X, y, weight, chunk_rows=rows, chunk_columns=columns, codec=case.codec)
    options = FitOptions(
        n_alphas=2,
        eps=0.1,
        l1_ratio=case.l1_ratio,
        fit_intercept=case.intercept,
        tol=1e-10,
        solver=solver,
    )
    run = RunOptions(in_process=True, band_bytes=8 * rows * columns if case.split else 64 << 20)
    path = fit_path(data, options, run)

    assert_certified(path, X, y, options, weight)
    p = np.ones(case.n) / case.n if weight is None else weight / weight.sum()
    centre = p @ X if case.intercept else np.zeros(case.d)
    spread = np.sqrt(p @ (X - centre) ** 2)
    for i, alpha in enumerate(path.alphas):
        model = ElasticNet(
            alpha=alpha,
            l1_ratio=case.l1_ratio,
            fit_intercept=case.intercept,
            tol=1e-15,
            max_iter=300_000,
        ).fit(X, y, weight)
        ours = judge(X, y, path.coef[i], path.intercept[i], alpha, options, weight)
        theirs = judge(X, y, model.coef_, model.intercept_, alpha, options, weight)
        assert ours.objective <= theirs.objective * (1 + 1e-8)
        if theirs.relative_gap > 1e-12:
            continue  # theirs is not a solution to compare with
        assert ours.objective == pytest.approx(theirs.objective, rel=1e-8)
        if _is_unique(X, centre, spread, p, path.coef[i], model.coef_):
            change = np.abs(path.coef[i] - model.coef_) * spread
            scale = np.max(np.abs(model.coef_) * spread)  # at alpha_max it may be zero
            assert change.max() <= 3e-4 * max(scale, 1e-8 * np.std(y))


def _is_unique(X, centre, spread, p, *coefs):
    """Whether the columns in use are far enough from dependent for coefficients to be compared."""
    used = np.any([coef != 0 for coef in coefs], axis=0)
    if not used.any():
        return False
    columns = np.sqrt(p)[:, None] * (X - centre)[:, used] / spread[used]
    return np.linalg.cond(columns) < 30
