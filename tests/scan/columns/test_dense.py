"""The operations of a dense block are what their definitions say, for any shape, type and shift."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dasklasso.backend import backend_for, to_numpy
from dasklasso.scan.columns.base import weighted_gram
from dasklasso.scan.columns.dense import Buffers, DenseBlock

DEVICES = ["cpu", "strict"]
SHAPES = {"n": st.integers(1, 40), "width": st.integers(1, 6), "seed": st.integers(0, 2**32 - 1)}


def drawn(seed, n, width, device="cpu"):
    """An array, the block that it is on a device, and what draws more."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((n, width))
    return values, DenseBlock(backend_for(device).asarray(values)), rng


def close(found, expected):
    return np.allclose(to_numpy(found), expected, rtol=1e-12, atol=1e-12)


@settings(deadline=None)
@given(**SHAPES, k=st.integers(1, 4), device=st.sampled_from(DEVICES))
def test_products_with_coefficients_and_residuals(seed, n, width, k, device):
    X, block, rng = drawn(seed, n, width, device)
    move = backend_for(device).asarray
    coef, residual = rng.standard_normal((width, k)), rng.standard_normal((n, k))
    assert close(block.times(move(coef)), X @ coef)
    assert close(block.transposed_times(move(residual)), X.T @ residual)


@settings(deadline=None)
@given(**SHAPES, other=st.integers(1, 4), device=st.sampled_from(DEVICES))
def test_cross_products_are_weighted_by_the_squares_of_the_roots(seed, n, width, other, device):
    X, block, rng = drawn(seed, n, width, device)
    move = backend_for(device).asarray
    Z, root = rng.standard_normal((n, other)), rng.uniform(0, 2, (n, 1))
    found = block.cross_products(DenseBlock(move(Z)), move(root))
    assert close(found, X.T @ (root**2 * Z))
    whole = np.concatenate([X, Z], axis=1)
    found = weighted_gram([block, DenseBlock(move(Z))], move(root))
    assert close(found, whole.T @ (root**2 * whole))


@settings(deadline=None)
@given(**SHAPES, weighted=st.booleans(), device=st.sampled_from(DEVICES))
def test_sums_squares_and_extremes_of_columns(seed, n, width, weighted, device):
    X, block, rng = drawn(seed, n, width, device)
    move = backend_for(device).asarray
    s, centre = rng.uniform(0, 2, (n, 1)) if weighted else None, rng.standard_normal(width)
    weight = np.ones((n, 1)) if s is None else s
    given_weight = None if s is None else move(s)
    assert close(block.sums(given_weight), (weight * X).sum(axis=0))
    for unit in (np.ones(width), 2.0 ** rng.integers(-2, 3, width)):
        squares = (weight * ((X - centre) / unit) ** 2).sum(axis=0)
        assert close(block.squares(given_weight, move(centre), move(unit)), squares)
    assert close(block.row_squares(), (X**2).sum(axis=1))
    least, most = block.extremes()
    assert np.array_equal(to_numpy(least), X.min(axis=0))
    assert np.array_equal(to_numpy(most), X.max(axis=0))


@settings(deadline=None)
@given(
    **SHAPES,
    height=st.integers(1, 50),
    stored=st.sampled_from(["u1", "i2", "f4", ">f4", "f8"]),
    dtype=st.sampled_from(["f4", "f8"]),
    shifted=st.booleans(),
    device=st.sampled_from(DEVICES),
)
def test_slabs_are_runs_of_rows_less_a_shift_in_the_type_asked_for(
    seed, n, width, height, stored, dtype, shifted, device
):
    rng, backend = np.random.default_rng(seed), backend_for(device)
    values = rng.integers(0, 200, (n, width)).astype(stored)
    shift = rng.integers(0, 100, width).astype(dtype) if shifted else None
    walk = DenseBlock(values).slabs(
        height, np.dtype(dtype), backend, None if shift is None else backend.asarray(shift)
    )
    # a slab is good until the next one is asked for
    slabs = [to_numpy(slab.dense()).copy() for slab in walk]
    assert [len(slab) for slab in slabs] == [min(height, n - a) for a in range(0, n, height)]
    found = np.concatenate(slabs)
    assert found.dtype == np.dtype(dtype)
    assert np.array_equal(found, values.astype(dtype) - (0 if shift is None else shift))


