"""Residuals and sums of losses: many rows are treated as their parts, outputs as columns."""

from __future__ import annotations

import operator
from functools import reduce

import numpy as np
import pytest

from dasklasso.objective.losses.logistic import Logistic
from dasklasso.objective.losses.softmax import Softmax
from dasklasso.scan.queries import row_terms


@pytest.mark.parametrize("loss", [Logistic(), Softmax(5)], ids=["logistic", "softmax"])
@pytest.mark.parametrize("weighted", [False, True])
def test_many_rows_have_the_residuals_and_sums_of_their_parts(weighted, loss):
    rng = np.random.default_rng(0)
    p, y = rng.standard_normal((3001, 12)), rng.integers(0, 2, (3001, 1)).astype(float)
    weight = rng.uniform(0.5, 2, (3001, 1)) if weighted else None
    rows = [slice(i, i + 100) for i in range(0, 3001, 100)]
    parts = [(p[some], y[some], None if weight is None else weight[some]) for some in rows]
    found = row_terms.residuals(p, y, weight, loss, 10)
    assert np.array_equal(
        found, np.concatenate([row_terms.residuals(*part, loss, 10) for part in parts])
    )
    sums = row_terms.loss_sums(p, y, weight, loss, 10)
    expected = reduce(operator.add, [row_terms.loss_sums(*part, loss, 10) for part in parts])
    for name in ("loss", "slope", "slope_squares", "slope_ratio"):
        assert np.allclose(getattr(sums, name), getattr(expected, name), rtol=1e-12)


def test_sums_of_several_outputs_are_in_the_column_of_each():
    rng, loss = np.random.default_rng(0), Softmax(3)
    p, y = rng.standard_normal((40, 7)), rng.integers(0, 3, (40, 1)).astype(float)
    weight = rng.uniform(0.5, 2, (40, 1))
    found = row_terms.loss_sums(p, y, weight, loss, 6)
    assert len(found) == 7
    for first in (0, 3):
        value, slope, ratio = loss.terms(p[:, first : first + 3], y[:, 0])
        here = found[first : first + 3]
        assert np.allclose(here.loss, weight[:, 0] @ value, rtol=1e-13)
        assert np.allclose(here.slope, weight[:, 0] @ slope, atol=1e-13)
        assert np.allclose(here.slope_squares, weight[:, 0] @ slope**2, rtol=1e-13)
        assert np.allclose(here.slope_ratio, weight[:, 0] @ ratio, rtol=1e-13)
    direction = found[6:]
    assert np.allclose(direction.slope, weight[:, 0] @ p[:, 6], rtol=1e-13)
    assert direction.loss == direction.slope_squares == direction.slope_ratio == 0.0
