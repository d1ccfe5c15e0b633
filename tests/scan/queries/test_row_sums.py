"""A row's prediction has the same bits whatever rows are read with it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dasklasso.scan.columns.dense import DenseBlock
from dasklasso.scan.queries import row_sums as module
from dasklasso.scan.queries.row_sums import row_sums


@settings(max_examples=30, deadline=None)
@given(
    n_rows=st.integers(1, 60),
    n_targets=st.integers(1, 4),
    cut=st.integers(1, 20),
    slab=st.integers(1, 200),
    dtype=st.sampled_from(["float32", "float64", "uint8"]),
    seed=st.integers(0, 1000),
)
def test_a_row_has_the_same_bits_alone_and_among_others(n_rows, n_targets, cut, slab, dtype, seed):
    rng = np.random.default_rng(seed)
    X = (rng.normal(size=(n_rows, 21)) * 100).astype(dtype)
    w = rng.normal(size=(21, n_targets)) * (rng.random((21, 1)) < 0.5)
    whole = row_sums([DenseBlock(X)], [w])
    np.testing.assert_allclose(whole, X.astype(np.float64) @ w, atol=1e-10)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SLAB_VALUES", slab)
        cut_up = row_sums([DenseBlock(X[:, :cut]), DenseBlock(X[:, cut:])], [w[:cut], w[cut:]])
    assert np.array_equal(whole, cut_up)
    alone = [row_sums([DenseBlock(X[i : i + 1])], [w]) for i in range(n_rows)]
    assert np.array_equal(whole, np.concatenate(alone))


def test_no_feature_in_use_gives_zeros():
    found = row_sums([DenseBlock(np.ones((3, 2)))], [np.zeros((2, 1))])
    assert np.array_equal(found, np.zeros((3, 1)))
