"""Cross-validation of a logistic path, against one fit for each fold and scikit-learn's scores."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

from dasklasso.dataset.dataset import from_arrays
from dasklasso.dataset.row_folds import FoldAssignment, FoldScheme, contiguous_edges, random_folds
from dasklasso.errors import DataWarning, OptionError, ValueFound
from dasklasso.fit import fit_cv, fit_path
from dasklasso.objective.losses.logistic import Logistic
from dasklasso.objective.losses.poisson import Poisson
from dasklasso.options import CvOptions, FitOptions, RunOptions
from dasklasso.problem.folds import RANKED_VALUES, FoldQueries, Folds
from dasklasso.problem.problem import make_problem
from dasklasso.scan.columns.dense import DenseBlock
from dasklasso.scan.frame import Frame
from dasklasso.scan.queries.column_moments import target_moments
from dasklasso.scan.queries.folds import ALL, FoldMoments
from dasklasso.scan.queries.hessian import WeightedGrams
from dasklasso.scan.queries.sample import SampleRows
from dasklasso.scan.rows import Rows
from dasklasso.storage.blocks import MemoryBlocks

RUN = RunOptions(in_process=True)
OPTIONS = FitOptions(loss="logistic", n_alphas=6, eps=0.05, tol=1e-9)


def drawn(n=600, d=10, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) * 10.0 ** rng.uniform(-1, 1, d) + 2.0
    z = (X - X.mean(0)) / X.std(0)
    return X, (rng.random(n) < 1 / (1 + np.exp(-z[:, 0] + z[:, 3]))).astype(float)


@pytest.fixture
def by_scans(monkeypatch):
    """Rows do not fit in memory: problems are solved by scans that they share."""
    monkeypatch.setattr("dasklasso.solvers.newton.cost.HELD_WHOLE_BYTES", 0)


def folds_of(kind, n):
    if kind == "random":
        return random_folds(5, 0, 0, n)
    return np.searchsorted(contiguous_edges(n, 5), np.arange(n), side="right") - 1


@pytest.mark.parametrize("kind", ["random", "contiguous"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.usefixtures("by_scans")
def test_scores_are_those_of_one_fit_for_each_fold(kind, weighted, make_store):
    X, y = drawn()
    weight = np.random.default_rng(1).uniform(0.2, 2.0, len(y)) if weighted else None
    data = make_store(X, y, weight, chunk_rows=130)
    path = fit_cv(data, OPTIONS, CvOptions(5, kind), RUN)
    record = path.cross_validation.best
    assert np.all(record.gap <= OPTIONS.tol)
    fold = folds_of(kind, len(y))
    for k in range(5):
        train, test = fold != k, fold == k
        s = None if weight is None else weight[train]
        alone = fit_path(
            from_arrays(X[train], y[train], s), replace(OPTIONS, alphas=tuple(path.alphas)), RUN
        )
        s = None if weight is None else weight[test]
        for i, alpha in enumerate(path.alphas):
            p = alone.predict_proba(X[test], alpha)
            expected = (
                log_loss(y[test], p, sample_weight=s),
                accuracy_score(y[test], p > 0.5, sample_weight=s),
                roc_auc_score(y[test], p, sample_weight=s),
            )
            found = [record.scores[name][i, k] for name in ("loss", "accuracy", "auc")]
            assert found[0] == pytest.approx(expected[0], rel=1e-5)
            if np.all(alone.coef[i] == 0):  # equal predictions, but for rounding
                continue
            assert found[1] == pytest.approx(expected[1], abs=2e-2)
            assert found[2] == pytest.approx(expected[2], abs=1e-9)


def test_the_path_of_all_rows_is_what_it_is_without_folds():
    data = from_arrays(*drawn())
    alone, path = fit_path(data, OPTIONS, RUN), fit_cv(data, OPTIONS, CvOptions(3), RUN)
    assert np.allclose(alone.objective, path.objective, rtol=1e-9)
    assert path.scans <= alone.scans + 8


@pytest.mark.parametrize("criterion", ["loss", "auc", "accuracy"])
def test_the_criterion_chooses(criterion):
    path = fit_cv(from_arrays(*drawn()), OPTIONS, CvOptions(3, criterion=criterion), RUN)
    best = path.cross_validation.best
    sign = -1.0 if criterion == "loss" else 1.0
    chosen = np.argmax(sign * best.scores[criterion].mean(axis=1))
    assert path.alpha_selected == path.alphas[chosen]
    assert best.criterion == criterion


def test_l1_ratios_are_compared():
    path = fit_cv(from_arrays(*drawn()), OPTIONS, CvOptions(3, l1_ratios=(0.2, 1.0)), RUN)
    record = path.cross_validation
    assert [curve.l1_ratio for curve in record.by_ratio] == [0.2, 1.0]
    least = [curve.mean_error.min() for curve in record.by_ratio]
    assert path.l1_ratio == (0.2, 1.0)[int(np.argmin(least))]


def test_several_targets_have_a_curve_together():
    X, y = drawn()
    path = fit_cv(from_arrays(X, np.column_stack([y, 1 - y])), OPTIONS, CvOptions(3), RUN)
    assert path.cross_validation.best.error_path.shape == (6, 3)
    assert path.cross_validation.best.mean_error[0] == pytest.approx(1.0, rel=0.05)


def test_a_saved_model_keeps_its_scores(tmp_path):
    from dasklasso.model.path import load_model

    path = fit_cv(from_arrays(*drawn()), OPTIONS, CvOptions(3), RUN)
    path.save(tmp_path / "m")
    kept = load_model(tmp_path / "m").cross_validation.best
    assert kept.criterion == "loss"
    for name, found in path.cross_validation.best.scores.items():
        assert np.array_equal(kept.scores[name], found)


def test_a_fold_outside_of_which_there_is_one_class_is_refused():
    X, y = drawn(n=90)
    y[:] = 0.0
    y[60:] = 1.0
    with pytest.raises(ValueFound, match="in every row outside fold 2"):
        fit_cv(
            from_arrays(X[:90], np.where(np.arange(90) < 60, 0.0, 1.0)),
            OPTIONS,
            CvOptions(3, "contiguous"),
            RUN,
        )


def test_a_criterion_of_labels_is_refused_for_squared_loss():
    with pytest.raises(OptionError, match="loss squared has no labels"):
        fit_cv(from_arrays(*drawn()), FitOptions(), CvOptions(criterion="auc"), RUN)


@pytest.mark.usefixtures("by_scans")
def test_gaps_of_folds_that_scans_were_too_few_for_are_warned_of():
    options = replace(OPTIONS, max_scans=5)
    with pytest.warns(DataWarning, match="models trained without one of them have gaps"):
        path = fit_cv(from_arrays(*drawn()), options, CvOptions(3), RUN)
    assert np.isfinite(path.cross_validation.best.mean_error).all()


@pytest.mark.usefixtures("by_scans")
def test_a_fold_without_which_classes_are_separable_converges():
    """Its curvature is not that of all rows: it is learned from the way there."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 2))
    y = (X[:, 0] > 0).astype(float)
    y[20:40] = 0.0
    options = FitOptions(loss="logistic", n_alphas=4, max_scans=200)
    path = fit_cv(from_arrays(X, y), options, CvOptions(3, "contiguous"), RUN)
    assert path.converged
    assert path.cross_validation.worst_gap <= options.tol


