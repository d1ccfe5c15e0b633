from __future__ import annotations

import pickle

import numpy as np

from dasklasso.storage.blocks import MemoryBlocks
from dasklasso.storage.missing_codes import FilledBlocks, MissingCode, as_stored, missing_code_of

STORED = np.array([[0, 9, 2], [9, 9, 1], [1, 2, 9]], dtype=np.int8)
MISSING = MissingCode.of(9, np.array([0.5, 1 / 3, 1.5]))


def test_missing_values_are_filled_in_by_column():
    X = FilledBlocks(MemoryBlocks(STORED, (0, 2, 3)), MISSING)
    third = np.float32(1 / 3)
    expected = np.array([[0, third, 2], [0.5, third, 1], [1, 2, 1.5]], dtype=np.float32)
    found = np.concatenate([X.block(0, 0), X.block(1, 0)])
    assert found.dtype == X.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


def test_what_is_filled_in_is_the_same_in_float64():
    wide, narrow = (MISSING.filled(STORED, np.dtype(name)) for name in ("float64", "float32"))
    np.testing.assert_array_equal(wide, narrow)


def test_a_table_without_codes_is_as_it_is():
    X = MemoryBlocks(STORED, (0, 3))
    assert as_stored(X) is X
    assert missing_code_of(X) is None


def test_a_table_with_codes_pickles_with_what_it_fills_in():
    X = FilledBlocks(MemoryBlocks(STORED, (0, 3)), MISSING)
    again = pickle.loads(pickle.dumps(X))
    assert as_stored(again) is as_stored(X)
    np.testing.assert_array_equal(again.block(0, 0), X.block(0, 0))
