"""Logistic solutions against scikit-learn's, and against optimality conditions by the formulas."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression

from dasklasso.errors import OptionError, ValueFound
from dasklasso.fit import fit_path
from dasklasso.options import FitOptions, RunOptions
from dasklasso.scoring.predict import predict_store
from dasklasso.selection.options import SelectOptions
from dasklasso.selection.select import select_features

RUN = RunOptions(in_process=True)
OPTIONS = FitOptions(loss="logistic", solver="fista", n_alphas=3, eps=0.1, tol=1e-10)
SHORT = replace(OPTIONS, tol=1e-6)


@pytest.fixture(params=["fista", "newton"])
def base(request):
    """The options, by each solver."""
    return replace(OPTIONS, solver=request.param)


def breast_cancer():
    X, y = load_breast_cancer(return_X_y=True)
    return (X - X.mean(axis=0)) / X.std(axis=0), y.astype(float)


def labelled(n=120, d=8, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) + 0.5 * rng.standard_normal((n, 1)) + 2.0
    w = np.where(np.arange(d) % 3 == 0, 1.5, 0.0)
    return X, (rng.random(n) < sigmoid(X @ w - 5.0)).astype(float)


def sigmoid(p):
    return 0.5 * (1.0 + np.tanh(0.5 * p))


def objective(X, y, w, b, alpha, options, weight=None):
    s = np.ones(len(y)) if weight is None else weight
    p, pi = X @ w + b, s / s.sum()
    mean = pi @ X
    unit = np.sqrt(pi @ (X - mean) ** 2) if options.standardize else 1.0
    f = 1.0 if options.penalty_factor is None else options.penalty_factor
    ridge = (1 - options.l1_ratio) / 2 * (unit * w) ** 2
    loss = pi @ (np.logaddexp(0, p) - y * p)
    return loss + alpha * np.sum(f * (options.l1_ratio * np.abs(unit * w) + ridge))


def theirs(X, y, alpha, weight=None, l1_ratio=1.0, fit_intercept=True):
    s = np.ones(len(y)) if weight is None else weight
    if fit_intercept or l1_ratio < 1:
        solver = {"solver": "saga", "tol": 1e-10, "max_iter": 50_000}
    else:
        solver = {"solver": "liblinear", "tol": 1e-12, "max_iter": 50_000}
    mixed = {"penalty": "l1"} if l1_ratio == 1 else {"penalty": "elasticnet", "l1_ratio": l1_ratio}
    model = LogisticRegression(
        C=1 / (alpha * s.sum()), fit_intercept=fit_intercept, random_state=0, **mixed, **solver
    )
    with warnings.catch_warnings():
        # later versions of scikit-learn would have the penalty named by l1_ratio alone
        warnings.simplefilter("ignore", FutureWarning)
        warnings.filterwarnings("ignore", "Inconsistent values", UserWarning)
        return model.fit(X, y, weight)


def assert_same(path, X, y, options, weight=None):
    for i, alpha in enumerate(path.alphas):
        model = theirs(X, y, alpha, weight, options.l1_ratio, options.fit_intercept)
        w, b = model.coef_[0], float(np.ravel(model.intercept_)[0])
        ours = objective(X, y, path.coef[i], path.intercept[i], alpha, options, weight)
        assert ours == pytest.approx(objective(X, y, w, b, alpha, options, weight), rel=1e-8)
        assert path.objective[i] == pytest.approx(ours, rel=1e-12)
        found = path.predict_proba(X, alpha)
        assert np.max(np.abs(found - model.predict_proba(X)[:, 1])) <= 1e-5
    assert np.all((path.dual_gaps >= 0) & (path.dual_gaps <= options.tol))


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_breast_cancer_agrees_with_scikit_learn(base, fit_intercept, make_store):
    X, y = breast_cancer()
    options = replace(base, fit_intercept=fit_intercept, n_alphas=2, eps=0.2)
    path = fit_path(make_store(X, y, chunk_rows=200), options, RUN)
    assert (path.solver, path.loss) == (base.solver, "logistic")
    assert_same(path, X, y, options)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.4])
def test_sample_weights_and_the_elastic_net_agree_with_scikit_learn(base, l1_ratio, make_store):
    X, y = labelled()
    weight = np.random.default_rng(1).uniform(0.0, 3.0, len(X))
    weight[:10] = 0.0
    options = replace(base, l1_ratio=l1_ratio)
    path = fit_path(make_store(X, y, weight, chunk_rows=50), options, RUN)
    assert_same(path, X, y, options, weight)


def conditions(X, y, w, b, alpha, options, weight=None):
    """By how much the optimality conditions are missed, in units of each column's spread."""
    s = np.ones(len(y)) if weight is None else weight
    pi = s / s.sum()
    slope = pi * (sigmoid(X @ w + b) - y)
    std = np.sqrt(pi @ (X - pi @ X) ** 2)
    unit = std if options.standardize else np.ones_like(std)
    f = 1.0 if options.penalty_factor is None else options.penalty_factor
    v = -(X.T @ slope) - alpha * (1 - options.l1_ratio) * f * unit**2 * w
    l1 = alpha * options.l1_ratio * f * unit
    at_zero = np.maximum((v if options.positive else np.abs(v)) - l1, 0)
    missed = np.where(w != 0, np.abs(v - np.sign(w) * l1), at_zero) / std
    return max(missed.max(), abs(slope.sum()) if options.fit_intercept else 0.0)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"positive": True},
        {"standardize": True},
        {"penalty_factor": np.linspace(0.3, 3.0, 8)},
        {"l1_ratio": 0.5, "positive": True},
        {"l1_ratio": 0.0, "alphas": (0.1,)},
        {"fit_intercept": False, "standardize": True},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    ("solver", "split"), [("newton", False), ("fista", False), ("fista", True)]
)
def test_solutions_satisfy_the_optimality_conditions(more, solver, split, make_store):
    X, y = labelled()
    X = X * np.array([1.0, 30.0, 0.1, 1, 1, 5, 1, 1])
    weight = np.random.default_rng(2).uniform(0.5, 2.0, len(X))
    data = make_store(X, y, weight, chunk_rows=60, chunk_columns=4 if split else None)
    run = replace(RUN, band_bytes=8 * 4 * 60) if split else RUN
    options = replace(OPTIONS, solver=solver, **({"n_alphas": 2, "eps": 0.3} | more))
    path = fit_path(data, options, run)
    assert path.dual_gaps.max() <= options.tol
    for w, b, alpha in zip(path.coef, path.intercept, path.alphas, strict=True):
        assert conditions(X, y, w, b, alpha, options, weight) <= 2e-5
        assert not options.positive or w.min() >= 0


