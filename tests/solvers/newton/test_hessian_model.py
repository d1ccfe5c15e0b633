"""Models along a path: nodes, what lies between them, and what secants correct."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dasklasso.solvers.newton.hessian_model import (
    Hessians,
    Node,
    Secant,
    log_heights,
    node_places,
    quadric,
)


def node(seed, columns=(0, 1, 2, 3), d=4):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((20, len(columns) + 1))
    return Node(np.array(columns), A.T @ A / 20, np.zeros(d), 0.0)


@settings(max_examples=50, deadline=None)
@given(n=st.integers(1, 60), most=st.integers(1, 12), decades=st.floats(0.0, 4.0))
def test_nodes_are_few_and_have_both_ends(n, most, decades):
    alphas = np.geomspace(1.0, 10.0**-decades, n)
    places = node_places(alphas, most)
    assert 1 <= places.size <= max(most, 1)
    assert places[-1] == n - 1
    assert places.size == 1 or places[0] == 0
    assert np.all(np.diff(places) > 0)


def test_alphas_that_are_equal_share_a_node():
    hessians = Hessians(np.array([1.0, 0.1, 0.1, 0.1]), 2)
    assert hessians.places.tolist() == [0, 3]
    assert hessians.around(1) == hessians.around(2) == [(1, 1.0)]


def test_an_alpha_of_zero_counts_as_a_thousandth_of_the_smallest_other():
    assert log_heights(np.array([1.0, 0.1, 0.0]))[-1] == pytest.approx(np.log(1e-4))


def test_shares_of_neighbours_are_by_log_alpha_and_add_up_to_one():
    hessians = Hessians(np.geomspace(1.0, 1e-2, 9), 2)
    assert hessians.around(0) == [(0, 1.0)]
    assert hessians.around(8) == [(1, 1.0)]
    (above, first), (below, second) = hessians.around(2)
    assert (above, below) == (0, 1)
    assert (first, second) == (pytest.approx(0.75), pytest.approx(0.25))


def test_a_model_between_nodes_is_their_mean_over_the_columns_of_both():
    a, b = node(0), node(1, columns=(1, 2, 3))
    found = quadric([(a, 0.25), (b, 0.75)], np.ones(4, bool), [])
    place = np.array([1, 2, 3, 4])
    assert found.columns.tolist() == [1, 2, 3]
    assert np.allclose(found.matrix, 0.25 * a.matrix[np.ix_(place, place)] + 0.75 * b.matrix)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), n_secants=st.integers(1, 4))
def test_a_corrected_model_meets_its_last_secant_and_stays_positive_definite(seed, n_secants):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((20, 5))
    true = A.T @ A / 20
    steps = rng.standard_normal((n_secants, 5))
    secants = [Secant(step, true @ step) for step in steps]
    found = quadric([(node(seed), 1.0)], np.ones(4, bool), secants)
    assert np.allclose(found.matrix @ steps[-1], true @ steps[-1])
    assert np.linalg.eigvalsh(found.matrix)[0] > 0


@pytest.mark.parametrize(
    "secant",
    [
        Secant(np.array([0.0, 0.0, 0.0, 1.0, 0.0]), np.array([0.0, 0.0, 0.0, -1.0, 0.0])),
        Secant(np.zeros(5), np.zeros(5)),
        Secant(np.full(5, 1e200), np.full(5, np.inf)),
    ],
    ids=["negative curvature", "no step", "beyond numbers"],
)
def test_secants_that_show_no_curvature_are_not_believed(secant):
    plain = quadric([(node(3), 1.0)], np.ones(4, bool), [])
    found = quadric([(node(3), 1.0)], np.ones(4, bool), [secant])
    assert np.array_equal(found.matrix, plain.matrix)


def test_a_secant_beyond_the_model_s_columns_is_left_out():
    some = np.array([True, True, True, False])
    secant = Secant(np.array([1.0, 0.0, 0.0, 1.0, 0.0]), np.ones(5))
    plain = quadric([(node(3), 1.0)], some, [])
    assert np.array_equal(quadric([(node(3), 1.0)], some, [secant]).matrix, plain.matrix)


def test_how_far_a_point_moved_is_the_root_mean_square_of_its_predictions():
    rng = np.random.default_rng(0)
    Z, weight = rng.standard_normal((30, 3)), rng.uniform(0.1, 1.0, 30)
    Z1 = np.column_stack([Z, np.ones(30)])
    one = Node(np.arange(3), Z1.T @ (Z1 * weight[:, None]), np.zeros(3), 0.0)
    u, b = np.array([0.3, 0.0, -1.0]), 0.2
    expected = np.sqrt(np.average((Z @ u + b) ** 2, weights=weight))
    assert one.moved(u, b) == pytest.approx(expected)


def test_rows_without_curvature_say_nothing_of_how_far_they_moved():
    flat = Node(np.arange(2), np.zeros((3, 3)), np.zeros(2), 0.0)
    assert flat.moved(np.zeros(2), 0.0) == 0.0
    assert flat.moved(np.ones(2), 0.0) == np.inf
