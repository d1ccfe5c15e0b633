"""Values of a target as labels, and their codes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dasklasso.dataset.dataset import from_arrays
from dasklasso.dataset.labels.class_codes import (
    Coded,
    binary_labels,
    class_labels,
    distinct_values,
)
from dasklasso.dataset.labels.class_weights import class_totals
from dasklasso.errors import ValueFound
from dasklasso.storage.blocks import MemoryBlocks
from dasklasso.storage.zarr_blocks import read_rows


def dataset(y, weight=None, names=None):
    y = np.asarray(y, dtype=float)
    data = from_arrays(np.arange(2.0 * len(y)).reshape(-1, 2), y, weight)
    return data if names is None else replace(data, target_classes=(names,))


def coded(found):
    return read_rows(found.data.y, 0, found.data.n_rows)[:, 0]


def blocks(values, edges):
    bounds = (0, *sorted({edge % len(values) for edge in edges} - {0}), len(values))
    return MemoryBlocks(np.asarray(values, dtype=float)[:, None], bounds)


some_values = arrays(float, st.integers(1, 40), elements=st.sampled_from([-2.5, 0, 1, 1e9, 3, 7]))


@given(some_values, st.lists(st.integers(1, 39), max_size=3), st.integers(1, 6))
def test_distinct_values_are_those_of_numpy_whatever_the_blocks(values, edges, most):
    found = distinct_values(blocks(values, edges), 0, most=most)
    seen = list(dict.fromkeys(values.tolist()))
    assert found.values.tolist() == sorted(seen[:most])
    if len(seen) <= most:
        assert found.beyond is None
    else:
        assert found.beyond == (values.tolist().index(seen[most]), seen[most])


@pytest.mark.parametrize("pair", [(-1, 1), (1, 2), (3, 7), (0, 2), (-0.5, 0.5), (0.5, 1.5)])
def test_of_two_values_the_greater_is_class_1(pair):
    y = np.array(pair)[[0, 1, 1, 0, 1]]
    found = binary_labels(dataset(y))
    assert coded(found).tolist() == [0, 1, 1, 0, 1]
    assert found.classes == (pair,)


@pytest.mark.parametrize("y", [[0.2, 0.7, 0.2], [0, 0.5, 1], [0.1, 0.2, 0.3]])
def test_probabilities_stay(y):
    data = dataset(y)
    found = binary_labels(data)
    assert found.data is data
    assert found.classes == (None,)


def test_labels_0_and_1_are_recorded_and_nothing_changes():
    data = dataset([0, 1, 1])
    found = binary_labels(data)
    assert found.data is data
    assert found.classes == ((0, 1),)


def test_labels_of_text_are_called_by_their_names():
    found = binary_labels(dataset([0, 1, 1], names=("default", "paid")))
    assert found.classes == (("default", "paid"),)


def test_a_third_label_is_named_with_its_first_row():
    y = [1, 2, 1, 3, 1, 3]
    with pytest.raises(ValueFound, match=r"target y is 3 at row 3, a third value .* softmax"):
        binary_labels(dataset(y))


def test_a_third_name_is_named():
    data = dataset([0, 1, 2], names=("a", "b", "c"))
    with pytest.raises(ValueFound, match="target y is c at row 2, a third value beside a and b"):
        binary_labels(data)


def test_every_value_is_a_class_where_there_may_be_many():
    found = class_labels(dataset([7, -1, 7, 5]))
    assert coded(found).tolist() == [2, 0, 2, 1]
    assert found.classes == ((-1, 5, 7),)


def test_two_values_are_classes_whatever_they_are():
    assert class_labels(dataset([0.5, -1, 0.5])).classes == ((-1, 0.5),)


def test_more_than_two_numbers_that_are_not_whole_are_no_labels():
    with pytest.raises(
        ValueFound, match=r"y is 0\.25 at row 2, one of 3 values; expected labels of"
    ):
        class_labels(dataset([7, 0.5, 0.25]))


def test_more_classes_than_there_may_be_are_refused_at_the_first_row():
    with pytest.raises(ValueFound, match=r"at row 10,000, one value more than 10,000"):
        class_labels(dataset(np.arange(10_500)))


def test_each_target_has_labels_of_its_own():
    Y = np.column_stack([[-1, 1, 1], [0.5, 0.25, 0.0], [5, 5, 9]])
    found = binary_labels(from_arrays(np.eye(3), Y))
    assert found.classes == ((-1, 1), None, (5, 9))
    rows = read_rows(found.data.y, 0, 3)
    assert rows.tolist() == [[0, 0.5, 0], [1, 0.25, 0], [1, 0, 1]]


def test_coded_data_have_a_fingerprint_of_their_own():
    data = dataset([1, 2, 2])
    prints = [data.fingerprint, binary_labels(data).data.fingerprint]
    assert prints[0] != prints[1]
    assert prints[1] == binary_labels(data).data.fingerprint


def test_codes_are_made_block_by_block_without_touching_the_source():
    source = blocks([3, 7, 7, 3], [2])
    codes = Coded(source, (np.array([3.0, 7.0]),))
    assert codes.block(1, 0).tolist() == [[1], [0]]
    assert source.array[:, 0].tolist() == [3, 7, 7, 3]


@pytest.mark.parametrize("weight", [None, np.array([0.5, 2, 0, 1])])
def test_totals_of_classes_are_sums_of_weights(weight):
    data = dataset([0, 1, 1, 0], weight)
    expected = [2, 2] if weight is None else [1.5, 2]
    assert class_totals(data, 0, 2).tolist() == expected
