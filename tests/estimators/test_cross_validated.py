"""Cross-validation in scikit-learn's manner: its curves, its choice, from every kind of data."""

from __future__ import annotations

import pickle

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import sklearn.linear_model
import zarr
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    RepeatedKFold,
    ShuffleSplit,
    StratifiedKFold,
    TimeSeriesSplit,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import dasklasso
from dasklasso import errors
from dasklasso.dataset.dataset import open_dataset
from dasklasso.dataset.generate import generate
from dasklasso.moments import gram_scan
from dasklasso.options import CvOptions
from dasklasso.storage.zarr_blocks import read_rows

TIGHT = {"tol": 1e-8}  # curves are then solved to a relative gap of 1e-13,
SLOWLY = 5e-7  # which bounds predictions to √(2e-13) of the spread of y, where descent is slow
NAMES = load_diabetes().feature_names


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks(
    [dasklasso.LassoCV(n_alphas=5), dasklasso.ElasticNetCV(n_alphas=5, l1_ratio=[0.5, 1.0])]
)
def test_it_passes_scikit_learns_own_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def diabetes():
    return load_diabetes(return_X_y=True)


@pytest.fixture(scope="module")
def weights(diabetes):
    return np.random.default_rng(0).uniform(0, 2, len(diabetes[1]))


@pytest.fixture(scope="module")
def groups():
    """(442,) numbers of groups of different sizes."""
    sizes = [10, 20, 31, 43, 54, 65, 76, 143]
    return np.random.default_rng(0).permutation(np.repeat(np.arange(8) * 11, sizes))


@pytest.fixture(scope="module")
def store(tmp_path_factory, diabetes, groups):
    """A store with X, y and a fold column."""
    path = tmp_path_factory.mktemp("foreign") / "diabetes.zarr"
    group = zarr.open_group(path, mode="w")
    group.create_array("X", data=diabetes[0], chunks=(100, 10))
    group.create_array("y", data=diabetes[1], chunks=(100,))
    group.create_array("fold", data=groups, chunks=(100,))
    return path


@pytest.fixture(scope="module")
def tall(tmp_path_factory):
    """10,000 × 500 in float32."""
    path = tmp_path_factory.mktemp("tall") / "tall.zarr"
    generate("tall", path, rows=10_000, features=500, seed=3)
    return path


def theirs(X, y, model, *, cv=None, sample_weight=None, **options):
    """scikit-learn's, on the alphas of a model of ours."""
    options = {"tol": 1e-12, "max_iter": 100_000} | options
    kind = sklearn.linear_model.ElasticNetCV if "l1_ratio" in options else None
    kind = kind or sklearn.linear_model.LassoCV
    found = kind(cv=model.cv if cv is None else cv, alphas=model.alphas_, **options)
    return found.fit(X, y, sample_weight=sample_weight)


def assert_same_choice(ours, expected, *, rel=1e-8, coef=1e-6):
    np.testing.assert_allclose(ours.mse_path_, expected.mse_path_, rtol=rel)
    assert ours.alpha_ == expected.alpha_
    scale = np.abs(expected.coef_).max()
    np.testing.assert_allclose(ours.coef_, expected.coef_, rtol=0, atol=coef * scale)
    np.testing.assert_allclose(ours.intercept_, expected.intercept_, rtol=coef, atol=coef)


# -- the same curves and the same choice as scikit-learn -------------------------------------------

SPLITTERS = {
    "runs": KFold(5),
    "shuffled": KFold(4, shuffle=True, random_state=1),
    "stratified": StratifiedKFold(3),
}


@pytest.mark.parametrize("kind", ["runs", "shuffled"])
def test_lasso_cv_is_scikit_learns(diabetes, kind):
    model = dasklasso.LassoCV(cv=SPLITTERS[kind], **TIGHT).fit(*diabetes)
    assert model.alphas_[0] > model.alpha_ > model.alphas_[-1]
    assert_same_choice(model, theirs(*diabetes, model))


@pytest.mark.parametrize("l1_ratio", [0.1, 0.5, 1.0])
def test_elastic_net_cv_is_scikit_learns(diabetes, l1_ratio):
    model = dasklasso.ElasticNetCV(l1_ratio=l1_ratio, cv=KFold(5), eps=1e-4, **TIGHT).fit(*diabetes)
    assert model.l1_ratio_ == l1_ratio
    expected = theirs(*diabetes, model, l1_ratio=l1_ratio)
    assert_same_choice(model, expected, rel=SLOWLY, coef=1e-4)


