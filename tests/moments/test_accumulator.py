"""The kernel of the Gram scan against second moments in extended precision."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dasklasso.backend import backend_for
from dasklasso.moments.accumulator import BUFFER_ROWS, GramAccumulator
from dasklasso.moments.cross_moments import Precision
from dasklasso.moments.rounding import rounding_of
from dasklasso.scan.columns.dense import DenseBlock
from dasklasso.scan.rows import Rows

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)


def accumulated(X, y, weight=None, labels=None, *, dtype=F64, cuts=(), device="cpu"):
    accumulator = GramAccumulator(
        X.shape[1],
        y.shape[1],
        X.dtype,
        dtype,
        weighted=weight is not None,
        backend=backend_for(device),
    )
    edges = [0, *cuts, len(X)]
    for a, b in pairwise(edges):
        half = X.shape[1] // 2
        rows = Rows(
            a,
            [DenseBlock(X[a:b, :half]), DenseBlock(X[a:b, half:])],
            y[a:b],
            None if weight is None else weight[a:b, None],
        )
        accumulator.add(rows, None if labels is None else labels[a:b])
    return accumulator.moments()


def truth(X, y, weight=None):
    z = np.concatenate([X.astype(np.longdouble), y.astype(np.longdouble)], axis=1)
    s = np.ones(len(z), np.longdouble) if weight is None else weight.astype(np.longdouble)
    mean = s @ z / s.sum()
    z = z - mean
    return s.sum(), mean, (z * s[:, None]).T @ z


def error(found, X, y, weight=None):
    """Largest error of products, in units of the columns' spreads."""
    total, mean, products = truth(X, y, weight)
    spread = np.sqrt(np.diagonal(products))
    spread = np.where(spread > 0, spread, 1)
    assert found.weight == pytest.approx(float(total), rel=1e-13)
    known = 4 * np.finfo(float).eps * np.abs(mean)  # a mean is one float64
    off = np.maximum(np.abs(found.mean - mean) - known, 0) / (spread / np.sqrt(float(total)))
    scaled = np.abs(found.products - products) / spread[:, None] / spread
    return max(float(off.max()), float(scaled.max()))


