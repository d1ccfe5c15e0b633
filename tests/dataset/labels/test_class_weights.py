"""Weights of classes: how they are written, and what they make of the rows' weights."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from dasklasso.dataset.dataset import from_arrays
from dasklasso.dataset.labels.class_weights import (
    class_factors,
    class_totals,
    parse_class_weight,
    weighted_by_class,
)
from dasklasso.errors import OptionError
from dasklasso.storage.zarr_blocks import read_rows


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("balanced", "balanced"),
        ("default=5,paid=1", (("default", 5.0), ("paid", 1.0))),
        ("-1=0.5", (("-1", 0.5),)),
        ("a=b=2", (("a=b", 2.0),)),
        ("no=2,yes, later=3", (("no", 2.0), ("yes, later", 3.0))),
    ],
)
def test_class_weights_as_text(text, expected):
    assert parse_class_weight(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("even", "'even' found, expected 'balanced' or LABEL=WEIGHT"),
        ("a=x", "'a=x' found"),
        ("=2", "'=2' found"),
        ("a=1,", "'' found"),
        ("a=0", "0.0 found for a, expected a positive"),
        ("a=inf", "inf found for a"),
        ("a=1,a=2", "a occurs twice"),
    ],
)
def test_class_weights_that_cannot_be_used_are_refused(text, message):
    with pytest.raises(OptionError, match=message):
        parse_class_weight(text)


@given(st.lists(st.integers(0, 2), min_size=6, max_size=40))
def test_balanced_factors_are_those_of_scikit_learn(codes):
    codes = np.array([0, 1, 2, *codes])
    factors = class_factors("balanced", (0, 1, 2), np.bincount(codes))
    expected = compute_class_weight("balanced", classes=np.arange(3), y=codes)
    assert np.allclose(factors, expected, rtol=1e-14)


def test_labels_are_found_by_name_or_number_and_others_weigh_1():
    assert class_factors((("3", 2.0),), (3, 7), np.ones(2)).tolist() == [2, 1]
    assert class_factors(((7, 0.5),), (3, 7), np.ones(2)).tolist() == [1, 0.5]
    assert class_factors((("paid", 4.0),), ("late", "paid"), np.ones(2)).tolist() == [1, 4]


@pytest.mark.parametrize("label", ["8", "late", 8])
def test_a_label_that_is_no_class_is_refused(label):
    with pytest.raises(OptionError, match=f"class_weight: {label} is none of the classes: 3, 7"):
        class_factors(((label, 1.0),), (3, 7), np.ones(2))


@pytest.mark.parametrize("weight", [None, np.array([1.0, 2, 3, 4])])
def test_weights_of_rows_are_multiplied_by_those_of_their_class(weight):
    data = from_arrays(np.eye(4), np.array([0.0, 1, 1, 0]), weight)
    found = weighted_by_class(data, np.array([0.5, 3.0]))
    rows = read_rows(found.sample_weight, 0, 4)[:, 0]
    assert (
        rows.tolist() == (np.array([0.5, 3, 3, 0.5]) * (1 if weight is None else weight)).tolist()
    )
    assert found.fingerprint != data.fingerprint


def test_balanced_classes_have_equal_totals():
    data = from_arrays(np.eye(4), np.array([0.0, 1, 1, 1]), np.array([1.0, 2, 3, 4]))
    totals = class_totals(data, 0, 2)
    found = weighted_by_class(data, class_factors("balanced", (0, 1), totals))
    assert class_totals(found, 0, 2) == pytest.approx([5, 5])