def test_the_grid_is_scikit_learns(diabetes):
    model = dasklasso.LassoCV(n_alphas=30, eps=0.01, cv=KFold(3)).fit(*diabetes)
    expected = sklearn.linear_model.LassoCV(alphas=30, eps=0.01, cv=3).fit(*diabetes)
    np.testing.assert_allclose(model.alphas_, expected.alphas_, rtol=1e-12)


def test_an_l1_ratio_is_chosen_from_a_list_as_in_scikit_learn(diabetes):
    ratios, options = [0.2, 0.7, 1.0], {"cv": KFold(5), "n_alphas": 25, "eps": 1e-3}
    model = dasklasso.ElasticNetCV(l1_ratio=ratios, **options, **TIGHT).fit(*diabetes)
    expected = sklearn.linear_model.ElasticNetCV(
        l1_ratio=ratios, alphas=25, cv=KFold(5), tol=1e-12, max_iter=100_000
    ).fit(*diabetes)
    assert model.mse_path_.shape == (3, 25, 5)
    assert model.alphas_.shape == model.standard_error_.shape == (3, 25)
    np.testing.assert_allclose(model.alphas_, expected.alphas_, rtol=1e-12)
    np.testing.assert_allclose(model.mse_path_, expected.mse_path_, rtol=SLOWLY)
    assert model.l1_ratio_ == expected.l1_ratio_
    assert model.alpha_ == pytest.approx(expected.alpha_, rel=1e-12)
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=0, atol=1e-3)


def test_given_alphas_are_those_of_every_l1_ratio(diabetes):
    model = dasklasso.ElasticNetCV(l1_ratio=[0.5, 1.0], alphas=[0.1, 1.0], cv=KFold(3))
    model.fit(*diabetes)
    expected = theirs(*diabetes, model, l1_ratio=[0.5, 1.0])
    np.testing.assert_array_equal(model.alphas_, [1.0, 0.1])
    np.testing.assert_array_equal(model.alphas_, expected.alphas_)
    assert model.mse_path_.shape == expected.mse_path_.shape == (2, 2, 3)


def test_a_number_given_as_alphas_is_how_many(diabetes):
    assert dasklasso.LassoCV(alphas=7).fit(*diabetes).alphas_.shape == (7,)


@pytest.mark.parametrize("options", [{"positive": True}, {"fit_intercept": False}], ids=str)
def test_options_mean_what_they_mean_in_scikit_learn(diabetes, options):
    model = dasklasso.LassoCV(cv=KFold(5), **options, **TIGHT).fit(*diabetes)
    assert_same_choice(model, theirs(*diabetes, model, **options))


def test_weights_mean_what_they_mean_in_scikit_learn(diabetes, weights):
    # both: weighted within a fold, each fold the same
    model = dasklasso.LassoCV(cv=KFold(5), **TIGHT).fit(*diabetes, sample_weight=weights)
    assert_same_choice(model, theirs(*diabetes, model, sample_weight=weights))


def test_an_integer_weight_is_so_many_equal_rows(diabetes):
    X, y = diabetes
    times = np.random.default_rng(1).integers(1, 4, len(y))
    label = np.arange(len(y)) % 3
    splits, repeated = (
        list(LeaveOneGroupOut().split(np.zeros(len(each)), groups=each))
        for each in (label, np.repeat(label, times))
    )
    weighed = dasklasso.LassoCV(cv=splits, **TIGHT).fit(X, y, sample_weight=times)
    often = dasklasso.LassoCV(cv=repeated, **TIGHT)
    often.fit(np.repeat(X, times, axis=0), np.repeat(y, times))
    np.testing.assert_allclose(weighed.alphas_, often.alphas_, rtol=1e-12)
    np.testing.assert_allclose(weighed.mse_path_, often.mse_path_, rtol=1e-9)


