"""Columns held: values that share memory, and products as of the whole matrix."""

from __future__ import annotations

import numpy as np
import pytest

from dasklasso.scan.frame import Frame
from dasklasso.scan.threads import with_threads
from dasklasso.solvers.working_set.held import HeldColumns
from dasklasso.solvers.working_set.problems import steps


@pytest.fixture
def held():
    values = np.random.default_rng(0).integers(0, 3, (6, 700)).astype(np.uint8)
    return HeldColumns.of(np.array([5, 1, 9, 3, 0, 7]), values)


@pytest.fixture
def frame():
    rng = np.random.default_rng(1)
    centre, inverse = rng.standard_normal(10), rng.uniform(0.5, 2.0, 10)
    return Frame(np.zeros(10), centre, inverse, np.ones(10), np.ones(10))


def whole(held, frame):
    return (held.values - frame.centre[held.index, None]) * frame.inverse_scale[held.index, None]


def test_places_are_found_by_index(held):
    np.testing.assert_array_equal(held.places(np.array([9, 0, 5])), [2, 4, 0])


def test_products_are_of_standardised_columns(held, frame):
    R, X = np.random.default_rng(2).standard_normal((700, 3)), whole(held, frame)
    np.testing.assert_allclose(held.products(frame, R), X @ R, rtol=1e-10)
    coef = np.random.default_rng(3).standard_normal((2, 3))
    found = held.predictions(frame, np.array([4, 1]), coef)
    np.testing.assert_allclose(found, X[[4, 1]].T @ coef, rtol=1e-10)


def test_gram_matrices_have_the_rows_weights(held, frame):
    weight, X = np.random.default_rng(2).uniform(0.0, 1.0, 700), whole(held, frame)
    some, others = np.array([3, 0]), np.array([1, 2, 5])
    np.testing.assert_allclose(held.gram(frame, some, weight), (X[some] * weight) @ X[some].T)
    across = held.gram(frame, some, weight, others)
    np.testing.assert_allclose(across, (X[some] * weight) @ X[others].T)


def test_bits_do_not_depend_on_the_threads_of_a_task(held, frame, monkeypatch):
    monkeypatch.setattr("dasklasso.solvers.working_set.held.GRAM_COLUMNS_AT_ONCE", 2)
    monkeypatch.setattr("dasklasso.solvers.working_set.held.COLUMNS_AT_ONCE", 2)
    weight, R = np.random.default_rng(2).uniform(0.0, 1.0, (2, 700, 1))
    some, others = np.array([3, 0, 4]), np.array([1, 2, 5])

    def found():
        gram = held.gram(frame, some, weight[:, 0], others)
        return gram, held.gram(frame, some, weight[:, 0]), held.products(frame, R)

    for one, other in zip(found(), with_threads(3, found), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_is_added_changes_no_value_before():
    none = HeldColumns.none(4, np.dtype(np.float32), 3)
    first = none.with_more([(np.array([2]), np.full((1, 4), 2.0))])
    one, other = (first.with_more([(np.array([k]), np.full((1, 4), float(k)))]) for k in (5, 7))
    assert (len(none), len(first)) == (0, 1)
    np.testing.assert_array_equal(one.values[:, 0], [2.0, 5.0])
    np.testing.assert_array_equal(other.values[:, 0], [2.0, 7.0])


def test_alphas_far_apart_have_others_between():
    alphas, asked = steps(np.array([0.5, 0.01]), 1.0)
    np.testing.assert_array_equal(alphas[asked], [0.5, 0.01])
    assert np.all(np.diff(alphas) < 0)
    assert np.min(alphas[1:] / alphas[:-1]) >= 0.8


def test_alphas_close_to_each_other_have_none_between():
    alphas, asked = steps(np.array([1.0, 0.9, 0.85]), 1.0)
    assert len(alphas) == 3
    assert asked.all()
