"""LogisticL1CV in scikit-learn's manner: its curves, its choice, its folds, its messages."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import zarr
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import dasklasso
from dasklasso import LogisticL1, LogisticL1CV, errors
from dasklasso.options import CvOptions

GRID = {"n_alphas": 5, "eps": 0.05}
FOLDS = StratifiedKFold(4)


# No check is expected to fail. (check_array_api_input is skipped without SCIPY_ARRAY_API.)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.slow
@parametrize_with_checks([LogisticL1CV(n_alphas=5)])
def test_it_passes_scikit_learns_own_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def data():
    """240 rows, 180 of them beside every fold of FOLDS."""
    X, y = load_breast_cancer(return_X_y=True)
    return ((X - X.mean(axis=0)) / X.std(axis=0))[:240, :8], y[:240]


@pytest.fixture(scope="module")
def model(data):
    return LogisticL1CV(cv=FOLDS, **GRID).fit(*data)


@pytest.fixture(scope="module")
def folds(data):
    """(240,) the test set of FOLDS that each row is in."""
    found = np.zeros(240, dtype=int)
    for k, (_, test) in enumerate(FOLDS.split(*data)):
        found[test] = k
    return found


@pytest.fixture(scope="module")
def store(tmp_path_factory, data, folds):
    group = zarr.open_group(tmp_path_factory.mktemp("s") / "s.zarr", mode="w")
    for name, values in {"X": data[0], "y": data[1], "fold": folds}.items():
        group.create_array(name, data=values, chunks=(100, *values.shape[1:]))
    return group


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True)
    return (X - X.mean(axis=0)) / X.std(axis=0), np.array(list("abc"))[y]


# -- the same curves and the same choice as scikit-learn -------------------------------------------


def test_it_is_scikit_learns(data):
    X, y = data
    # where all coefficients are zero, saga stops before the intercept has its place
    found = LogisticL1CV(cv=FOLDS, tol=1e-11, alphas=[0.2, 0.05, 0.02]).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = LogisticRegressionCV(
            Cs=1 / (180 * found.alphas_),
            cv=FOLDS,
            penalty="l1",
            solver="saga",
            scoring="neg_log_loss",
            tol=1e-8,
            max_iter=20_000,
            random_state=0,
        ).fit(X, y)
    loss = -expected.scores_[1].T
    np.testing.assert_allclose(found.scores_path_["loss"], loss, rtol=0, atol=1e-6)
    assert found.alpha_ == pytest.approx(1 / (180 * expected.C_[0]))


def test_weighted_scores_are_those_of_each_fold_alone(data, folds):
    X, y = data
    X = np.column_stack([np.round(X[:, 0]), np.round(X[:, 1])])  # many rows are alike
    s = np.random.default_rng(0).uniform(0.2, 2.0, len(y))
    found = LogisticL1CV(cv=FOLDS, tol=1e-10, **GRID).fit(X, y, s)
    for k in range(4):
        train, test = folds != k, folds == k
        for i, alpha in enumerate(found.alphas_[1:], start=1):
            alone = LogisticL1(alpha, tol=1e-10).fit(X[train], y[train], s[train])
            p = alone.predict_proba(X[test])[:, 1]
            expected = {
                "loss": log_loss(y[test], p, sample_weight=s[test]),
                "accuracy": accuracy_score(y[test], p > 0.5, sample_weight=s[test]),
                "auc": roc_auc_score(y[test], p, sample_weight=s[test]),
            }
            for name, score in expected.items():
                assert found.scores_path_[name][i, k] == pytest.approx(score, abs=1e-6)


@pytest.mark.parametrize("criterion", ["loss", "auc", "accuracy"])
def test_the_criterion_chooses(criterion, data):
    found = LogisticL1CV(cv=FOLDS, criterion=criterion, **GRID).fit(*data)
    means = found.scores_path_[criterion].mean(axis=1)
    best = means.argmin() if criterion == "loss" else means.argmax()
    assert found.alpha_ == found.alphas_[best]


def test_one_standard_error_selects_the_largest_alpha_within_it(data):
    found = LogisticL1CV(cv=FOLDS, selection_rule="1se", **GRID).fit(*data)
    means = found.scores_path_["loss"].mean(axis=1)
    least = means.argmin()
    within = means <= means[least] + found.standard_error_[least]
    assert found.alpha_ == found.alphas_[within][0]


def test_an_l1_ratio_is_chosen_from_a_list(data):
    found = LogisticL1CV(l1_ratio=[0.3, 1.0], cv=FOLDS, **GRID).fit(*data)
    losses = found.scores_path_["loss"]
    assert losses.shape == (2, 5, 4)
    assert found.alphas_.shape == found.standard_error_.shape == (2, 5)
    best = np.unravel_index(losses.mean(axis=2).argmin(), (2, 5))
    assert found.l1_ratio_ == [0.3, 1.0][best[0]]
    assert found.alpha_ == found.alphas_[best]


# -- the model at the alpha selected ---------------------------------------------------------------


def test_it_is_the_model_of_that_alpha(data, model):
    X, y = data
    alone = LogisticL1(model.alpha_).fit(X, y)
    assert np.allclose(model.coef_, alone.coef_, atol=1e-4)
    assert (model.coef_.shape, model.intercept_.shape) == ((1, 8), (1,))
    assert np.allclose(model.predict_proba(X), alone.predict_proba(X), atol=1e-4)
    assert model.score(X, y) == alone.score(X, y)
    assert 0 <= model.relative_gap_ <= 1e-6
    assert model.dual_gap_ == pytest.approx(model.relative_gap_ * log_loss(y, [y.mean()] * 240))
    assert model.n_scans_ == model.n_iter_ > 0


def test_labels_may_be_text_and_columns_have_names(data, model):
    X, y = data
    frame = pd.DataFrame(X, columns=list("abcdefgh"))
    found = LogisticL1CV(cv=FOLDS, **GRID).fit(frame, np.where(y == 1, "b", "a"))
    assert found.classes_.tolist() == ["a", "b"]
    assert found.feature_names_in_.tolist() == list("abcdefgh")
    assert np.allclose(found.coef_, model.coef_)
    assert set(found.predict(frame)) == {"a", "b"}


def test_balanced_classes_are_those_weights_of_rows(data):
    X, y = data
    found = LogisticL1CV(cv=FOLDS, class_weight="balanced", **GRID).fit(X, y)
    rows = LogisticL1CV(cv=FOLDS, **GRID).fit(X, y, 1 / np.bincount(y)[y])
    for name, scores in found.scores_path_.items():
        assert np.allclose(scores, rows.scores_path_[name], atol=1e-5)


def test_it_goes_through_pipelines_clones_and_pickles(data, model):
    X, y = data
    pipe = make_pipeline(StandardScaler(), LogisticL1CV(n_alphas=3, eps=0.1, cv=3))
    assert cross_val_score(clone(pipe), X, np.where(y, "a", "b"), cv=3).min() > 0.85
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.predict(X), model.predict(X))
    assert clone(again).get_params().keys() == model.get_params().keys()
    assert dasklasso.LogisticL1CV is LogisticL1CV


def test_a_saved_path_keeps_its_scores(data, model, tmp_path):
    model.path_.save(tmp_path / "m")
    [kept] = dasklasso.load_model(tmp_path / "m").cross_validation.by_ratio
    assert np.array_equal(kept.scores["auc"], model.scores_path_["auc"])


def test_more_than_two_labels_are_a_softmax_model(iris):
    X, y = iris
    found = LogisticL1CV(cv=FOLDS, alphas=[0.1, 0.03], tol=1e-9).fit(X, y)
    assert found.classes_.tolist() == ["a", "b", "c"]
    assert (found.coef_.shape, found.intercept_.shape) == ((3, 4), (3,))
    assert set(found.scores_path_) == {"loss", "accuracy"}
    for k, (train, test) in enumerate(FOLDS.split(X, y)):
        for i, alpha in enumerate(found.alphas_):
            alone = LogisticL1(alpha, tol=1e-9).fit(X[train], y[train])
            loss = log_loss(y[test], alone.predict_proba(X[test]))
            assert found.scores_path_["loss"][i, k] == pytest.approx(loss, abs=1e-6)
    best = found.scores_path_["loss"].mean(axis=1).argmin()
    assert found.alpha_ == found.alphas_[best]
    assert np.array_equal(found.predict(X), LogisticL1(found.alpha_).fit(X, y).predict(X))


def test_an_area_under_the_curve_is_of_two_labels(iris):
    with pytest.raises(errors.OptionError, match=r"criterion: auc found, .* take accuracy or loss"):
        LogisticL1CV(criterion="auc").fit(*iris)


# -- folds -----------------------------------------------------------------------------------------


def test_a_stores_fold_column_says_which_rows_go_together(data, store, model):
    found = LogisticL1CV(cv="column", **GRID).fit(store)
    for name, scores in found.scores_path_.items():
        assert np.allclose(scores, model.scores_path_[name], atol=1e-5)
    assert np.array_equal(found.predict(store), model.predict(data[0]))
    assert found.score(store) == model.score(*data)


def test_a_number_of_folds_of_a_store_is_of_random_rows(store):
    found = LogisticL1CV(cv=3, random_state=7, n_alphas=2, eps=0.5).fit(store)
    record = found.path_.cross_validation
    assert (record.folds, record.n_folds, record.seed) == ("random", 3, 7)


def test_folds_of_arrays_are_stratified(data):
    X, y = data
    y = np.where(np.arange(240) < 200, "usual", "rare")  # in runs, so that KFold(5) would fail
    weights = LogisticL1CV(cv=5, **GRID).fit(X, y).path_.cross_validation.best.fold_weights
    assert weights.tolist() == [48.0] * 5
    found = LogisticL1CV(cv=20, n_alphas=2, eps=0.5, criterion="auc").fit(X, y)
    assert np.isfinite(found.scores_path_["auc"]).all()  # 2 rare rows in every fold


def test_stratified_folds_are_those_of_the_seed(data):
    first, again, other = (
        LogisticL1CV(cv=3, random_state=seed, n_alphas=2, eps=0.5).fit(*data) for seed in (0, 0, 1)
    )
    assert np.array_equal(first.scores_path_["loss"], again.scores_path_["loss"])
    assert not np.allclose(first.scores_path_["loss"], other.scores_path_["loss"])


def test_groups_go_together(data):
    X, y = data
    groups = np.arange(240) // 10
    found = LogisticL1CV(cv=4, **GRID).fit(X, y, groups=groups)
    assert found.path_.cross_validation.folds == "groups"


# -- what cannot be used ---------------------------------------------------------------------------


def few(n):
    """Labels of which n are rare."""
    return np.where(np.arange(240) < n, "rare", "usual")


TWO_RUNS = np.where(np.isin(np.arange(240), [1, 70]), "rare", "usual")


def test_a_label_with_fewer_rows_than_folds_is_warned_of(data):
    with pytest.warns(
        errors.DataWarning, match="cv: label rare has 3 rows, fewer than the 5 folds"
    ):
        LogisticL1CV(**GRID).fit(data[0], few(3))


@pytest.mark.parametrize(
    ("options", "y", "message"),
    [
        ({}, few(0), "y has one class only, 'usual' in every row"),
        ({}, few(1), "cv: label rare has 1 row, expected at least 2"),
        ({"cv": 241}, few(20), "cv: 241 folds found, expected at most the 240 rows"),
        ({"cv": StratifiedKFold(230)}, few(20), "cv: n_splits=230 cannot be greater"),
        ({"criterion": "f1"}, few(20), "criterion: 'f1' is none of loss, auc, accuracy"),
        ({"criterion": "auc", "cv": CvOptions(4, "contiguous")}, TWO_RUNS,
         r"y is usual in every row of fold 2 \(60\), expected rows with rare too"),
        ({"cv": CvOptions(4, criterion="auc")}, few(20),
         "cv: criterion 'auc' found, but it is the model's criterion, 'loss'"),
        ({"alphas": [0.1, -0.1]}, few(20), "alpha: -0.1 found, expected positive"),
        ({"selection_rule": "max"}, few(20), "selection_rule: 'max' found"),
        ({"l1_ratio": []}, few(20), "l1_ratio: .* expected one number or more"),
        ({"class_weight": "even"}, few(20), "class_weight: 'even' found"),
        ({"solver": "gram"}, few(20), "loss: logistic found, but gram needs squared"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_named(options, y, message, data):
    with pytest.raises(ValueError, match=message):
        LogisticL1CV(**{**GRID, **options}).fit(data[0], y)
