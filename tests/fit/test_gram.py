"""Fits on second moments: how often they read X, what they keep, and what they answer."""

from __future__ import annotations

import threading
import warnings
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LassoCV
from sklearn.model_selection import KFold

from dasklasso.dataset.dataset import from_arrays, open_dataset
from dasklasso.dataset.row_folds import random_folds
from dasklasso.errors import DataWarning, MemoryLimitError, OptionError
from dasklasso.fit import fit_cv, fit_path, moments_session
from dasklasso.model.path import load_model
from dasklasso.options import CvOptions, FitOptions, RunOptions

RUN = RunOptions(in_process=True)
FORGETFUL = replace(RUN, keep_statistics=False)
GRID = FitOptions(n_alphas=10, eps=1e-2)


@pytest.fixture
def stored(make_store, regression, tmp_path):
    X, y = regression(400, 12, seed=5)
    return make_store(X, y, chunk_rows=100, path=tmp_path / "s.zarr")


def splits(n_folds, n, seed=0):
    labels = random_folds(n_folds, seed, 0, n)
    return [(np.flatnonzero(labels != k), np.flatnonzero(labels == k)) for k in range(n_folds)]


# -- reads ----------------------------------------------------------------------------------------


def test_a_cross_validated_certified_path_is_two_scans(stored):
    path = fit_cv(stored, GRID, CvOptions(), RUN)
    assert path.scans == 2
    assert path.dual_gap.max() <= path.tol
    assert path.bytes_read == path.plan["bytes_to_read"]


@pytest.mark.parametrize(
    "again",
    [
        {},
        {"n_alphas": 7},
        {"alphas": (0.1, 0.01)},
        {"l1_ratio": 0.3},
        {"positive": True},
        {"standardize": True},
        {"penalty_factor": np.arange(12.0)},
        {"fit_intercept": False},
    ],
)
def test_another_fit_reads_x_only_to_certify(stored, again):
    fit_path(stored, GRID, RUN)
    options = replace(GRID, **again)
    path = fit_path(stored, options, RUN)
    assert path.scans == 1 == path.plan["scans"]
    fresh = fit_path(stored, options, FORGETFUL)
    assert fresh.scans == 2
    np.testing.assert_array_equal(path.coef, fresh.coef)


def test_folds_serve_a_path_and_their_own_again(stored):
    fit_cv(stored, GRID, CvOptions(), RUN)
    assert fit_path(stored, GRID, RUN).scans == 1
    assert fit_cv(stored, replace(GRID, l1_ratio=0.5), CvOptions(rule="1se"), RUN).scans == 1


def test_contiguous_folds_are_the_same_whatever_was_kept(make_store, regression, tmp_path):
    data = make_store(*regression(2500, 4), path=tmp_path / "s.zarr")
    folds = CvOptions(5, "contiguous")
    fit_path(data, GRID, RUN)  # keeps blocks of rows, which are not those folds
    path, fresh = fit_cv(data, GRID, folds, RUN), fit_cv(data, GRID, folds, FORGETFUL)
    curve, expected = path.cross_validation.best, fresh.cross_validation.best
    np.testing.assert_array_equal(curve.fold_weights, [500] * 5)
    np.testing.assert_array_equal(curve.error_path, expected.error_path)
    assert fit_cv(data, GRID, folds, RUN).scans == 1


@pytest.mark.parametrize("other", [CvOptions(seed=1), CvOptions(4)])
def test_other_random_folds_need_another_scan(stored, other):
    fit_cv(stored, GRID, CvOptions(), RUN)
    assert fit_cv(stored, GRID, other, RUN).scans == 2


def test_statistics_may_be_kept_elsewhere(stored, tmp_path):
    elsewhere = replace(RUN, stats=str(tmp_path / "kept"))
    fit_path(stored, GRID, elsewhere)
    assert fit_path(stored, GRID, RUN).scans == 2
    assert fit_path(stored, GRID, elsewhere).scans == 1


def test_damaged_statistics_are_said_and_taken_anew(stored, tmp_path):
    expected = fit_path(stored, GRID, RUN)
    [chunk] = tmp_path.glob("s.zarr.stats/*/products/c/0/0")
    data = bytearray(chunk.read_bytes())
    data[100] ^= 1
    chunk.write_bytes(data)
    with pytest.warns(DataWarning, match="damaged"):
        path = fit_path(stored, GRID, RUN)
    assert path.scans == 2
    np.testing.assert_array_equal(path.coef, expected.coef)
    assert fit_path(stored, GRID, RUN).scans == 1


def test_where_nothing_can_be_kept_the_fit_goes_on(stored, tmp_path):
    (tmp_path / "s.zarr.stats").write_text("a file where the folder would be")
    with pytest.warns(DataWarning, match="not kept"):
        path = fit_path(stored, GRID, RUN)
    assert path.converged


