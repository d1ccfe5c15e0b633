"""The summation tree: the same bits however the bands are shared out, and in whatever order."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dasklasso.scan import summation_tree


def add(a, b):
    return a + b


def sum_in_runs(values, cuts, order, backwards):
    """The root over runs [cut, next cut), merged in ``order``, each read forward or backward."""
    edges = [0, *sorted(set(cuts) - {0, len(values)}), len(values)]
    runs = list(pairwise(edges))
    forests = []
    for k, (start, stop) in enumerate(runs):
        forest = {}
        bands = range(start, stop)
        for band in reversed(bands) if backwards[k % len(backwards)] else bands:
            summation_tree.add_leaf(forest, band, values[band], len(values), add)
        forests.append(forest)
    order = sorted(range(len(runs)), key=lambda k: order[k % len(order)])
    half = len(order) // 2
    some = summation_tree.merge([forests[k] for k in order[:half]], len(values), add)
    rest = summation_tree.merge([forests[k] for k in order[half:]], len(values), add)
    return summation_tree.root(summation_tree.merge([rest, some], len(values), add), len(values))


VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=70)


@given(
    values=VALUES,
    cuts=st.lists(st.integers(0, 70), max_size=12),
    order=st.lists(st.integers(0, 100), min_size=1, max_size=12),
    backwards=st.lists(st.booleans(), min_size=1, max_size=4),
)
def test_any_runs_in_any_order_give_the_same_bits(values, cuts, order, backwards):
    cuts = [cut for cut in cuts if cut <= len(values)]
    whole = sum_in_runs(values, [], [0], [False])
    assert sum_in_runs(values, cuts, order, backwards) == whole
    assert whole == pytest.approx(np.sum(values), rel=1e-9, abs=1e-6)


@given(n=st.integers(1, 70), cuts=st.lists(st.integers(0, 70), max_size=12))
def test_every_band_is_added_exactly_once(n, cuts):
    leaves = [frozenset([band]) for band in range(n)]
    sizes = []

    def union(a, b):
        assert not a & b
        sizes.append(len(a | b))
        return a | b

    forests = []
    edges = [0, *sorted({cut for cut in cuts if 0 < cut < n}), n]
    for start, stop in pairwise(edges):
        forest = {}
        for band in range(start, stop):
            summation_tree.add_leaf(forest, band, leaves[band], n, union)
        forests.append(forest)
    assert summation_tree.root(summation_tree.merge(forests, n, union), n) == frozenset(range(n))
    assert len(sizes) == n - 1


@given(n=st.integers(1, 4096), start=st.integers(0, 4095))
def test_a_run_hands_over_few_partials(n, start):
    start = min(start, n - 1)
    forest = {}
    for band in range(start, n):
        summation_tree.add_leaf(forest, band, 1, n, add)
    assert sum(forest.values()) == n - start
    assert len(forest) <= 2 * max(1, n.bit_length())


def test_a_missing_band_is_an_error_not_a_smaller_sum():
    forest = {}
    for band in (0, 1, 3):
        summation_tree.add_leaf(forest, band, 1.0, 4, add)
    with pytest.raises(ValueError, match="sum over 4 bands is incomplete"):
        summation_tree.root(forest, 4)
