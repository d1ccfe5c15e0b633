"""Folds of rows: a function of the row alone, fair, and stable under appended rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import GroupKFold

from dasklasso.dataset.dataset import from_arrays
from dasklasso.dataset.row_folds import FoldScheme, assign_folds, random_folds
from dasklasso.errors import OptionError
from dasklasso.storage.blocks import MemoryBlocks


def assigned(scheme, numbers, n=10):
    """The folds of some rows whose fold column is ``numbers``, or that have none."""
    fold = None
    if numbers is not None:
        n = len(numbers)
        fold = MemoryBlocks(np.asarray(numbers)[:, None], (0, n // 2, n))
    data = from_arrays(np.zeros((n, 1)), np.arange(n))
    return assign_folds(scheme, replace(data, fold=fold, location="d"))


@given(
    folds=st.integers(2, 12),
    seed=st.integers(0, 3),
    start=st.integers(0, 30_000),
    length=st.integers(0, 3000),
)
def test_any_piece_of_the_rows_has_the_folds_of_the_whole(folds, seed, start, length):
    whole = random_folds(folds, seed, 0, start + length)
    np.testing.assert_array_equal(random_folds(folds, seed, start, start + length), whole[start:])


@given(folds=st.integers(2, 12), n=st.integers(1, 20_000))
def test_random_folds_differ_by_one_row_at_most(folds, n):
    sizes = np.bincount(random_folds(folds, 0, 0, n), minlength=folds)
    assert sizes.max() - sizes.min() <= 1


def test_seeds_deal_differently():
    assert (random_folds(5, 0, 0, 1000) != random_folds(5, 1, 0, 1000)).mean() > 0.5


def test_neighbouring_runs_are_dealt_differently():
    runs = random_folds(4, 0, 0, 4000).reshape(-1, 4)
    assert len(np.unique(runs, axis=0)) == 24  # every order occurs


def test_folds_of_a_column_are_taken_as_they_are():
    found = assigned(FoldScheme("column"), [7, 3, 7, 3, 9])
    assert found.n_folds == 3
    np.testing.assert_array_equal(found.of_rows(1, 4), [3, 7, 3])
    np.testing.assert_array_equal(found.folds_of_rows(1, 5, 5), [0, 1, 0, 2])


def test_groups_are_dealt_as_scikit_learn_deals_them():
    groups = np.random.default_rng(0).integers(-20, 20, 400) ** 2
    found = assigned(FoldScheme("groups", 4), groups).of_rows(0, 400)
    expected = np.bincount([len(test) for _, test in GroupKFold(4).split(groups, groups=groups)])
    np.testing.assert_array_equal(np.bincount(np.bincount(found)), expected)


def test_a_group_is_never_divided():
    groups = np.random.default_rng(1).integers(0, 30, 500)
    found = assigned(FoldScheme("groups", 5), groups).of_rows(0, 500)
    assert all(len(np.unique(found[groups == group])) == 1 for group in np.unique(groups))


def test_rows_need_no_number_where_there_is_one_fold():
    assert assigned(FoldScheme(), None).of_rows(0, 10) is None


@pytest.mark.parametrize(
    ("scheme", "numbers", "message"),
    [
        (FoldScheme("column"), None, "d has none"),
        (FoldScheme("column"), [4, 4, 4, 4], "1 different numbers"),
        (FoldScheme("groups", 3), [1, 2, 1, 2], "2 different numbers .* at least 3"),
    ],
)
def test_numbers_that_cannot_make_folds_are_refused(scheme, numbers, message):
    with pytest.raises(OptionError, match=message):
        assigned(scheme, numbers)