def test_where_nothing_can_be_kept_beside_the_data_a_checkpoint_keeps_it(stored, tmp_path):
    (tmp_path / "s.zarr.stats").write_text("a file where the folder would be")
    run = replace(RUN, checkpoint=str(tmp_path / "ck"))
    fit_path(stored, replace(GRID, max_scans=1, solver="gram"), run)
    assert fit_path(stored, GRID, replace(run, resume=True)).scans == 1


def test_changed_data_are_never_met_with_old_statistics(make_store, regression, tmp_path):
    X, y = regression(100, 5)
    fit_path(make_store(X, y, path=tmp_path / "a.zarr"), GRID, RUN)
    (tmp_path / "a.zarr").rename(tmp_path / "old.zarr")
    other = make_store(X, -y, path=tmp_path / "a.zarr")
    path = fit_path(other, GRID, RUN)
    assert path.scans == 2
    assert path.converged


def test_a_checkpoint_keeps_statistics_of_data_without_a_place(regression, tmp_path):
    data = from_arrays(*regression(200, 6))
    run = replace(RUN, checkpoint=str(tmp_path / "ck"))
    assert not fit_path(data, replace(GRID, max_scans=1, solver="gram"), run).converged
    path = fit_path(data, GRID, replace(run, resume=True))
    assert (path.scans, path.converged) == (1, True)
    assert not (tmp_path / "ck").exists()


def test_who_waits_for_kernels_is_told(stored, monkeypatch):
    compiled = threading.Event()
    monkeypatch.setattr(moments_session, "SECONDS_BEFORE_TOLD", 0.01)
    monkeypatch.setattr(moments_session, "load_kernels", lambda _: compiled.wait(60))
    said = []

    def announce(line):
        said.append(line)
        compiled.set()

    fit_path(stored, GRID, RUN, announce=announce)
    assert said == ["Compiling the solver, once for this installation: a second or two."]


# -- answers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
def test_curves_are_those_of_scikit_learn(weighted, regression):
    X, y = regression(300, 15, seed=2)
    X = X * 10.0 ** np.linspace(-3, 3, 15) + 1e3 * 10.0 ** np.linspace(3, -3, 15)
    weight = np.random.default_rng(0).uniform(0.2, 3, 300) if weighted else None
    path = fit_cv(from_arrays(X, y, weight), GRID, CvOptions(), RUN)
    # centred columns are the same problem, and one that scikit-learn does not lose digits on
    centred = X - np.average(X, axis=0, weights=weight)
    model = LassoCV(alphas=path.alphas, cv=splits(5, 300), tol=1e-13, max_iter=10**6)
    model.fit(centred, y, sample_weight=weight)
    np.testing.assert_allclose(path.cross_validation.best.error_path, model.mse_path_, rtol=1e-8)
    if not weighted:  # scikit-learn weighs folds by their rows' weights, we do not
        assert path.alpha_selected == pytest.approx(model.alpha_)


def test_contiguous_folds_are_those_of_k_fold(regression):
    X, y = regression(203, 6)
    path = fit_cv(from_arrays(X, y), GRID, CvOptions(4, "contiguous"), RUN)
    model = LassoCV(alphas=path.alphas, cv=KFold(4), tol=1e-13, max_iter=10**6).fit(X, y)
    np.testing.assert_allclose(path.cross_validation.best.error_path, model.mse_path_, rtol=1e-8)


@pytest.mark.parametrize("kind", ["column", "groups"])
def test_folds_come_from_the_fold_column(kind, regression):
    X, y = regression(120, 5)
    labels = np.arange(120) // 7 % 6
    data = replace(from_arrays(X, y), fold=from_arrays(labels[:, None], y).X)
    path = fit_cv(data, GRID, CvOptions(3, kind), RUN)
    assert path.cross_validation.n_folds == {"column": 6, "groups": 3}[kind]


def test_the_best_l1_ratio_is_fitted(regression):
    X, y = regression(150, 20, seed=1)
    path = fit_cv(from_arrays(X, y), GRID, CvOptions(l1_ratios=(0.1, 0.5, 1.0)), RUN)
    record = path.cross_validation
    least = [curve.mean_error.min() for curve in record.by_ratio]
    assert path.l1_ratio == (0.1, 0.5, 1.0)[int(np.argmin(least))] == record.l1_ratio
    assert path.scans == 2
    assert path.dual_gap.max() <= path.tol


def test_one_standard_error_chooses_a_larger_alpha(regression):
    data = from_arrays(*regression(150, 20))
    least, larger = (fit_cv(data, GRID, CvOptions(rule=rule), RUN) for rule in ("min", "1se"))
    assert larger.alpha_selected > least.alpha_selected
    assert larger.alpha_selected == least.cross_validation.best.alpha_1se


