"""The scikit-learn face: the same answers as scikit-learn, from every kind of data."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
from pathlib import Path

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import sklearn.exceptions
import sklearn.linear_model
import zarr
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.exceptions import NotFittedError
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import dasklasso
from dasklasso import errors
from dasklasso.dataset.dataset import open_dataset
from dasklasso.dataset.ingest.ingest import ingest

TIGHT = {"tol": 1e-12}
NAMES = load_diabetes().feature_names


# No check is expected to fail. (check_array_api_input is skipped without SCIPY_ARRAY_API.)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks([dasklasso.Lasso(), dasklasso.ElasticNet()])
def test_it_passes_scikit_learns_own_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def diabetes():
    return load_diabetes(return_X_y=True)


@pytest.fixture(scope="module")
def frame(diabetes):
    return pd.DataFrame(diabetes[0], columns=NAMES)


@pytest.fixture(scope="module")
def weights(diabetes):
    return np.random.default_rng(0).uniform(0, 2, len(diabetes[1]))


def _group(path: Path, X, chunks, **beside):
    """A store as somebody else would write it, without a manifest."""
    group = zarr.open_group(path, mode="w")
    group.create_array("X", data=X, chunks=chunks)
    for name, values in beside.items():
        group.create_array(name, data=values, chunks=(chunks[0], *values.shape[1:]))
    return group


@pytest.fixture(scope="module")
def store(tmp_path_factory, diabetes):
    """A store without feature names, with X and y."""
    path = tmp_path_factory.mktemp("foreign") / "diabetes.zarr"
    _group(path, diabetes[0], (100, 4), y=diabetes[1])
    return path


@pytest.fixture(scope="module")
def named_store(tmp_path_factory, diabetes, frame):
    """A store that was ingested, with the names of the features."""
    folder = tmp_path_factory.mktemp("ingested")
    frame.assign(progression=diabetes[1]).to_parquet(folder / "diabetes.parquet")
    ingest(
        str(folder / "diabetes.parquet"),
        str(folder / "diabetes.zarr"),
        target=("progression",),
        dtype="float64",
    )
    return folder / "diabetes.zarr"


@pytest.fixture(scope="module")
def workers():
    """Two worker processes behind a client that the user has already."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


def _agrees(model, reference):
    # a relative gap g bounds predictions to sqrt(2 g) of the spread of y: here 1.4e-6 of it
    scale = np.abs(reference.coef_).max()
    np.testing.assert_allclose(model.coef_, reference.coef_, rtol=0, atol=1e-4 * scale)
    np.testing.assert_allclose(model.intercept_, reference.intercept_, rtol=1e-5, atol=1e-5)


def _reference(X, y, alpha=0.5, sample_weight=None, **options):
    options = {"tol": 1e-14, "max_iter": 100_000} | options
    model = sklearn.linear_model.ElasticNet(alpha=alpha, **{"l1_ratio": 1.0} | options)
    return model.fit(X, y, sample_weight=sample_weight)


# -- the same answer as scikit-learn ---------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.01, 0.5, 2.0])
def test_lasso_is_scikit_learns(diabetes, alpha):
    _agrees(dasklasso.Lasso(alpha, **TIGHT).fit(*diabetes), _reference(*diabetes, alpha))


@pytest.mark.parametrize("l1_ratio", [0.0, 0.2, 0.5, 1.0])
@pytest.mark.filterwarnings("ignore:.*ridge")  # scikit-learn advises against its own l1_ratio=0
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_elastic_net_is_scikit_learns(diabetes, l1_ratio):
    model = dasklasso.ElasticNet(0.01, l1_ratio=l1_ratio, **TIGHT).fit(*diabetes)
    _agrees(model, _reference(*diabetes, 0.01, l1_ratio=l1_ratio))


@pytest.mark.parametrize("options", [{"positive": True}, {"fit_intercept": False}], ids=str)
def test_options_mean_what_they_mean_in_scikit_learn(diabetes, options):
    model = dasklasso.Lasso(0.1, **options, **TIGHT).fit(*diabetes)
    _agrees(model, _reference(*diabetes, 0.1, **options))


def test_weights_mean_what_they_mean_in_scikit_learn(diabetes, weights):
    model = dasklasso.Lasso(0.1, **TIGHT).fit(*diabetes, sample_weight=weights)
    _agrees(model, _reference(*diabetes, 0.1, sample_weight=weights))


