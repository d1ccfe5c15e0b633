"""Softmax solutions against scikit-learn's, and against optimality conditions by the formulas."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import logsumexp, softmax
from sklearn.datasets import load_digits, load_iris
from sklearn.linear_model import LogisticRegression

from dasklasso.errors import OptionError, ValueFound
from dasklasso.fit import fit_path
from dasklasso.model.path import load_model
from dasklasso.options import FitOptions, RunOptions
from dasklasso.scoring.predict import predict_store

RUN = RunOptions(in_process=True)
OPTIONS = FitOptions(loss="softmax", solver="fista", n_alphas=3, eps=0.1, tol=1e-10)
SOLVERS = pytest.mark.parametrize("solver", ["fista", "newton"])


def labelled(n=120, d=6, n_classes=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) + 0.5 * rng.standard_normal((n, 1)) + 2.0
    W = np.where(rng.random((d, n_classes)) < 0.4, 1.5, 0.0)
    p = (X - 2.0) @ W + rng.gumbel(size=(n, n_classes))
    return X, p.argmax(axis=1).astype(float)


def objective(X, y, W, b, alpha, options, weight=None):
    s = np.ones(len(y)) if weight is None else weight
    p, pi = X @ W + b, s / s.sum()
    mean = pi @ X
    unit = np.sqrt(pi @ (X - mean) ** 2) if options.standardize else np.ones(X.shape[1])
    f = 1.0 if options.penalty_factor is None else options.penalty_factor
    u = unit[:, None] * W
    size = np.linalg.norm(u, axis=1) if options.grouped else np.abs(u).sum(axis=1)
    ridge = (1 - options.l1_ratio) / 2 * (u**2).sum(axis=1)
    loss = pi @ (logsumexp(p, axis=1) - p[np.arange(len(y)), y.astype(int)])
    return loss + alpha * np.sum(f * (options.l1_ratio * size + ridge))


def theirs(X, y, alpha, weight=None, l1_ratio=1.0, fit_intercept=True):
    s = np.ones(len(y)) if weight is None else weight
    mixed = {"penalty": "l1"} if l1_ratio == 1 else {"penalty": "elasticnet", "l1_ratio": l1_ratio}
    model = LogisticRegression(
        C=1 / (alpha * s.sum()),
        fit_intercept=fit_intercept,
        random_state=0,
        solver="saga",
        tol=1e-11,
        max_iter=50_000,
        **mixed,
    )
    with warnings.catch_warnings():
        # later versions of scikit-learn would have the penalty named by l1_ratio alone
        warnings.simplefilter("ignore", FutureWarning)
        warnings.filterwarnings("ignore", "Inconsistent values", UserWarning)
        return model.fit(X, y, weight)


def assert_same(path, X, y, options, weight=None):
    for i, alpha in enumerate(path.alphas):
        model = theirs(X, y, alpha, weight, options.l1_ratio, options.fit_intercept)
        ours = objective(X, y, path.coef[i], path.intercept[i], alpha, options, weight)
        best = objective(X, y, model.coef_.T, model.intercept_, alpha, options, weight)
        assert ours == pytest.approx(best, rel=1e-8)
        assert path.objective[i] == pytest.approx(ours, rel=1e-12)
        found = path.predict_proba(X, alpha)
        assert np.max(np.abs(found - model.predict_proba(X))) <= 1e-5
        clear = np.ptp(np.sort(found, axis=1)[:, -2:], axis=1) > 1e-4
        assert np.array_equal(path.predict(X, alpha)[clear], model.predict(X)[clear])
    assert np.all((path.dual_gaps >= 0) & (path.dual_gaps <= options.tol))


@SOLVERS
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_iris_agrees_with_scikit_learn(fit_intercept, solver, make_store):
    X, y = load_iris(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    options = replace(OPTIONS, fit_intercept=fit_intercept, solver=solver)
    path = fit_path(make_store(X, y.astype(float), chunk_rows=40), options, RUN)
    assert (path.solver, path.coef.shape, path.dual_gaps.shape) == (solver, (3, 4, 3), (3, 1))
    assert_same(path, X, y, options)


@SOLVERS
def test_digits_agree_with_scikit_learn(solver, make_store):
    X, y = load_digits(return_X_y=True)
    X, y = X[:400] / 16.0, y[:400].astype(float)
    options = replace(OPTIONS, alphas=(0.02,), solver=solver)
    assert_same(fit_path(make_store(X, y, chunk_rows=150), options, RUN), X, y, options)


@SOLVERS
@pytest.mark.parametrize("l1_ratio", [1.0, 0.4])
def test_sample_weights_and_the_elastic_net_agree_with_scikit_learn(l1_ratio, solver, make_store):
    X, y = labelled()
    weight = np.random.default_rng(1).uniform(0.0, 3.0, len(X))
    weight[:10] = 0.0
    options = replace(OPTIONS, l1_ratio=l1_ratio, solver=solver)
    path = fit_path(make_store(X, y, weight, chunk_rows=50), options, RUN)
    assert_same(path, X, y, options, weight)


def conditions(X, y, W, b, alpha, options, weight=None):
    """By how much the optimality conditions are missed, in units of each column's spread."""
    s = np.ones(len(y)) if weight is None else weight
    pi = s / s.sum()
    n_classes = len(b)
    slope = pi[:, None] * (softmax(X @ W + b, axis=1) - np.eye(n_classes)[y.astype(int)])
    std = np.sqrt(pi @ (X - pi @ X) ** 2)
    unit = (std if options.standardize else np.ones_like(std))[:, None]
    f = 1.0 if options.penalty_factor is None else options.penalty_factor[:, None]
    v = -(X.T @ slope) - alpha * (1 - options.l1_ratio) * f * unit**2 * W
    l1 = alpha * options.l1_ratio * f * unit * np.ones_like(W)
    if options.grouped:
        size = np.linalg.norm(W, axis=1, keepdims=True)
        pull = l1 * W / np.where(size > 0, size, 1.0)
        over = np.maximum(np.linalg.norm(v, axis=1, keepdims=True) - l1, 0)
        missed = np.where(size > 0, np.abs(v - pull), over)
    else:
        over = np.maximum((v if options.positive else np.abs(v)) - l1, 0)
        missed = np.where(W != 0, np.abs(v - np.sign(W) * l1), over)
    of_intercepts = np.abs(slope.sum(axis=0)).max() if options.fit_intercept else 0.0
    return max((missed / std[:, None]).max(), of_intercepts)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"solver": "newton"},
        {"solver": "newton", "positive": True},
        {"solver": "newton", "l1_ratio": 0.0, "alphas": (0.1,)},
        {"solver": "newton", "standardize": True, "penalty_factor": np.linspace(0.3, 3.0, 6)},
        {"positive": True},
        {"standardize": True, "penalty_factor": np.linspace(0.3, 3.0, 6)},
        {"l1_ratio": 0.0, "alphas": (0.1,)},
        {"grouped": True},
        {"grouped": True, "l1_ratio": 0.5, "standardize": True},
        {"grouped": True, "fit_intercept": False, "penalty_factor": np.linspace(0.3, 3.0, 6)},
    ],
    ids=str,
)
@pytest.mark.parametrize("split", [False, True])
def test_solutions_satisfy_the_optimality_conditions(more, split, make_store):
    X, y = labelled()
    X = X * np.array([1.0, 30.0, 0.1, 1, 5, 1])
    if split and more.get("solver") == "newton":
        pytest.skip("newton needs bands that hold all columns")
    weight = np.random.default_rng(2).uniform(0.5, 2.0, len(X))
    data = make_store(X, y, weight, chunk_rows=60, chunk_columns=3 if split else None)
    run = replace(RUN, band_bytes=8 * 3 * 60) if split else RUN
    options = replace(OPTIONS, **more)
    path = fit_path(data, options, run)
    assert path.dual_gaps.max() <= options.tol
    for W, b, alpha in zip(path.coef, path.intercept, path.alphas, strict=True):
        assert conditions(X, y, W, b, alpha, options, weight) <= 2e-5
        assert not options.positive or W.min() >= 0
        assert not options.grouped or np.array_equal((W != 0).any(axis=1), (W != 0).all(axis=1))
        found = objective(X, y, W, b, alpha, options, weight)
        assert path.objective[list(path.alphas).index(alpha)] == pytest.approx(found, rel=1e-12)