def test_a_shift_is_taken_off_before_numbers_are_narrowed():
    values = 1e9 + np.array([[0.25], [0.5]])
    [slab] = DenseBlock(values).slabs(2, np.dtype("f4"), backend_for("cpu"), np.float32([1e9]))
    assert slab.dense().tolist() == [[0.25], [0.5]]


@settings(deadline=None)
@given(**SHAPES, device=st.sampled_from(DEVICES), buffered=st.booleans())
def test_standardised_columns(seed, n, width, device, buffered):
    X, block, rng = drawn(seed, n, width, device)
    if buffered and device == "cpu":
        block = DenseBlock(X, Buffers())
    move, before = backend_for(device).asarray, X.copy()
    centre, inverse = rng.standard_normal(width), rng.uniform(0, 2, width)
    found = block.standardised(move(centre), move(inverse))
    assert close(found.dense(), (X - centre) * inverse)
    assert np.array_equal(to_numpy(block.dense()), before)


@settings(deadline=None)
@given(**SHAPES, device=st.sampled_from(DEVICES))
def test_rows_and_columns_are_taken_and_stacked(seed, n, width, device):
    X, block, rng = drawn(seed, n, width, device)
    columns = np.flatnonzero(rng.integers(0, 2, width))
    assert np.array_equal(to_numpy(block.take_columns(columns).dense()), X[:, columns])
    host, cut = DenseBlock(X), n // 2
    mask, index = rng.integers(0, 2, n).astype(bool), rng.integers(0, n, 5)
    for rows in (slice(cut, n), mask, index):
        assert np.array_equal(host.take_rows(rows).dense(), X[rows])
    halves = [host.take_rows(slice(0, cut)), host.take_rows(slice(cut, n))]
    assert np.array_equal(DenseBlock.stacked(halves).dense(), X)


@pytest.mark.parametrize("rows", [slice(1, 4), np.array([4, 0, 0])])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_are_written_where_they_are_wanted(rows, order, dtype):
    X = np.asarray(np.arange(20.0).reshape(5, 4), dtype=dtype, order=order)
    out = np.zeros((3, 6))
    DenseBlock(X).write_rows(rows, out[:, 1:5])
    assert np.array_equal(out[:, 1:5], X[rows])
    assert not out[:, [0, 5]].any()


def test_values_that_are_not_finite_are_counted_named_and_replaced():
    X = np.array([[1.0, 2.0], [np.inf, 3.0], [4.0, np.nan], [np.nan, 5.0]])
    clean, bad = DenseBlock(X).finite()
    assert bad.tolist() == [2.0, 1.0]
    assert np.array_equal(clean.dense(), np.where(np.isfinite(X), X, 0.0))
    assert DenseBlock(X).first_bad() == (1, 0, np.inf)
    assert clean.first_bad() is None


def test_a_block_travels_without_its_buffers():
    block = DenseBlock(np.ones((2, 3)), Buffers())
    block.standardised(np.zeros(3), np.ones(3))
    assert len(pickle.dumps(block)) < len(pickle.dumps(np.ones((2, 3)))) + 100
    assert np.array_equal(pickle.loads(pickle.dumps(block)).dense(), np.ones((2, 3)))


def test_buffers_hold_one_array_for_each_name():
    buffers = Buffers()
    first = buffers.array("a", (3, 4), np.dtype(float))
    assert np.shares_memory(first, buffers.array("a", (2, 4), np.dtype(float)))
    assert not np.shares_memory(first, buffers.array("b", (3, 4), np.dtype(float)))
    assert buffers.array("a", (2, 2), np.dtype("f4")).dtype == np.float32