def test_targets_share_the_scans_and_the_choice(regression):
    X, y = regression(200, 8)
    Y = np.stack([y, 1000 * X[:, 3] + y, -y], axis=1)
    path = fit_cv(from_arrays(X, Y), GRID, CvOptions(), RUN)
    assert path.scans == 2
    assert path.dual_gaps.shape == (10, 3)
    assert path.dual_gap.max() <= path.tol
    alone = fit_cv(from_arrays(X, y), replace(GRID, alphas=tuple(path.alphas)), CvOptions(), RUN)
    np.testing.assert_allclose(path.coef[:, :, 0], alone.coef, atol=1e-8)


def test_a_target_without_variance_counts_by_its_mean_square_without_intercept(regression):
    X, y = regression(200, 8)
    weight, constant = np.ones(200), np.full(200, 2.0)
    weight[0], constant[0] = 0.0, 1.0  # where there is weight, it is constant
    options = replace(GRID, fit_intercept=False)
    both = fit_cv(
        from_arrays(X, np.stack([y, constant], axis=1), weight), options, CvOptions(), RUN
    )
    options, shares = replace(options, alphas=tuple(both.alphas)), []
    for column in (y, constant):
        curve = fit_cv(from_arrays(X, column, weight), options, CvOptions(), RUN).cross_validation
        shares.append(curve.best.error_path / np.mean(column[1:] ** 2))
    found = both.cross_validation.best.error_path
    np.testing.assert_allclose(found, np.mean(shares, axis=0), rtol=1e-6)


def test_float32_data_are_refined_to_a_tolerance_that_their_products_do_not_reach(
    make_store, regression, monkeypatch
):
    monkeypatch.setattr("dasklasso.moments.gram_scan.EXACT_FLOPS", 0)  # as for data that are large
    monkeypatch.setattr("dasklasso.moments.gram_scan.FEWEST_FAST", 0)
    X, y = regression(3000, 20)
    data = make_store(X + 30, y, dtype=np.float32)
    path = fit_path(data, replace(GRID, tol=1e-12), FORGETFUL)
    assert path.dual_gap.max() <= 1e-11  # of which rounding of float64 is most: means are 30 stds
    assert path.scans > 2


def test_out_of_scans_a_fit_is_not_converged(make_store, regression, monkeypatch):
    monkeypatch.setattr("dasklasso.moments.gram_scan.EXACT_FLOPS", 0)
    monkeypatch.setattr("dasklasso.moments.gram_scan.FEWEST_FAST", 0)
    X, y = regression(3000, 20)
    data = make_store(X + 30, y, dtype=np.float32)
    path = fit_path(data, replace(GRID, tol=1e-12, max_scans=2), FORGETFUL)
    assert path.scans == 2
    assert 1e-12 < path.dual_gap.max() < 1e-5


def test_more_columns_than_rows(regression, judge):
    X, y = regression(40, 90)
    path = fit_path(from_arrays(X, y), replace(GRID, tol=1e-9), RUN)
    assert (path.solver, path.converged) == ("gram", True)
    found = judge(X, y, path.coef[-1], path.intercept[-1], path.alphas[-1], GRID)
    assert found.relative_gap <= 1e-8


def nearly_explained(make_store, monkeypatch):
    """A store whose moments are taken in float32, though errors are as small as its rounding."""
    monkeypatch.setattr("dasklasso.moments.gram_scan.EXACT_FLOPS", 0)
    monkeypatch.setattr("dasklasso.moments.gram_scan.FEWEST_FAST", 0)
    X = np.random.default_rng(0).standard_normal((2000, 4)).astype(np.float32)
    return make_store(X, X.astype(float) @ np.arange(1.0, 5.0), dtype=np.float32)


def test_moments_are_taken_anew_in_float64_where_errors_are_as_small_as_their_rounding(
    make_store, monkeypatch
):
    data = nearly_explained(make_store, monkeypatch)
    fast = fit_cv(data, replace(GRID, eps=1e-4), CvOptions(), FORGETFUL)
    monkeypatch.setattr("dasklasso.moments.gram_scan.EXACT_FLOPS", np.inf)
    exact = fit_cv(data, replace(GRID, alphas=tuple(fast.alphas)), CvOptions(), FORGETFUL)
    found, expected = (one.cross_validation.best for one in (fast, exact))
    assert (fast.scans, exact.scans) == (3, 2)
    np.testing.assert_allclose(found.error_path, expected.error_path, rtol=1e-7)
    assert (found.scores["mse_bound"] < 1e-3 * found.error_path).all()