def test_means_far_from_zero_and_scales_far_apart_take_no_digits():
    rng = np.random.default_rng(5)
    n, d = 400, 12
    scale = 10.0 ** np.linspace(-3, 3, d)
    mean = rng.permutation(10.0 ** np.linspace(0, 6, d)) * scale  # up to 10⁶ standard deviations
    Z = rng.standard_normal((n, d)) + 0.5 * rng.standard_normal((n, 1))
    X = mean + Z * scale
    y = 1e6 + Z @ rng.standard_normal(d) + rng.standard_normal(n)
    # the intercept takes up a shift, so these are the same problems; rows are exact to 1e-16 mean
    long_X, long_y = X.astype(np.longdouble), y.astype(np.longdouble)
    X0 = (long_X - long_X.mean(axis=0)).astype(float)
    y0 = (long_y - long_y.mean()).astype(float)
    model = dasklasso.LassoCV(cv=KFold(5), n_alphas=40, eps=1e-6, **TIGHT).fit(X, y)
    expected = theirs(X0, y0, model, tol=1e-11)
    np.testing.assert_allclose(model.mse_path_, expected.mse_path_, rtol=1e-9)
    assert model.alpha_ == expected.alpha_
    np.testing.assert_allclose(model.coef_ * scale, expected.coef_ * scale, rtol=0, atol=1e-6)


def test_standardize_is_the_lasso_of_scaled_columns(diabetes):
    X, y = diabetes[0] * np.geomspace(0.1, 10, 10), diabetes[1]
    splits = list(KFold(2).split(X))
    model = dasklasso.LassoCV(cv=splits, standardize=True, alphas=[5.0, 1.0], **TIGHT).fit(X, y)
    for k, (train, test) in enumerate(splits):
        std = X[train].std(axis=0)  # of the rows that train
        one = sklearn.linear_model.Lasso(1.0, tol=1e-12, max_iter=100_000)
        one.fit(X[train] / std, y[train])
        mse = np.mean((one.predict(X[test] / std) - y[test]) ** 2)
        assert model.mse_path_[1, k] == pytest.approx(mse, rel=1e-8)


def test_penalty_factors_are_those_of_every_fold(diabetes):
    X, y = diabetes
    factor = np.linspace(0.5, 2, 10)
    options = {"cv": KFold(5), "alphas": [2.0, 0.5, 0.1], **TIGHT}
    model = dasklasso.LassoCV(penalty_factor=factor, **options).fit(X, y)
    expected = theirs(X / factor, y, model)
    np.testing.assert_allclose(model.mse_path_, expected.mse_path_, rtol=1e-8)


@pytest.mark.parametrize("exactly", [True, False], ids=["float64", "float32"])
def test_a_float32_store_has_scikit_learns_curves(tall, exactly, monkeypatch):
    if not exactly:  # products of larger data are taken in float32
        monkeypatch.setattr(gram_scan, "EXACT_FLOPS", 0)
        monkeypatch.setattr(gram_scan, "FEWEST_FAST", 0)
    model = dasklasso.LassoCV(cv=KFold(5), n_alphas=20, stats=False, **TIGHT).fit(tall)
    X = zarr.open(tall)["X"][:].astype(np.float64)
    y = zarr.open(tall)["y"][:]
    assert zarr.open(tall)["X"].dtype == np.float32
    expected = theirs(X, y, model, tol=1e-10)
    assert_same_choice(model, expected, rel=1e-9 if exactly else 3e-6, coef=1e-5)


# -- folds -----------------------------------------------------------------------------------------


def test_a_stores_fold_column_says_which_rows_go_together(store, diabetes, groups):
    model = dasklasso.LassoCV(cv="column", **TIGHT).fit(store)
    splits = list(LeaveOneGroupOut().split(*diabetes, groups))
    assert_same_choice(model, theirs(*diabetes, model, cv=splits))


@pytest.mark.parametrize("kind", ["array", "list", "series", "dask", "text"])
def test_groups_are_dealt_to_folds_as_scikit_learn_deals_them(diabetes, groups, kind):
    given = {
        "array": groups,
        "list": groups.tolist(),
        "series": pd.Series(groups),
        "dask": da.from_array(groups, 100),
        "text": np.array([f"{number:03}" for number in groups]),
    }[kind]
    model = dasklasso.LassoCV(cv=4, **TIGHT).fit(*diabetes, groups=given)
    splits = list(GroupKFold(4).split(*diabetes, groups))
    assert_same_choice(model, theirs(*diabetes, model, cv=splits))


def test_a_splitter_is_handed_the_groups(diabetes, groups):
    model = dasklasso.LassoCV(cv=GroupKFold(4), **TIGHT).fit(*diabetes, groups=groups)
    splits = list(GroupKFold(4).split(*diabetes, groups))
    assert_same_choice(model, theirs(*diabetes, model, cv=splits))


