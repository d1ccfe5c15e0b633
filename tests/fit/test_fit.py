"""Fitting: options, models and data that do not go together; predictions; progress."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dasklasso.dataset.dataset import from_arrays
from dasklasso.errors import ClusterError, MemoryLimitError, ModelError, OptionError, ValueFound
from dasklasso.fit import fit_path
from dasklasso.options import FitOptions, RunOptions
from dasklasso.scoring.predict import predict_store

RUN = RunOptions(in_process=True)


@pytest.mark.parametrize(
    ("factor", "message"),
    [
        (np.ones(3), "penalty_factor: 3 numbers found"),
        (np.array([1, -1.0, 1, 1]), "penalty_factor: -1.0 found for feature 1"),
    ],
)
def test_penalty_factors_that_do_not_fit_the_data_are_named(factor, message, regression):
    with pytest.raises(OptionError, match=message):
        fit_path(from_arrays(*regression(20, 4)), FitOptions(penalty_factor=factor), RUN)


@pytest.mark.parametrize(
    ("run", "error", "message"),
    [
        ({"workers": 2, "scheduler": "tcp://x:1"}, OptionError, "give one of them"),
        ({"memory": 1 << 20}, MemoryLimitError, "memory: 1,048,576 bytes"),
        ({"workers": 1}, ClusterError, "in memory can only be read by threads"),
    ],
    ids=str,
)
def test_runs_that_cannot_be_are_refused(run, error, message, regression):
    with pytest.raises(error, match=message):
        fit_path(from_arrays(*regression(20, 4)), FitOptions(), RunOptions(dashboard=False, **run))


def test_a_fit_without_a_target_is_refused(regression):
    X, _ = regression(20, 4)
    with pytest.raises(OptionError, match="has no target y"):
        fit_path(from_arrays(X, None), FitOptions(), RUN)


def test_weights_that_are_all_zero_are_refused(regression):
    X, y = regression(20, 4)
    with pytest.raises(ValueFound, match="weight"):
        fit_path(from_arrays(X, y, np.zeros(20)), FitOptions(), RUN)


@pytest.mark.parametrize("columns", [None, 4])
@pytest.mark.parametrize("targets", [1, 2])
def test_predictions_come_in_row_order_and_are_those_of_the_model(
    columns, targets, make_store, regression
):
    X, y = regression(230, 10)
    Y = y if targets == 1 else np.column_stack([y, -y + X[:, 0]])
    data = make_store(X, Y, chunk_rows=50, chunk_columns=columns, codec="zstd")
    run = replace(RUN, band_bytes=8 * 4 * 50)
    path = fit_path(data, FitOptions(alphas=(0.1, 0.01)), run)
    for alpha in (0.1, 0.01):
        pieces = list(predict_store(data, path, alpha=alpha, run=run))
        assert [start for start, _, _ in pieces[1:]] == [stop for _, stop, _ in pieces[:-1]]
        found = np.concatenate([piece for _, _, piece in pieces])
        i = path.alphas.tolist().index(alpha)
        coef = path.coef[i].reshape(10, targets)
        assert np.allclose(found, X @ coef + path.intercepts[i], rtol=1e-12, atol=1e-12)


def test_data_of_another_width_are_refused(regression):
    path = fit_path(from_arrays(*regression(30, 4)), FitOptions(alphas=(0.1,)), RUN)
    with pytest.raises(ModelError, match="5 features found, expected the model's 4"):
        next(predict_store(from_arrays(*regression(30, 5)), path, run=RUN))


def test_progress_tells_of_every_scan_in_turn(regression):
    events = []
    path = fit_path(
        from_arrays(*regression(60, 8)), FitOptions(n_alphas=5), RUN, progress=events.append
    )
    scans = [event.scan for event in events]
    assert scans == list(range(scans[0], int(path.scans) + 1))
    assert events[-1].n_done == events[-1].n_alphas == 5
    assert events[-1].bytes_read == path.bytes_read
    done = [event.n_done for event in events]
    assert done == sorted(done)


def test_the_alphas_of_a_grid_begin_where_the_first_coefficient_appears(regression):
    X, y = regression(60, 8)
    path = fit_path(from_arrays(X, y), FitOptions(n_alphas=3, eps=0.5), RUN)
    top = np.abs((X - X.mean(axis=0)).T @ (y - y.mean())).max() / 60
    assert path.alphas[0] == pytest.approx(top, rel=1e-12)
    below = fit_path(from_arrays(X, y), FitOptions(alphas=(0.99 * top,), tol=1e-9), RUN)
    assert np.max(np.abs(path.coef[0])) < 1e-6
    assert np.count_nonzero(below.coef[0]) == 1


def test_same_data_in_memory_and_in_a_store_have_the_same_solution(make_store, regression):
    X, y = regression(80, 6)
    options = FitOptions(n_alphas=3, tol=1e-10)
    stored, held = (fit_path(data, options, RUN) for data in (make_store(X, y), from_arrays(X, y)))
    assert np.allclose(stored.coef, held.coef, atol=1e-5)


@pytest.mark.parametrize("solver", ["gram", "fista"])
def test_the_grid_of_a_non_negative_fit_begins_where_a_feature_comes_in(solver):
    rng = np.random.default_rng(4)
    X = rng.standard_normal((80, 3))
    y = X @ [-3.0, 1.0, 0.0] + 0.1 * rng.standard_normal(80)  # the steepest column falls with y
    options = FitOptions(n_alphas=3, eps=0.5, positive=True, solver=solver)
    path = fit_path(from_arrays(X, y), options, RUN)
    products = (X - X.mean(axis=0)).T @ (y - y.mean()) / 80
    assert path.alphas[0] == pytest.approx(products.max(), rel=1e-12)
    assert path.alphas[0] < np.abs(products).max()
    assert not path.coef[0].any()
    assert path.coef[1].any()