def test_one_number_as_weight_changes_nothing(diabetes):
    model = dasklasso.Lasso(0.1, **TIGHT).fit(*diabetes, sample_weight=3.0)
    _agrees(model, _reference(*diabetes, 0.1))


def test_standardize_is_the_lasso_of_scaled_columns(diabetes):
    X, y = diabetes[0] * np.geomspace(0.1, 10, 10), diabetes[1]
    model = dasklasso.Lasso(5.0, standardize=True, **TIGHT).fit(X, y)
    reference = _reference(X / X.std(axis=0), y, 5.0)
    np.testing.assert_allclose(model.coef_ * X.std(axis=0), reference.coef_, atol=1e-5)


def test_a_penalty_factor_is_a_penalty_on_scaled_columns(diabetes):
    X, y = diabetes
    factor = np.linspace(0.5, 2, 10)
    model = dasklasso.Lasso(0.5, penalty_factor=factor.tolist(), **TIGHT).fit(X, y)
    reference = _reference(X / factor, y)
    np.testing.assert_allclose(model.coef_ * factor, reference.coef_, atol=1e-4)


def test_a_constant_column_gets_zero(diabetes):
    X, y = np.insert(diabetes[0], 3, 7.0, axis=1), diabetes[1]
    model = dasklasso.Lasso(0.5, **TIGHT).fit(X, y)
    assert model.coef_[3] == 0.0
    _agrees(model, _reference(X, y))


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_columns_that_are_all_zero_give_the_null_model(diabetes, fit_intercept):
    X, y = np.zeros((442, 3)), diabetes[1]
    model = dasklasso.Lasso(0.5, fit_intercept=fit_intercept).fit(X, y)
    np.testing.assert_array_equal(model.coef_, np.zeros(3))
    assert model.intercept_ == pytest.approx(y.mean() if fit_intercept else 0.0)
    with pytest.raises(errors.ValueFound, match="no penalised column varies with the target"):
        dasklasso.lasso_path(X, y, fit_intercept=fit_intercept)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_a_column_beside_its_mirror_image_is_fitted(diabetes, sign):
    # one of the two lies across the direction that the power iteration begins in
    X, y = diabetes[0][:, [2, 2]] * [1.0, sign], diabetes[1]
    model = dasklasso.Lasso(0.5, **TIGHT).fit(X, y)
    alone = _reference(X[:, :1], y)
    np.testing.assert_allclose(model.predict(X), alone.predict(X[:, :1]), rtol=1e-6)


def test_several_targets_are_fits_of_each(diabetes):
    X, y = diabetes
    Y = np.column_stack([y, -2 * y, X[:, 2] + X[:, 8]])
    model = dasklasso.Lasso(0.0005, **TIGHT).fit(X, Y)
    assert model.coef_.shape == (3, 10)
    assert model.intercept_.shape == model.dual_gap_.shape == model.relative_gap_.shape == (3,)
    for k in range(3):
        alone = _reference(X, Y[:, k], 0.0005)
        scale = np.abs(alone.coef_).max()
        np.testing.assert_allclose(model.coef_[k], alone.coef_, rtol=0, atol=1e-5 * scale)
    np.testing.assert_allclose(model.predict(X), X @ model.coef_.T + model.intercept_)


def test_the_gap_is_that_of_the_objective(diabetes, weights):
    X, y = diabetes
    alpha, s = 0.1, weights / weights.sum()
    model = dasklasso.Lasso(alpha, tol=1e-3).fit(X, y, sample_weight=weights)
    residual = y - X @ model.coef_ - model.intercept_
    primal = 0.5 * s @ residual**2 + alpha * np.abs(model.coef_).sum()
    best = _reference(X, y, alpha, sample_weight=weights)
    at_best = y - best.predict(X)
    optimum = 0.5 * s @ at_best**2 + alpha * np.abs(best.coef_).sum()
    null = 0.5 * s @ (y - s @ y) ** 2
    assert -1e-14 * null <= primal - optimum <= model.dual_gap_ <= 1e-3 * null
    assert model.dual_gap_ == pytest.approx(model.relative_gap_ * null)


