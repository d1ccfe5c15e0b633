"""Standardize scales columns by the rows that train: curves are those of one fit a fold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dasklasso.dataset.dataset import from_arrays
from dasklasso.dataset.row_folds import contiguous_edges
from dasklasso.errors import DataWarning, ValueFound
from dasklasso.fit import fit_cv, fit_path
from dasklasso.objective.losses.registry import loss_named
from dasklasso.options import CvOptions, FitOptions, RunOptions

RUN = RunOptions(in_process=True)
FOLDS = CvOptions(3, "contiguous")
N = 90
FOLD = np.searchsorted(contiguous_edges(N, 3), np.arange(N), side="right") - 1


def drawn(loss):
    """Rows of which the first, of fold 0, lies far off in one column."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, 4)) * [1.0, 1.0, 3.0, 0.2] + [0.0, 2.0, 0.0, 1.0]
    z = X[:, 0] - X[:, 1] + 2.0
    X[0, 0] = 8.0 if loss == "poisson" else 50.0
    y = {
        "logistic": lambda: z + rng.logistic(size=N) > 0,
        "softmax": lambda: np.digitize(z + rng.normal(size=N), [-0.7, 0.7]),
        "poisson": lambda: rng.poisson(np.exp(0.5 * z)),
        "huber": lambda: z + rng.standard_t(2, size=N),
        "squared": lambda: z + rng.normal(size=N),
    }[loss]()
    return X, y.astype(float)


def by_hand(X, y, weight, options, alpha):
    """(n_folds,) mean loss on each fold of a fit on the rows outside it."""
    options = replace(options, alphas=(alpha,))
    loss = loss_named(options.loss, 3) if options.loss == "softmax" else loss_named(options.loss)
    found = []
    for k in range(3):
        train, test = k != FOLD, k == FOLD
        path = fit_path(from_arrays(X[train], y[train], weight[train]), options, RUN)
        p = X[test] @ path.coef[0] + path.intercept[0]
        of_rows = loss.value(p, y[test]) * (2.0 if options.loss == "squared" else 1.0)
        found.append(np.average(of_rows, weights=weight[test]))
    return np.array(found)


@pytest.fixture
def by_scans(monkeypatch):
    """Rows do not fit in memory: problems are solved by scans that they share."""
    monkeypatch.setattr("dasklasso.solvers.newton.cost.HELD_WHOLE_BYTES", 0)
    monkeypatch.setattr("dasklasso.solvers.softmax.cost.HELD_BYTES", N * 4 * 8 // 2)


@pytest.mark.parametrize("where", ["in memory", "by scans"])
@pytest.mark.parametrize("loss", ["logistic", "softmax", "poisson", "huber", "squared"])
def test_a_curve_is_that_of_fits_by_hand(loss, where, request):
    weighted = where == "by scans"
    if where == "by scans":
        request.getfixturevalue("by_scans")
    X, y = drawn(loss)
    weight = np.random.default_rng(1).uniform(0.2, 2.0, N) if weighted else np.ones(N)
    options = FitOptions(
        loss=loss, huber_delta=1.35, n_alphas=4, eps=0.03, standardize=True, l1_ratio=0.7, tol=1e-10
    )
    path = fit_cv(from_arrays(X, y, weight), options, FOLDS, RUN)
    record = path.cross_validation.best
    assert record.gap.max() <= options.tol
    request.getfixturevalue("monkeypatch").undo()
    for i in (1, 3):
        expected = by_hand(X, y, weight, options, float(path.alphas[i]))
        np.testing.assert_allclose(record.error_path[i], expected, rtol=1e-5)


def test_without_an_intercept_and_with_penalty_factors_it_is_too():
    X, y = drawn("logistic")
    options = FitOptions(
        loss="logistic",
        alphas=(0.03,),
        standardize=True,
        fit_intercept=False,
        penalty_factor=np.array([0.5, 1.0, 2.0, 1.0]),
        tol=1e-10,
    )
    found = fit_cv(from_arrays(X, y), options, FOLDS, RUN).cross_validation.best.error_path[0]
    np.testing.assert_allclose(found, by_hand(X, y, np.ones(N), options, 0.03), rtol=1e-6)


def test_each_l1_ratio_of_several_has_such_a_curve():
    X, y = drawn("logistic")
    options = FitOptions(loss="logistic", n_alphas=3, eps=0.1, standardize=True, tol=1e-10)
    path = fit_cv(from_arrays(X, y), options, replace(FOLDS, l1_ratios=(0.3, 1.0)), RUN)
    for curve in path.cross_validation.by_ratio:
        one = replace(options, l1_ratio=curve.l1_ratio)
        expected = by_hand(X, y, np.ones(N), one, float(curve.alphas[2]))
        np.testing.assert_allclose(curve.error_path[2], expected, rtol=1e-6)


@pytest.mark.parametrize("where", ["in memory", "by scans"])
@pytest.mark.parametrize("loss", ["logistic", "softmax"])
def test_a_column_that_is_constant_outside_a_fold_is_zero_there_and_said_once(loss, where, request):
    if where == "by scans":
        request.getfixturevalue("by_scans")
    X, y = drawn(loss)
    X[30:, 3] = 5.0  # varies in fold 0 only
    options = FitOptions(
        loss=loss, huber_delta=1.35, n_alphas=3, eps=0.03, standardize=True, tol=1e-10
    )
    data = from_arrays(X, y, feature_names=list("abcd"))
    with pytest.warns(DataWarning, match=r"1 feature has one .* first: d, fold 0\)") as said:
        path = fit_cv(data, options, FOLDS, RUN)
    assert len(said) == 1
    record = path.cross_validation.best
    assert record.gap.max() <= options.tol
    expected = by_hand(X, y, np.ones(N), options, float(path.alphas[2]))
    np.testing.assert_allclose(record.error_path[2], expected, rtol=1e-6)


def test_without_an_intercept_such_a_column_is_refused():
    X, y = drawn("logistic")
    X[30:, 3] = 5.0
    options = FitOptions(loss="logistic", n_alphas=3, standardize=True, fit_intercept=False)
    with pytest.raises(ValueFound, match="feature 3 is 5 in every row outside fold 0"):
        fit_cv(from_arrays(X, y), options, FOLDS, RUN)


@pytest.mark.usefixtures("by_scans")
def test_scaling_costs_no_scan():
    signs = np.tile([1.0, -1.0], N // 2)
    # of unit spread within every fold, so that nothing else changes
    X = np.column_stack([signs, np.where(np.arange(N) % 30 < 15, signs, -signs)])
    y = (np.random.default_rng(0).logistic(size=N) < 2.0 * X[:, 0]).astype(float)
    options = FitOptions(loss="logistic", n_alphas=4, eps=0.1)
    plain = fit_cv(from_arrays(X, y), options, FOLDS, RUN)
    scaled = fit_cv(from_arrays(X, y), replace(options, standardize=True), FOLDS, RUN)
    assert scaled.scans == plain.scans
    np.testing.assert_allclose(scaled.coef, plain.coef, rtol=1e-9)