def test_groups_of_a_store_may_be_given_beside_it(store, diabetes, groups):
    other = groups[::-1]
    model = dasklasso.LassoCV(cv=4, **TIGHT).fit(store, groups=other)
    in_memory = dasklasso.LassoCV(cv=4, **TIGHT).fit(*diabetes, groups=other)
    np.testing.assert_allclose(model.mse_path_, in_memory.mse_path_, rtol=1e-10)


def test_a_splitter_sees_the_target(diabetes):
    X = diabetes[0]
    y = np.round(diabetes[1], -2) + 0.0
    model = dasklasso.LassoCV(cv=StratifiedKFold(3), **TIGHT).fit(X, y)
    assert_same_choice(model, theirs(X, y, model))


def test_masks_and_any_iterable_mean_the_same_as_lists_of_row_numbers(diabetes):
    splits = list(KFold(3).split(diabetes[0]))
    masks = [tuple(np.isin(np.arange(442), rows) for rows in split) for split in splits]
    unsigned = [tuple(rows.astype(np.uint64) for rows in split) for split in splits]
    expected = dasklasso.LassoCV(cv=splits).fit(*diabetes).mse_path_
    for cv in (masks, unsigned, iter(splits)):
        found = dasklasso.LassoCV(cv=cv).fit(*diabetes).mse_path_
        np.testing.assert_array_equal(found, expected)


def test_the_order_of_folds_is_the_splitters(diabetes):
    splits = list(KFold(3).split(diabetes[0]))
    forth, back = (dasklasso.LassoCV(cv=cv).fit(*diabetes) for cv in (splits, splits[::-1]))
    np.testing.assert_allclose(forth.mse_path_, back.mse_path_[:, ::-1], rtol=1e-9)


def test_contiguous_folds_of_cv_options_are_runs_of_rows(diabetes):
    model = dasklasso.LassoCV(cv=CvOptions(5, "contiguous"), **TIGHT).fit(*diabetes)
    assert_same_choice(model, theirs(*diabetes, model, cv=KFold(5)))


def test_groups_and_cv_options_go_together(diabetes, groups):
    options = CvOptions(4, "groups", rule="1se")
    model = dasklasso.LassoCV(cv=options).fit(*diabetes, groups=groups)
    plain = dasklasso.LassoCV(cv=4, selection_rule="1se").fit(*diabetes, groups=groups)
    np.testing.assert_array_equal(model.mse_path_, plain.mse_path_)
    assert model.alpha_ == plain.alpha_


