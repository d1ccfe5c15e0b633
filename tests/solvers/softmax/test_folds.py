"""Cross-validation of a softmax path: scores of rows left out, gaps of folds, what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss

from dasklasso.dataset.dataset import from_arrays
from dasklasso.dataset.row_folds import contiguous_edges, random_folds
from dasklasso.errors import OptionError, ValueFound
from dasklasso.fit import fit_cv, fit_path
from dasklasso.fit.targets import labelled, with_classes
from dasklasso.options import CvOptions, FitOptions, RunOptions
from dasklasso.problem import folds as solvers_folds
from dasklasso.problem.zero_scan import meet
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.runners import InProcess
from dasklasso.solvers.softmax.folds import trainings

RUN = RunOptions(in_process=True)
OPTIONS = FitOptions(loss="softmax", n_alphas=3, eps=0.05, tol=1e-10)


def drawn(n=240, d=4, n_classes=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) * 10.0 ** rng.uniform(-0.5, 0.5, d) + 2.0
    z = (X - X.mean(0)) / X.std(0)
    W = 1.5 * np.eye(d, n_classes)
    return X, (z @ W + rng.gumbel(size=(n, n_classes))).argmax(axis=1).astype(float)


def folds_of(kind, n, n_folds=3):
    if kind == "random":
        return random_folds(n_folds, 0, 0, n)
    return np.searchsorted(contiguous_edges(n, n_folds), np.arange(n), side="right") - 1


def assert_scores(path, X, y, weight, fold, models, rel):
    """Curves have what models of each fold and alpha score on the rows of the fold."""
    record = path.cross_validation.best
    assert set(record.scores) == {"loss", "accuracy"}
    for k in np.unique(fold):
        test = fold == k
        s = None if weight is None else weight[test]
        for i, alpha in enumerate(path.alphas):
            p = models(fold != k, alpha).predict_proba(X[test])
            loss = log_loss(y[test], p, sample_weight=s)
            right = accuracy_score(y[test], p.argmax(axis=1), sample_weight=s)
            assert record.scores["loss"][i, k] == pytest.approx(loss, rel=rel)
            assert record.scores["accuracy"][i, k] == pytest.approx(right, abs=1e-12)


def test_scores_are_those_of_scikit_learn():
    X, y = drawn(n=120)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    path = fit_cv(from_arrays(X, y), replace(OPTIONS, alphas=(0.05, 0.01)), CvOptions(3), RUN)

    def models(train, alpha):
        model = LogisticRegression(
            solver="saga", l1_ratio=1.0, C=1 / (alpha * train.sum()), tol=1e-9, max_iter=10**5
        )
        return model.fit(X[train], y[train])

    assert_scores(path, X, y, None, folds_of("random", len(y)), models, rel=3e-6)


class Alone:
    def __init__(self, path):
        self.path = path

    def predict_proba(self, X):
        return self.path.predict_proba(X, self.path.alphas[0])


@pytest.mark.parametrize(
    ("kind", "weighted", "more"),
    [
        ("random", False, {}),
        ("contiguous", True, {}),
        ("random", True, {"fit_intercept": False, "l1_ratio": 0.5}),
    ],
    ids=str,
)
def test_scores_are_those_of_one_fit_for_each_fold(kind, weighted, more, make_store):
    X, y = drawn()
    weight = np.random.default_rng(1).uniform(0.0, 2.0, len(y)).round(1) if weighted else None
    options = replace(OPTIONS, **more)
    path = fit_cv(make_store(X, y, weight, chunk_rows=130), options, CvOptions(3, kind), RUN)
    assert path.solver == "newton"
    assert path.converged
    assert path.cross_validation.worst_gap <= OPTIONS.tol

    def models(train, alpha):
        s = None if weight is None else weight[train]
        own = replace(options, alphas=(alpha,), tol=1e-11)
        return Alone(fit_path(from_arrays(X[train], y[train], s), own, RUN))

    assert_scores(path, X, y, weight, folds_of(kind, len(y)), models, rel=3e-6)


def test_where_a_sample_is_in_memory_folds_share_scans(monkeypatch):
    X, y = drawn(n=2000)
    data, options = from_arrays(X, y), replace(OPTIONS, tol=1e-7)
    whole = fit_cv(data, options, CvOptions(3), RUN)
    monkeypatch.setattr("dasklasso.solvers.softmax.cost.HELD_BYTES", X.nbytes // 3)
    path = fit_cv(data, options, CvOptions(3), RUN)
    assert 3 < path.scans <= fit_path(data, options, RUN).scans + 12
    assert path.cross_validation.worst_gap <= options.tol
    ours, theirs = (one.cross_validation.best.scores["loss"] for one in (path, whole))
    assert np.allclose(ours, theirs, rtol=1e-4)


def test_where_all_rows_are_in_memory_one_scan_certifies_folds_too():
    data = from_arrays(*drawn())
    alone, path = fit_path(data, OPTIONS, RUN), fit_cv(data, OPTIONS, CvOptions(3), RUN)
    assert path.scans == alone.scans == 3
    assert np.allclose(alone.objective, path.objective, rtol=1e-9)


@pytest.mark.parametrize("criterion", ["loss", "accuracy"])
def test_the_criterion_chooses(criterion):
    path = fit_cv(from_arrays(*drawn()), OPTIONS, CvOptions(3, criterion=criterion), RUN)
    best = path.cross_validation.best
    sign = -1.0 if criterion == "loss" else 1.0
    chosen = np.argmax(sign * best.scores[criterion].mean(axis=1))
    assert path.alpha_selected == path.alphas[chosen]


def test_l1_ratios_are_compared():
    path = fit_cv(from_arrays(*drawn()), OPTIONS, CvOptions(3, l1_ratios=(0.2, 1.0)), RUN)
    assert [curve.l1_ratio for curve in path.cross_validation.by_ratio] == [0.2, 1.0]
    assert path.converged


@pytest.mark.parametrize("share", [1, 3])
@pytest.mark.filterwarnings("ignore:folds:dasklasso.errors.DataWarning")
@pytest.mark.parametrize("max_scans", [3, 4, 6])
def test_whenever_scans_run_out_gaps_of_folds_are_known_or_infinite(max_scans, share, monkeypatch):
    X, y = drawn()
    monkeypatch.setattr("dasklasso.solvers.softmax.cost.HELD_BYTES", X.nbytes // share)
    path = fit_cv(from_arrays(X, y), replace(OPTIONS, max_scans=max_scans), CvOptions(3), RUN)
    assert path.scans <= max_scans
    record = path.cross_validation.best
    assert np.all(np.isfinite(record.gap))
    assert np.all(np.isfinite(record.scores["loss"]))


def test_without_a_scan_for_folds_no_alpha_is_chosen():
    with pytest.raises(OptionError, match="no alpha has a loss on every fold"):
        fit_cv(from_arrays(*drawn()), replace(OPTIONS, max_scans=2), CvOptions(3), RUN)


class Held:
    whole = False


def test_what_folds_are_trained_on_is_what_the_certificate_needs():
    X, y = drawn(n=90)
    X[::3] *= 4.0  # columns are wide where the first fold is
    weight = np.random.default_rng(2).uniform(0.5, 1.5, len(y))
    data = from_arrays(X, y, weight)
    options = with_classes(OPTIONS, labelled(data, OPTIONS))
    engine = ScanEngine(data, InProcess(1), 1 << 20)
    problem, _ = meet(data, engine, options.objective(), "cpu")
    assignment = CvOptions(3).assignment(data)
    totals = solvers_folds.weights_by_class(data, assignment, 3)
    found = trainings(problem, Held(), solvers_folds.folds_of(engine, assignment), totals)
    fold = folds_of("random", len(y))
    for k, one in enumerate(found.without):
        left = fold != k
        pi = weight[left] / weight[left].sum()
        z = (X[left] - problem.centre) * problem.frame.inverse_scale
        assert np.all(pi @ z**2 <= one.problem.widest)
        assert np.allclose(one.problem.frequency, np.bincount(y[left].astype(int), pi))
        assert one.problem.total_weight == pytest.approx(weight[left].sum())


# -- what is refused ------------------------------------------------------------------------------


def test_a_fold_with_all_rows_of_a_class_is_refused():
    X, y = drawn(n=90)
    y[folds_of("contiguous", 90) == 1] = 0.0
    y[40] = 2.0
    y[(y == 2.0) & (np.arange(90) != 40)] = 1.0
    data = from_arrays(X, y)
    with pytest.raises(
        ValueFound, match="fold 1 has all rows with target y 2, and a model trained"
    ):
        fit_cv(data, OPTIONS, CvOptions(3, "contiguous"), RUN)
    path = fit_cv(data, replace(OPTIONS, fit_intercept=False), CvOptions(3, "contiguous"), RUN)
    assert path.cross_validation.worst_gap <= OPTIONS.tol


def test_an_area_under_the_curve_is_of_two_classes():
    with pytest.raises(OptionError, match=r"criterion: auc found, .* and loss softmax has 3"):
        fit_cv(from_arrays(*drawn()), OPTIONS, CvOptions(3, criterion="auc"), RUN)
