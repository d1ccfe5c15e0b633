"""Covariates are projected out exactly, whatever solver and weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import Lasso

from dasklasso.dataset.dataset import from_arrays
from dasklasso.errors import DataWarning, OptionError
from dasklasso.fit import fit_path
from dasklasso.options import FitOptions, RunOptions

RUN = RunOptions(in_process=True, keep_statistics=False)
OPTIONS = FitOptions(n_alphas=5, eps=0.1, tol=1e-10)
N, D = 40, 90
SMOOTH = ("poisson", "huber")


@pytest.fixture(scope="module")
def arrays():
    """X of small counts, y, and covariates: an age, a component of mean ≫ spread, a sum of both."""
    rng = np.random.default_rng(1)
    X = rng.integers(0, 3, (N, D)).astype(np.float32)
    covariates = np.column_stack([rng.integers(20, 80, N), rng.standard_normal(N) + 300.0])
    covariates = np.column_stack([covariates, covariates.sum(axis=1)])
    y = X[:, :4] @ [1.0, -1.0, 0.5, 0.5] + 0.05 * covariates[:, 0] + rng.standard_normal(N)
    return X, y, covariates


def objective(X, y, covariates, alpha, weight):
    """The least objective, from what is left once covariates and a constant are projected out."""
    root = np.sqrt(weight / weight.mean())[:, None]
    free = np.column_stack([np.ones(len(y)), covariates]) * root
    both = np.column_stack([X, y]) * root
    both -= free @ np.linalg.lstsq(free, both, rcond=1e-12)[0]
    model = Lasso(alpha=alpha, fit_intercept=False, tol=1e-13, max_iter=100_000)
    coef = model.fit(both[:, :-1], both[:, -1]).coef_
    return 0.5 * np.mean((both[:, -1] - both[:, :-1] @ coef) ** 2) + alpha * np.abs(coef).sum()


@pytest.mark.parametrize(
    ("solver", "weighted"),
    [("working_set", False), ("working_set", True), ("gram", True), ("fista", True)],
)
def test_the_objective_is_that_of_what_is_left(solver, weighted, arrays, columns_beside):
    X, y, covariates = arrays
    weight = np.random.default_rng(2).uniform(0.2, 3.0, N) if weighted else np.ones(N)
    data = columns_beside(from_arrays(X, y, weight if weighted else None), covariates)
    options = replace(OPTIONS, solver=solver)
    if solver == "fista":  # hundreds of scans to small alphas
        options = replace(options, eps=0.5, n_alphas=3, tol=1e-9)
    path = fit_path(data, options, RUN)
    for i in (1, 2):
        least = objective(X, y, covariates, path.alphas[i], weight)
        assert path.objective[i] == pytest.approx(least, rel=1e-8)
    assert path.converged


def test_a_path_begins_with_covariates_alone(arrays, columns_beside):
    X, y, covariates = arrays
    path = fit_path(columns_beside(from_arrays(X, y), covariates), OPTIONS, RUN)
    assert set(np.flatnonzero(path.coef[0])) <= {D, D + 1, D + 2}
    free = np.column_stack([np.ones(N), covariates])
    fitted = free @ np.linalg.lstsq(free, y, rcond=1e-12)[0]
    both = np.column_stack([X, covariates])
    np.testing.assert_allclose(path.predict(both, path.alphas[0]), fitted, atol=1e-6)


@pytest.mark.parametrize("solver", ["gram", "working_set"])
def test_covariates_that_explain_the_target_exactly_are_said(solver, arrays, columns_beside):
    X, _, covariates = arrays
    data = columns_beside(from_arrays(X, 2.0 * covariates[:, 0] + 1.0), covariates[:, :2])
    with pytest.warns(DataWarning, match="explain y exactly: nothing is left"):
        fit_path(data, replace(OPTIONS, solver=solver, tol=1e-6, n_alphas=2), RUN)


@pytest.mark.parametrize(
    "loss", ["logistic", *(pytest.param(one, marks=pytest.mark.slow) for one in SMOOTH)]
)
def test_other_losses_have_covariates_by_working_sets(loss, arrays, columns_beside):
    X, y, covariates = arrays
    y = {"logistic": y > np.median(y), "poisson": np.round(np.abs(y)), "huber": y}[loss]
    options = replace(OPTIONS, loss=loss, huber_delta=1.0, tol=1e-9, n_alphas=3)
    path = fit_path(
        columns_beside(from_arrays(X, y.astype(float)), covariates[:, :2]), options, RUN
    )
    one = np.column_stack([X, covariates[:, :2]])
    factor = np.append(np.ones(D), [0.0, 0.0])
    same = fit_path(from_arrays(one, y.astype(float)), replace(options, penalty_factor=factor), RUN)
    assert path.solver == same.solver == "working_set"
    np.testing.assert_allclose(path.objective, same.objective, rtol=1e-8)


def test_a_solver_that_cannot_names_the_one_that_can(arrays, columns_beside):
    X, y, covariates = arrays
    data = columns_beside(from_arrays(X, (y > 2).astype(float)), covariates)
    with pytest.raises(OptionError, match="newton has no unpenalised features; working_set can"):
        fit_path(data, replace(OPTIONS, loss="logistic", solver="newton"), RUN)
