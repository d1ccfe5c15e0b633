"""Proximal Newton: few scans, whatever the data; steps that fail, checkpoints, what is refused."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dasklasso.dataset.dataset import from_arrays
from dasklasso.errors import CheckpointError, DataWarning, OptionError, ValueFound
from dasklasso.fit import fit_cv, fit_path
from dasklasso.options import CvOptions, FitOptions, RunOptions
from dasklasso.solvers.newton.hessian_model import Node

RUN = RunOptions(in_process=True)
OPTIONS = FitOptions(loss="logistic", huber_delta=1.35, solver="newton", n_alphas=20, eps=1e-2)


@pytest.fixture(autouse=True)
def by_scans(monkeypatch):
    """Every step takes a scan, as where rows do not fit in memory."""
    monkeypatch.setattr("dasklasso.solvers.newton.cost.HELD_WHOLE_BYTES", 0)


def drawn(n=400, d=12, seed=0, strength=1.0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) * 10.0 ** rng.uniform(-1, 1, d) + rng.uniform(-3, 3, d)
    z = (X - X.mean(0)) / X.std(0)
    p = strength * (z[:, 0] - z[:, 3] + 0.5 * z[:, 5])
    return X, (rng.random(n) < 1 / (1 + np.exp(-p))).astype(float)


def fitted(X, y, weight=None, **more):
    return fit_path(from_arrays(X, y, weight), replace(OPTIONS, **more), RUN)


def test_a_path_takes_few_scans():
    path = fitted(*drawn(n=3000, d=40), n_alphas=60, eps=1e-3)
    assert path.converged
    assert path.scans <= 12


def test_one_alpha_takes_few_scans():
    path = fitted(*drawn(), alphas=(0.01,))
    assert path.converged
    assert path.scans <= 8


@pytest.mark.parametrize("more", [{}, {"l1_ratio": 0.5}, {"positive": True}], ids=str)
def test_squared_loss_by_newton_is_that_by_gram(more):
    X, y = drawn()
    y = y + X @ np.linspace(-1, 1, X.shape[1])
    options = {"loss": "squared", "tol": 1e-10, **more}
    ours, gram = fitted(X, y, **options), fitted(X, y, **options, solver="gram")
    assert ours.solver == "newton"
    assert np.allclose(ours.alphas, gram.alphas, rtol=1e-9)
    assert np.allclose(ours.objective, gram.objective, rtol=1e-9)


def test_separable_classes_converge():
    X, _ = drawn(n=200)
    y = (X[:, 2] > np.median(X[:, 2])).astype(float)
    path = fitted(X, y, eps=1e-4)
    assert path.converged
    assert np.all(path.predict_proba(X, path.alphas[-1]).round() == y)


def test_more_columns_than_rows():
    X, y = drawn(n=60, d=300)
    path = fitted(X, y, n_alphas=10, eps=0.05)
    assert path.converged


def test_where_more_columns_matter_than_a_hessian_may_have_gaps_are_honest(monkeypatch):
    X, y = drawn(n=150, d=80)
    whole = fitted(X, y, n_alphas=8, eps=0.05, tol=1e-8)
    monkeypatch.setattr("dasklasso.solvers.newton.cost.NEWTON_COLUMNS", 20)
    few = fitted(X, y, n_alphas=8, eps=0.05, tol=1e-8)
    fits = whole.n_nonzero <= 10
    assert np.all(few.dual_gaps[fits] <= 1e-8)
    null = -np.log(y.mean()) * y.mean() - np.log(1 - y.mean()) * (1 - y.mean())
    assert np.all(few.objective - whole.objective <= few.dual_gaps[:, 0] * null)


def test_a_sample_of_rows_is_where_scans_begin(monkeypatch):
    X, y = drawn(n=4000)
    whole = fitted(X, y, tol=1e-9)
    monkeypatch.setattr("dasklasso.solvers.newton.cost.SAMPLED_VALUES", 0)
    sampled = fitted(X, y, tol=1e-9)
    assert sampled.converged
    assert sampled.scans <= whole.scans
    assert np.allclose(sampled.objective, whole.objective, rtol=1e-8)


def test_a_sample_of_one_class_only_does_no_harm(monkeypatch):
    X, y = drawn(n=2000)
    y[:] = 0.0
    y[[5, 700, 1900]] = 1.0
    monkeypatch.setattr("dasklasso.solvers.newton.cost.SAMPLED_VALUES", 0)
    assert fitted(X, y, n_alphas=5, eps=0.2).converged


@pytest.mark.parametrize("sampled", [False, True])
def test_offsets_and_weights_are_those_of_fista(sampled, monkeypatch):
    if sampled:
        monkeypatch.setattr("dasklasso.solvers.newton.cost.SAMPLED_VALUES", 0)
    X, y = drawn(n=1500)
    rng = np.random.default_rng(1)
    data = from_arrays(X, y, rng.uniform(0, 2, len(y)), offset=rng.standard_normal(len(y)))
    paths = [
        fit_path(data, replace(OPTIONS, solver=solver, n_alphas=4, eps=0.2, tol=1e-8), RUN)
        for solver in ("newton", "fista")
    ]
    assert np.allclose(paths[0].objective, paths[1].objective, rtol=1e-7)
    assert np.allclose(paths[0].coef, paths[1].coef, atol=1e-3)


def test_chunks_do_not_change_solutions(make_store):
    X, y = drawn()
    paths = [
        fit_path(make_store(X, y, chunk_rows=rows), replace(OPTIONS, tol=1e-10), RUN)
        for rows in (400, 70)
    ]
    assert np.allclose(paths[0].coef, paths[1].coef, atol=1e-6)
    assert np.allclose(paths[0].objective, paths[1].objective, rtol=1e-10)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 1000),
    scale=st.sampled_from([1e-6, 1.0, 1e6]),
    strength=st.sampled_from([0.0, 1.0, 20.0]),
    spread=st.sampled_from([0.0, 8.0]),
)
def test_any_data_converge(seed, scale, strength, spread):
    """Pure noise, nearly separable classes, weights over many orders of magnitude, duplicates."""
    X, y = drawn(n=80, d=6, seed=seed, strength=strength)
    y[:2] = 0.0, 1.0
    X = np.column_stack([X, X[:, 0]]) * scale
    weight = 10.0 ** np.random.default_rng(seed).uniform(-spread, 0, len(y))
    path = fitted(X, y, weight, n_alphas=6, standardize=True, max_scans=100)
    assert path.converged
    assert np.all(path.dual_gaps >= 0)


@pytest.mark.parametrize("level", [1e4, 1e6])
def test_targets_whose_digits_float32_lacks_are_certified_in_float64(level):
    rng = np.random.default_rng(0 if level > 1e5 else 3)
    X = rng.standard_normal((300, 8)).astype(np.float32)
    y = level + X[:, 0] - X[:, 3] + rng.standard_t(2, 300)
    path = fitted(X, y, loss="huber", n_alphas=8, max_scans=60)
    assert path.converged
    r = X.astype(float) @ path.coef.T + path.intercept - y[:, None]
    g = np.clip(r, -1.35, 1.35)
    objective = np.mean(g * r - g**2 / 2, axis=0) + path.alphas * np.abs(path.coef).sum(axis=1)
    assert np.allclose(path.objective, objective, rtol=1e-12)


@pytest.mark.parametrize("max_scans", range(1, 8))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_whenever_scans_run_out_every_problem_has_the_gap_of_its_point(dtype, max_scans):
    X, y = drawn()
    data = from_arrays(X.astype(dtype), y)
    path = fit_cv(data, replace(OPTIONS, max_scans=max_scans), CvOptions(3), RUN)
    p = X.astype(dtype).astype(float) @ path.coef.T + path.intercept
    loss = np.mean(np.logaddexp(0, p) - y[:, None] * p, axis=0)
    assert np.allclose(
        path.objective, loss + path.alphas * np.abs(path.coef).sum(axis=1), rtol=1e-9
    )
    assert np.all(np.isfinite(path.dual_gaps))
    assert np.all(np.isfinite(path.cross_validation.best.gap))
    assert np.all(np.isfinite(path.cross_validation.best.error_path))


class Stopped(Exception):
    pass


def test_an_interrupted_fit_goes_on_from_its_checkpoint(make_store, tmp_path, interrupt):
    data = make_store(*drawn(), chunk_rows=100)
    run = replace(RUN, checkpoint=str(tmp_path / "state"), checkpoint_seconds=0.0)
    whole = fit_path(data, OPTIONS, RUN)
    interrupt(data, OPTIONS, run, 5)
    begun = fit_path(data, OPTIONS, replace(run, resume=True))
    assert begun.converged
    assert 5 < begun.scans <= whole.scans + 6
    assert np.allclose(begun.objective, whole.objective, rtol=1e-5)
    assert not (tmp_path / "state").exists() or not list((tmp_path / "state").iterdir())


def test_an_interrupted_cross_validation_goes_on_from_its_checkpoint(make_store, tmp_path):
    data = make_store(*drawn(), chunk_rows=100)
    run = replace(RUN, checkpoint=str(tmp_path / "state"), checkpoint_seconds=0.0)
    folds = CvOptions(3, l1_ratios=(0.9,))
    all_seen, seen = [], []
    whole = fit_cv(data, OPTIONS, folds, RUN, progress=all_seen.append)

    def stop(event):
        if event.scan >= whole.scans - 1:
            raise Stopped

    with pytest.raises(Stopped):
        fit_cv(data, OPTIONS, folds, run, progress=stop)
    begun = fit_cv(data, OPTIONS, folds, replace(run, resume=True), progress=seen.append)
    assert begun.converged
    assert 2 * len(seen) <= len(all_seen)
    scores, expected = (path.cross_validation.best.scores["loss"] for path in (begun, whole))
    assert np.allclose(scores, expected, rtol=1e-4)


def test_of_several_l1_ratios_no_checkpoint_is_kept(make_store, tmp_path):
    data = make_store(*drawn(), chunk_rows=100)
    run = replace(RUN, checkpoint=str(tmp_path / "state"))
    with pytest.raises(OptionError, match="checkpoint: a choice among 2 l1_ratios"):
        fit_cv(data, OPTIONS, CvOptions(3, l1_ratios=(0.5, 0.9)), run)


def test_a_checkpoint_of_fista_is_refused(make_store, tmp_path):
    data = make_store(*drawn(), chunk_rows=100)
    run = replace(RUN, checkpoint=str(tmp_path / "state"), checkpoint_seconds=0.0, resume=True)
    fista = replace(OPTIONS, solver="fista", max_scans=5, tol=1e-12)
    fit_path(data, fista, replace(run, resume=False))
    with pytest.raises(CheckpointError):
        fit_path(data, OPTIONS, run)


def test_unpenalised_features_are_refused():
    factor = np.ones(12)
    factor[3] = 0.0
    X, y = drawn()
    with pytest.raises(OptionError, match="newton has no unpenalised features"):
        fitted(X, y + X[:, 0], loss="squared", penalty_factor=factor)


@pytest.mark.parametrize(
    ("loss", "solver"),
    [(loss, "newton") for loss in ("logistic", "huber", "poisson", "softmax")]
    + [(loss, "fista") for loss in ("logistic", "huber", "softmax")],
)
def test_a_constant_column_that_standardize_leaves_without_penalty_is_refused(loss, solver):
    """gap 0 at the model without it would not be true."""
    X, y = drawn()
    X[:, 3] = 2.0
    options = replace(OPTIONS, loss=loss, solver=solver, standardize=True, fit_intercept=False)
    if loss == "softmax":
        y[:5], options = 2.0, replace(options, n_classes=3)
    with pytest.raises(ValueFound, match="feature 3 is 2 in every row"):
        fit_path(from_arrays(X, y), options, RUN)


def test_beside_squared_loss_such_a_column_is_one_for_gram_and_fista():
    X, y = drawn()
    X[:, 3] = 2.0
    options = {
        "loss": "squared",
        "standardize": True,
        "fit_intercept": False,
        "alphas": (0.5, 0.2),
        "tol": 1e-7,
    }
    with pytest.raises(OptionError, match="newton has no unpenalised features, and feature 3"):
        fitted(X, y + 1, **options)
    gram, fista = (fitted(X, y + 1, **options, solver=solver) for solver in ("gram", "fista"))
    assert np.all(gram.coef[:, 3] > 0.1)
    assert np.allclose(gram.objective, fista.objective, rtol=1e-6)


def test_columns_split_into_parts_are_refused(make_store):
    data = make_store(*drawn(), chunk_rows=100, chunk_columns=4)
    with pytest.raises(OptionError, match="newton needs rows whole"):
        fit_path(data, OPTIONS, replace(RUN, band_bytes=8 * 4 * 100))


@pytest.mark.parametrize("steepness", [1.0, 3.0])
def test_counts_over_many_orders_of_magnitude_converge(steepness):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1000, 15))
    y = rng.poisson(np.exp(steepness * (0.5 * X[:, 0] - 0.4 * X[:, 1]) + 0.3)).astype(float)
    path = fitted(X, y, loss="poisson", eps=1e-3)
    assert path.converged
    assert path.scans <= 25


def heavy(n, d, scale, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    return X, scale * (X[:, 0] - X[:, 1] + rng.standard_t(1, n))


@pytest.mark.parametrize(("n", "d"), [(60, 10), (30, 20)])
def test_huber_converges_where_nearly_all_rows_are_in_its_tails(n, d):
    path = fitted(*heavy(n, d, 100.0), loss="huber", n_alphas=4)
    assert path.converged
    assert path.scans <= 120


def test_a_fit_that_gets_nowhere_ends_with_the_gap_it_has(monkeypatch):
    X, y = heavy(200, 10, 1e5)
    path = fitted(X, y, loss="huber", n_alphas=4, max_scans=120)
    assert path.scans <= 121  # and fista's from where newton got nowhere
    r = X @ path.coef.T + path.intercept - y[:, None]
    g = np.clip(r, -1.35, 1.35)
    objective = np.mean(g * r - g**2 / 2, axis=0) + path.alphas * np.abs(path.coef).sum(axis=1)
    assert np.allclose(path.objective, objective, rtol=1e-12)
    monkeypatch.setattr("dasklasso.solvers.newton.cost.HELD_WHOLE_BYTES", X.nbytes)
    # in memory, to a gap that rounding lets every machine reach: it ends at about 1e-9
    best = fitted(X, y, loss="huber", n_alphas=4, tol=1e-8)
    assert best.converged
    lost = path.objective - best.objective
    assert np.all(lost <= path.dual_gaps[:, 0] * path.objective[0])


def test_a_path_of_tails_alone_begins_at_its_null_model():
    """Slopes are +-delta and sum to zero but for rounding: there is a dual point."""
    X, y = heavy(60, 5, 1e7)
    path = fitted(X, y - np.median(y), loss="huber", n_alphas=1)
    assert path.dual_gaps[0] <= 1e-12
    assert path.scans <= 4


@pytest.mark.parametrize("seed", [0, 2])
def test_separable_rows_far_from_an_intercept_of_none_converge(seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((10, 35)) + 10 * rng.standard_normal((10, 1))
    y = (X[:, 0] > np.median(X[:, 0])).astype(float)
    data = from_arrays(X, y, offset=5 * rng.standard_normal(10))
    more = {"n_alphas": 3, "eps": 1e-5, "fit_intercept": False, "standardize": True}
    path = fit_path(data, replace(OPTIONS, **more), RUN)
    assert path.converged
    assert path.scans <= 60


def test_rows_without_curvature_do_not_say_how_far_they_moved():
    node = Node(np.array([0]), np.zeros((2, 2)), np.zeros(1), 0.0)
    assert node.moved(np.zeros(1), 0.0) == 0.0
    assert node.moved(np.ones(1), 0.0) == np.inf


def test_heavy_tails_by_huber_converge():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1000, 15))
    path = fitted(X, X[:, 0] - X[:, 4] + rng.standard_t(1.5, 1000), loss="huber", eps=1e-3)
    assert path.converged


# -- where it does not get on -------------------------------------------------------------------


@pytest.fixture
def gives_up(monkeypatch):
    """Newton gives every problem up after its first scans."""
    monkeypatch.setattr(
        "dasklasso.solvers.newton.solver.SCANS_WITHOUT_GAIN", {"float32": 0, "float64": 0}
    )


@pytest.mark.parametrize("loss", ["logistic", "poisson"])
def test_where_newton_no_longer_gets_on_fista_does_from_there(gives_up, loss):
    X, y = drawn(n=200, d=6)
    with pytest.warns(DataWarning, match="newton no longer gets on: .* fista goes on"):
        path = fitted(X, y, loss=loss, n_alphas=5, eps=0.1)
    whole = fitted(X, y, loss=loss, n_alphas=5, eps=0.1, solver="fista")
    assert path.converged
    assert np.allclose(path.objective, whole.objective, rtol=1e-6)


def test_scans_that_run_out_are_no_stall(gives_up):
    X, y = drawn(n=200, d=6)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        path = fitted(X, y, n_alphas=5, eps=0.1, max_scans=3)
    assert not path.converged


def test_scans_before_a_fit_was_resumed_count_where_they_run_out(monkeypatch, tmp_path):
    monkeypatch.setattr("dasklasso.solvers.newton.cost.HELD_WHOLE_BYTES", 0)
    run = replace(RUN, checkpoint=str(tmp_path / "state"), checkpoint_seconds=0.0)
    data, options = from_arrays(*drawn(n=400, d=12)), replace(OPTIONS, tol=1e-12, max_scans=5)
    stopped = fit_path(data, options, run)
    assert not stopped.converged
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        resumed = fit_path(data, options, replace(run, resume=True))
    assert resumed.scans <= stopped.scans + 1  # one, so that its points have gaps


def test_every_stage_in_memory_is_told_of(monkeypatch):
    monkeypatch.setattr("dasklasso.solvers.newton.cost.SAMPLED_VALUES", 0)
    monkeypatch.setattr("dasklasso.solvers.newton.side_by_side.REPORT_SECONDS", 1e-4)
    seen = []
    data = from_arrays(*drawn(n=2000, d=20))
    fit_path(data, OPTIONS, RUN, progress=seen.append)
    stages = {event.stage for event in seen}
    assert {"", "on a sample of rows"} <= stages
    assert stages <= {"", "on a sample of rows", "between scans"}
    assert all(0 <= event.n_done <= event.n_alphas for event in seen)