def table(n, d=6, mean=0.0, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    X = (rng.standard_normal((n, d)) + mean).astype(dtype)
    return X, rng.standard_normal((n, 2)) + X[:, :1].astype(np.float64)


@pytest.mark.parametrize("n", [1, 5, BUFFER_ROWS, BUFFER_ROWS + 1, 3 * BUFFER_ROWS + 7])
def test_products_are_those_of_the_rows(n):
    X, y = table(n)
    [found] = accumulated(X, y).values()
    assert found.count == n
    assert error(found, X, y) < 1e-13


@pytest.mark.parametrize("mean", [1e3, 1e6, -1e9])
def test_nothing_cancels_where_the_mean_is_far_from_zero(mean):
    X, y = table(5000, mean=mean)
    [found] = accumulated(X, y).values()
    assert error(found, X, y) < 1e-12


def test_float32_products_err_by_less_than_the_data_are_known():
    X, y = table(20_000, mean=1e4, dtype=np.float32)
    [found] = accumulated(X, y, dtype=F32).values()
    assert error(found, X, y) < 5e-7


def test_first_rows_unlike_the_others_cost_no_digits():
    X, y = table(30_000, dtype=np.float32)
    X[BUFFER_ROWS:] += 1e4
    [found] = accumulated(X, y, dtype=F32).values()
    _, _, products = truth(X, y)
    # what tells columns apart is their spread about either level, a 1e4th of that between them
    levels = (X[:BUFFER_ROWS], X[BUFFER_ROWS:])
    within = sum(np.var(part.astype(float), axis=0) * len(part) for part in levels)
    difference = np.abs(found.products - products)[:6, :6]
    assert (difference / np.sqrt(np.outer(within, within))).max() < 1e-4


@pytest.mark.parametrize("first", [100, 1500])
def test_a_jump_anywhere_is_small_beside_the_spread_it_makes(first):
    X, y = table(30_000, dtype=np.float32)
    X[first:] += 1e4
    [found] = accumulated(X, y, dtype=F32).values()
    assert error(found, X, y) < 1e-6


def test_a_column_that_is_sorted_is_exact():
    X, y = table(20_000, dtype=np.float32)
    X[:, 1] = np.arange(20_000)
    [found] = accumulated(X, y, dtype=F32).values()
    assert error(found, X, y) < 1e-7


def test_a_column_that_is_rarely_not_zero_is_exact():
    X, y = table(20_000, dtype=np.float32)
    X[:, 1] = 0.0
    X[[5000, 12_345, 19_000], 1] = 1.0
    [found] = accumulated(X, y, dtype=F32).values()
    assert error(found, X, y) < 1e-6


def test_a_column_whose_unit_changes_is_exact():
    X, y = table(10_000, dtype=np.float32)
    X[:3000, 1] = 0.0
    X[3000:, 1] *= np.float32(1e-25)
    [found] = accumulated(X, y, dtype=F32).values()
    assert error(found, X, y) < 1e-6


@pytest.mark.parametrize("scale", [1e-25, 1e-15, 1e15])
def test_units_of_measurement_do_not_matter_in_float32(scale):
    X, y = table(4000, dtype=np.float32)
    X[:, 2] *= np.float32(scale)
    [found] = accumulated(X, y, dtype=F32).values()
    assert error(found, X, y) < 1e-6


@pytest.mark.parametrize("scale", [1e-60, 1e60])
def test_units_of_targets_do_not_matter_in_float32(scale):
    X, y = table(2000, dtype=np.float32)
    assert error(accumulated(X, y * scale, dtype=F32)[0], X, y * scale) < 1e-6


def test_denormal_numbers_are_exact_in_float32():
    X, y = table(2000, dtype=np.float32)
    X[:, 2] *= np.float32(1e-41)
    assert error(accumulated(X, y, dtype=F32)[0], X, y) < 1e-6


@pytest.mark.parametrize("scale", [1e-200, 1e-60, 1e60, 1e200])
@pytest.mark.parametrize("n_other", [0, 1500])
def test_units_of_weights_do_not_matter_in_float32(scale, n_other):
    X, y = table(4000, mean=3.0, dtype=np.float32)
    weight = np.random.default_rng(1).uniform(0.5, 2, 4000)
    weight[n_other:] *= scale
    assert error(accumulated(X, y, weight, dtype=F32)[0], X, y, weight) < 1e-6


def test_what_is_held_does_not_grow_with_the_rows(monkeypatch):
    monkeypatch.setattr("dasklasso.moments.accumulator.MOST_BUFFERS", 2)
    held = []
    stack = np.stack
    monkeypatch.setattr(np, "stack", lambda parts: held.append(len(parts)) or stack(parts))
    X, y = table(9 * BUFFER_ROWS + 5, mean=100.0, dtype=np.float32)
    X += np.linspace(0, 10, len(X), dtype=np.float32)[:, None]
    assert error(accumulated(X, y, dtype=F32)[0], X, y) < 1e-6
    assert max(held) == 2


def test_a_constant_column_has_zeros():
    X, y = table(3000, dtype=np.float32)
    X[:, 3] = 0.1
    [found] = accumulated(X, y, dtype=F32).values()
    assert not found.products[3].any()
    assert found.mean[3] == np.float32(0.1)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float16])
def test_small_types_are_exact_where_float64_is(dtype):
    rng = np.random.default_rng(0)
    X = rng.integers(0, 200, (3000, 4)).astype(dtype)
    y = rng.standard_normal((3000, 1))
    [found] = accumulated(X, y).values()
    assert error(found, X, y) < 1e-13


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(3, 3000),
    folds=st.integers(1, 4),
    weighted=st.booleans(),
    cut=st.floats(0, 1),
    seed=st.integers(0, 1000),
)
def test_folds_are_kept_apart_however_rows_arrive(n, folds, weighted, cut, seed):
    rng = np.random.default_rng(seed)
    X, y = table(n, seed=seed)
    labels = rng.integers(0, folds, n)
    weight = rng.uniform(0.5, 2, n) if weighted else None
    found = accumulated(X, y, weight, labels, cuts=(int(cut * n),))
    assert sorted(found) == sorted(set(labels.tolist()))
    for label, moments in found.items():
        own = labels == label
        if own.sum() > 1:
            assert moments.count == own.sum()
            assert error(moments, X[own], y[own], None if weight is None else weight[own]) < 1e-11