def test_without_intercept_the_gap_is_relative_to_the_mean_square(diabetes):
    model = dasklasso.Lasso(0.1, fit_intercept=False).fit(*diabetes)
    assert model.dual_gap_ == pytest.approx(model.relative_gap_ * 0.5 * np.mean(diabetes[1] ** 2))


# -- every kind of data ----------------------------------------------------------------------------

KINDS = {
    "array": lambda X, y, frame, store: (X, y),
    "fortran": lambda X, y, frame, store: (np.asfortranarray(X), y),
    "list": lambda X, y, frame, store: (X.tolist(), y.tolist()),
    "frame": lambda X, y, frame, store: (frame, pd.Series(y)),
    "dask": lambda X, y, frame, store: (da.from_array(X, chunks=(90, 3)), y),
    "dask, both": lambda X, y, frame, store: (da.from_array(X, (90, 3)), da.from_array(y, 100)),
    "array, dask y": lambda X, y, frame, store: (X, da.from_array(y, 100)),
    "array, zarr y": lambda X, y, frame, store: (X, zarr.open(store)["y"]),
    "path": lambda X, y, frame, store: (store, None),
    "text": lambda X, y, frame, store: (str(store), None),
    "group": lambda X, y, frame, store: (zarr.open(store, mode="r"), None),
    "zarr array": lambda X, y, frame, store: (zarr.open(store)["X"], zarr.open(store)["y"]),
    "zarr array, y": lambda X, y, frame, store: (zarr.open(store)["X"], y),
    "path, list y": lambda X, y, frame, store: (store, y.tolist()),
    "path, dask y": lambda X, y, frame, store: (store, da.from_array(y, chunks=100)),
    "path, y's name": lambda X, y, frame, store: (store, "y"),
    "dataset": lambda X, y, frame, store: (open_dataset(store), None),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_data_gives_the_same_model(diabetes, frame, store, kind):
    X, y = KINDS[kind](*diabetes, frame, store)
    model = dasklasso.Lasso(2.0, **TIGHT).fit(X, y)
    _agrees(model, _reference(*diabetes, 2.0))
    assert np.count_nonzero(model.coef_) > 1
    assert model.n_features_in_ == 10


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int64", "bool", "float32", "float16"])
def test_data_of_small_types_are_fitted(dtype):
    rng = np.random.default_rng(1)
    X = rng.integers(0, 2 if dtype == "bool" else 3, (60, 5)).astype(dtype)
    y = X.astype(float) @ [3.0, 0, -2, 0, 0] + rng.normal(size=60)
    _agrees(
        dasklasso.Lasso(0.05, **TIGHT).fit(X, y), _reference(X.astype(np.float64), y, alpha=0.05)
    )


def test_integers_beyond_float32_are_not_rounded():
    rng = np.random.default_rng(2)
    X = 10**12 + rng.integers(0, 1000, (80, 3))
    y = (X - 10**12) @ [1.0, 0.0, -1.0] + rng.normal(size=80)
    model = dasklasso.Lasso(1.0, **TIGHT).fit(X, y)
    reference = _reference((X - 10**12).astype(float), y, alpha=1.0)
    np.testing.assert_allclose(model.coef_, reference.coef_, atol=1e-7)


@pytest.mark.parametrize("kind", ["array", "dask"])
def test_a_dask_arrays_rows_may_be_uncounted(diabetes, kind):
    X = da.from_array(diabetes[0], chunks=(90, 10))
    y = da.from_array(diabetes[1], chunks=90)
    kept = da.from_array(np.arange(442) % 3 > 0, chunks=90)
    model = dasklasso.Lasso(2.0, **TIGHT).fit(
        X[kept], y[kept] if kind == "dask" else y[kept].compute()
    )
    rows = np.arange(442) % 3 > 0
    _agrees(model, _reference(diabetes[0][rows], diabetes[1][rows], 2.0))
    assert model.predict(X[kept]).shape == (rows.sum(),)


@pytest.mark.parametrize("kind", ["list", "dask", "path", "zarr array", "dataset"])
def test_every_kind_of_data_is_predicted_for(diabetes, frame, store, kind):
    model = dasklasso.Lasso(0.5).fit(*diabetes)
    X, _ = KINDS[kind](*diabetes, frame, store)
    found = model.predict(X)
    assert isinstance(found, np.ndarray)
    np.testing.assert_allclose(found, diabetes[0] @ model.coef_ + model.intercept_, rtol=1e-12)


def test_predictions_of_several_targets_have_two_dimensions(diabetes, store):
    X, y = diabetes
    model = dasklasso.Lasso(0.5).fit(X, np.column_stack([y, -y]))
    expected = model.predict(X)
    assert expected.shape == (442, 2)
    np.testing.assert_allclose(model.predict(store), expected, rtol=1e-12)
    np.testing.assert_allclose(model.predict(da.from_array(X, (90, 4))), expected, rtol=1e-12)


def test_a_stores_own_weights_are_used(tmp_path, diabetes, weights):
    _group(tmp_path / "s", diabetes[0], (100, 10), y=diabetes[1], sample_weight=weights)
    model = dasklasso.Lasso(2.0, **TIGHT).fit(tmp_path / "s")
    reference = _reference(*diabetes, 2.0, sample_weight=weights)
    _agrees(model, reference)
    expected = r2_score(diabetes[1], reference.predict(diabetes[0]), sample_weight=weights)
    assert model.score(tmp_path / "s") == pytest.approx(expected, rel=1e-5)


def test_a_store_takes_weights_of_ones_own(store, diabetes, weights):
    model = dasklasso.Lasso(2.0, **TIGHT).fit(store, sample_weight=weights)
    _agrees(model, _reference(*diabetes, 2.0, sample_weight=weights))


def test_a_store_scores_as_its_rows_do(store, diabetes):
    model = dasklasso.Lasso(2.0).fit(store)
    assert model.score(store) == pytest.approx(model.score(*diabetes))


# -- names -----------------------------------------------------------------------------------------


def test_a_frames_names_are_kept_and_asked_for(diabetes, frame):
    model = dasklasso.Lasso(0.5).fit(frame, diabetes[1])
    assert model.feature_names_in_.tolist() == NAMES
    assert list(model.path_.feature_names) == NAMES
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[NAMES[::-1]])


