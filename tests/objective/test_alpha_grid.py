"""Grids of alphas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dasklasso.errors import OptionError
from dasklasso.objective.alpha_grid import alpha_grid, given_alphas


@given(
    alpha_max=st.floats(1e-12, 1e12),
    n_alphas=st.integers(2, 200),
    eps=st.floats(1e-6, 0.5),
)
def test_a_grid_goes_down_evenly_in_the_logarithm(alpha_max, n_alphas, eps):
    grid = alpha_grid(alpha_max, n_alphas=n_alphas, eps=eps, n_rows=10, n_features=10)
    assert grid.shape == (n_alphas,)
    assert grid[0] == alpha_max
    assert grid[-1] == pytest.approx(eps * alpha_max, rel=1e-12)
    steps = np.diff(np.log(grid))
    assert np.all(steps < 0)
    assert np.allclose(steps, steps[0], rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize(("n_rows", "eps"), [(11, 1e-3), (10, 1e-2), (9, 1e-2)])
def test_the_grid_ends_sooner_where_features_outnumber_rows(n_rows, eps):
    grid = alpha_grid(1.0, n_rows=n_rows, n_features=10)
    assert len(grid) == 100
    assert grid[-1] == pytest.approx(eps)


def test_one_alpha_is_alpha_max():
    assert alpha_grid(2.5, n_alphas=1, n_rows=3, n_features=3).tolist() == [2.5]


@pytest.mark.parametrize("n_alphas", [0, -1])
def test_fewer_than_one_alpha_is_an_option_error(n_alphas):
    with pytest.raises(OptionError, match=f"n_alphas: {n_alphas} found"):
        alpha_grid(1.0, n_alphas=n_alphas, n_rows=3, n_features=3)


@pytest.mark.parametrize("eps", [0.0, 1.0, -0.1, 2.0, np.nan])
def test_eps_outside_of_0_to_1_is_an_option_error(eps):
    with pytest.raises(OptionError, match=f"eps: {eps} found"):
        alpha_grid(1.0, eps=eps, n_rows=3, n_features=3)


def test_given_alphas_are_sorted_downward_each_once():
    assert given_alphas([0.1, 3, 0.1, 1]).tolist() == [3.0, 1.0, 0.1]


@pytest.mark.parametrize(
    ("alphas", "found"),
    [([], "none"), ([0.0], "0.0"), ([1, -2], "-2.0"), ([np.nan], "nan"), ([np.inf, 1], "inf")],
)
def test_alphas_that_cannot_be_used_are_named(alphas, found):
    with pytest.raises(OptionError, match=f"alpha: {found} found, expected positive"):
        given_alphas(alphas)
