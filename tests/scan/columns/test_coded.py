"""Coded blocks compute what a dense block of the values filled in computes."""

from __future__ import annotations

import numpy as np
import pytest

from dasklasso.backend import backend_for
from dasklasso.scan.columns.coded import CodedBlock
from dasklasso.scan.columns.dense import DenseBlock
from dasklasso.storage.missing_codes import MissingCode

RNG = np.random.default_rng(0)
STORED = RNG.choice([0, 1, 2, 255], (30, 6), p=[0.4, 0.3, 0.2, 0.1]).astype(np.uint8)
MISSING = MissingCode.of(255, RNG.uniform(0.2, 1.8, 6))


@pytest.fixture
def blocks() -> tuple[CodedBlock, DenseBlock]:
    return CodedBlock(STORED, MISSING), DenseBlock(MISSING.filled(STORED, np.dtype(np.float64)))


@pytest.mark.parametrize("shift", [None, np.arange(6.0)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_slabs_are_filled_in(blocks, shift, dtype):
    coded, dense = (
        [slab.dense().copy() for slab in block.slabs(7, np.dtype(dtype), backend_for("cpu"), shift)]
        for block in blocks
    )
    np.testing.assert_array_equal(np.concatenate(coded), np.concatenate(dense))


@pytest.mark.parametrize(
    "question",
    [
        lambda block: block.times(np.arange(12.0).reshape(6, 2)),
        lambda block: block.transposed_times(np.arange(30.0)[:, None]),
        lambda block: block.sums(None),
        lambda block: block.squares(None, np.ones(6), np.ones(6)),
        lambda block: block.row_squares(),
        lambda block: np.stack(block.extremes()),
        lambda block: block.standardised(np.ones(6), np.full(6, 2.0)).dense(),
        lambda block: block.finite()[0].dense(),
        lambda block: block.take_rows(slice(3, 9)).dense(),
        lambda block: block.take_columns(np.array([4, 0])).dense(),
        lambda block: type(block).stacked([block, block]).dense(),
        lambda block: block.cross_products(block, np.ones((30, 1))),
    ],
)
def test_answers_are_those_of_the_values_filled_in(blocks, question):
    coded, dense = (question(block) for block in blocks)
    np.testing.assert_array_equal(coded, dense)


def test_holes_are_where_values_are_missing(blocks):
    np.testing.assert_array_equal(blocks[0].holes().toarray(), (STORED == 255).T)


def test_what_is_stored_are_the_codes(blocks):
    assert blocks[0].take_columns(np.array([1])).as_stored().tolist() == STORED[:, [1]].tolist()
