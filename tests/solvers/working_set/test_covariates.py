"""Covariates beside bytes with a code for missing values: held densely, projected out by fold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dasklasso.dataset.dataset import from_arrays
from dasklasso.dataset.row_folds import random_folds
from dasklasso.errors import DataWarning
from dasklasso.fit import fit_cv, fit_path
from dasklasso.options import CvOptions, FitOptions, RunOptions
from dasklasso.solvers.working_set.gram_in_use import GramInUse
from dasklasso.storage.missing_codes import FilledBlocks, MissingCode

RUN = RunOptions(in_process=True, keep_statistics=False)
WIDE = FitOptions(solver="working_set", n_alphas=3, eps=0.2, tol=1e-11)
CODE, N, D = 255, 45, 100
FOLDS = CvOptions(folds=3, seed=4)
FOLD_OF = random_folds(3, 4, 0, N)


@pytest.fixture(scope="module")
def arrays():
    """Genotypes with gaps (NaN), y, and covariates: the last is 1 in all rows outside fold 1."""
    rng = np.random.default_rng(3)
    X = rng.binomial(2, rng.uniform(0.1, 0.5, D), (N, D)).astype(float)
    batch = np.where(FOLD_OF == 1, rng.integers(0, 2, N), 1)
    covariates = np.column_stack([rng.integers(20, 80, N), rng.standard_normal(N) + 255.0, batch])
    y = X[:, :6] @ rng.uniform(0.5, 1.0, 6) + covariates @ [0.05, 1.0, 0.0]
    y += rng.standard_normal(N) - 256.0
    X[rng.random(X.shape) < 0.05] = np.nan
    return X, y, covariates


@pytest.fixture
def data(arrays, make_store, columns_beside):
    X, y, covariates = arrays
    stored = make_store(np.where(np.isnan(X), CODE, X), y, dtype=np.uint8)
    missing = MissingCode.of(CODE, np.nanmean(X, axis=0))
    return columns_beside(replace(stored, X=FilledBlocks(stored.X, missing)), covariates)


def one_table(arrays, rows=slice(None)):
    """Features, filled in with the means of some rows, and covariates."""
    X, _, covariates = arrays
    return np.column_stack([np.where(np.isnan(X), np.nanmean(X[rows], axis=0), X), covariates])


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_folds_are_fits_of_the_rows_that_train(loss, arrays, data):
    y, options = arrays[1], replace(WIDE, loss=loss)
    if loss == "logistic":
        y = (y > np.median(y)).astype(float)
        data = replace(data, y=from_arrays(arrays[2], y).y)
    with pytest.warns(DataWarning, match="c2 in all rows outside fold 1"):
        found = fit_cv(data, options, FOLDS, RUN)
    # the first sees all covariates, the second does not
    for fold in (0, 1) if loss == "squared" else (1,):
        trains = fold != FOLD_OF
        table = one_table(arrays, trains)
        factor = np.append(np.ones(D), np.zeros(3))
        alone = replace(options, alphas=(found.alphas[2],), penalty_factor=factor)
        path = fit_path(from_arrays(table[trains], y[trains]), alone, RUN)
        losses = path.loss_value.value(path.linear_prediction(table[~trains]), y[~trains])
        error = np.mean(losses) * (2.0 if loss == "squared" else 1.0)
        curve = found.cross_validation.best.error_path
        assert curve[2, fold] == pytest.approx(error, rel=1e-5)


def test_what_a_fold_does_not_see_is_said_once(data):
    with pytest.warns(DataWarning) as told:
        fit_cv(data, replace(WIDE, standardize=True), FOLDS, RUN)
    said = [str(one.message) for one in told if "c2" in str(one.message)]
    assert said == [
        "covariates with one value have no coefficient there: c2 in all rows outside fold 1"
    ]


def test_a_resumed_fit_takes_the_same_steps(data, interrupt, going_on, tmp_path):
    run = replace(RUN, checkpoint=str(tmp_path / "state"))
    interrupt(data, WIDE, run, 2)
    whole, again = fit_path(data, WIDE, RUN), fit_path(data, WIDE, going_on(run))
    np.testing.assert_array_equal(whole.coef, again.coef)
    by_gram = fit_path(data, replace(WIDE, solver="gram"), RUN)
    np.testing.assert_allclose(whole.objective, by_gram.objective, rtol=1e-9)


def test_where_only_unpenalised_columns_are_in_use_nothing_is_solved_by_steps(
    regression, monkeypatch
):
    X, y = regression(30, 60)
    free = np.arange(60) < 2
    design = np.column_stack([X[:, free], np.ones(30)])
    null = y - design @ np.linalg.lstsq(design, y)[0]
    alpha_max = np.abs(X.T @ null).max() / 30
    monkeypatch.setattr(GramInUse, "solve", None)  # which would be called
    options = FitOptions(
        alphas=(2 * alpha_max, alpha_max * (1 + 1e-12)),
        penalty_factor=np.where(free, 0.0, 1.0),
        solver="working_set",
    )
    path = fit_path(from_arrays(X, y), options, RunOptions(in_process=True))
    assert path.converged
    assert not path.coef[:, ~free].any()
