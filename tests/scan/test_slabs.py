"""Slabs show every row once, in the type that is asked for."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dasklasso.backend import backend_for
from dasklasso.scan.columns.dense import DenseBlock
from dasklasso.scan.rows import Rows
from dasklasso.scan.slabs import slabs


@given(
    n=st.integers(1, 6000),
    width=st.integers(1, 3000),
    points=st.integers(1, 200),
    shifted=st.booleans(),
)
@settings(deadline=None, max_examples=30)
def test_slabs_show_every_row_once_in_the_dtype_asked_for(n, width, points, shifted):
    block = np.broadcast_to(np.arange(n, dtype=np.float32)[:, None], (n, width))
    shifts = [np.ones(width)] if shifted else None
    at = 0
    rows = Rows(0, [DenseBlock(block)], None, None)
    for start, stop, [slab] in slabs(rows, shifts, np.float64, backend_for("cpu"), points):
        assert start == at
        assert slab.dtype == np.float64
        assert np.array_equal(
            slab.dense()[:, 0], np.arange(start, stop) - (1.0 if shifted else 0.0)
        )
        at = stop
    assert at == n
