"""A whole fit on a device that refuses to mix with NumPy equals the fit on the host."""

from __future__ import annotations

import numpy as np
import pytest

from dasklasso.fit import fit_path
from dasklasso.options import FitOptions, RunOptions
from dasklasso.scoring.predict import predict_store

SPLITS = {"one part": (None, 64 << 20), "split": (4, 8 * 4 * 50)}
KINDS = {
    "lasso": {},
    "elastic net": {"l1_ratio": 0.4},
    "positive": {"positive": True},
    "standardize": {"standardize": True},
    "no intercept": {"fit_intercept": False},
    "unpenalised": {"penalty_factor": np.array([0.0, 1, 1, 2, 1, 0, 1, 1, 1, 1])},
    "unpenalised and positive": {
        "penalty_factor": np.array([0.0, 1, 1, 2, 1, 0, 1, 1, 1, 1]),
        "positive": True,
    },
}


def fit_on(device, data, options, band_bytes):
    run = RunOptions(in_process=True, device=device, band_bytes=band_bytes, keep_statistics=False)
    return fit_path(data, options, run)


def assert_equal_fits(data, options, band_bytes, tolerance=1e-12):
    host = fit_on("cpu", data, options, band_bytes)
    device = fit_on("strict", data, options, band_bytes)
    assert host.scans == device.scans
    assert np.allclose(device.alphas, host.alphas, rtol=tolerance)
    scale = np.abs(host.coef).max()
    assert np.max(np.abs(device.coef - host.coef)) <= tolerance * scale
    assert np.allclose(device.intercepts, host.intercepts, rtol=tolerance, atol=tolerance)
    assert isinstance(device.coef, np.ndarray)


@pytest.mark.parametrize("solver", ["fista", "gram"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("split", SPLITS)
def test_every_option_gives_the_same_on_a_device(
    solver, kind, split, make_store, without_statistics, regression
):
    columns, band_bytes = SPLITS[split]
    X, y = regression(100, 10, seed=6)
    weight = np.random.default_rng(0).uniform(0.5, 2, 100)
    data = make_store(X, y, weight, chunk_rows=50, chunk_columns=columns)
    options = FitOptions(n_alphas=3, eps=0.05, tol=1e-6, solver=solver, **KINDS[kind])
    assert_equal_fits(without_statistics(data), options, band_bytes)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("split", SPLITS)
def test_small_types_give_the_same_on_a_device(dtype, split, make_store):
    columns, band_bytes = SPLITS[split]
    rng = np.random.default_rng(8)
    X = rng.integers(0, 200, (100, 10)).astype(dtype)
    Y = X[:, :2].astype(float) @ rng.standard_normal((2, 2)) + rng.standard_normal((100, 2))
    data = make_store(X, Y, dtype=dtype, chunk_rows=50, chunk_columns=columns)
    # in float32 products round otherwise; in float64, as tol asks here, they need not
    options = FitOptions(n_alphas=2, eps=0.1, tol=5e-8)
    assert_equal_fits(data, options, band_bytes)


def test_shifted_columns_give_the_same_on_a_device(make_store, regression):
    X, y = regression(100, 6)
    data = make_store(X + 1e6, y, chunk_rows=50)
    assert_equal_fits(data, FitOptions(n_alphas=2, eps=0.1), 64 << 20, tolerance=1e-9)


def test_float32_products_on_a_device_are_certified_in_float64(
    make_store, regression, assert_certified
):
    X, y = regression(100, 6)
    X = X.astype(np.float32)
    options = FitOptions(n_alphas=3, eps=0.05, tol=1e-6)
    path = fit_on("strict", make_store(X, y, dtype=np.float32), options, 64 << 20)
    assert_certified(path, X.astype(float), y, options)


@pytest.mark.parametrize("split", SPLITS)
def test_predictions_are_the_same_on_a_device(split, make_store, regression):
    columns, band_bytes = SPLITS[split]
    X, y = regression(100, 10)
    data = make_store(X, y, chunk_rows=50, chunk_columns=columns)
    path = fit_on("cpu", data, FitOptions(alphas=(0.1,)), band_bytes)
    run = RunOptions(in_process=True, device="strict", band_bytes=band_bytes)
    found = np.concatenate([p for _, _, p in predict_store(data, path, run=run)])
    assert np.allclose(found[:, 0], X @ path.coef[0] + path.intercept[0], rtol=1e-12)