def test_a_group_path_agrees_with_proximal_gradient_written_out(make_store):
    X, y = labelled(n=80, d=4)
    options = replace(OPTIONS, alphas=(0.05,), grouped=True)
    path = fit_path(make_store(X, y), options, RUN)
    Z = X - X.mean(axis=0)  # another intercept, the same optimum
    step = 2.0 / np.linalg.norm(np.column_stack([Z, np.ones(80)]), 2) ** 2 * 80
    W, b, own = np.zeros((4, 3)), np.zeros(3), np.eye(3)[y.astype(int)]
    for _ in range(5_000):
        g = (softmax(Z @ W + b, axis=1) - own) / 80
        W, b = W - step * Z.T @ g, b - step * g.sum(axis=0)
        size = np.linalg.norm(W, axis=1, keepdims=True)
        W = W * np.maximum(1 - step * 0.05 / np.maximum(size, 1e-300), 0)
    best = objective(Z, y, W, b, 0.05, options)
    assert path.objective[0] == pytest.approx(best, rel=1e-9)
    assert np.allclose(path.coef[0], W, atol=1e-4)


# -- what changes nothing -----------------------------------------------------------------------


def test_two_classes_are_a_logistic_model(make_store):
    """w₁ = −w₀ = w/2 has the L1 norm of w: both losses have the same optimum at the same alpha."""
    X, y = labelled(n_classes=2)
    options = replace(OPTIONS, alphas=(0.05, 0.01))
    both = fit_path(make_store(X, y), options, RUN)
    logistic = fit_path(make_store(X, y), replace(options, loss="logistic"), RUN)
    assert np.allclose(both.objective, logistic.objective, rtol=1e-9)
    assert np.allclose(both.coef[:, :, 1] - both.coef[:, :, 0], logistic.coef, atol=1e-4)
    assert np.allclose(both.intercept[:, 1] - both.intercept[:, 0], logistic.intercept, atol=1e-4)
    assert np.allclose(
        both.predict_proba(X, 0.01)[:, 1], logistic.predict_proba(X, 0.01), atol=1e-5
    )


