"""Labels of a store are read as the codes of a model, by name where they were text."""

from dataclasses import replace

import numpy as np
import pytest

from dasklasso.dataset.dataset import from_arrays
from dasklasso.dataset.labels.recode import recoded
from dasklasso.errors import ModelError, ValueFound
from dasklasso.storage.zarr_blocks import read_rows


def data_of(*columns, names=()):
    y = np.asarray(columns, dtype=float).T
    return replace(from_arrays(np.ones((len(y), 1)), y), target_classes=names)


def codes(data, classes):
    found = recoded(data, classes)
    return read_rows(found.y, 0, found.n_rows).T.tolist()


def test_numbers_become_their_places_among_the_classes():
    data = data_of([2, 1, 2], [-1, 5, 7])
    assert codes(data, [(1, 2), (-1, 5, 7)]) == [[1, 0, 1], [0, 1, 2]]


def test_text_is_matched_by_name_not_by_code():
    data = data_of([0, 1, 2], names=(("blue", "green", "red"),))
    assert codes(data, [("green", "blue", "black", "red")]) == [[1, 0, 3]]


def test_probabilities_for_a_model_of_0_and_1_stay():
    data = data_of([0.25, 0.75])
    assert recoded(data, [(0, 1)]) is data


def test_a_label_that_the_model_does_not_know_is_named_with_its_row():
    with pytest.raises(ValueFound, match="row 1: target y0 is 3, which is none"):
        codes(data_of([1, 3, 2], [1, 2, 1]), [(1, 2), (1, 2)])
    named = data_of([0, 1], names=(("ill", "odd"),))
    with pytest.raises(ValueFound, match="row 1: target y is odd, which is none"):
        codes(named, [("ill", "well")])


def test_text_and_numbers_are_not_compared():
    with pytest.raises(ModelError, match=r"are numbers, those of the model are text \(no, yes\)"):
        codes(data_of([0, 1]), [("no", "yes")])
    with pytest.raises(ModelError, match=r"are text, those of the model are numbers \(0, 1\)"):
        codes(data_of([0, 1], names=(("no", "yes"),)), [(0, 1)])