def test_an_ingested_stores_names_are_kept_and_asked_for(diabetes, frame, named_store):
    model = dasklasso.Lasso(2.0, **TIGHT).fit(named_store)
    assert model.feature_names_in_.tolist() == NAMES
    np.testing.assert_allclose(model.predict(frame), model.predict(named_store), rtol=1e-12)
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame.rename(columns={"bmi": "weight"}))


def test_a_store_with_other_names_is_refused(diabetes, frame, named_store):
    renamed = frame.rename(columns={"bmi": "weight"})
    model = dasklasso.Lasso(0.5).fit(renamed, diabetes[1])
    with pytest.raises(errors.ModelError, match=r"feature 2 is 'bmi'.*expects 'weight'"):
        model.predict(named_store)


def test_a_model_without_names_predicts_for_a_store_with_names(diabetes, named_store):
    model = dasklasso.Lasso(2.0).fit(*diabetes)
    np.testing.assert_allclose(model.predict(named_store), model.predict(diabetes[0]))


def test_fitting_again_without_names_forgets_them(diabetes, frame, store):
    model = dasklasso.Lasso(0.5).fit(frame, diabetes[1]).fit(store)
    assert not hasattr(model, "feature_names_in_")


@pytest.mark.parametrize("kind", ["array", "dask", "store"])
def test_rows_with_other_features_are_refused(diabetes, store, kind):
    model = dasklasso.Lasso(0.5).fit(diabetes[0][:, :9], diabetes[1])
    X = {"array": diabetes[0], "dask": da.from_array(diabetes[0]), "store": store}[kind]
    with pytest.raises((ValueError, errors.ModelError), match=r"10.*9 features|9 features.*10"):
        model.predict(X)


# -- where it runs ---------------------------------------------------------------------------------


def test_data_in_memory_go_to_the_workers_of_an_active_client(diabetes, workers):
    alone = dasklasso.Lasso(2.0).fit(*diabetes)
    with workers.as_current():
        model = dasklasso.Lasso(2.0).fit(*diabetes)
        np.testing.assert_array_equal(model.coef_, alone.coef_)
        assert model.path_.fingerprint == alone.path_.fingerprint


def test_a_store_with_y_in_memory_goes_to_a_schedulers_workers(diabetes, store, weights, workers):
    model = dasklasso.Lasso(2.0, scheduler=workers.scheduler.address, **TIGHT)
    model.fit(store, diabetes[1], sample_weight=weights)
    _agrees(model, _reference(*diabetes, 2.0, sample_weight=weights))