def test_random_folds_are_those_of_the_seed(diabetes):
    first, again, other = (
        dasklasso.LassoCV(random_state=seed).fit(*diabetes).mse_path_ for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_one_standard_error_selects_the_largest_alpha_within_it(diabetes):
    least = dasklasso.LassoCV(cv=KFold(5)).fit(*diabetes)
    model = dasklasso.LassoCV(cv=KFold(5), selection_rule="1se").fit(*diabetes)
    mean = model.mse_path_.mean(axis=1)
    best = mean.argmin()
    within = mean <= mean[best] + model.standard_error_[best]
    assert model.alpha_ == model.alphas_[within].max() > least.alpha_
    np.testing.assert_array_equal(model.mse_path_, least.mse_path_)
    alone = dasklasso.Lasso(model.alpha_, **TIGHT).fit(*diabetes)
    np.testing.assert_allclose(model.coef_, alone.coef_, atol=1e-2)


def test_the_standard_error_is_that_of_the_mean_over_equal_folds(diabetes):
    X, y = (array[:440] for array in diabetes)
    model = dasklasso.LassoCV(cv=KFold(5)).fit(X, y)
    expected = model.mse_path_.std(axis=1, ddof=1) / np.sqrt(5)
    np.testing.assert_allclose(model.standard_error_, expected, rtol=1e-12)


# -- every kind of data, and where it runs ---------------------------------------------------------


@pytest.mark.parametrize("kind", ["array", "frame", "dask", "path", "group", "dataset"])
def test_every_kind_of_data_has_the_same_curves(diabetes, store, kind):
    X, y = diabetes
    arguments = {
        "array": (X, y),
        "frame": (pd.DataFrame(X, columns=NAMES), pd.Series(y)),
        "dask": (da.from_array(X, (90, 3)), da.from_array(y, 90)),
        "path": (store,),
        "group": (zarr.open(store, mode="r"),),
        "dataset": (open_dataset(store),),
    }[kind]
    model = dasklasso.LassoCV(cv=KFold(5), **TIGHT).fit(*arguments)
    assert_same_choice(model, theirs(X, y, model))


def test_it_predicts_and_scores_at_the_alpha_selected(diabetes, store):
    X, y = diabetes
    model = dasklasso.LassoCV(cv=KFold(5)).fit(X, y)
    expected = X @ model.coef_ + model.intercept_
    for rows in (X, da.from_array(X, (90, 4)), store):
        np.testing.assert_allclose(model.predict(rows), expected, rtol=1e-12)
    assert model.score(store) == pytest.approx(model.score(X, y))


def test_several_targets_are_weighed_by_their_variance(diabetes):
    X, y = diabetes
    Y = np.column_stack([y, 1e3 * X[:, 2] + X[:, 8] + 0.01 * y])
    model = dasklasso.LassoCV(cv=KFold(5), alphas=[1.0, 0.1, 0.01], **TIGHT).fit(X, Y)
    each = [theirs(X, Y[:, k], model).mse_path_ / Y[:, k].var() for k in range(2)]
    np.testing.assert_allclose(model.mse_path_, np.mean(each, axis=0), rtol=1e-8)
    assert model.coef_.shape == (2, 10)
    assert model.intercept_.shape == model.dual_gap_.shape == (2,)


def test_the_folds_go_to_worker_processes(diabetes, store):
    from distributed import Client, LocalCluster

    alone = dasklasso.LassoCV(cv=KFold(5), stats=False).fit(store)
    with (
        LocalCluster(1, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster, set_as_default=False) as client,
        client.as_current(),
    ):
        model = dasklasso.LassoCV(cv=KFold(5), stats=False).fit(store)
        np.testing.assert_allclose(model.mse_path_, alone.mse_path_, rtol=1e-12)


@pytest.mark.parametrize("cv", [4, "column", KFold(5)], ids=str)
def test_a_second_fit_of_a_store_reads_it_once(store, tmp_path, cv):
    model = dasklasso.LassoCV(cv=cv, stats=tmp_path / "stats").fit(store)
    again = clone(model).fit(store)
    assert (model.path_.scans, again.path_.scans) == (2, 1)
    np.testing.assert_array_equal(model.mse_path_, again.mse_path_)


def test_a_lasso_after_a_cross_validation_reads_the_store_once(store, tmp_path):
    dasklasso.LassoCV(stats=tmp_path / "stats").fit(store)
    assert dasklasso.Lasso(1.0, stats=tmp_path / "stats").fit(store).path_.scans == 1


def test_statistics_of_other_folds_are_not_mistaken_for_these(diabetes, tmp_path):
    stats = tmp_path / "stats"
    dasklasso.LassoCV(cv=KFold(5), stats=stats).fit(*diabetes)
    shuffled = KFold(5, shuffle=True, random_state=0)
    model = dasklasso.LassoCV(cv=shuffled, stats=stats).fit(*diabetes)
    fresh = dasklasso.LassoCV(cv=shuffled).fit(*diabetes)
    np.testing.assert_array_equal(model.mse_path_, fresh.mse_path_)


def test_without_statistics_none_are_kept(diabetes, make_store, tmp_path):
    make_store(*diabetes, path=tmp_path / "s.zarr")
    dasklasso.LassoCV(stats=False).fit(tmp_path / "s.zarr")
    assert [found.name for found in tmp_path.iterdir()] == ["s.zarr"]


# -- scikit-learn's manners ------------------------------------------------------------------------


def test_what_is_found_at_the_alpha_is_what_the_path_has_there(diabetes):
    model = dasklasso.ElasticNetCV(cv=KFold(5)).fit(*diabetes)
    at = model.alphas_.tolist().index(model.alpha_)
    np.testing.assert_array_equal(model.coef_, model.path_.coef[at])
    np.testing.assert_array_equal(model.sparse_coef_.toarray(), model.coef_[None])
    assert model.intercept_ == model.path_.intercept[at]
    assert model.relative_gap_ == model.path_.dual_gap[at] <= 1e-6
    assert model.dual_gap_ == pytest.approx(model.relative_gap_ * 0.5 * diabetes[1].var())
    assert model.n_iter_ == model.path_.scans
    assert model.path_.alpha_selected == model.alpha_
    np.testing.assert_array_equal(model.path_.cross_validation.best.error_path, model.mse_path_)


def test_the_path_is_saved_with_its_curves(diabetes, tmp_path):
    model = dasklasso.LassoCV().fit(*diabetes)
    model.path_.save(tmp_path / "model")
    path = dasklasso.load_model(tmp_path / "model")
    np.testing.assert_array_equal(path.cross_validation.best.error_path, model.mse_path_)
    np.testing.assert_allclose(path.predict(diabetes[0]), model.predict(diabetes[0]), rtol=1e-12)


def test_a_gap_above_tol_warns_at_the_callers_line(diabetes):
    with pytest.warns(errors.ConvergenceWarning, match="after 2 scans") as caught:
        dasklasso.LassoCV(tol=1e-18, max_iter=2).fit(*diabetes)
    assert caught[0].filename == __file__


def test_a_fitted_model_pickles(diabetes, store):
    model = dasklasso.ElasticNetCV(cv="column", l1_ratio=[0.5, 1.0]).fit(store)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict(diabetes[0]), model.predict(diabetes[0]))
    assert copy.l1_ratio_ == model.l1_ratio_


