"""LogisticL1 in scikit-learn's manner: the same answers, from every kind of data."""

from __future__ import annotations

import pickle
import warnings

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import zarr
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import dasklasso
from dasklasso import LogisticL1, errors
from dasklasso.dataset.dataset import open_dataset
from dasklasso.dataset.ingest.ingest import ingest

ALPHA = 0.05
TIGHT = {"alpha": ALPHA, "tol": 1e-10}


# No check is expected to fail. (check_array_api_input is skipped without SCIPY_ARRAY_API.)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.slow
@parametrize_with_checks([LogisticL1()])
def test_it_passes_scikit_learns_own_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def data():
    X, y = load_breast_cancer(return_X_y=True)
    return ((X - X.mean(axis=0)) / X.std(axis=0))[:240, :8], y[:240]


@pytest.fixture(scope="module")
def model(data):
    return LogisticL1(ALPHA).fit(*data)


@pytest.fixture(scope="module")
def weights(data):
    return np.random.default_rng(0).uniform(0.2, 2, len(data[1]))


@pytest.fixture(scope="module")
def text_store(tmp_path_factory, data):
    """Ingested from a table whose target is text."""
    X, y = data
    folder = tmp_path_factory.mktemp("text")
    frame = pd.DataFrame(X, columns=[f"f{j}" for j in range(8)])
    frame.assign(kind=np.where(y == 1, "benign", "amalign")).to_parquet(folder / "t.parquet")
    ingest(folder / "t.parquet", folder / "s.zarr", target="kind", dtype="float64")
    return folder / "s.zarr"


def theirs(X, y, **options):
    model = LogisticRegression(
        penalty="l1", solver="saga", tol=1e-9, max_iter=50_000, random_state=0, **options
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        warnings.filterwarnings("ignore", "Inconsistent values", UserWarning)
        return model


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("class_weight", [None, {0: 3.0}])
def test_it_agrees_with_scikit_learn(class_weight, weighted, data, weights):
    X, y = data
    s = weights if weighted else np.ones(len(y))
    total = np.sum(s * np.where(y == 0, 3.0, 1.0)) if class_weight else s.sum()
    expected = theirs(X, y, C=1 / (ALPHA * total), class_weight=class_weight)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected.fit(X, y, s)
    found = LogisticL1(class_weight=class_weight, **TIGHT).fit(X, y, s if weighted else None)
    assert (found.coef_.shape, found.intercept_.shape) == ((1, 8), (1,))
    assert np.allclose(found.coef_, expected.coef_, atol=1e-4)
    assert np.allclose(found.intercept_, expected.intercept_, atol=1e-4)
    for method in ("predict_proba", "predict_log_proba", "decision_function", "predict"):
        ours, others = (getattr(one, method)(X) for one in (found, expected))
        assert ours.shape == others.shape
        assert np.allclose(ours, others, atol=1e-3)
    assert found.score(X, y, s) == pytest.approx(expected.score(X, y, s))


def test_balanced_classes_are_those_weights_of_rows(data):
    X, y = data
    share = np.bincount(y) / len(y)
    found = LogisticL1(class_weight="balanced", **TIGHT).fit(X, y)
    rows = LogisticL1(**TIGHT).fit(X, y, 1 / share[y])
    assert np.allclose(found.coef_, rows.coef_, atol=1e-5)


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        (("no", "yes"), np.array),
        (("b", "ab"), pd.Series),
        ((-1, 1), list),
        ((3.0, 7.0), np.array),
        (("N", "Y"), lambda y: np.array(y, dtype=object)),
        ((False, True), np.array),
    ],
    ids=["text", "series", "list", "numbers", "objects", "booleans"],
)
def test_labels_may_be_any_two_values(labels, kind, data, model):
    X, y = data
    y = kind([labels[k] for k in y])
    found = LogisticL1(ALPHA).fit(X, y)
    assert found.classes_.tolist() == sorted(labels)
    sign = 1 if sorted(labels) == list(labels) else -1
    assert np.allclose(found.coef_, sign * model.coef_, atol=1e-4)
    assert set(found.predict(X).tolist()) == set(labels)
    assert found.score(X, y) == model.score(X, data[1])