@pytest.mark.parametrize("grouped", [False, True])
def test_another_order_of_classes_changes_nothing(grouped, make_store):
    X, y = labelled()
    options = replace(OPTIONS, alphas=(0.03,), grouped=grouped)
    order = np.array([2, 0, 1])
    plain = fit_path(make_store(X, y), options, RUN)
    other = fit_path(make_store(X, order[y.astype(int)].astype(float)), options, RUN)
    assert np.allclose(other.objective, plain.objective, rtol=1e-9)
    assert np.allclose(other.coef[0][:, order], plain.coef[0], atol=1e-4)


@pytest.mark.parametrize("more", [{}, {"grouped": True}], ids=str)
def test_chunks_change_nothing(more, make_store):
    X, y = labelled()
    options = replace(OPTIONS, alphas=(0.03,), **more)
    plain = fit_path(make_store(X, y), options, RUN)
    for rows, columns in ((17, None), (40, 2)):
        data = make_store(X, y, chunk_rows=rows, chunk_columns=columns)
        path = fit_path(data, options, replace(RUN, band_bytes=8 * 2 * rows))
        assert np.allclose(path.coef, plain.coef, atol=1e-6)
        assert np.allclose(path.objective, plain.objective, rtol=1e-10)


def test_duplicate_columns_leave_the_objective(make_store):
    X, y = labelled()
    options = replace(OPTIONS, alphas=(0.03,))
    plain = fit_path(make_store(X, y), options, RUN)
    twice = fit_path(make_store(np.column_stack([X, X]), y), options, RUN)
    assert twice.dual_gaps.max() <= options.tol
    assert np.allclose(twice.objective, plain.objective, rtol=1e-9)


def test_intercepts_sum_to_zero_in_centred_coordinates(make_store):
    X, y = labelled()
    path = fit_path(make_store(X, y), OPTIONS, RUN)
    centred = path.intercept + np.einsum("d,adk->ak", X.mean(axis=0), path.coef)
    assert np.abs(centred.sum(axis=1)).max() <= 1e-12


def test_at_the_first_alpha_of_a_grid_there_are_only_intercepts(make_store):
    X, y = labelled()
    for grouped in (False, True):
        options = replace(OPTIONS, n_alphas=2, eps=0.9, grouped=grouped)
        path = fit_path(make_store(X, y), options, RUN)
        assert np.all(path.coef[0] == 0)
        assert np.allclose(softmax(path.intercept[0]), np.bincount(y.astype(int)) / len(y))
        assert np.any(path.coef[1] != 0)


# -- precision, scans, checkpoints --------------------------------------------------------------


@SOLVERS
def test_a_float32_store_is_certified_in_float64(solver, make_store):
    X, y = labelled()
    X = (X + 1e4).astype(np.float32)
    options = replace(OPTIONS, tol=1e-6, solver=solver)
    path = fit_path(make_store(X, y, dtype=np.float32, chunk_rows=40), options, RUN)
    wide = X.astype(float)
    assert path.dual_gaps.max() <= 1e-6
    for i, alpha in enumerate(path.alphas):
        found = objective(wide, y, path.coef[i], path.intercept[i], alpha, options)
        assert path.objective[i] == pytest.approx(found, rel=1e-9)


def test_classes_are_together_one_problem_of_an_alpha(make_store):
    X, y = load_iris(return_X_y=True)
    seen = []
    options = FitOptions(loss="softmax", alphas=(0.1, 0.05), solver="fista")
    fit_path(make_store(X, y), options, RUN, progress=seen.append)
    assert {event.n_alphas for event in seen} == {2}
    assert seen[-1].n_done == 2


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("max_scans", [2, 7, 30])
def test_out_of_scans_every_gap_bounds_the_distance_from_the_optimum(
    max_scans, grouped, make_store
):
    X, y = labelled()
    data = make_store(X, y)
    options = replace(OPTIONS, grouped=grouped)
    best = fit_path(data, options, RUN)
    path = fit_path(data, replace(options, max_scans=max_scans), RUN)
    share = np.bincount(y.astype(int)) / len(y)
    null = -np.sum(share * np.log(share))
    assert np.all(path.dual_gaps[:, 0] * null >= path.objective - best.objective - 1e-12)


