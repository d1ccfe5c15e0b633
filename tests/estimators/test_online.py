"""Models whose rows come and go: at every moment the model of the rows that are in."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn.linear_model
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.utils.estimator_checks import parametrize_with_checks

from dasklasso.dataset.ingest.ingest import ingest
from dasklasso.errors import DataWarning, OptionError, StoreError, ValueFound
from dasklasso.estimators.online import OnlineElasticNet
from dasklasso.moments.cross_moments import cross_moments

TIGHT = 1e-12


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks([OnlineElasticNet(alpha=0.1)])
def test_it_passes_scikit_learns_own_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def diabetes():
    X, y = load_diabetes(return_X_y=True)
    return 10 * X + 3, y


def theirs(X, y, weight=None, *, alpha=0.5, l1_ratio=1.0, **options):
    model = sklearn.linear_model.ElasticNet(
        alpha=alpha, l1_ratio=l1_ratio, tol=1e-14, max_iter=1_000_000, **options
    )
    return model.fit(X, y, sample_weight=weight)


def assert_same_model(ours, expected, rel=1e-5):  # a gap of 1e-12 allows for about that
    scale = np.abs(expected.coef_).max()
    np.testing.assert_allclose(ours.coef_, expected.coef_, atol=rel * scale, rtol=0)
    np.testing.assert_allclose(ours.intercept_, expected.intercept_, rtol=rel, atol=rel * scale)


@pytest.mark.parametrize(
    "options",
    [{}, {"l1_ratio": 0.3}, {"fit_intercept": False}, {"positive": True}],
    ids=lambda options: next(iter(options), "lasso"),
)
def test_rows_taken_in_piece_by_piece_give_scikit_learns_model_of_them_all(diabetes, options):
    X, y = diabetes
    model = OnlineElasticNet(alpha=0.5, tol=TIGHT, **options)
    for part in np.array_split(np.arange(len(y)), 7):
        model.partial_fit(X[part], y[part])
    assert_same_model(model, theirs(X, y, **options))
    assert model.relative_gap_ <= TIGHT
    assert model.n_samples_seen_ == 442


def test_rows_taken_out_leave_the_model_of_the_others(diabetes):
    X, y = diabetes
    model = OnlineElasticNet(alpha=0.5, tol=TIGHT).fit(X, y)
    model.forget(X[100:300], y[100:300])
    rest = np.r_[0:100, 300:442]
    assert_same_model(model, theirs(X[rest], y[rest]))


def test_a_decayed_row_weighs_decay_to_the_number_of_calls_since(diabetes):
    X, y = diabetes
    model = OnlineElasticNet(alpha=0.5, decay=0.9, tol=TIGHT)
    parts = np.array_split(np.arange(len(y)), 10)
    for part in parts:
        model.partial_fit(X[part], y[part])
    weight = np.concatenate([np.full(len(p), 0.9 ** (9 - k)) for k, p in enumerate(parts)])
    assert_same_model(model, theirs(X, y, weight))
    model.forget(X[parts[4]], y[parts[4]], 0.9**5)
    weight[parts[4]] = 0
    assert_same_model(model, theirs(X, y, weight))


def test_a_sliding_window_does_not_drift(diabetes):
    X, y = diabetes
    rng = np.random.default_rng(0)
    order = rng.integers(0, len(y), 3000)
    model = OnlineElasticNet(alpha=0.5, tol=TIGHT).fit(X[order[:200]], y[order[:200]])
    for k in range(200, 3000, 50):
        new, old = order[k : k + 50], order[k - 200 : k - 150]
        model.partial_fit(X[new], y[new]).forget(X[old], y[old])
    last = order[2800:]
    assert_same_model(model, theirs(X[last], y[last]))
    assert model.n_samples_seen_ == 200


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.lists(st.integers(1, 30), min_size=2, max_size=6),
    far=st.sampled_from([0.0, 1.0, 1e4]),
    data=st.data(),
)
def test_moments_after_rows_came_and_went_are_those_of_the_rows_that_are_in(seed, sizes, far, data):
    rng = np.random.default_rng(seed)
    d, n = 4, sum(sizes)
    X = (rng.standard_normal((n, d)) + far) * 10.0 ** rng.uniform(-2, 2, d)
    y = rng.standard_normal(n)
    weight = rng.uniform(0.1, 2.0, n)
    parts = np.split(np.arange(n), np.cumsum(sizes)[:-1])
    model = OnlineElasticNet(alpha=1.0)
    for part in parts:
        model.partial_fit(X[part], y[part], weight[part])
    gone = data.draw(st.sets(st.integers(0, len(parts) - 1), max_size=len(parts) - 1))
    for k in gone:
        model.forget(X[parts[k]], y[parts[k]], weight[parts[k]])
    kept = np.concatenate([p for k, p in enumerate(parts) if k not in gone])
    found, scratch = model.moments_, cross_moments(X[kept], y[kept], weight[kept])
    whole = np.sqrt(np.diagonal(cross_moments(X, y, weight).products))
    assert found.count == len(kept)
    assert found.weight == pytest.approx(scratch.weight, rel=1e-12)
    np.testing.assert_allclose(found.mean, scratch.mean, atol=1e-10 * np.abs(X).max())
    # products are judged by the sizes of what was merged and taken apart
    assert np.abs((found.products - scratch.products) / np.outer(whole, whole)).max() <= 1e-10


def test_the_gap_bounds_the_distance_from_the_minimum(diabetes):
    X, y = diabetes
    rough = OnlineElasticNet(alpha=0.5, tol=1e-3).fit(X, y)
    exact = OnlineElasticNet(alpha=0.5, tol=1e-13).fit(X, y)

    def objective(model):
        return 0.5 * np.mean((y - model.predict(X)) ** 2) + 0.5 * np.abs(model.coef_).sum()

    assert 0 <= objective(rough) - objective(exact) <= rough.dual_gap_ + 1e-9
    assert rough.dual_gap_ == pytest.approx(rough.relative_gap_ * 0.5 * y.var())


def test_many_targets_are_solved_one_by_one(diabetes):
    X, y = diabetes
    Y = np.stack([y, y**2 / 100, np.full(len(y), 7.0)], axis=1)
    model = (
        OnlineElasticNet(alpha=0.5, tol=TIGHT).fit(X[:200], Y[:200]).partial_fit(X[200:], Y[200:])
    )
    for k in range(2):
        one = theirs(X, Y[:, k])
        np.testing.assert_allclose(model.coef_[k], one.coef_, atol=1e-6 * np.abs(one.coef_).max())
    np.testing.assert_array_equal(model.coef_[2], 0)  # constant so far
    assert model.intercept_[2] == pytest.approx(7.0)
    assert model.predict(X).shape == Y.shape


def test_penalty_factors_and_standardising_are_of_the_rows_that_are_in(diabetes):
    X, y = diabetes
    X = X * np.logspace(-2, 2, X.shape[1])
    factor = np.linspace(0, 2, X.shape[1])
    options = {"alpha": 0.5, "standardize": True, "penalty_factor": factor, "tol": TIGHT}
    grown = OnlineElasticNet(**options).fit(X[:100], y[:100]).partial_fit(X[100:], y[100:])
    at_once = OnlineElasticNet(**options).fit(X, y)
    np.testing.assert_allclose(grown.coef_ * X.std(0), at_once.coef_ * X.std(0), atol=1e-6)


def test_a_model_begins_from_moments_kept_elsewhere(diabetes):
    X, y = diabetes
    names = [f"f{j}" for j in range(X.shape[1])]
    kept = cross_moments(X[:300], y[:300])
    model = OnlineElasticNet.from_moments(kept, feature_names=names, alpha=0.5, tol=TIGHT)
    assert_same_model(model, theirs(X[:300], y[:300]))
    model.partial_fit(pd.DataFrame(X[300:], columns=names), y[300:])
    assert_same_model(model, theirs(X, y))


def test_a_model_begins_from_the_statistics_kept_of_a_store(diabetes, make_store, tmp_path):
    X, y = diabetes
    from dasklasso.dataset.row_folds import FoldScheme
    from dasklasso.moments.grouped import GroupedMoments
    from dasklasso.moments.store import Key, save_moments, statistics_folder

    data = make_store(X[:300], y[:300], path=tmp_path / "s")
    with pytest.raises(StoreError, match=r"no statistics are kept of these data in .*s\.stats"):
        OnlineElasticNet.from_store(tmp_path / "s", alpha=0.5)
    parts = tuple(cross_moments(X[rows], y[rows]) for rows in (slice(0, 100), slice(100, 300)))
    grouped = GroupedMoments(FoldScheme("column", 2), np.array([0, 1]), np.array([0, 0]), parts)
    save_moments(statistics_folder(data.location), grouped, Key(data.identity, grouped.scheme))
    model = OnlineElasticNet.from_store(tmp_path / "s", alpha=0.5, tol=TIGHT)
    assert_same_model(model, theirs(X[:300], y[:300]))
    assert (model.n_features_in_, model.n_samples_seen_) == (10, 300)


def test_refit_solves_for_changed_parameters_without_rows(diabetes):
    X, y = diabetes
    model = OnlineElasticNet(alpha=5.0, tol=TIGHT).fit(X, y)
    assert_same_model(model.set_params(alpha=0.5).refit(), theirs(X, y))


def test_a_saved_model_goes_on_where_it_was(diabetes):
    X, y = diabetes
    model = OnlineElasticNet(alpha=0.5).fit(X[:200], y[:200])
    again = pickle.loads(pickle.dumps(model)).partial_fit(X[200:], y[200:])
    np.testing.assert_array_equal(again.coef_, model.partial_fit(X[200:], y[200:]).coef_)
    assert not hasattr(clone(model), "moments_")


def test_fit_begins_anew(diabetes):
    X, y = diabetes
    model = OnlineElasticNet(alpha=0.5, decay=0.5).fit(X, y).fit(X[:200], y[:200])
    assert model.moments_.weight == 200


def test_the_first_row_is_predicted_by_its_own_target():
    model = OnlineElasticNet(alpha=0.5).partial_fit([[1.0, 2.0]], [3.0])
    np.testing.assert_array_equal(model.predict([[5.0, 5.0]]), [3.0])
    assert model.dual_gap_ == 0


def test_with_every_row_taken_out_the_model_is_zero(diabetes):
    X, y = diabetes
    model = OnlineElasticNet(alpha=0.5).fit(X[:5], y[:5]).forget(X[:5], y[:5])
    assert model.n_samples_seen_ == 0
    np.testing.assert_array_equal(model.predict(X[:2]), 0)
    model.partial_fit(X, y)
    assert_same_model(model.set_params(tol=TIGHT).refit(), theirs(X, y))


@pytest.mark.parametrize("standardize", [False, True])
def test_a_column_that_became_constant_is_left_out(standardize):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((60, 3)), rng.standard_normal(60)
    X[30:, 1] = 4.2
    model = OnlineElasticNet(alpha=1e-4, standardize=standardize).fit(X, y)
    assert model.coef_[1] != 0
    assert model.forget(X[:30], y[:30]).coef_[1] == 0


def test_more_rows_than_are_in_cannot_be_taken_out(diabetes):
    X, y = diabetes
    model = OnlineElasticNet(alpha=0.5).fit(X[:100], y[:100])
    before = model.coef_.copy()
    with pytest.raises(ValueFound, match="101 rows of weight 101 cannot be taken from 100 rows"):
        model.forget(X[:101], y[:101])
    with pytest.raises(ValueFound, match="were not all in"):
        model.forget(X[:1], y[:1], 101.0)
    np.testing.assert_array_equal(model.coef_, before)
    assert model.n_samples_seen_ == 100


def test_rows_that_never_were_in_are_noticed_where_squares_become_negative(diabetes):
    X, y = diabetes
    model = OnlineElasticNet(alpha=0.5).fit(X[:100], y[:100])
    with pytest.raises(ValueFound, match="squares of feature 0 would sum to -"):
        model.forget(X[:90] + 100 * np.arange(90)[:, None], y[:90])
    assert model.n_samples_seen_ == 100


def test_rows_that_were_in_can_be_taken_out_where_only_rounding_of_wider_ones_is_left():
    rng = np.random.default_rng(0)
    for _ in range(300):
        X = 1e4 + rng.standard_normal((3, 4)) * [[1.0], [1e-3], [1e-3]]
        y = rng.standard_normal(3)
        model = OnlineElasticNet(alpha=1.0)
        for k in range(3):
            model.partial_fit(X[[k]], y[[k]])
        model.forget(X[[0]], y[[0]]).forget(X[[1]], y[[1]])
        np.testing.assert_array_equal(model.moments_.products, 0)


@pytest.mark.parametrize("method", ["partial_fit", "forget", "predict"])
def test_another_number_of_features_is_refused(diabetes, method):
    X, y = diabetes
    model = OnlineElasticNet(alpha=0.5).fit(X, y)
    arguments = (X[:, :5],) if method == "predict" else (X[:, :5], y)
    with pytest.raises(ValueError, match="X has 5 features, but OnlineElasticNet is expecting 10"):
        getattr(model, method)(*arguments)


def test_nan_is_refused_and_the_model_is_as_it_was(diabetes):
    X, y = diabetes
    model = OnlineElasticNet(alpha=0.5).fit(X, y)
    bad = X.copy()
    bad[3, 3] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        model.partial_fit(bad, y)
    assert model.n_samples_seen_ == 442


def test_targets_whose_squares_are_no_numbers_are_refused(diabetes):
    X, y = diabetes
    model = OnlineElasticNet(0.1).fit(X, y)
    before = model.coef_.copy()
    with pytest.raises(ValueFound, match="target 0: found values whose squares are beyond float64"):
        model.partial_fit(X, y * 1e200)
    np.testing.assert_array_equal(model.coef_, before)


@pytest.mark.parametrize("scale", [1e-170, 1e200])
def test_columns_of_extreme_size_come_and_go(diabetes, scale):
    X, y = diabetes
    extreme = X * np.where(np.arange(10) == 2, scale, 1.0)
    model = OnlineElasticNet(1.0, standardize=True).fit(extreme[:300], y[:300])
    model.partial_fit(extreme[300:], y[300:]).forget(extreme[:50], y[:50])
    usual = OnlineElasticNet(1.0, standardize=True).fit(X[50:], y[50:])
    expected = usual.coef_ / np.where(np.arange(10) == 2, scale, 1.0)
    np.testing.assert_allclose(model.coef_, expected, rtol=1e-6)


def test_another_number_of_targets_is_refused(diabetes):
    X, y = diabetes
    with pytest.raises(OptionError, match="y has 2 targets"):
        OnlineElasticNet(alpha=0.5).fit(X, y).partial_fit(X, np.stack([y, y], axis=1))


@pytest.mark.parametrize(
    ("name", "value"), [("alpha", 0), ("alpha", "1"), ("decay", 0.0), ("decay", 1.5), ("tol", -1)]
)
def test_a_parameter_that_cannot_be_used_is_named(diabetes, name, value):
    with pytest.raises(OptionError, match=f"^{name}: "):
        OnlineElasticNet().set_params(**{name: value}).fit(*diabetes)


def test_rows_so_large_that_forgetting_them_leaves_only_rounding_are_said():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((300, 3)), rng.standard_normal(300)
    model = OnlineElasticNet(alpha=0.01).fit(X, y)
    model.partial_fit([[1e9, 0.0, 0.0]], [0.0])
    with pytest.warns(DataWarning, match="of feature 0 only rounding is left"):
        model.forget([[1e9, 0.0, 0.0]], [0.0])


def test_kept_moments_of_text_of_several_values_are_refused(tmp_path):
    table = pd.DataFrame({"a": np.arange(6.0), "kind": list("xyzxyz")})
    table.to_csv(tmp_path / "t.csv", index=False)
    ingest(tmp_path / "t.csv", tmp_path / "s", target="kind")
    with pytest.raises(OptionError, match=r"target kind of .* is text of 3 values"):
        OnlineElasticNet.from_store(tmp_path / "s")
