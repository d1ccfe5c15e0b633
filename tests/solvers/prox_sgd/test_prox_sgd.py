"""Proximal stochastic gradient: near the optimum, with a gap that is true, and the same bits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Lasso

from dasklasso.dataset.dataset import from_arrays
from dasklasso.errors import OptionError, ValueFound
from dasklasso.fit import fit_cv, fit_path
from dasklasso.objective.losses.softmax import Softmax
from dasklasso.objective.losses.squared import Squared
from dasklasso.objective.penalties.elastic_net import ElasticNet as ElasticNetPenalty
from dasklasso.options import CvOptions, FitOptions, RunOptions
from dasklasso.solvers.entry import Case
from dasklasso.solvers.registry import refusal, solver_entry

RUN = RunOptions(in_process=True)
OPTIONS = FitOptions(solver="prox_sgd", n_alphas=3, eps=0.05, batch_size=32)


def labelled(n=600, d=6, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) + 2.0
    w = np.where(np.arange(d) % 3 == 0, 1.5, 0.0)
    return X, (rng.random(n) < 1 / (1 + np.exp(5.0 - X @ w))).astype(float)


def test_objectives_are_near_those_of_scikit_learn(make_store, regression, judge):
    X, y = regression(600, 8)
    path = fit_path(make_store(X, y, chunk_rows=100), OPTIONS, RUN)
    assert path.solver == "prox_sgd"
    for i, alpha in enumerate(path.alphas):
        theirs = Lasso(alpha=alpha, tol=1e-12).fit(X, y)
        best = judge(X, y, theirs.coef_, theirs.intercept_, alpha, OPTIONS).objective
        assert best <= path.objective[i] * (1 + 1e-12)
        assert path.objective[i] <= 1.01 * best


def test_logistic_objectives_are_near_those_of_fista(make_store):
    data = make_store(*labelled(), chunk_rows=100)
    options = replace(OPTIONS, loss="logistic")
    best = fit_path(data, replace(options, solver="fista"), RUN)
    path = fit_path(data, options, RUN)
    assert np.all(best.objective <= path.objective * (1 + 1e-6))
    assert np.all(path.objective <= 1.01 * best.objective)


def test_the_intercept_of_a_logistic_model_is_solved_for(make_store):
    X, y = labelled()
    path = fit_path(make_store(X, y), replace(OPTIONS, loss="logistic"), RUN)
    # at the smallest alpha, where the intercept that it starts from is far from the best
    start = (X - X.mean(axis=0)) @ path.coef[-1] + np.log(y.mean() / (1 - y.mean()))
    missed = abs(np.mean(1 / (1 + np.exp(-start))) - y.mean())
    assert abs(path.predict_proba(X, path.alphas[-1]).mean() - y.mean()) <= 0.25 * missed


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"fit_intercept": False},
        {"positive": True, "l1_ratio": 0.5},
        {"standardize": True},
        {"penalty_factor": np.array([1.0, 0, 2, 1, 1, 1])},
    ],
    ids=str,
)
@pytest.mark.parametrize("weighted", [False, True])
def test_gaps_are_those_of_an_independent_computation(
    more, weighted, make_store, regression, judge
):
    X, y = regression(300, 6)
    weight = np.random.default_rng(1).uniform(0, 3, len(X)) if weighted else None
    options = replace(OPTIONS, epochs=7, **more)
    path = fit_path(make_store(X, y, weight, chunk_rows=70), options, RUN)
    for i, alpha in enumerate(path.alphas):
        found = judge(X, y, path.coef[i], path.intercept[i], alpha, options, weight)
        # of an elastic net the judge's dual point is scaled, ours need not be
        slack = 1e-6 if options.l1_ratio == 1 else 0.1
        least, greatest = found.relative_gap * (1 - 1e-6), found.relative_gap * (1 + slack)
        assert least - 1e-12 <= path.dual_gaps[i, 0] <= greatest + 1e-12
        assert path.objective[i] == pytest.approx(found.objective, rel=1e-9)
        assert not options.positive or path.coef[i].min() >= 0


def test_an_epoch_is_a_scan_and_so_is_a_certificate(make_store, regression):
    data = make_store(*regression(300, 6))
    path = fit_path(data, replace(OPTIONS, epochs=12, tol=1e-15), RUN)
    # the scan at zero, epochs, certificates after 5, 10 and all of them
    assert path.scans == 1 + 12 + 3
    assert path.bytes_read == path.scans * data.X.stored_bytes(0, 0)
    assert not path.converged


@pytest.mark.parametrize("max_scans", [1, 2, 3, 8, 9, 10])
def test_no_more_scans_are_made_than_allowed(max_scans, make_store, regression):
    data = make_store(*regression(300, 6))
    path = fit_path(data, replace(OPTIONS, max_scans=max_scans, tol=1e-15), RUN)
    assert path.scans == max(max_scans, 2)  # a solution without a certificate would be none
    assert np.all(np.isfinite(path.dual_gaps))


def test_it_stops_when_a_certificate_is_within_tol(make_store, regression):
    data = make_store(*regression(300, 6))
    path = fit_path(data, replace(OPTIONS, tol=0.5), RUN)
    assert path.scans == 1 + 5 + 1
    assert path.converged


def test_more_epochs_do_not_give_larger_gaps(make_store, regression):
    data = make_store(*regression(300, 6))
    few, many = (fit_path(data, replace(OPTIONS, epochs=n), RUN) for n in (5, 40))
    assert np.all(many.dual_gaps <= few.dual_gaps)
    assert many.dual_gaps.max() < 0.5 * few.dual_gaps.max()


def same_bits(a, b):
    return np.array_equal(a.coef, b.coef) and np.array_equal(a.dual_gaps, b.dual_gaps)


@pytest.mark.parametrize("codec", ["none", "zstd"])
def test_a_seed_fixes_the_bits_and_another_changes_them(codec, make_store, regression):
    data = make_store(*regression(300, 6), chunk_rows=50, codec=codec)
    run = replace(RUN, band_bytes=8 * 6 * 50)
    options = replace(OPTIONS, epochs=3)
    one = fit_path(data, options, run)
    assert same_bits(one, fit_path(data, options, run))
    assert not same_bits(one, fit_path(data, replace(options, seed=1), run))


def test_a_cluster_gives_the_bits_of_bare_threads(make_store, regression):
    data = make_store(*regression(300, 6), chunk_rows=50)
    options = replace(OPTIONS, epochs=3)
    run = replace(RUN, band_bytes=8 * 6 * 50)
    embedded = replace(run, in_process=False, dashboard=False)
    assert same_bits(fit_path(data, options, run), fit_path(data, options, embedded))


@pytest.mark.parametrize("band_rows", [50, 600])
def test_any_number_of_bands_comes_near(band_rows, make_store, regression):
    X, y = regression(600, 8)
    data = make_store(X, y, chunk_rows=50)
    path = fit_path(data, OPTIONS, replace(RUN, band_bytes=8 * 8 * band_rows))
    best = fit_path(data, replace(OPTIONS, solver="gram"), RUN)
    assert np.all(path.objective <= 1.01 * best.objective)


def test_blocks_of_columns_are_read_together(make_store, regression):
    X, y = regression(300, 6)
    options = replace(OPTIONS, epochs=3)
    whole, blocks = (
        fit_path(make_store(X, y, chunk_rows=50, chunk_columns=c), options, RUN) for c in (6, 4)
    )
    assert np.allclose(whole.coef, blocks.coef, rtol=1e-9, atol=1e-12)


def test_a_device_gives_the_same(make_store):
    data = make_store(*labelled(200), chunk_rows=60)
    options = replace(OPTIONS, loss="logistic", epochs=3)
    host, device = (fit_path(data, options, replace(RUN, device=d)) for d in ("cpu", "strict"))
    assert np.allclose(device.coef, host.coef, rtol=1e-9, atol=1e-12)
    assert np.allclose(device.intercept, host.intercept, rtol=1e-9, atol=1e-12)


def test_several_targets_are_several_problems(make_store, regression):
    X, y = regression(300, 6)
    options = replace(OPTIONS, epochs=3, alphas=(0.3, 0.1))
    both = fit_path(make_store(X, np.column_stack([y, y[::-1]])), options, RUN)
    for k, target in enumerate((y, y[::-1])):
        alone = fit_path(make_store(X, target), options, RUN)
        assert np.allclose(both.coef[:, :, k], alone.coef, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("batch_size", [1, 7, 32, 10_000])
def test_rows_that_are_far_longer_than_others_do_not_blow_steps_up(
    batch_size, make_store, regression
):
    X, y = regression(300, 6)
    X[::100] *= 50.0
    weight = np.ones(300)
    weight[50] = 100.0
    options = replace(OPTIONS, batch_size=batch_size, epochs=5)
    path = fit_path(make_store(X, y, weight), options, RUN)
    null = np.average((y - np.average(y, weights=weight)) ** 2, weights=weight) / 2
    assert np.all(path.objective <= 1.01 * null)


@settings(max_examples=15, deadline=None)
@given(
    n=st.integers(2, 60),
    d=st.integers(1, 8),
    batch_size=st.integers(1, 70),
    loss=st.sampled_from(["squared", "logistic"]),
    seed=st.integers(0, 10**6),
)
def test_gaps_bound_the_distance_from_the_optimum(n, d, batch_size, loss, seed):
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((n, d)), (rng.random(n) < 0.5).astype(float)
    y[:2] = 0, 1
    options = FitOptions(
        loss=loss, n_alphas=2, eps=0.1, solver="prox_sgd", batch_size=batch_size, epochs=2
    )
    path = fit_path(from_arrays(X, y), options, RUN)
    best = fit_path(from_arrays(X, y), replace(options, solver="fista", tol=1e-8), RUN)
    null = 0.5 * y.var() if loss == "squared" else _entropy(y.mean())
    assert np.all(path.dual_gaps[:, 0] * null >= path.objective - best.objective - 1e-12)


def _entropy(p):
    return -p * np.log(p) - (1 - p) * np.log(1 - p)


# -- what is refused ----------------------------------------------------------------------------


def test_columns_in_parts_are_refused_with_a_way_out(make_store, regression):
    data = make_store(*regression(300, 6), chunk_rows=50, chunk_columns=3)
    message = "prox_sgd needs rows whole, and 6 features are read in 2 parts: use solver fista"
    with pytest.raises(OptionError, match=message):
        fit_path(data, OPTIONS, replace(RUN, band_bytes=8 * 3 * 50))


def test_a_checkpoint_is_refused(make_store, regression, tmp_path):
    run = replace(RUN, checkpoint=str(tmp_path / "state"))
    with pytest.raises(OptionError, match="checkpoint: solver prox_sgd keeps none"):
        fit_path(make_store(*regression(30, 3)), OPTIONS, run)


def test_folds_are_refused(make_store, regression):
    with pytest.raises(OptionError, match="prox_sgd cannot cross-validate, gram can"):
        fit_cv(make_store(*regression(30, 3)), OPTIONS, CvOptions(), RUN)


class Unbounded(Squared):
    name = "unbounded"
    max_curvature = np.inf


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (Softmax(3), "loss: softmax found, but prox_sgd needs one with a single prediction"),
        (Unbounded(), "loss: unbounded found, but prox_sgd needs one with a bounded curvature"),
    ],
)
def test_losses_that_steps_have_no_size_for_are_refused(loss, message):
    case = Case(loss, ElasticNetPenalty, None, 1, 1, 3, False)
    assert refusal(solver_entry("prox_sgd"), case).startswith(message)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"epochs": 0}, "epochs: 0 found, expected at least 1"),
        ({"batch_size": 0}, "batch_size: 0 found, expected at least 1"),
        ({"seed": -1}, "seed: -1 found, expected at least 0"),
        ({"stop_saturated": True}, "stop_saturated: needs solver='gram', and solver is 'prox_sgd'"),
    ],
)
def test_options_that_mean_nothing_are_refused(more, message, make_store, regression):
    with pytest.raises(OptionError, match=message):
        fit_path(make_store(*regression(30, 3)), replace(OPTIONS, **more), RUN)


def test_values_that_are_no_numbers_are_named(regression):
    X, y = regression(30, 3)
    X[7, 1] = np.nan
    with pytest.raises(ValueFound, match="row 7"):
        fit_path(from_arrays(X, y), OPTIONS, RUN)
