"""Bytes with a code for missing values: as if each problem's means had been filled in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import Lasso, LogisticRegression
from sklearn.metrics import log_loss

from dasklasso.dataset.row_folds import random_folds
from dasklasso.fit import fit_cv, fit_path
from dasklasso.options import CvOptions, FitOptions, RunOptions
from dasklasso.storage.missing_codes import FilledBlocks, MissingCode

RUN = RunOptions(in_process=True, keep_statistics=False)
WIDE = FitOptions(solver="working_set", n_alphas=6, eps=0.1, tol=1e-11)
TIGHT = {"tol": 1e-14, "max_iter": 1_000_000}
CODE = 255


@pytest.fixture(scope="module")
def genotypes():
    """Genotypes (60, 300) with gaps, NaN; one variant is known in two rows only."""
    rng = np.random.default_rng(3)
    X = rng.binomial(2, rng.uniform(0.1, 0.5, 300), (60, 300)).astype(float)
    y = X[:, :8] @ rng.uniform(0.5, 1.0, 8) + rng.standard_normal(60)
    X[rng.random(X.shape) < 0.05] = np.nan
    X[2:, 40] = np.nan
    X[:2, 40] = 0, 2
    return X, y


def filled(X, rows=slice(None)):
    """X with the means of the values that are known in some rows."""
    return np.where(np.isnan(X), np.nanmean(X[rows], axis=0), X)


@pytest.fixture
def coded(genotypes, make_store):
    """The same in bytes; whoever asks may give weights."""
    X, height = genotypes

    def make(weight=None, y=height):
        data = make_store(np.where(np.isnan(X), CODE, X), y, weight, dtype=np.uint8)
        missing = MissingCode.of(CODE, np.nanmean(X, axis=0))
        return replace(data, X=FilledBlocks(data.X, missing), statistics=None)

    return make


@pytest.mark.parametrize("changes", [{}, {"fit_intercept": False}, {"standardize": True}])
def test_a_path_is_that_of_the_table_filled_in(changes, genotypes, coded, make_store):
    X, y = genotypes
    weight = np.random.default_rng(1).uniform(0.2, 3.0, len(y))
    options = replace(WIDE, **changes)
    ours = fit_path(coded(weight), options, RUN)
    as_floats = make_store(filled(X).astype(np.float32), y, weight, dtype=np.float32)
    theirs = fit_path(as_floats, options, RUN)
    np.testing.assert_allclose(ours.objectives, theirs.objectives, rtol=1e-9)
    np.testing.assert_allclose(ours.coef, theirs.coef, atol=1e-5)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_folds_have_the_means_of_the_rows_that_train(fit_intercept, weighted, genotypes, coded):
    X, y = genotypes
    weight = np.random.default_rng(1).uniform(0.2, 3.0, len(y)) if weighted else None
    options = replace(WIDE, fit_intercept=fit_intercept)
    found = fit_cv(coded(weight), options, CvOptions(folds=3, seed=4), RUN)
    curve = found.cross_validation.by_ratio[0]
    fold_of = random_folds(3, 4, 0, len(y))
    for fold in range(3):
        trains = fold_of != fold
        Z, s = filled(X, trains), np.ones(len(y)) if weight is None else weight
        for i in (2, 5):
            model = Lasso(alpha=found.alphas[i], fit_intercept=fit_intercept, **TIGHT)
            model.fit(Z[trains], y[trains], s[trains])
            error = np.average((y - model.predict(Z))[~trains] ** 2, weights=s[~trains])
            assert curve.error_path[i, fold] == pytest.approx(error, rel=1e-5)


def test_folds_of_a_smooth_loss_have_them_too(genotypes, coded):
    X, height = genotypes
    y = (height > np.median(height)).astype(float)
    options = replace(WIDE, loss="logistic", fit_intercept=False, tol=1e-10)
    found = fit_cv(coded(y=y), options, CvOptions(folds=3, seed=4, criterion="loss"), RUN)
    curve, fold_of = found.cross_validation.by_ratio[0], random_folds(3, 4, 0, len(y))
    for fold in range(3):
        trains = fold_of != fold
        Z, C = filled(X, trains), 1.0 / (found.alphas[4] * trains.sum())
        model = LogisticRegression(
            l1_ratio=1.0, C=C, solver="liblinear", fit_intercept=False, tol=1e-10, max_iter=100_000
        )
        model.fit(Z[trains], y[trains])
        error = log_loss(y[~trains], model.predict_proba(Z[~trains])[:, 1])
        assert curve.error_path[4, fold] == pytest.approx(error, rel=1e-4)


def test_a_resumed_fit_takes_the_same_steps(coded, interrupt, going_on, tmp_path):
    data, run = coded(), replace(RUN, checkpoint=str(tmp_path / "state"))
    interrupt(data, WIDE, run, 2)
    whole, again = fit_path(data, WIDE, RUN), fit_path(data, WIDE, going_on(run))
    np.testing.assert_array_equal(whole.coef, again.coef)
    np.testing.assert_array_equal(whole.dual_gaps, again.dual_gaps)
