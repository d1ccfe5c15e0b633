"""Models with offsets against minimisers that know nothing of the package."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize, minimize_scalar

from dasklasso.dataset.dataset import from_arrays
from dasklasso.errors import ModelError, OptionError
from dasklasso.fit import fit_cv, fit_path
from dasklasso.objective.losses.logistic import Logistic
from dasklasso.options import CvOptions, FitOptions, RunOptions
from dasklasso.problem.null_model import null_model
from dasklasso.problem.zero_scan import moments_of_targets
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.runners import InProcess
from dasklasso.scoring.predict import predict_store
from dasklasso.selection.options import SelectOptions
from dasklasso.selection.select import select_features

RUN = RunOptions(in_process=True)
ALPHAS = (0.03, 0.01)


def problem(loss, n=160, d=6, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) + 1.0
    offset = 2.0 * rng.standard_normal(n) + 1.0
    p = X @ np.array([1.0, -0.5, 0, 0, 0.5, 0]) - 1.0 + offset
    y = p + rng.standard_normal(n)
    if loss == "logistic":
        y = (rng.random(n) < 1 / (1 + np.exp(-p))).astype(float)
    return X, y, rng.uniform(0.5, 2, n), offset


def value(loss, p, y):
    return 0.5 * (p - y) ** 2 if loss == "squared" else np.logaddexp(0, p) - y * p


def slope(loss, p, y):
    return p - y if loss == "squared" else 0.5 * (1 + np.tanh(0.5 * p)) - y


def minimum(loss, X, y, s, offset, alpha, *, fit_intercept):
    """w and b by L-BFGS-B, on the positive and the negative part of w."""
    d = X.shape[1]
    s = s / s.sum()

    def objective(z):
        w, b = z[:d] - z[d : 2 * d], z[-1] * fit_intercept
        p = X @ w + b + offset
        g = s * slope(loss, p, y)
        down = X.T @ g
        total = s @ value(loss, p, y) + alpha * z[: 2 * d].sum()
        return total, np.concatenate([down + alpha, alpha - down, [g.sum() * fit_intercept]])

    bounds = [(0, None)] * (2 * d) + [(None, None)]
    options = {"maxiter": 20_000, "maxfun": 100_000, "ftol": 1e-16, "gtol": 1e-11}
    found = minimize(
        objective, np.zeros(2 * d + 1), jac=True, method="L-BFGS-B", bounds=bounds, options=options
    )
    return found.x[:d] - found.x[d : 2 * d], found.x[-1] * fit_intercept, found.fun


def with_offset(data, offset):
    n = len(offset)
    return replace(data, offset=from_arrays(np.eye(n, 1), np.arange(n), offset=offset).offset)


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize(
    ("loss", "solver"), [("squared", "gram"), ("squared", "fista"), ("logistic", "fista")]
)
def test_solutions_are_those_of_an_independent_minimiser(
    loss, solver, fit_intercept, split, make_store
):
    X, y, s, offset = problem(loss)
    plain = make_store(X, y, s, chunk_rows=60, chunk_columns=3 if split else None)
    run = replace(RUN, band_bytes=8 * 3 * 60) if split else RUN
    options = FitOptions(
        loss=loss, alphas=ALPHAS, tol=1e-9, solver=solver, fit_intercept=fit_intercept
    )
    path = fit_path(with_offset(plain, offset), options, run)
    assert path.converged
    assert path.has_offset
    for i, alpha in enumerate(ALPHAS):
        w, b, least = minimum(loss, X, y, s, offset, alpha, fit_intercept=fit_intercept)
        assert np.allclose(path.coef[i], w, atol=3e-4)
        assert path.intercept[i] == pytest.approx(b, abs=3e-4)
        assert path.objective[i] == pytest.approx(least, rel=1e-8)


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_a_grid_begins_where_the_first_feature_comes_in(loss, make_store):
    X, y, s, offset = problem(loss)
    data = with_offset(make_store(X, y, s), offset)
    path = fit_path(data, FitOptions(loss=loss, n_alphas=2, eps=0.9, tol=1e-9), RUN)
    p = offset + path.intercept[0]
    assert np.all(path.coef[0] == 0)
    assert abs(s @ slope(loss, p, y)) <= 1e-9 * s.sum()
    assert path.alphas[0] == pytest.approx(np.max(np.abs(X.T @ (s * slope(loss, p, y)))) / s.sum())
    assert np.any(path.coef[1] != 0)


def test_out_of_scans_gaps_bound_the_distance_from_the_optimum(make_store):
    X, y, s, offset = problem("logistic")
    data = with_offset(make_store(X, y, s), offset)
    null = minimize_scalar(lambda b: s @ value("logistic", b + offset, y)).fun / s.sum()
    for max_scans in (1, 3, 10, 25):
        options = FitOptions(loss="logistic", alphas=ALPHAS, max_scans=max_scans)
        path = fit_path(data, options, RUN)
        for i, alpha in enumerate(ALPHAS):
            least = minimum("logistic", X, y, s, offset, alpha, fit_intercept=True)[2]
            assert path.dual_gaps[i, 0] * null >= path.objective[i] - least - 1e-10


def test_prox_sgd_sees_offsets(make_store):
    X, y, s, offset = problem("logistic")
    data = with_offset(make_store(X, y, s, chunk_rows=60), offset)
    options = FitOptions(loss="logistic", alphas=(0.03,), solver="prox_sgd", tol=1e-2, epochs=40)
    path = fit_path(data, options, RUN)
    least = minimum("logistic", X, y, s, offset, 0.03, fit_intercept=True)[2]
    assert path.objective[0] == pytest.approx(least, rel=0.02)


def test_an_offset_of_all_rows_is_in_the_intercept(make_store):
    X, y, s, _ = problem("logistic")
    plain = make_store(X, y, s)
    options = FitOptions(loss="logistic", alphas=ALPHAS, tol=1e-9)
    one, other = (
        fit_path(data, options, RUN) for data in (plain, with_offset(plain, np.full(len(y), 2.5)))
    )
    assert np.allclose(one.coef, other.coef, atol=1e-4)
    assert np.allclose(one.intercept - 2.5, other.intercept, atol=1e-4)


def test_moments_kept_without_offsets_are_not_taken_for_those_with(make_store):
    X, y, s, offset = problem("squared")
    plain = make_store(X, y, s)
    options = FitOptions(alphas=ALPHAS)
    fit_path(plain, options, RUN)
    path = fit_path(with_offset(plain, offset), options, RUN)
    again = fit_path(with_offset(plain, offset), options, RUN)
    assert (path.scans, again.scans) == (2, 1)
    less = fit_path(make_store(X, y - offset, s), options, RUN)
    assert np.allclose(path.coef, less.coef, atol=1e-9)


def test_folds_and_selections_take_offsets_off(make_store):
    X, y, s, offset = problem("squared")
    data, less = with_offset(make_store(X, y, s), offset), make_store(X, y - offset, s)
    cv = [fit_cv(one, FitOptions(n_alphas=5), CvOptions(3), RUN) for one in (data, less)]
    assert cv[0].alpha_selected == pytest.approx(cv[1].alpha_selected)
    assert np.allclose(cv[0].coef, cv[1].coef, atol=1e-9)
    by = SelectOptions(by="bic")
    found = [select_features(one, FitOptions(n_alphas=5), by, RUN) for one in (data, less)]
    assert found[0].chosen == pytest.approx(found[1].chosen)
    assert found[0].path.has_offset
    assert found[0].path.fingerprint == data.fingerprint


def test_predictions_have_the_offsets_of_their_rows(make_store):
    X, y, s, offset = problem("logistic")
    plain = make_store(X, y, s, chunk_rows=50)
    data = with_offset(plain, offset)
    path = fit_path(data, FitOptions(loss="logistic", alphas=(0.03,), tol=1e-4), RUN)
    expected = X @ path.coef[0] + path.intercept[0] + offset
    rows = np.concatenate([rows for _, _, rows in predict_store(data, path, run=RUN)])
    assert np.allclose(rows[:, 0], expected)
    assert np.allclose(path.predict(X, offset=offset), expected)
    assert np.allclose(path.predict_proba(X, offset=offset), 1 / (1 + np.exp(-expected)))
    with pytest.raises(ModelError, match="has no offset, and the model was fitted with one"):
        next(predict_store(plain, path, run=RUN))
    with pytest.raises(ModelError, match="expected an offset for each row"):
        path.predict(X)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.1, 3.0, 30.0]), st.sampled_from([0.02, 0.5]))
def test_the_null_model_has_no_slope(seed, spread, share):
    rng = np.random.default_rng(seed)
    y = (rng.random(30) < share).astype(float)
    y[:2] = 0, 1
    offset, s = spread * rng.standard_normal(30), rng.uniform(0.1, 2, 30)
    data = from_arrays(np.eye(30, 1), y, s, offset=offset)
    engine = ScanEngine(data, InProcess(1))
    targets = moments_of_targets(engine)
    [b], [least] = null_model(engine, Logistic(), targets, fit_intercept=True)
    best = minimize_scalar(
        lambda b: s @ value("logistic", b + offset, y) / s.sum(),
        bracket=(b - 1, b + 1),
        tol=1e-12,
    )
    assert least == pytest.approx(
        s @ value("logistic", b + offset, y) / s.sum(), rel=1e-12, abs=1e-16
    )
    assert least <= best.fun * (1 + 1e-12) + 1e-16  # of rows that are all but certain


def test_softmax_takes_no_offsets(make_store):
    X, _, s, offset = problem("logistic")
    data = with_offset(make_store(X, np.arange(len(X)) % 3.0, s), offset)
    with pytest.raises(OptionError, match="loss softmax takes none"):
        fit_path(data, FitOptions(loss="softmax", alphas=ALPHAS), RUN)
