"""Selecting features from a data set: what is chosen, what is certified, and what it reads."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import comb
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Lasso, LassoLarsIC

from dasklasso.dataset.dataset import from_arrays
from dasklasso.dataset.row_folds import random_folds
from dasklasso.errors import DataWarning, MemoryLimitError, OptionError
from dasklasso.fit import fit_path
from dasklasso.model.path import load_model
from dasklasso.model.store import DOCUMENT
from dasklasso.options import CvOptions, FitOptions, RunOptions
from dasklasso.selection.options import BY, SelectOptions
from dasklasso.selection.select import select_features
from dasklasso.selection.stability import half_samples

RUN = RunOptions(in_process=True)
CRITERIA = ("aic", "bic", "ebic")
SIGNAL = ["x2", "x7", "x11"]


@pytest.fixture(scope="module")
def table():
    return load_diabetes(return_X_y=True)


@pytest.fixture(scope="module")
def data(table):
    return from_arrays(*table)


@pytest.fixture(scope="module")
def sparse():
    """Three features of thirty matter."""
    rng = np.random.default_rng(4)
    X = rng.normal(size=(600, 30)) + 10
    return X, X[:, [2, 7, 11]] @ np.array([2.0, -1.5, 1.0]) + rng.normal(size=600)


def select(data, by, options=None, run=RUN, **more):
    return select_features(data, options or FitOptions(), SelectOptions(by=by, **more), run)


def least_squares(X, y, support):
    w = np.zeros(X.shape[1])
    w[support] = np.linalg.lstsq(X[:, support] - X[:, support].mean(axis=0), y - y.mean())[0]
    return w


# -- information criteria -------------------------------------------------------------------------


@pytest.mark.parametrize("criterion", ["aic", "bic"])
def test_criteria_choose_the_alpha_of_lasso_lars_ic(table, data, criterion):
    theirs = LassoLarsIC(criterion=criterion).fit(*table)
    # a hair above each knot, where the next feature is not in yet and the support not in doubt
    knots = tuple(theirs.alphas_[:-1] * (1 + 1e-7))
    found = select(data, criterion, FitOptions(alphas=knots), noise_variance="estimated")
    assert found.path.alpha_selected == pytest.approx(theirs.alpha_, rel=1e-6)


@pytest.mark.parametrize("case", ["plain", "weights and factors", "elastic net", "no intercept"])
def test_on_wide_data_criteria_of_the_columns_in_use_are_those_of_all_moments(case, make_store):
    rng = np.random.default_rng(2)
    X = rng.normal(size=(60, 200)) + 3.0
    y = X[:, :3] @ [2.0, -1.5, 1.0] + rng.normal(size=60)
    weight = rng.uniform(0.5, 2.0, 60) if case == "weights and factors" else None
    options = FitOptions(n_alphas=12, eps=0.1, tol=1e-8)
    if case == "weights and factors":
        options = replace(options, penalty_factor=np.where(np.arange(200) == 1, 0.0, 1.5))
    elif case == "elastic net":
        options = replace(options, l1_ratio=0.7, standardize=True)
    elif case == "no intercept":  # what has one value may come in then, but for 0
        options = replace(options, fit_intercept=False)
        X[:, 10], X[:, 20] = 3.0, 0.0
    data = make_store(X, y, weight, chunk_columns=50)
    run = replace(RUN, keep_statistics=False)
    all_moments = select(data, "ebic", replace(options, solver="gram"), run)
    found = select(data, "ebic", replace(options, solver="working_set"), run)
    assert found.path.solver == "working_set"
    assert found.path.alpha_selected == pytest.approx(all_moments.path.alpha_selected, rel=1e-12)
    assert found.path.converged
    for one, other in zip(found.table, all_moments.table, strict=True):
        for name in ("n_nonzero", "mse", *CRITERIA):
            assert one[name] == pytest.approx(other[name], rel=1e-5), name


@pytest.mark.parametrize("solver", ["gram", "working_set"])
def test_covariates_have_no_penalty_and_are_said_to_explain_all(solver, columns_beside):
    X, age = np.random.default_rng(0).normal(size=(30, 45)), np.arange(30.0)
    data = columns_beside(from_arrays(X, 2.0 * age), age[:, None])
    options = FitOptions(n_alphas=2, solver=solver)
    with pytest.warns(DataWarning, match="explain y exactly"):
        found = select(data, "bic", options, noise_variance=1.0)
    assert found.path.coef[0, -1] != 0


def test_on_wide_data_a_criterion_needs_no_moments_of_all_columns():
    X = np.random.default_rng(0).normal(size=(40, 3000))
    data = from_arrays(X, X[:, 7] + 0.1 * X[:, 8])
    found = select(data, "bic", FitOptions(n_alphas=5, eps=0.3), replace(RUN, memory=700 << 20))
    assert found.path.solver == "working_set"
    assert "x7" in [row["feature"] for row in found.features]


def test_criteria_in_the_table_are_their_formulas_on_the_rows(table, data):
    X, y = table
    found = select(data, "ebic", FitOptions(n_alphas=8))
    n = len(y)
    for i, row in enumerate(found.table):
        k = int(found.path.n_nonzero[i])
        mse = np.mean((y - found.path.predict(X, found.path.alphas[i])) ** 2)
        deviance = n * np.log(2 * np.pi * mse) + n
        values = [
            deviance + 2 * k,
            deviance + np.log(n) * k,
            deviance + np.log(n) * k + 2 * np.log(comb(10, k)),
        ]
        assert [row[name] for name in CRITERIA] == pytest.approx(values)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_alpha_chosen_has_the_smallest_criterion(data, criterion):
    found = select(data, criterion)
    best = min(found.table, key=lambda row: row[criterion])
    assert found.chosen["alpha"] == found.path.alpha_selected == best["alpha"]
    assert found.chosen[criterion] == best[criterion]


# -- certificates and reads -----------------------------------------------------------------------


@pytest.mark.parametrize("by", CRITERIA)
def test_a_path_that_a_criterion_judges_is_certified(table, data, by, assert_certified):
    options = FitOptions(n_alphas=12, tol=1e-9)
    assert_certified(select(data, by, options).path, *table, options)


@pytest.mark.parametrize("by", BY)
def test_moments_are_read_once_and_kept(by, make_store, sparse):
    data = make_store(*sparse)
    certificate = 0 if by == "stability" else 1
    assert [select(data, by).scans for _ in range(2)] == [1 + certificate, certificate]


@pytest.mark.parametrize("by", BY)
def test_bytes_read_are_those_of_the_scans(by, sparse):
    found = select(from_arrays(*sparse), by)
    assert found.bytes_read == found.scans * sparse[0].nbytes


@pytest.mark.parametrize("by", BY)
def test_a_summary_is_plain_json(by, data):
    found = select(data, by)
    summary = json.loads(json.dumps(found.summary(), allow_nan=False))
    assert summary["by"] == by
    assert len(summary["features"]) == summary["n_selected"] == len(found.features)


@pytest.mark.parametrize("by", [by for by in BY if by != "stability"])
def test_features_are_those_of_the_selected_model_largest_first(by, table, data):
    found = select(data, by)
    coef = found.path.coefficients_at()[0].toarray()[0]
    sizes = [abs(row["coef"]) for row in found.features]
    assert sizes == sorted(np.abs(coef[coef != 0]), reverse=True)
    assert {row["feature"] for row in found.features} == {
        found.path.feature_names[j] for j in np.flatnonzero(coef)
    }


# -- relaxed lasso --------------------------------------------------------------------------------


def test_relaxed_by_gamma_zero_is_least_squares_on_the_supports(table, data):
    X, y = table
    found = select(data, "relaxed", FitOptions(n_alphas=9), gammas=(0.0,))
    for w, b in zip(found.path.coef, found.path.intercept, strict=True):
        expected = least_squares(X, y, np.flatnonzero(w))
        np.testing.assert_allclose(w, expected, rtol=1e-7, atol=1e-7)
        assert b == pytest.approx(np.mean(y - X @ expected))


def test_relaxed_keeps_the_certificates_of_its_lasso(data):
    options = FitOptions(n_alphas=9, tol=1e-10)
    found = select(data, "relaxed", options, gammas=(0.0,)).path
    lasso = fit_path(data, replace(options, solver="gram"), RUN)
    np.testing.assert_allclose(found.objectives, lasso.objectives, rtol=1e-12)
    assert found.converged
    assert found.refit == {"kind": "relaxed", "gamma": 0.0}


def test_relaxed_by_gamma_one_is_the_lasso(data, table, assert_certified):
    options = FitOptions(n_alphas=9)
    assert_certified(select(data, "relaxed", options, gammas=(1.0,)).path, *table, options)


def test_relaxed_chooses_the_gamma_and_alpha_with_the_smallest_error(data):
    found = select(data, "relaxed", FitOptions(n_alphas=9), gammas=(0.0, 0.5, 1.0))
    best = min(found.table, key=lambda row: row["mean_mse"])
    assert (found.chosen["gamma"], found.chosen["alpha"]) == (best["gamma"], best["alpha"])
    assert found.path.alpha_selected == best["alpha"]


# -- adaptive lasso -------------------------------------------------------------------------------


def test_adaptive_is_the_lasso_with_its_penalty_factors(table, data, assert_certified):
    options = FitOptions(n_alphas=9, tol=1e-9)
    path = select(data, "adaptive", options).path
    factor = np.array(path.refit["penalty_factor"])
    np.testing.assert_allclose(factor, 1 / np.abs(least_squares(*table, np.arange(10))), rtol=1e-8)
    ordinary = replace(options, penalty_factor=factor, alphas=tuple(path.alphas), solver="gram")
    np.testing.assert_allclose(path.coef, fit_path(data, ordinary, RUN).coef, atol=1e-6)
    assert_certified(path, *table, ordinary)


def test_adaptive_factors_of_a_fold_come_from_its_own_training_rows(table, data):
    X, y = table
    alphas = (300.0, 30.0)
    found = select(data, "adaptive", FitOptions(alphas=alphas), cv=CvOptions(folds=3, seed=5))
    labels = random_folds(3, 5, 0, len(y))
    for k in range(3):
        train = labels != k
        scale = np.abs(least_squares(X[train], y[train], np.arange(10)))
        for i, alpha in enumerate(alphas):
            model = Lasso(alpha, tol=1e-12, max_iter=10**6).fit(X[train] * scale, y[train])
            mse = np.mean((y - model.predict(X * scale))[~train] ** 2)
            assert found.path.cross_validation.best.error_path[i, k] == pytest.approx(mse, rel=1e-6)


def test_adaptive_leaves_out_what_the_first_estimate_has_at_zero(sparse, assert_certified):
    X, y = sparse
    options = FitOptions(n_alphas=6, tol=1e-9)
    path = select(from_arrays(X, y), "adaptive", options, initial="lasso", initial_alpha=0.3).path
    factor = path.refit["penalty_factor"]
    kept = np.array([f is not None for f in factor])
    assert 0 < np.count_nonzero(kept) < 30
    assert not path.coef[:, ~kept].any()
    among = replace(
        path,
        coef_rows=path.coef_rows[:, kept],
        feature_names=np.array(path.feature_names)[kept],
        feature_scales=None,
    )
    factors = np.array([f for f in factor if f is not None])
    assert_certified(among, X[:, kept], y, replace(options, penalty_factor=factors))


def test_least_squares_first_needs_more_training_rows_than_features(regression):
    data = from_arrays(*regression(40, 35))
    with pytest.raises(OptionError, match="initial: least_squares needs more rows than the 35"):
        select(data, "adaptive")


# -- stability ------------------------------------------------------------------------------------


def test_stability_finds_the_true_features_within_its_bound(sparse):
    found = select(from_arrays(*sparse), "stability", expected_false=0.5)
    assert sorted(row["feature"] for row in found.features) == sorted(SIGNAL)
    assert 0 < found.chosen["expected_false"] <= 0.5
    assert found.path is None


def test_a_table_of_stability_says_which_features_are_selected(sparse):
    found = select(from_arrays(*sparse), "stability")
    assert [row["feature"] for row in found.table] == [f"x{j}" for j in range(30)]
    selected = {row["feature"] for row in found.table if row["selected"]}
    assert selected == {row["feature"] for row in found.features}
    assert all(row["selected"] == (row["max_probability"] >= 0.75) for row in found.table)


def test_ending_the_grid_early_changes_no_probability(sparse):
    data = from_arrays(*sparse)
    options = FitOptions(n_alphas=30)
    ended = select(data, "stability", options, expected_false=0.5)
    whole = select(data, "stability", options, expected_false=None)
    assert whole.chosen["n_alphas"] == 30
    last = ended.chosen["n_alphas"]
    assert last < 30
    again = select(
        data,
        "stability",
        FitOptions(alphas=tuple(np.geomspace(1, 1e-3, 30)[:last] * _alpha_max(*sparse))),
        expected_false=None,
    )
    assert [row["max_probability"] for row in ended.table] == [
        row["max_probability"] for row in again.table
    ]


def _alpha_max(X, y):
    return np.abs((X - X.mean(axis=0)).T @ (y - y.mean())).max() / len(y)


@pytest.mark.parametrize("codec", ["none", "zstd"])
def test_halves_are_made_of_many_parts_however_rows_are_chunked(codec, make_store, sparse):
    data = make_store(*sparse, codec=codec, chunk_rows=600)
    first, second = select(data, "stability"), select(data, "stability")
    assert first.chosen["n_parts"] == 32
    assert (first.scans, second.scans) == (1, 0)
    assert first.table == second.table


def test_a_seed_draws_the_halves(sparse):
    data = from_arrays(*sparse)
    one, two, other = (
        select(data, "stability", cv=CvOptions(seed=seed)).table for seed in (1, 1, 2)
    )
    assert one == two != other


def test_too_few_rows_for_so_many_halves_are_refused(regression):
    with pytest.raises(OptionError, match="n_blocks: 4 blocks with rows found"):
        select(from_arrays(*regression(9, 3)), "stability")


def test_parts_that_do_not_fit_the_memory_are_refused_before_any_read():
    rng = np.random.default_rng(0)
    data = from_arrays(rng.normal(size=(4000, 4000)), rng.normal(size=4000))
    with pytest.raises(MemoryLimitError, match=r"stability selection needs .* for 4,000 features"):
        select(data, "stability", run=replace(RUN, memory=2 << 30))


@pytest.fixture(scope="module")
def wide():
    rng = np.random.default_rng(6)
    X = rng.normal(size=(50, 90))
    return X, X[:, [2, 7, 11]] @ np.array([3.0, -2.5, 2.0]) + 0.5 * rng.normal(size=50)


@pytest.mark.parametrize("weighted", [False, True])
def test_on_wide_data_probabilities_are_shares_of_paths_on_half_of_the_rows(wide, weighted):
    X, y = wide
    weight = np.repeat([1.0, 0.0], [46, 4]) if weighted else np.ones(50)
    alphas = (0.9, 0.4, 0.2)
    found = select(
        from_arrays(X, y, weight),
        "stability",
        FitOptions(alphas=alphas, tol=1e-9),
        expected_false=None,
        half_samples=6,
    )
    rows = np.flatnonzero(weight)
    times = np.zeros((3, 90))
    for half in half_samples(len(rows), 3, 0):
        some = rows[half]
        times += [Lasso(alpha=a, tol=1e-12).fit(X[some], y[some]).coef_ != 0 for a in alphas]
    assert [row["max_probability"] for row in found.table] == (times.max(axis=0) / 6).tolist()
    assert (found.solver, found.scans) == ("working_set", 1)


def test_on_wide_data_the_grid_ends_where_halves_would_select_too_many(wide):
    data = from_arrays(*wide)
    found = select(data, "stability", FitOptions(n_alphas=20), expected_false=2.0, half_samples=20)
    assert sorted(row["feature"] for row in found.features) == sorted(SIGNAL)
    assert 0 < found.chosen["expected_false"] <= 2.0
    assert found.chosen["n_alphas"] < 20


def test_wide_rows_that_do_not_fit_the_memory_are_refused(wide):
    with pytest.raises(MemoryLimitError, match="for 90 features of 50 rows in memory"):
        select(from_arrays(*wide), "stability", run=replace(RUN, memory=1 << 20))


# -- what is refused, and what is kept ------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "cp"}, "by: 'cp' is none of aic, bic"),
        ({"by": "relaxed", "gammas": (0.5, 1.5)}, "gammas: 1.5 found"),
        ({"by": "relaxed", "gammas": ()}, "gammas: none found"),
        ({"by": "relaxed", "cv": CvOptions(l1_ratios=(0.5, 1.0))}, "l1_ratios: found"),
        ({"by": "adaptive", "initial": "zero"}, "initial: 'zero' is none of"),
        ({"by": "adaptive", "initial": "ridge"}, "initial_alpha: None found"),
        ({"by": "adaptive", "initial_alpha": 1.0}, "initial_alpha: found, but least_squares"),
        ({"by": "adaptive", "power": 0.0}, "power: 0.0 found"),
        ({"by": "bic", "noise_variance": -1.0}, "noise_variance: -1.0 found"),
        ({"by": "bic", "noise_variance": "known"}, "noise_variance: 'known' found"),
        ({"by": "ebic", "ebic_gamma": 2.0}, "ebic_gamma: 2.0 found"),
        ({"by": "stability", "threshold": 0.4}, "threshold: 0.4 found"),
        ({"by": "stability", "bound": "normal"}, "bound: 'normal' found"),
        ({"by": "stability", "expected_false": 0.0}, "expected_false: 0.0 found"),
        ({"by": "stability", "half_samples": 33}, "half_samples: 33 found"),
    ],
    ids=str,
)
def test_options_that_cannot_be_used_are_named_when_they_are_made(options, message):
    with pytest.raises(OptionError, match=message):
        SelectOptions(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"solver": "fista"}, "solver: fista cannot select"),
        ({"solver": "gram", "stop_saturated": True}, "stop_saturated: a selection"),
    ],
    ids=str,
)
def test_fits_that_cannot_be_are_refused(options, message, data):
    with pytest.raises(OptionError, match=message):
        select(data, "bic", FitOptions(**options))


def test_several_targets_are_refused(regression):
    X, y = regression(60, 4)
    with pytest.raises(OptionError, match="2 targets found, expected one"):
        select(from_arrays(X, np.column_stack([y, -y])), "bic")


@pytest.mark.parametrize("by", ["relaxed", "adaptive"])
def test_a_saved_model_knows_how_it_was_refitted(by, data, tmp_path):
    path = select(data, by, FitOptions(n_alphas=5)).path
    path.save(tmp_path / "m")
    assert load_model(tmp_path / "m").refit == path.refit
    assert path.refit["kind"] == by


def test_a_model_from_before_refits_can_be_loaded(data, tmp_path):
    select(data, "bic", FitOptions(n_alphas=5)).path.save(tmp_path / "m")
    document = json.loads((tmp_path / "m" / DOCUMENT).read_text())
    del document["refit"], document["seal"], document["files"]
    (tmp_path / "m" / DOCUMENT).write_text(json.dumps({**document, "version": 1}))
    assert load_model(tmp_path / "m").refit is None