def test_rows_without_weight_are_counted_and_not_looked_at():
    X, y = table(2000)
    weight = np.random.default_rng(0).uniform(0.5, 2, 2000)
    weight[::3] = 0.0
    X[::3] = 1e30
    own = weight > 0
    [found] = accumulated(X, y, weight).values()
    assert found.count == 2000
    assert error(found, X[own], y[own], weight[own]) < 1e-13


def test_no_weight_at_all_is_no_moments():
    X, y = table(100)
    [found] = accumulated(X, y, np.zeros(100)).values()
    assert (found.weight, found.count) == (0.0, 100)


def test_a_nan_shows_in_the_products():
    X, y = table(2000, dtype=np.float32)
    X[1500, 2] = np.nan
    [found] = accumulated(X, y, dtype=F32).values()
    assert np.isnan(found.products[2, 2])


def test_a_device_gives_the_products_of_the_host():
    X, y = table(3000, mean=50.0)
    labels = np.arange(3000) % 3
    host = accumulated(X, y, labels=labels)
    device = accumulated(X, y, labels=labels, device="strict")
    for label, moments in host.items():
        np.testing.assert_allclose(device[label].products, moments.products, rtol=1e-12, atol=1e-9)


def zero_one(n: int, d: int, dtype) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = (rng.random((n, d)) < np.linspace(0.02, 0.9, d)).astype(dtype)
    return X, rng.normal(size=(n, 1))


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.float32])
def test_float32_products_of_small_whole_numbers_are_exact(dtype):
    X, y = zero_one(5 * BUFFER_ROWS + 9, 7, dtype)
    X[:, 3] = np.arange(len(X)) % 100
    [found], [exact] = (accumulated(X, y, dtype=d).values() for d in (F32, np.dtype("f8")))
    assert found.precision == Precision.FLOAT64
    np.testing.assert_allclose(found.products, exact.products, rtol=1e-13, atol=1e-9)


def test_squares_and_products_with_targets_are_in_float64():
    X, y = table(20 * BUFFER_ROWS, mean=1.0, dtype=np.float32)
    [found], [exact] = (accumulated(X, y, dtype=d).values() for d in (F32, np.dtype("f8")))
    assert found.precision == Precision.FLOAT32
    np.testing.assert_allclose(np.diagonal(found.xx), np.diagonal(exact.xx), rtol=1e-12)
    np.testing.assert_allclose(found.xy, exact.xy, rtol=1e-11)


@pytest.mark.parametrize("kind", ["normal", "correlated", "two values", "heavy tails"])
def test_products_in_float32_are_within_their_bound(kind):
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(8000, 1))
    X = {
        "normal": rng.normal(size=(8000, 20)),
        "correlated": shared + 0.01 * rng.normal(size=(8000, 20)),
        "two values": ((shared > 1) ^ (rng.random((8000, 20)) < 0.02)) * 0.6 + 0.1,
        "heavy tails": rng.standard_cauchy((8000, 20)),
    }[kind].astype(np.float32)
    y = rng.normal(size=(8000, 1))
    [found], [exact] = (accumulated(X, y, dtype=d).values() for d in (F32, np.dtype("f8")))
    norms = np.sqrt(np.diagonal(exact.xx))
    off = np.abs(found.xx - exact.xx) / np.outer(norms, norms)
    assert 0 < off.max() <= rounding_of(found)


def test_numbers_that_are_no_longer_whole_are_not_taken_for_exact():
    X, y = zero_one(3 * BUFFER_ROWS, 4, np.float32)
    X[2 * BUFFER_ROWS :] += 0.1
    assert accumulated(X, y, dtype=F32)[0].precision != Precision.FLOAT64
