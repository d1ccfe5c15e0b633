"""Scores of rows left out, as scikit-learn has them, however rows are met."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from itertools import pairwise

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, roc_auc_score

from dasklasso.dataset.row_folds import FoldAssignment, FoldScheme
from dasklasso.objective.losses.logistic import Logistic
from dasklasso.objective.losses.poisson import Poisson
from dasklasso.objective.ranks import rank_edges
from dasklasso.scan.columns.dense import DenseBlock
from dasklasso.scan.frame import Frame
from dasklasso.scan.queries.folds import ALL, Group
from dasklasso.scan.queries.held_out import HeldOut
from dasklasso.scan.rows import Rows

N, D, FOLDS = 300, 3, FoldAssignment(FoldScheme("random", 3, 1), 3)
FOLD_OF = FOLDS.folds_of_rows(0, N, N)
GROUPS = (Group(ALL, 0, 1, 1.0), Group(0, 1, 3, 1.0), Group(2, 3, 5, 1.0))
LEFT_OUT = (None, 0, 0, 2, 2)


@pytest.fixture(scope="module")
def rows():
    """Heavy tails: most predictions are within a thousandth of their spread."""
    rng = np.random.default_rng(0)
    X = rng.exponential(size=(N, D)) ** 4
    y = (np.log(X[:, :1]) + rng.logistic(size=(N, 1)) > 0).astype(float)
    return Rows(0, [DenseBlock(X)], y, rng.uniform(0.5, 2.0, (N, 1)), rng.normal(size=(N, 1)))


@pytest.fixture(scope="module")
def points():
    return np.random.default_rng(1).normal(size=(D, 5)) * 0.02


def asked(query, rows, points, cuts=()):
    inputs = (points, Frame.unscaled(D))
    prepared = query.prepare(inputs, [D])
    parts = [rows.between(a, b) for a, b in pairwise([0, *cuts, N])]
    return query.finish(
        reduce(query.combine, (query.on_rows(one, prepared) for one in parts)), inputs
    )


QUERY = HeldOut((0,) * 5, (0.1, 0.2, -0.3, 0.0, 0.5), Logistic(), FOLDS, N, GROUPS)


def predicted(rows, points, k):
    return rows.blocks[0].dense() @ points[:, k] + QUERY.intercepts[k] + rows.offset[:, 0]


@pytest.mark.parametrize("cuts", [(), (1, 7, 150)], ids=["whole", "pieces"])
def test_scores_are_those_of_scikit_learn(rows, points, cuts):
    found = asked(QUERY, rows, points, cuts)
    for k, fold in enumerate(LEFT_OUT):
        if fold is None:
            assert np.isnan([found.loss[k], found.accuracy[k], found.auc[k]]).all()
            continue
        own = fold == FOLD_OF
        y, s, z = rows.y[own, 0], rows.weight[own, 0], predicted(rows, points, k)[own]
        loss = np.average(np.logaddexp(0, z) - y * z, weights=s)
        assert found.loss[k] == pytest.approx(loss)
        assert found.accuracy[k] == pytest.approx(accuracy_score(y, z > 0, sample_weight=s))
        assert found.auc[k] == pytest.approx(roc_auc_score(y, z, sample_weight=s), abs=1e-13)
        assert found.auc_bound[k] == 0


def test_areas_of_binned_rows_are_within_the_bound_that_comes_with_them(rows, points):
    edges = tuple(rank_edges(predicted(rows, points, k)[::5], 20) for k in range(5))
    exact = asked(QUERY, rows, points)
    found = asked(replace(QUERY, edges=edges), rows, points, (100,))
    some = slice(1, None)
    assert np.all(found.auc_bound[some] > 1e-3)
    assert np.all(found.auc_bound[some] < 0.05)
    assert np.all(np.abs(found.auc - exact.auc)[some] <= found.auc_bound[some])
    assert np.array_equal(found.loss[some], asked(QUERY, rows, points, (100,)).loss[some])


def test_rows_that_are_the_same_are_tied_wherever_they_stand(points):
    few = np.random.default_rng(2).normal(size=(7, D))
    which = np.random.default_rng(3).integers(0, 7, N)
    y = np.random.default_rng(4).integers(0, 2, (N, 1)).astype(float)
    rows = Rows(0, [DenseBlock(few[which])], y, None)
    found = asked(QUERY, rows, points, (1, 4, 77, 211))
    for k, fold in enumerate(LEFT_OUT):
        if fold is not None:
            own = fold == FOLD_OF
            expected = roc_auc_score(y[own, 0], (few @ points[:, k])[which[own]])
            assert found.auc[k] == pytest.approx(expected, abs=1e-13)


def test_a_fold_of_one_class_has_no_area_and_another_loss_neither(rows, points):
    y = np.where((FOLD_OF == 0)[:, None], 1.0, rows.y)
    for query in (QUERY, replace(QUERY, edges=(np.zeros(1),) * 5)):
        found = asked(query, replace(rows, y=y), points)
        assert np.isnan(found.auc).tolist() == [True, True, True, False, False]
        assert np.isfinite(found.loss[1:]).all()
    found = asked(replace(QUERY, loss=Poisson()), rows, points)
    assert np.isnan(found.auc).all()
    assert np.isnan(found.accuracy).all()