def test_probabilities_as_targets_are_labels_with_weights(base, make_store):
    X, _ = labelled()
    y = np.random.default_rng(3).uniform(0, 1, len(X))
    options = replace(base, alphas=(0.01,))
    soft = fit_path(make_store(X, y), options, RUN)
    twice, labels = np.tile(X, (2, 1)), np.repeat([1.0, 0.0], len(X))
    hard = fit_path(make_store(twice, labels, np.concatenate([y, 1 - y])), options, RUN)
    assert np.allclose(soft.coef, hard.coef, atol=1e-4)
    assert np.allclose(soft.intercept, hard.intercept, atol=1e-4)


def test_at_the_first_alpha_of_a_grid_there_is_only_the_intercept(base, make_store):
    X, y = labelled()
    path = fit_path(make_store(X, y), replace(base, n_alphas=2, eps=0.9), RUN)
    assert np.all(path.coef[0] == 0)
    assert path.intercept[0] == pytest.approx(np.log(y.mean() / (1 - y.mean())), rel=1e-12)
    assert np.any(path.coef[1] != 0)


def test_several_targets_are_several_problems(base, make_store):
    X, y = labelled()
    Y = np.column_stack([y, 1 - y, np.roll(y, 7)])
    options = replace(base, alphas=(0.05, 0.02))
    path = fit_path(make_store(X, Y, chunk_rows=50), options, RUN)
    for k in range(3):
        alone = fit_path(make_store(X, Y[:, k]), options, RUN)
        assert np.allclose(path.coef[:, :, k], alone.coef, atol=1e-4)
        assert np.allclose(path.intercept[:, k], alone.intercept, atol=1e-4)


@pytest.mark.parametrize("mean", [0.0, 1e5])
def test_a_float32_store_is_certified_in_float64(base, mean, make_store):
    X, y = labelled()
    X = (X + mean).astype(np.float32)
    options = replace(base, tol=1e-6)
    path = fit_path(make_store(X, y, dtype=np.float32, chunk_rows=40), options, RUN)
    wide = X.astype(float)
    assert path.dual_gaps.max() <= 1e-6
    for i, alpha in enumerate(path.alphas):
        found = objective(wide, y, path.coef[i], path.intercept[i], alpha, options)
        assert path.objective[i] == pytest.approx(found, rel=1e-9)