@pytest.mark.usefixtures("by_scans")
@pytest.mark.parametrize("loss", ["logistic", "poisson"])
def test_folds_whose_curvature_is_another_have_hessians_of_their_own(loss):
    """A fold holds the rows that matter most: without it the others are nearly separable."""
    rng = np.random.default_rng(1)
    X = rng.standard_normal((80, 12))
    p = 8.0 * (X[:, 0] - X[:, 1])
    if loss == "logistic":
        y = (p > 0).astype(float)
        y[:20] = rng.integers(0, 2, 20)
    else:
        y = rng.poisson(np.exp(np.minimum(p, 5))).astype(float)
        X[:20] *= 10.0
    options = FitOptions(loss=loss, solver="newton", n_alphas=6, eps=1e-3)
    path = fit_cv(from_arrays(X, y), options, CvOptions(4, "contiguous"), RUN)
    assert path.converged
    assert path.cross_validation.worst_gap <= options.tol
    assert path.scans <= 60


def test_a_hessian_without_a_fold_is_that_of_the_other_rows():
    rng = np.random.default_rng(0)
    X, y, weight = rng.standard_normal((30, 3)), rng.integers(0, 2, (30, 1)), rng.random((30, 1))
    frame, assignment = Frame.unscaled(3), FoldAssignment(FoldScheme("random", 3), 3)
    fold_of, points = assignment.folds_of_rows(0, 30, 30), rng.standard_normal((3, 2))
    columns = (np.arange(3), np.arange(2))
    query = WeightedGrams((0, 0), (0.0,), 10.0, (0.1, 0.2), columns, Logistic(), "float64")
    folds = Folds(assignment, 30, np.array([weight[fold_of == k].sum() for k in range(3)]))
    query = folds.hessians(replace(query, total_weight=float(weight.sum())), [1, ALL])
    rows = Rows(0, [DenseBlock(X)], y.astype(float), weight)
    found = query.finish(query.on_rows(rows, query.prepare((points, frame), [3])), (points, frame))
    for k, keep in enumerate((fold_of != 1, fold_of >= 0)):
        Z = np.column_stack([X[:, columns[k]], np.ones(30)])[keep]
        p = X[keep] @ points[:, k] + query.intercepts[k]
        s = weight[keep, 0] / weight[keep].sum() * Logistic().curvature(p, y[keep, 0])
        assert np.allclose(found[k], Z.T @ (s[:, None] * Z))