def test_the_temporary_store_is_gone_after_the_fit(diabetes, workers, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    dasklasso.Lasso(2.0, scheduler=workers.scheduler.address).fit(*diabetes)
    dasklasso.Lasso(2.0).fit(da.from_array(diabetes[0], (90, 10)), diabetes[1])
    assert list(tmp_path.glob("dasklasso-*")) == []


def test_a_fit_cut_short_goes_on_from_its_checkpoint(diabetes, tmp_path):
    options = {"tol": 1e-10, "checkpoint": tmp_path / "kept", "solver": "fista"}
    with pytest.warns(errors.ConvergenceWarning):
        dasklasso.Lasso(0.1, max_iter=10, **options).fit(*diabetes)
    whole = dasklasso.Lasso(0.1, tol=1e-10, solver="fista").fit(*diabetes)
    resumed = dasklasso.Lasso(0.1, resume=True, **options).fit(*diabetes)
    np.testing.assert_array_equal(resumed.coef_, whole.coef_)


def test_a_verbose_fit_tells_of_its_last_scan(diabetes, capsys):
    model = dasklasso.Lasso(0.5, verbose=True).fit(*diabetes)
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"scan {model.n_iter_}: 1 of 1 problems done, gap ")


def test_a_fit_is_silent_unless_asked(diabetes, store, capfd):
    dasklasso.Lasso(2.0).fit(*diabetes)
    dasklasso.Lasso(2.0).fit(store)
    assert capfd.readouterr() == ("", "")


# -- scikit-learn's manners ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "category", [sklearn.exceptions.ConvergenceWarning, errors.ConvergenceWarning]
)
def test_a_gap_above_tol_warns_under_both_names(diabetes, category):
    with pytest.warns(category, match=r"gap is .* after \d+ scans, above tol=1e-06") as caught:
        model = dasklasso.Lasso(0.1, max_iter=3, solver="fista").fit(*diabetes)
    assert model.relative_gap_ > 1e-6
    assert caught[0].filename == __file__


def test_a_paths_warning_points_at_its_caller(diabetes):
    with pytest.warns(errors.ConvergenceWarning) as caught:
        dasklasso.lasso_path(*diabetes, max_iter=3, solver="fista")
    assert caught[0].filename == __file__


def test_a_fitted_model_pickles(diabetes, store):
    model = dasklasso.ElasticNet(0.1).fit(store)
    copy = pickle.load(io.BytesIO(pickle.dumps(model)))
    np.testing.assert_array_equal(copy.predict(diabetes[0]), model.predict(diabetes[0]))


def test_a_clone_has_the_parameters_and_no_fit(diabetes):
    model = dasklasso.ElasticNet(0.1, l1_ratio=0.3, penalty_factor=[1.0] * 10).fit(*diabetes)
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        copy.predict(diabetes[0])
    with pytest.raises(NotFittedError):
        copy.score("nowhere.zarr")


def test_it_works_in_a_pipeline_and_a_grid_search(diabetes):
    ours, theirs = (
        GridSearchCV(
            make_pipeline(StandardScaler(), lasso), {"lasso__alpha": [1.0, 10.0]}, cv=2
        ).fit(*diabetes)
        for lasso in (dasklasso.Lasso(tol=1e-9), sklearn.linear_model.Lasso(tol=1e-9))
    )
    assert ours.best_params_ == theirs.best_params_
    np.testing.assert_allclose(
        ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"], rtol=1e-5
    )


def test_sparse_coefficients_are_the_coefficients(diabetes):
    model = dasklasso.Lasso(0.5).fit(*diabetes)
    assert model.sparse_coef_.nnz < 10
    np.testing.assert_array_equal(model.sparse_coef_.toarray(), model.coef_[None, :])


@pytest.mark.parametrize("solver", ["fista", "gram"])
def test_scans_are_counted(diabetes, store, solver):
    model = dasklasso.Lasso(2.0, solver=solver).fit(store)
    assert model.n_iter_ == model.path_.scans >= 1