@pytest.mark.parametrize("max_scans", [1, 2, 7, 30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_out_of_scans_every_gap_bounds_the_distance_from_the_optimum(
    base, max_scans, dtype, make_store
):
    X, y = labelled()
    X = X.astype(dtype)
    data = make_store(X, y, dtype=dtype)
    best = fit_path(data, base, RUN)
    path = fit_path(data, replace(base, max_scans=max_scans), RUN)
    wide, null = X.astype(float), -np.mean(y * np.log(y.mean()) + (1 - y) * np.log(1 - y.mean()))
    for i, alpha in enumerate(path.alphas):
        found = objective(wide, y, path.coef[i], path.intercept[i], alpha, base)
        assert path.objective[i] == pytest.approx(found, rel=1e-9)
        assert path.dual_gaps[i, 0] * null >= found - best.objective[i] - 1e-12


@pytest.fixture(scope="module", params=[False, True], ids=["one part", "split"])
def stored(request, make_store):
    """Data, and a run that has rows whole, or not."""
    data = make_store(*labelled(), chunk_rows=60, chunk_columns=4 if request.param else None)
    return data, replace(RUN, band_bytes=8 * 4 * 60 if request.param else 64 << 20)


@pytest.mark.parametrize("scan", [3, 30])
def test_a_resumed_fit_gives_the_bits_of_an_uninterrupted_one(
    scan, stored, whole, tmp_path, interrupt, going_on, assert_same_bits
):
    data, run = stored
    run = replace(run, checkpoint=str(tmp_path / "state"))
    assert whole.scans > scan
    interrupt(data, SHORT, run, scan)
    assert_same_bits(fit_path(data, SHORT, going_on(run)), whole)


@pytest.fixture(scope="module")
def whole(stored):
    data, run = stored
    return fit_path(data, SHORT, run)


@pytest.mark.parametrize(
    ("solver", "split"), [("newton", False), ("fista", False), ("fista", True)]
)
@pytest.mark.parametrize("more", [{}, {"fit_intercept": False}, {"l1_ratio": 0.5}], ids=str)
def test_a_device_gives_the_same(more, solver, split, make_store):
    X, y = labelled()
    data = make_store(X, y, chunk_rows=60, chunk_columns=4 if split else None)
    run = replace(RUN, band_bytes=8 * 4 * 60) if split else RUN
    options = replace(OPTIONS, solver=solver, tol=1e-6 if solver == "newton" else 1e-3, **more)
    host, device = (fit_path(data, options, replace(run, device=d)) for d in ("cpu", "strict"))
    assert device.scans == host.scans
    assert np.allclose(device.coef, host.coef, rtol=1e-9, atol=1e-12)
    assert np.allclose(device.intercept, host.intercept, rtol=1e-9, atol=1e-12)


def test_probabilities_of_a_store_are_those_of_its_rows(make_store):
    X, y = labelled()
    data = make_store(X, y, chunk_rows=50)
    path = fit_path(data, replace(OPTIONS, alphas=(0.05,), tol=1e-4), RUN)
    found = np.concatenate([rows for _, _, rows in predict_store(data, path, proba=True, run=RUN)])
    assert np.allclose(found[:, 0], sigmoid(X @ path.coef[0] + path.intercept[0]), rtol=1e-12)
    assert np.allclose(found[:, 0], path.predict_proba(X), rtol=1e-12)


# -- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize("value", [-1.0, 2.0, 1.0000001])
def test_a_target_that_is_no_probability_is_named(value, make_store):
    X, y = labelled()
    y[:3], y[77] = (0.5, 0.25, 1.0), value
    with pytest.raises(ValueFound, match=f"target y0 is {value:g} at row 77; .* from 0 to 1"):
        fit_path(make_store(X, y, chunk_rows=50), OPTIONS, RUN)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_one_class_among_rows_that_count_is_refused(label, make_store):
    X, y = labelled()
    y[:] = label
    y[5] = 1 - label
    weight = np.ones(len(X))
    weight[5] = 0.0
    with pytest.raises(ValueFound, match=f"is of one class, {label:g}, in every row of positive"):
        fit_path(make_store(X, y, weight), OPTIONS, RUN)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"penalty_factor": np.array([1.0, 0, 1, 1, 1, 1, 1, 1])}, "0 found for feature 1"),
        ({"solver": "gram"}, "loss: logistic found, but gram needs squared"),
        ({"stop_saturated": True, "solver": "auto"}, "stop_saturated: needs loss='squared'"),
    ],
)
def test_what_logistic_cannot_do_is_refused(more, message, make_store):
    with pytest.raises(OptionError, match=message):
        fit_path(make_store(*labelled()), replace(OPTIONS, **more), RUN)


@pytest.mark.parametrize("by", ["bic", "relaxed", "adaptive", "stability"])
def test_selections_are_refused(by, make_store):
    with pytest.raises(OptionError, match="loss: logistic cannot select features"):
        select_features(make_store(*labelled()), OPTIONS, SelectOptions(by=by), RUN)