@pytest.mark.parametrize("kind", ["group", "path", "dataset", "array", "dask", "frame"])
def test_every_kind_of_data_gives_the_same(kind, data, model, tmp_path):
    X, y = data
    group = zarr.open_group(tmp_path / "s.zarr", mode="w")
    group.create_array("X", data=X, chunks=(100, 8))
    group.create_array("y", data=y, chunks=(100,))
    given = {
        "group": (group,),
        "path": (tmp_path / "s.zarr",),
        "dataset": (open_dataset(tmp_path / "s.zarr"),),
        "array": (group["X"], y),
        "dask": (da.from_array(X, chunks=(100, 8)), da.from_array(y, chunks=100)),
        "frame": (pd.DataFrame(X, columns=list("abcdefgh")), pd.Series(y)),
    }[kind]
    found = LogisticL1(ALPHA).fit(*given)
    assert np.allclose(found.coef_, model.coef_, atol=1e-5)
    assert found.classes_.tolist() == [0, 1]
    assert np.array_equal(found.predict(given[0]), model.predict(X))
    if kind != "dask":
        assert found.score(*given) == model.score(X, y)


def test_a_store_of_text_has_the_labels_of_its_table(text_store, data, model):
    found = LogisticL1(ALPHA).fit(text_store)
    assert found.classes_.tolist() == ["amalign", "benign"]
    assert np.allclose(found.coef_, model.coef_, atol=1e-5)
    assert set(found.predict(text_store)) == {"amalign", "benign"}
    assert found.score(text_store) == model.score(*data)
    weighted = LogisticL1(ALPHA, class_weight={"benign": 2.0}).fit(text_store)
    assert weighted.intercept_[0] > found.intercept_[0]


def test_labels_given_beside_a_store_may_be_text(text_store, data, model):
    y = np.where(data[1] == 1, "Y", "N")
    found = LogisticL1(ALPHA).fit(text_store, y)
    assert found.classes_.tolist() == ["N", "Y"]
    assert np.allclose(found.coef_, model.coef_, atol=1e-5)
    assert found.score(text_store, y) == model.score(*data)


def test_the_gap_is_that_of_the_objective(data, model):
    p = data[1].mean()
    null = -(p * np.log(p) + (1 - p) * np.log(1 - p))
    assert 0 <= model.relative_gap_ <= 1e-6
    assert model.dual_gap_ == pytest.approx(model.relative_gap_ * null)
    assert model.n_scans_ == model.n_iter_ > 0


def test_probabilities_are_exact_far_from_a_half(data):
    X, y = data
    found = LogisticL1(1e-3).fit(X, y)
    far = 1e4 * X[:5]
    p = found.decision_function(far)
    assert np.allclose(found.predict_log_proba(far)[:, 1], np.minimum(p, 0), rtol=1e-12)
    assert np.allclose(found.predict_proba(X).sum(axis=1), 1, rtol=1e-12)


def test_it_goes_through_pipelines_clones_and_pickles(data):
    X, y = data
    pipe = make_pipeline(StandardScaler(), LogisticL1(ALPHA, class_weight="balanced"))
    assert cross_val_score(clone(pipe), X, np.where(y, "a", "b"), cv=3).min() > 0.85
    fitted = pipe.fit(X, y)
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.predict(X), fitted.predict(X))
    assert again[-1].path_.classes == ((0, 1),)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.full(20, "a"), "y has one class only, 'a' in every row"),
        (
            np.array(["a", "b", None, "a"] * 5),
            r"labels of several kinds \(NoneType, str\), expected",
        ),
        (np.linspace(0, 1, 20), "Unknown label type"),
        (np.eye(20, 2, dtype=int), "y should be a 1d array"),
    ],
)
def test_targets_that_are_not_two_labels_are_refused(y, message):
    with pytest.raises(ValueError, match=message):
        LogisticL1().fit(np.random.default_rng(0).standard_normal((20, 2)), y)


def test_probabilities_in_a_store_are_refused(make_store):
    X = np.random.default_rng(0).standard_normal((20, 2))
    with pytest.raises(errors.ValueFound, match="y has probabilities, expected labels"):
        LogisticL1().fit(make_store(X, np.linspace(0.25, 0.75, 2).repeat(10)))
    with pytest.raises(errors.ValueFound, match="at row 1, one of 20 values; expected labels"):
        LogisticL1().fit(make_store(X, np.linspace(0, 1, 20)))


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ("even", "class_weight: 'even' found, expected 'balanced' or a dict"),
        ({0: "x"}, "class_weight: 'x' found, expected a number"),
        ({0: 0}, "class_weight: 0.0 found for 0"),
        ({2: 1.0}, "class_weight: 2.0 is none of the classes: 0, 1"),
    ],
)
def test_class_weights_that_cannot_be_used_are_refused(class_weight, message, data):
    with pytest.raises(errors.OptionError, match=message):
        LogisticL1(class_weight=class_weight).fit(*data)


