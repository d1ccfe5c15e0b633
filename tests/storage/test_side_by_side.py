"""Two tables of the same rows are read as one, each in its own type."""

from __future__ import annotations

import numpy as np

from dasklasso.storage.blocks import MemoryBlocks
from dasklasso.storage.missing_codes import (
    FilledBlocks,
    MissingCode,
    as_stored,
    missing_code_of,
    stored_dtype,
)
from dasklasso.storage.side_by_side import SideBySide
from dasklasso.storage.zarr_blocks import read_rows

CODES = np.array([[0, 1], [2, 255], [1, 0]], dtype=np.uint8)
RIGHT = np.array([[0.5], [255.0], [2.5]], dtype=np.float32)


def beside():
    left = FilledBlocks(MemoryBlocks(CODES, (0, 2, 3)), MissingCode(255, np.array([1.0, 0.25])))
    return SideBySide(left, MemoryBlocks(RIGHT, (0, 3)))


def test_rows_are_those_of_both():
    both = beside()
    assert both.shape == (3, 3)
    assert both.column_bounds == (0, 2, 3)
    assert both.dtype == np.float32
    np.testing.assert_array_equal(read_rows(both, 1, 3), [[2, 0.25, 255], [1, 0, 2.5]])
    np.testing.assert_array_equal(both.block(0, 1), RIGHT[:2])
    assert both.stored_bytes(1, 1) == 4


def test_what_is_stored_stays_as_it_is():
    both = beside()
    assert stored_dtype(both) == np.uint8
    assert as_stored(both).block(0, 0).dtype == np.uint8
    missing = missing_code_of(both)
    assert missing is not None
    assert missing.code == 255
    np.testing.assert_array_equal(missing.fill, [1.0, 0.25, 0.0])