# -- moments of folds, and what they are for --------------------------------------------------


def met(n=40, n_folds=4, seed=0, **options):
    """Rows, their folds, and the problem that all of them are."""
    rng = np.random.default_rng(seed)
    X, weight = rng.normal(2.0, 1.0, (n, 3)) * [1.0, 100.0, 0.01], rng.uniform(0.5, 2.0, (n, 1))
    y = rng.integers(0, 2, (n, 1)).astype(float)
    assignment = FoldAssignment(FoldScheme("random", n_folds, seed), n_folds)
    fold_of = assignment.folds_of_rows(0, n, n)
    totals = np.bincount(fold_of, weight[:, 0], n_folds)
    query = FoldMoments(assignment, n)
    found = query.finish(query.on_rows(Rows(0, [DenseBlock(X)], y, weight), None), ())
    folds = Folds(assignment, n, totals).with_answers(FoldQueries(query, None), {query: found})
    objective = FitOptions(loss="logistic", standardize=True, **options).objective()
    problem = make_problem(objective, target_moments(X, weight), target_moments(y, weight))
    return X, weight, fold_of, folds, problem


@settings(deadline=None, max_examples=30)
@given(
    n=st.integers(12, 60),
    n_folds=st.integers(2, 12),
    seed=st.integers(0, 9),
    cut=st.integers(1, 11),
)
def test_moments_outside_a_fold_are_those_of_the_other_rows(n, n_folds, seed, cut):
    X, weight, fold_of, folds, _ = met(n, n_folds, seed)
    query = FoldMoments(folds.assignment, n)
    parts = [Rows(a, [DenseBlock(X[a:b])], None, weight[a:b]) for a, b in ((0, cut), (cut, n))]
    pieces = query.combine(*(query.on_rows(rows, None) for rows in parts))
    answers = {query: query.finish(pieces, ())}
    for found in (folds, folds.with_answers(FoldQueries(query, None), answers)):
        for k, one in enumerate(found.training):
            expected = target_moments(X[fold_of != k], weight[fold_of != k])
            assert one.weight == pytest.approx(expected.weight)
            for name in ("mean", "squares", "minimum", "maximum"):
                assert np.allclose(getattr(one, name), getattr(expected, name), rtol=1e-10)


def test_a_problem_without_a_fold_is_in_the_coordinates_of_all_rows_and_costs_by_its_own():
    factor = np.array([1.0, 3.0, 0.5])
    X, weight, fold_of, folds, problem = met(penalty_factor=factor)
    assert folds.problem_outside(problem, ALL) is problem
    one = folds.problem_outside(problem, 2)
    for name in ("shift", "centre", "inverse_scale"):
        assert np.array_equal(getattr(one.frame, name), getattr(problem.frame, name))
    own = make_problem(
        problem.objective,
        target_moments(X[fold_of != 2], weight[fold_of != 2]),
        target_moments(np.arange(2.0)[:, None], None),
    )
    ratio = problem.frame.inverse_scale / own.frame.inverse_scale
    assert np.allclose(one.frame.l1_factor, own.frame.l1_factor * ratio)
    assert np.allclose(one.frame.l2_factor, own.frame.l2_factor * ratio**2)
    pi = weight[fold_of != 2] / weight[fold_of != 2].sum()
    z = (X[fold_of != 2] - problem.centre) * problem.frame.inverse_scale
    assert one.total_weight == pytest.approx(weight[fold_of != 2].sum())
    assert np.all(np.sum(pi * z**2, axis=0) <= one.widest)


def test_without_standardize_no_moments_are_asked_for_and_penalties_are_those_of_all_rows():
    _, _, _, folds, problem = met()
    plain = replace(problem, objective=replace(problem.objective, standardize=False))
    X = MemoryBlocks(np.zeros((40, 3)), (0, 40))
    assert folds.queries(plain, 10, X, "cpu").requests == []
    moments = FoldMoments(folds.assignment, folds.n_rows)
    assert folds.queries(problem, 10, X, "cpu") == FoldQueries(moments, None)
    found = replace(folds, training=None).problem_outside(plain, 1)
    assert found.frame is problem.frame


def test_where_predictions_are_too_many_to_sort_a_sample_is_asked_for():
    _, _, _, folds, problem = met()
    folds, X = replace(folds, n_rows=1_000_000), MemoryBlocks(np.zeros((1, 3)), (0, 1))
    most = RANKED_VALUES // folds.n_rows
    assert folds.queries(problem, most, X, "cpu").sample is None
    assert folds.queries(problem, most + 1, X, "cpu").sample == SampleRows(62, seed=1)
    counts = replace(problem, objective=replace(problem.objective, loss=Poisson()))
    assert folds.queries(counts, most + 1, X, "cpu").sample is None
