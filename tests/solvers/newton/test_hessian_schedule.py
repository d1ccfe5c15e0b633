"""Which Hessians scans take: of what columns, when again, and which are refused."""

from __future__ import annotations

import numpy as np
import pytest

from dasklasso.dataset.dataset import from_arrays
from dasklasso.options import FitOptions
from dasklasso.problem.zero_scan import meet
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.queries.folds import ALL
from dasklasso.scan.runners import InProcess
from dasklasso.solvers.base import Jobs
from dasklasso.solvers.newton.hessian_model import NODE_LARGEST_MOVE, Secant
from dasklasso.solvers.newton.hessian_schedule import CANDIDATE_SHARE, Limits, Nodes
from dasklasso.solvers.newton.iterate import Iterate
from dasklasso.solvers.newton.step import Point

ALPHAS = np.geomspace(1.0, 0.1, 6)
D = 5


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, D))
    X[:, 4] = 1.0  # it cannot matter
    y = (rng.random(50) < 0.5).astype(float)
    data = from_arrays(X, y)
    objective = FitOptions(loss="logistic").objective()
    return meet(data, ScanEngine(data, InProcess(1), 1 << 20), objective, "cpu")[0]


def nodes_of(problem, nodes=2, columns=D, noise=0.0):
    return Nodes(problem, Jobs(ALPHAS, 1), Limits(nodes, columns), noise)


def iterates_of(u=(0.0,) * D, gradient=(0.0,) * D):
    u, gradient = np.array(u), np.array(gradient)
    point = Point(u, 0.0, 1.0, gradient, 0.0)
    return [Iterate(k, 0, ALL, (u, 0.0), point, 1.0) for k in range(len(ALPHAS))]


def pulls(problem, alpha, *shares):
    """Gradients that are shares of what the penalty holds."""
    return np.array([*shares, *[0.0] * (D - len(shares))]) * alpha * problem.frame.l1_factor


def taken(nodes, wanted, iterates, matrices=None):
    """Let the nodes have what they wanted."""
    query, at = nodes.query(wanted, iterates, "float64", "cpu")
    found = [np.eye(one.columns.size + 1) for one in wanted] if matrices is None else matrices
    nodes.keep(wanted, query, at, iterates, found)


def test_columns_in_use_and_those_near_their_penalty_matter(problem):
    iterate = iterates_of((0.0, 2.0, 0.0, 0.0, 0.0))[0]
    near = 0.5 * (1.0 + CANDIDATE_SHARE)
    gradient = pulls(problem, ALPHAS[0], near, 0.0, 0.9 * CANDIDATE_SHARE)
    found = nodes_of(problem).matters(iterate, gradient)
    assert found.tolist() == [True, True, False, False, False]


def test_doubt_of_a_gradient_lets_more_columns_matter(problem):
    iterate = iterates_of()[0]
    gradient = pulls(problem, ALPHAS[0], 0.9 * CANDIDATE_SHARE)
    doubt = float(0.2 * ALPHAS[0] * problem.frame.l1_factor[0])
    assert not nodes_of(problem).matters(iterate, gradient).any()
    assert nodes_of(problem, noise=doubt).matters(iterate, gradient)[0]


def test_columns_that_secants_went_along_matter(problem):
    iterate = iterates_of()[0]
    iterate.secants = [Secant(np.eye(D + 1)[3], np.zeros(D + 1))]
    assert nodes_of(problem).matters(iterate).tolist() == [False, False, False, True, False]


def test_a_column_without_spread_never_matters(problem):
    iterate = iterates_of((0.0, 0.0, 0.0, 0.0, 3.0))[0]
    assert not nodes_of(problem).matters(iterate)[4]


def test_of_more_columns_than_a_hessian_has_those_that_violate_most_matter(problem):
    iterate = iterates_of((0.0, 1.0, 0.0, 0.0, 0.0))[0]
    gradient = pulls(problem, ALPHAS[0], 1.5, 0.0, 3.0, 2.0)
    found = nodes_of(problem, columns=2).matters(iterate, gradient)
    assert found.tolist() == [False, True, True, False, False]


def test_every_node_is_taken_first_and_none_again_while_they_serve(problem):
    nodes, iterates = nodes_of(problem), iterates_of()
    matters = [np.array([True, True, False, False, False])] * len(iterates)
    wanted = nodes.wanted(iterates, matters)
    assert [(one.node, one.iterate, one.columns.tolist()) for one in wanted] == [
        (0, 0, [0, 1]),
        (1, 5, [0, 1]),
    ]
    taken(nodes, wanted, iterates)
    assert nodes.wanted(iterates, matters) == []
    quadric = nodes.quadric(2, iterates[2], matters[2])
    assert quadric.columns.tolist() == [0, 1]


def test_a_node_whose_point_moved_far_is_taken_again(problem):
    nodes, iterates = nodes_of(problem), iterates_of()
    matters = [np.array([True, True, False, False, False])] * len(iterates)
    taken(nodes, nodes.wanted(iterates, matters), iterates)
    far = np.zeros(D)
    far[0] = 2.0 * NODE_LARGEST_MOVE
    iterates[5].trial = far, 0.0
    assert [one.node for one in nodes.wanted(iterates, matters)] == [1]


def test_a_node_that_lacks_a_violating_column_is_taken_again_with_it(problem):
    nodes, iterates = nodes_of(problem), iterates_of()
    matters = [np.array([True, False, False, False, False])] * len(iterates)
    taken(nodes, nodes.wanted(iterates, matters), iterates)
    gradient = pulls(problem, ALPHAS[0], 0.0, 1.5)
    iterates[0].point = Point(np.zeros(D), 0.0, 1.0, gradient, 0.0)
    more = [nodes.matters(iterate) for iterate in iterates]
    [one] = nodes.wanted(iterates, more)
    assert (one.node, one.columns.tolist()) == (0, [0, 1])


def test_a_hessian_that_is_not_finite_is_not_taken(problem):
    nodes, iterates = nodes_of(problem), iterates_of()
    matters = [np.array([True, False, False, False, False])] * len(iterates)
    wanted = nodes.wanted(iterates, matters)
    taken(nodes, wanted, iterates, [np.full((2, 2), np.nan), np.eye(2)])
    assert nodes.quadric(0, iterates[0], matters[0]) is None
    assert nodes.quadric(5, iterates[5], matters[5]) is not None


def test_what_was_asked_at_a_refused_trial_does_not_replace_what_is_known(problem):
    nodes, iterates = nodes_of(problem), iterates_of()
    matters = [np.array([True, False, False, False, False])] * len(iterates)
    wanted = nodes.wanted(iterates, matters)
    taken(nodes, wanted, iterates)
    iterates[0].trial = np.ones(D), 0.0  # elsewhere than the point: it was refused
    taken(nodes, wanted[:1], iterates, [7.0 * np.eye(2)])
    assert nodes.hessians[0].nodes[0].matrix[0, 0] < 2.0


def test_problems_that_get_on_slowly_have_hessians_of_their_own_once_few_are_left(problem):
    nodes, iterates = nodes_of(problem), iterates_of()
    matters = [np.array([True, False, False, False, False])] * len(iterates)
    taken(nodes, nodes.wanted(iterates, matters), iterates)
    for iterate in iterates[:4]:
        iterate.certified = True
    iterates[4].gaps = [0.1, 0.1, 0.1]
    wanted = nodes.wanted(iterates, matters)
    assert [(one.iterate, one.node) for one in wanted] == [(4, None)]