def test_it_is_exported():
    assert dasklasso.LogisticL1 is LogisticL1


def test_offsets_reach_fit_and_predict(data, tmp_path):
    X, y = data
    offset = 2.0 * np.random.default_rng(0).standard_normal(len(y))
    found = LogisticL1(ALPHA).fit(X, y, offset=offset)
    group = zarr.open_group(tmp_path / "s.zarr", mode="w")
    for name, values in {"X": X, "y": y, "offset": offset}.items():
        group.create_array(name, data=values, chunks=(100, *values.shape[1:]))
    stored = LogisticL1(ALPHA).fit(group)
    lazy = da.from_array(X, chunks=(100, 8))
    assert np.allclose(found.coef_, stored.coef_, atol=1e-5)
    expected = X @ found.coef_[0] + found.intercept_ + offset
    assert np.allclose(found.decision_function(X, offset), expected)
    assert np.allclose(found.decision_function(group), expected)
    assert np.allclose(found.decision_function(lazy, offset), expected)
    assert np.array_equal(found.predict(X, offset), (expected > 0).astype(int))
    with pytest.raises(errors.ModelError, match="expected an offset for each row"):
        found.predict(X)
    with pytest.raises(errors.ModelError, match="expected an offset for each row"):
        found.predict(lazy)


@pytest.fixture(scope="module")
def three():
    X, y = load_iris(return_X_y=True)
    return (X - X.mean(axis=0)) / X.std(axis=0), y


@pytest.mark.parametrize("labels", [(0, 1, 2), ("a", "b", "c")], ids=str)
def test_more_than_two_labels_are_a_softmax_model(labels, three):
    X, y = three
    y = np.array(labels)[y]
    expected = theirs(X, y, C=1 / (ALPHA * len(y)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected.fit(X, y)
    found = LogisticL1(ALPHA, tol=1e-9).fit(X, y)
    assert found.classes_.tolist() == list(labels)
    assert (found.coef_.shape, found.intercept_.shape) == ((3, 4), (3,))
    assert np.allclose(found.predict_proba(X), expected.predict_proba(X), atol=1e-3)
    assert np.array_equal(found.predict(X), expected.predict(X))
    assert 0 <= found.dual_gap_ <= 1e-9 * np.log(3)


def test_a_softmax_model_is_the_same_from_every_kind_of_data(three, tmp_path):
    X, y = three
    found = LogisticL1(ALPHA, class_weight="balanced").fit(X, y)
    group = zarr.open_group(tmp_path / "s.zarr", mode="w")
    for name, values in {"X": X, "y": y}.items():
        group.create_array(name, data=values, chunks=(60, *values.shape[1:]))
    lazy = da.from_array(X, chunks=(60, 4))
    for given in ((group,), (group, np.array(list("abc"))[y]), (lazy, y)):
        other = LogisticL1(ALPHA, class_weight="balanced").fit(*given)
        assert np.allclose(other.decision_function(given[0]), found.decision_function(X), atol=1e-4)
        assert np.allclose(other.predict_proba(given[0]), found.predict_proba(X), atol=1e-5)
        assert len(other.classes_) == 3
    names, s = np.array(list("abc"))[y], np.random.default_rng(0).integers(0, 3, len(y))
    model = LogisticL1(ALPHA).fit(group)
    assert model.score(group) == model.score(X, y)
    assert model.score(group, sample_weight=s) == pytest.approx(model.score(X, y, s), rel=1e-12)
    assert LogisticL1(ALPHA).fit(group, names).score(group, names) == model.score(X, y)


def test_a_model_may_be_fitted_again_to_fewer_labels(three):
    X, y = three
    model = LogisticL1(ALPHA).fit(X, y)
    again = model.fit(X[:100], y[:100])
    assert again.coef_.shape == (1, 4)
    assert again.predict_proba(X).shape == (150, 2)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("solver", ["newton", "fista"])
def test_columns_that_are_all_constant_leave_the_null_model(solver, n_classes):
    y = np.arange(30) % n_classes
    found = LogisticL1(0.01, solver=solver).fit(np.ones((30, 2)), y)
    assert not found.coef_.any()
    assert np.allclose(found.predict_proba(np.ones((1, 2))), 1 / n_classes)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("model", [LogisticL1(0.1), dasklasso.Lasso(0.1)])
def test_squares_beyond_float64_are_refused(model):
    X = np.random.default_rng(0).standard_normal((40, 2)) * 1e200
    with pytest.raises(
        errors.ValueFound, match=r"values whose squares are finite\. Scale the columns"
    ):
        model.fit(X, np.arange(40) % 2)
