"""GroupedMoments: what they add up to is what the rows add up to, however they are asked for."""

from __future__ import annotations

import numpy as np
import pytest

from dasklasso.dataset.row_folds import FoldScheme
from dasklasso.errors import OptionError
from dasklasso.moments.cross_moments import cross_moments
from dasklasso.moments.grouped import GroupedMoments

N = 60
RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((N, 3)), RNG.standard_normal(N)


def grouped(scheme, fold, block):
    places = sorted(set(zip(fold.tolist(), block.tolist(), strict=True)))
    moments = tuple(
        cross_moments(X[(fold == f) & (block == b)], Y[(fold == f) & (block == b)])
        for f, b in places
    )
    folds, blocks = np.array(places).T
    return GroupedMoments(scheme, folds, blocks, moments)


def agree(found, chosen):
    expected = cross_moments(X[chosen], Y[chosen])
    assert found.count == expected.count
    np.testing.assert_allclose(found.mean, expected.mean, atol=1e-13)
    np.testing.assert_allclose(found.products, expected.products, atol=1e-11)


FOLD, BLOCK = np.arange(N) % 3 + 4, np.arange(N) * 5 // N
APART = grouped(FoldScheme("column", 3, n_blocks=5), FOLD, BLOCK)


def test_the_total_is_that_of_all_rows():
    agree(APART.total(), np.ones(N, bool))


def test_folds_come_in_the_order_of_their_labels():
    for found, label in zip(APART.by_fold(), (4, 5, 6), strict=True):
        agree(found, label == FOLD)


def test_blocks_come_in_the_order_of_the_rows():
    for number, found in enumerate(APART.by_block()):
        agree(found, number == BLOCK)


def test_contiguous_folds_are_runs_of_blocks_with_equal_rows_as_far_as_blocks_allow():
    edges = np.array([0, 20, 30, 40, 50, 60])  # the first block is twice as long
    block = np.searchsorted(edges, np.arange(N), side="right") - 1
    found = grouped(FoldScheme("contiguous", 3, n_blocks=5), np.zeros(N, int), block).by_fold()
    for k, fold in enumerate(found):
        agree(fold, np.arange(N) // 20 == k)


@pytest.mark.parametrize("lengths", [[14, 7, 14, 14, 11], [1, 1, 1, 56, 1], [56, 1, 1, 1, 1]])
def test_as_many_uneven_blocks_as_contiguous_folds_are_a_fold_each(lengths):
    block = np.repeat(np.arange(5), lengths)
    found = grouped(FoldScheme("contiguous", 5, n_blocks=5), np.zeros(N, int), block).by_fold()
    assert len(found) == 5
    for k, fold in enumerate(found):
        agree(fold, block == k)


def test_more_contiguous_folds_than_blocks_are_refused():
    few = grouped(FoldScheme("contiguous", 6, n_blocks=5), np.zeros(N, int), BLOCK)
    with pytest.raises(OptionError, match="6 contiguous ones cannot be made of 5 blocks"):
        few.by_fold()