@pytest.mark.parametrize("cv", [5, KFold(3), CvOptions(4)], ids=str)
def test_a_clone_has_the_parameters_and_no_fit(diabetes, cv):
    model = dasklasso.ElasticNetCV(l1_ratio=[0.3, 1.0], cv=cv, n_alphas=5).fit(*diabetes)
    copy = clone(model)
    assert str(copy.get_params()) == str(model.get_params())
    with pytest.raises(NotFittedError):
        copy.predict(diabetes[0])
    assert not hasattr(copy, "l1_ratio_")


def test_a_frames_names_are_kept_and_asked_for(diabetes):
    frame = pd.DataFrame(diabetes[0], columns=NAMES)
    model = dasklasso.LassoCV(n_alphas=5).fit(frame, diabetes[1])
    assert model.feature_names_in_.tolist() == NAMES
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[NAMES[::-1]])


def test_it_works_in_a_pipeline_that_is_cross_validated(diabetes):
    ours, expected = (
        cross_val_score(make_pipeline(StandardScaler(), lasso), *diabetes, cv=3)
        for lasso in (
            dasklasso.LassoCV(cv=KFold(4), n_alphas=20, eps=1e-3, **TIGHT),
            sklearn.linear_model.LassoCV(cv=4, alphas=20, tol=1e-10, max_iter=100_000),
        )
    )
    np.testing.assert_allclose(ours, expected, rtol=1e-6)


def test_online_models_are_exported():
    assert dasklasso.OnlineElasticNet().get_params()["decay"] is None


# -- what is refused -------------------------------------------------------------------------------

A, B = np.arange(221), np.arange(221, 442)