def test_where_no_scan_is_left_for_them_a_curve_comes_with_its_bound(make_store, monkeypatch):
    data = nearly_explained(make_store, monkeypatch)
    options = replace(GRID, eps=1e-4)
    exact = fit_cv(data, options, CvOptions(), FORGETFUL).cross_validation.best
    with pytest.warns(DataWarning, match=r"may be up to \S+ of a mean squared error .*mse_bound"):
        path = fit_cv(data, replace(options, max_scans=2), CvOptions(), FORGETFUL)
    found = path.cross_validation.best
    assert path.scans == 2
    bound = found.scores["mse_bound"]
    assert (np.abs(found.error_path - exact.error_path) <= bound + 1e-9 * exact.error_path).all()


def test_curves_of_whole_numbers_need_no_more_than_two_scans(make_store, monkeypatch):
    monkeypatch.setattr("dasklasso.moments.gram_scan.EXACT_FLOPS", 0)
    monkeypatch.setattr("dasklasso.moments.gram_scan.FEWEST_FAST", 0)
    rng = np.random.default_rng(0)
    X = (rng.random((3000, 12)) < 0.3).astype(np.float32)
    y = X.astype(float) @ rng.normal(size=12) + 0.005 * rng.normal(size=3000)
    data = make_store(X, y, dtype=np.float32)
    fast = fit_cv(data, replace(GRID, eps=1e-4), CvOptions(), FORGETFUL)
    monkeypatch.setattr("dasklasso.moments.gram_scan.EXACT_FLOPS", np.inf)
    exact = fit_cv(data, replace(GRID, alphas=tuple(fast.alphas)), CvOptions(), FORGETFUL)
    assert fast.scans == 2
    found, expected = (one.cross_validation.best.error_path for one in (fast, exact))
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_named_alphas_are_all_fitted_though_they_are_saturated(regression):
    X, _ = regression(300, 6)
    alphas = tuple(np.geomspace(1e-1, 1e-7, 30))
    options = FitOptions(alphas=alphas, stop_saturated=True)
    assert fit_path(from_arrays(X, X[:, 0]), options, RUN).n_alphas == 30


def test_a_saturated_path_ends(regression):
    X, _ = regression(300, 6)
    y = X[:, 0]  # explained to the last digit
    path = fit_path(from_arrays(X, y), FitOptions(eps=1e-6, stop_saturated=True), RUN)
    explained = 1 - np.mean((path.predict(X, path.alphas[-1]) - y) ** 2) / np.var(y)
    before = 1 - np.mean((path.predict(X, path.alphas[-2]) - y) ** 2) / np.var(y)
    assert path.n_alphas < 100
    assert before <= 0.999 < explained


def test_a_cross_validated_model_comes_back_from_disk(stored, tmp_path):
    path = fit_cv(stored, GRID, CvOptions(), RUN)
    path.save(tmp_path / "m")
    found = load_model(tmp_path / "m")
    assert found.alpha_selected == path.alpha_selected
    assert found.table() == path.table()
    assert found.plan == path.plan


def test_processes_give_the_model_of_threads(stored):
    one = fit_cv(stored, GRID, CvOptions(), FORGETFUL)
    run = RunOptions(workers=2, dashboard=False, keep_statistics=False)
    two = fit_cv(stored, GRID, CvOptions(), run)
    np.testing.assert_array_equal(one.coef, two.coef)
    # curves are solved out on the workers, on whatever BLAS they have
    np.testing.assert_allclose(
        one.cross_validation.best.error_path, two.cross_validation.best.error_path, rtol=1e-12
    )


# -- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cv", "message"),
    [
        (CvOptions(401), "folds: 401 found, expected at most the 400 rows"),
        (CvOptions(kind="column"), "needs a column of folds"),
    ],
)
def test_folds_that_cannot_be_are_refused(cv, message, stored):
    with pytest.raises(OptionError, match=message):
        fit_cv(stored, GRID, cv, RUN)


def test_moments_beyond_the_memory_are_refused_before_anything_is_read(regression):
    X, y = regression(10, 4000)
    run = replace(RUN, memory=400 << 20)
    with pytest.raises(MemoryLimitError, match=r"gram needs .* for 4,000 features"):
        fit_path(from_arrays(X, y), replace(GRID, solver="gram"), run)


def test_folds_are_not_for_fista(stored):
    with pytest.raises(OptionError, match="fista cannot cross-validate"):
        fit_cv(stored, replace(GRID, solver="fista"), CvOptions(), RUN)


def test_a_store_that_was_reopened_finds_its_statistics(stored):
    fit_path(stored, GRID, RUN)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fit_path(open_dataset(stored.location), GRID, RUN).scans == 1