@pytest.fixture(scope="module", params=[False, True], ids=["grouped", "split"])
def stored(request, make_store):
    """Data and options: of groups in one part, or of single coefficients in parts."""
    split = request.param
    data = make_store(*labelled(), chunk_rows=60, chunk_columns=3 if split else None)
    options = replace(OPTIONS, grouped=not split, tol=1e-5)
    return data, options, replace(RUN, band_bytes=8 * 3 * 60 if split else 64 << 20)


@pytest.fixture(scope="module")
def whole(stored):
    return fit_path(*stored)


@pytest.mark.parametrize("scan", [3, 30])
def test_a_resumed_fit_gives_the_bits_of_an_uninterrupted_one(
    scan, stored, whole, tmp_path, interrupt, going_on, assert_same_bits
):
    data, options, run = stored
    run = replace(run, checkpoint=str(tmp_path / "state"))
    assert whole.scans > scan
    interrupt(data, options, run, scan)
    assert_same_bits(fit_path(data, options, going_on(run)), whole)


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("more", [{}, {"grouped": True, "l1_ratio": 0.5}], ids=str)
def test_a_device_gives_the_same(more, split, make_store):
    X, y = labelled()
    data = make_store(X, y, chunk_rows=60, chunk_columns=3 if split else None)
    run = replace(RUN, band_bytes=8 * 3 * 60) if split else RUN
    options = replace(OPTIONS, tol=1e-4, alphas=(0.05,), **more)
    host, device = (fit_path(data, options, replace(run, device=d)) for d in ("cpu", "strict"))
    assert device.scans == host.scans
    assert np.allclose(device.coef, host.coef, rtol=1e-9, atol=1e-12)


# -- predictions --------------------------------------------------------------------------------


def test_labels_and_probabilities_of_a_store_are_those_of_its_rows(make_store, tmp_path):
    X, y = labelled()
    names = np.array([10.0, 2.0, -3.0])
    data = make_store(X, names[y.astype(int)], chunk_rows=50)
    path = fit_path(data, replace(OPTIONS, alphas=(0.05,), tol=1e-4), RUN)
    path.save(tmp_path / "model")
    path = load_model(tmp_path / "model")
    assert path.classes == ((-3, 2, 10),)
    expected = softmax(X @ path.coef[0] + path.intercept[0], axis=1)
    assert np.allclose(path.predict_proba(X), expected, rtol=1e-12)
    assert np.array_equal(path.predict(X), np.sort(names)[expected.argmax(axis=1)])
    found = np.concatenate([rows for _, _, rows in predict_store(data, path, proba=True, run=RUN)])
    assert np.allclose(found, expected, rtol=1e-12)
    codes = np.concatenate([rows for _, _, rows in predict_store(data, path, run=RUN)])
    assert np.array_equal(codes[:, 0], expected.argmax(axis=1))


# -- what is refused ----------------------------------------------------------------------------


def test_a_class_without_weight_is_refused(make_store):
    X, y = labelled()
    weight = np.where(y == 1, 0.0, 1.0)
    with pytest.raises(ValueFound, match=r"class 1 \(of 0 to 2\) has no row of positive"):
        fit_path(make_store(X, y, weight), OPTIONS, RUN)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"grouped": True, "loss": "logistic"}, "grouped: needs loss softmax"),
        ({"grouped": True, "positive": True}, "grouped: cannot be together with positive"),
        ({"solver": "gram"}, "loss: softmax found, but gram needs squared"),
        ({"penalty_factor": np.array([1.0, 0, 1, 1, 1, 1])}, "0 found for feature 1"),
    ],
)
def test_what_softmax_cannot_do_is_refused(more, message, make_store):
    with pytest.raises(OptionError, match=message):
        fit_path(make_store(*labelled()), replace(OPTIONS, **more), RUN)


def test_several_targets_are_refused(make_store):
    X, y = labelled()
    with pytest.raises(OptionError, match="softmax found for 2 targets, expected one, the class"):
        fit_path(make_store(X, np.column_stack([y, y])), OPTIONS, RUN)


def test_where_one_scan_does_not_certify_all_alphas_classes_stay_together(monkeypatch, make_store):
    monkeypatch.setattr("dasklasso.solvers.certificate_scan.POINTS_BYTES", 1)  # 16 columns
    X, y = labelled(n_classes=3)
    data = make_store(X, y, dtype="float32")
    path = fit_path(data, replace(OPTIONS, n_alphas=6, tol=1e-4), RUN)
    assert path.converged
