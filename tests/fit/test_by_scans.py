"""A problem's name, under which its checkpoint is resumed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dasklasso.fit.by_scans import problem_key
from dasklasso.options import CvOptions, FitOptions, RunOptions

OPTIONS, RUN, CV = FitOptions(loss="logistic"), RunOptions(), CvOptions(folds=3)


@pytest.fixture(scope="module")
def key(make_store):
    data = make_store(np.arange(12.0).reshape(6, 2), np.arange(6.0) % 2)
    return lambda cv: problem_key(data, OPTIONS, RUN, cv)


@pytest.mark.parametrize(
    "other",
    [{"folds": 4}, {"seed": 1}, {"kind": "contiguous"}, {"criterion": "auc"}],
    ids=lambda other: next(iter(other)),
)
def test_other_folds_are_another_problem(other, key):
    assert key(replace(CV, **other)) != key(CV)


def test_a_path_is_another_problem_than_its_cross_validation(key):
    assert key(None) != key(CV)


def test_the_rule_that_chooses_in_the_end_does_not_make_another_problem(key):
    assert key(replace(CV, rule="1se")) == key(CV)