def test_importing_the_package_does_not_import_scikit_learn():
    script = (
        "import sys, dasklasso; assert 'Lasso' in dir(dasklasso); print('sklearn' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert found.stdout.strip() == "False", found.stderr


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 0}, "alpha: 0.0 found, expected positive"),
        ({"alpha": -1.0}, "alpha: -1.0"),
        ({"alpha": float("nan")}, "alpha: nan"),
        ({"alpha": "1"}, "alpha: '1' found, expected a number"),
        ({"alpha": True}, "alpha: True"),
        ({"tol": 0}, "tol: 0.0"),
        ({"tol": None}, "tol: None found, expected a number"),
        ({"max_iter": 0}, "max_scans: 0|max_iter: 0"),
        ({"max_iter": 1.5}, "max_iter: 1.5 found, expected an integer"),
        ({"l1_ratio": 1.5}, "l1_ratio: 1.5"),
        ({"solver": "saga"}, "solver: 'saga' is none of auto"),
        ({"device": "tpu"}, "device"),
        ({"memory": "much"}, "'much' is not a size"),
        ({"workers": 0}, "workers: 0"),
        ({"workers": "two"}, "workers: 'two' found, expected an integer"),
        ({"workers": 2, "scheduler": "tcp://127.0.0.1:1"}, "workers and scheduler"),
        ({"resume": True}, "resume: needs a checkpoint"),
        ({"penalty_factor": [1.0, 2.0]}, "penalty_factor: 2 numbers found"),
        ({"penalty_factor": [-1.0] * 10}, "penalty_factor: -1.0 found for feature 0"),
        ({"penalty_factor": "all"}, "penalty_factor: 'all' found"),
    ],
    ids=str,
)
def test_a_parameter_that_cannot_be_used_is_named(diabetes, options, message):
    with pytest.raises(errors.OptionError, match=message):
        dasklasso.ElasticNet(**options).fit(*diabetes)


@pytest.mark.parametrize("solver", ["gram", "fista"])
@pytest.mark.parametrize("scale", [1e-170, 1e200])
def test_a_column_whose_squares_float64_cannot_hold_is_fitted(diabetes, scale, solver):
    X, y = diabetes
    scales = np.where(np.arange(10) == 2, scale, 1.0)
    usual = dasklasso.Lasso(standardize=True, solver=solver).fit(X, y)
    model = dasklasso.Lasso(standardize=True, solver=solver).fit(X * scales, y)
    np.testing.assert_allclose(model.coef_ * scales, usual.coef_, rtol=1e-6, atol=1e-9)
    assert model.coef_[2] != 0


@pytest.mark.parametrize("value", [3.0, 0.1, 0.0])
def test_a_constant_target_has_zero_coefficients(diabetes, value):
    model = dasklasso.Lasso().fit(diabetes[0], np.full(442, value))
    assert not model.coef_.any()
    assert model.intercept_ == value
    assert model.relative_gap_ <= 1e-15


@pytest.mark.parametrize("value", [5.0, 0.0])
def test_a_constant_target_without_an_intercept_is_fitted(diabetes, value):
    X, y = diabetes[0], np.full(442, value)
    model = dasklasso.Lasso(alpha=0.01, fit_intercept=False).fit(X, y)
    theirs = sklearn.linear_model.Lasso(0.01, fit_intercept=False, tol=1e-12, max_iter=100_000)
    expected = theirs.fit(X, y)
    np.testing.assert_allclose(model.coef_, expected.coef_, atol=1e-4)
    assert model.relative_gap_ <= 1e-6


def test_a_target_constant_where_rows_have_weight_has_zero_coefficients(diabetes):
    X, y = diabetes
    weights = np.where(np.arange(442) < 50, 1.0, 0.0)
    model = dasklasso.Lasso().fit(X, np.where(weights > 0, 0.1, y), sample_weight=weights)
    assert not model.coef_.any()
    assert model.intercept_ == 0.1


def test_missing_values_are_refused_in_memory_and_in_dask(diabetes):
    X, y = diabetes[0].copy(), diabetes[1]
    X[5, 2] = np.nan
    with pytest.raises(ValueError, match="Input X contains NaN"):
        dasklasso.Lasso().fit(X, y)
    with pytest.raises(errors.ValueFound, match="nan at row 5, column 'x2'"):
        dasklasso.Lasso().fit(da.from_array(X, (90, 10)), y)


@pytest.mark.parametrize("kind", ["array", "dask", "zarr array"])
def test_y_is_asked_for(diabetes, store, kind):
    X = {
        "array": diabetes[0],
        "dask": da.from_array(diabetes[0]),
        "zarr array": zarr.open(store)["X"],
    }[kind]
    with pytest.raises((ValueError, errors.StoreError), match=r"\by\b"):
        dasklasso.Lasso().fit(X)