@pytest.mark.parametrize(
    ("cv", "message"),
    [
        (1, "cv: 1 found, expected at least 2 folds"),
        (500, "folds: 500 found, expected at most the 442 rows"),
        (2.5, "cv: 2.5 found, expected a number of folds, 'column', a splitter"),
        (None, "cv: None found"),
        (True, "cv: True found"),
        ("contiguous", "cv: 'contiguous' found"),
        ("column", "needs a column of folds, and the data has none"),
        (CvOptions(l1_ratios=(0.5,)), "cv: l1_ratios found"),
        (CvOptions(5, "groups"), "needs a column of folds"),
        (KFold(443), "cv: Cannot have number of splits n_splits=443"),
        (GroupKFold(3), "cv: The 'groups' parameter should not be None"),
        (TimeSeriesSplit(3), "cv: row 222 is 0 times in split 0"),
        (ShuffleSplit(3, test_size=0.3, random_state=0), r"cv: row \d+ is in test sets 0 and 1"),
        (RepeatedKFold(n_splits=2, n_repeats=2), r"cv: row \d+ is in test sets \d and 2"),
        ([], "cv: 0 test sets found, expected at least 2"),
        ([(A, B)], "cv: 1 test sets found, expected at least 2"),
        ([(A, B), (A, B)], "cv: row 221 is in test sets 0 and 1"),
        ([(A, B), (np.arange(1, 442), [0])], "cv: row 1 is in no test set"),
        ([(A, B), (B, A[1:])], "cv: row 0 is 0 times in split 1"),
        ([(A, B), (np.arange(442), A)], "cv: row 0 is 2 times in split 1"),
        ([(A, B), (B, A - 1)], "cv: row -1 found in the test set of split 1, expected 0 to 441"),
        ([(A, B), (B + 1, A)], "cv: row 442 found in the training set of split 1"),
        ([(A, B), (B, [])], "cv: the test set of split 1 is no list of row numbers"),
        ([(A, B), (B, A / 2)], "cv: the test set of split 1 is no list of row numbers"),
        ([1, 2, 3], "cv: split 0 is no pair"),
    ],
    ids=lambda value: str(value)[:40] if not isinstance(value, list) else "splits",
)
def test_folds_that_cannot_be_used_are_named(diabetes, cv, message):
    with pytest.raises(errors.OptionError, match=message):
        dasklasso.LassoCV(cv=cv).fit(*diabetes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"random_state": -1}, "random_state: -1 found"),
        ({"random_state": None}, "random_state: None found, expected an integer"),
        ({"selection_rule": "2se"}, "selection_rule: '2se' found, expected 'min' or '1se'"),
        ({"n_alphas": 0}, "n_alphas: 0 found"),
        ({"alphas": [1.0, -1.0]}, "alpha: -1"),
        ({"alphas": []}, "alpha: none found"),
        ({"alphas": "many"}, "alphas: 'many' found"),
        ({"eps": 1.5}, "eps: 1.5 found"),
        ({"l1_ratio": []}, r"l1_ratio: \[\] found"),
        ({"l1_ratio": [0.5, 2.0]}, "l1_ratio: 2.0 found"),
        ({"l1_ratio": ["a"]}, "l1_ratio: 'a' found, expected a number"),
        ({"solver": "fista"}, "solver: fista cannot cross-validate"),
        ({"stats": 3}, "stats: 3 found, expected the path of a folder"),
        ({"checkpoint": 3}, "checkpoint: 3 found, expected the path of a folder"),
    ],
    ids=str,
)
def test_a_parameter_that_cannot_be_used_is_named(diabetes, options, message):
    with pytest.raises(errors.OptionError, match=message):
        dasklasso.ElasticNetCV(**options).fit(*diabetes)


@pytest.mark.parametrize(
    ("cv", "length", "message"),
    [
        (5, 441, r"groups: shape \(441,\) found, expected \(442,\)"),
        (KFold(5), 441, r"groups: shape \(441,\) found"),
        ("column", 442, "groups: found, but folds of kind 'column' do not use them"),
        (CvOptions(5), 442, "groups: found, but folds of kind 'random' do not use them"),
        (9, 442, "8 different numbers found"),
    ],
    ids=str,
)
def test_groups_that_do_not_fit_are_refused(diabetes, groups, cv, length, message):
    with pytest.raises(errors.OptionError, match=message):
        dasklasso.LassoCV(cv=cv).fit(*diabetes, groups=groups[:length])


def test_a_fold_without_weight_is_refused(diabetes):
    weights = np.where(np.arange(442) < 89, 0.0, 1.0)
    with pytest.raises(errors.OptionError, match="fold 0 has no rows of positive weight"):
        dasklasso.LassoCV(cv=KFold(5)).fit(*diabetes, sample_weight=weights)


def test_a_target_that_is_constant_where_a_fold_trains_is_predicted_by_it(diabetes):
    X, y = diabetes
    model = dasklasso.LassoCV(cv=KFold(2)).fit(X, np.where(np.arange(442) < 221, y, 7.0))
    np.testing.assert_allclose(model.mse_path_[:, 0], np.mean((y[:221] - 7.0) ** 2))


def test_labels_of_folds_are_part_of_what_the_data_are(store, tmp_path):
    own = open_dataset(store)
    labels = read_rows(own.fold, 0, own.n_rows)[:, 0]
    splits = list(LeaveOneGroupOut().split(labels, groups=labels))
    given = dasklasso.LassoCV(cv=splits, stats=tmp_path / "s").fit(store)
    column = dasklasso.LassoCV(cv="column", stats=tmp_path / "s").fit(own)
    assert given.path_.fingerprint != column.path_.fingerprint
    np.testing.assert_allclose(given.mse_path_, column.mse_path_, rtol=1e-12)