def test_y_beside_an_open_dataset_is_refused(diabetes, store):
    with pytest.raises(errors.OptionError, match="open the dataset with them"):
        dasklasso.Lasso().fit(open_dataset(store), diabetes[1])


@pytest.mark.parametrize("weights", [np.full(442, -1.0), np.zeros(442)], ids=["negative", "zero"])
def test_weights_that_cannot_be_used_are_refused(diabetes, weights):
    with pytest.raises(ValueError, match=r"sample_weight|[Ww]eights"):
        dasklasso.Lasso().fit(*diabetes, sample_weight=weights)


def test_a_store_that_is_not_there_is_said(tmp_path):
    with pytest.raises(errors.StoreError, match="does not exist"):
        dasklasso.Lasso().fit(tmp_path / "nowhere.zarr")


# -- paths -----------------------------------------------------------------------------------------


def test_a_lasso_path_is_scikit_learns(diabetes):
    X, y = diabetes[0], diabetes[1] - diabetes[1].mean()
    path = dasklasso.lasso_path(X, y, n_alphas=20, eps=1e-3, fit_intercept=False, tol=1e-12)
    _, coefs, _ = sklearn.linear_model.lasso_path(
        X, y, alphas=path.alphas, tol=1e-12, max_iter=100_000
    )
    assert path.alphas[0] == pytest.approx(np.abs(X.T @ y).max() / len(y))
    assert path.alphas[-1] == pytest.approx(1e-3 * path.alphas[0])
    np.testing.assert_allclose(path.coef.T, coefs, atol=1e-5 * np.abs(coefs).max())


def test_an_elastic_net_path_is_made_of_elastic_nets(store, diabetes):
    path = dasklasso.enet_path(store, l1_ratio=0.5, alphas=[0.01, 0.1, 1.0], tol=1e-12)
    assert path.alphas.tolist() == [1.0, 0.1, 0.01]
    for alpha, coef in zip(path.alphas, path.coef, strict=True):
        reference = _reference(*diabetes, alpha, l1_ratio=0.5)
        np.testing.assert_allclose(coef, reference.coef_, atol=1e-5 * np.abs(reference.coef_).max())


def test_a_path_takes_weights_and_names(diabetes, frame, weights):
    path = dasklasso.lasso_path(frame, diabetes[1], alphas=[0.1], sample_weight=weights, **TIGHT)
    reference = _reference(*diabetes, 0.1, sample_weight=weights)
    assert list(path.feature_names) == NAMES
    np.testing.assert_allclose(path.coef[0], reference.coef_, atol=1e-4)


def test_a_path_refuses_a_single_alpha_by_name(diabetes):
    with pytest.raises(errors.OptionError, match="give them as alphas"):
        dasklasso.lasso_path(*diabetes, alpha=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alphas": [1.0, -1.0]}, "alpha: -1"),
        ({"alphas": 20}, "alphas: 20 found, expected a sequence"),
        ({"alphas": ["1"]}, "alphas: '1' found, expected a number"),
        ({"alphas": []}, "alpha: none found"),
        ({"n_alphas": 0}, "n_alphas: 0 found"),
        ({"n_alphas": 2.5}, "n_alphas: 2.5 found, expected an integer"),
        ({"eps": 1.0}, "eps: 1.0 found"),
        ({"eps": "small"}, "eps: 'small' found, expected a number"),
    ],
    ids=str,
)
def test_a_grid_that_cannot_be_used_is_named(diabetes, options, message):
    with pytest.raises(errors.OptionError, match=message):
        dasklasso.enet_path(*diabetes, **options)


def test_an_offset_is_what_is_taken_off_the_target(diabetes):
    X, y = diabetes
    offset = np.random.default_rng(0).normal(50, 20, len(y))
    found = dasklasso.Lasso(0.5, **TIGHT).fit(X, y, offset=offset)
    less = dasklasso.Lasso(0.5, **TIGHT).fit(X, y - offset)
    np.testing.assert_allclose(found.coef_, less.coef_, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(found.predict(X, offset), less.predict(X) + offset)
    assert found.dual_gap_ == pytest.approx(less.dual_gap_, abs=1e-9)
