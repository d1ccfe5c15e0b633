"""Working sets on wide data: against scikit-learn, the Gram solver, and the judge."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import Lasso

from dasklasso.errors import MemoryLimitError
from dasklasso.fit import fit_cv, fit_path
from dasklasso.options import CvOptions, FitOptions, RunOptions

RUN = RunOptions(in_process=True, keep_statistics=False)
WIDE = FitOptions(solver="working_set", n_alphas=12, eps=0.02, tol=1e-9)
TIGHT = {"tol": 1e-14, "max_iter": 1_000_000}


def wide(seed=0, n=40, d=240):
    """Correlated columns; some of them twice, some nearly so."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    X[:, 1::2] += 0.5 * X[:, ::2]
    X[:, 10:14] = X[:, :4]
    X[:, 20:24] = X[:, :4] + 1e-5 * rng.standard_normal((n, 4))
    X = X * rng.uniform(0.5, 2.0, d) + rng.uniform(-3, 3, d)
    y = X[:, :6] @ rng.standard_normal(6) + rng.standard_normal(n)
    return X, y


def slow(*values):
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]


@pytest.mark.parametrize("seed", [0, *slow(*range(1, 20))])
def test_objectives_are_scikit_learns(seed, make_store, judge, assert_certified):
    X, y = wide(seed)
    path = fit_path(make_store(X, y), WIDE, RUN)
    assert_certified(path, X, y, WIDE)
    for i in (2, 7, 11):
        model = Lasso(alpha=path.alphas[i], **TIGHT).fit(X, y)
        theirs = judge(X, y, model.coef_, model.intercept_, path.alphas[i], WIDE)
        ours = judge(X, y, path.coef[i], path.intercept[i], path.alphas[i], WIDE)
        assert ours.objective == pytest.approx(theirs.objective, rel=1e-8)


@pytest.mark.parametrize(
    "changes",
    [
        {"fit_intercept": False},
        {"positive": True, "l1_ratio": 0.5, "standardize": True},
        *slow({"l1_ratio": 0.6}, {"positive": True}, {"standardize": True}),
    ],
)
def test_every_penalty_is_certified(changes, make_store, assert_certified):
    X, y = wide()
    weight = np.random.default_rng(1).uniform(0.2, 3.0, len(y))
    options = replace(WIDE, **changes)
    path = fit_path(make_store(X, y, weight), options, RUN)
    assert path.solver == "working_set"
    assert_certified(path, X, y, options, weight)


@pytest.mark.parametrize("changes", [{}, *slow({"l1_ratio": 0.5})])
def test_unpenalised_columns_are_projected_out(changes, make_store, assert_certified):
    X, y = wide()
    factor = np.random.default_rng(2).uniform(0.5, 2.0, X.shape[1])
    factor[[3, 50, 200]] = 0.0
    options = replace(WIDE, penalty_factor=factor, **changes)
    path = fit_path(make_store(X, y), options, RUN)
    assert_certified(path, X, y, options)
    assert set(np.flatnonzero(path.coef[0])) <= {3, 50, 200}


def test_unpenalised_columns_under_a_bound_are_as_by_gram(make_store):
    X, y = wide()
    factor = np.ones(X.shape[1])
    factor[[3, 50, 200]] = 0.0
    options = replace(WIDE, penalty_factor=factor, positive=True)
    data = make_store(X, y)
    ours, theirs = (
        fit_path(data, replace(options, solver=solver), RUN) for solver in ("working_set", "gram")
    )
    np.testing.assert_allclose(ours.objectives, theirs.objectives, rtol=1e-8)
    assert ours.dual_gap.max() <= WIDE.tol


def test_columns_fetched_count_by_their_share(make_store):
    X, y = wide()
    data = make_store(X, y, chunk_columns=24)
    factor = np.ones(X.shape[1])
    factor[0] = 0.0
    path = fit_path(data, replace(WIDE, penalty_factor=factor), RUN)
    assert path.scans % 1 == pytest.approx(0.1)


def test_supports_are_equal_where_nothing_is_close(make_store):
    X, y = wide(n=30, d=200)
    alphas = tuple(0.3 * 0.7 ** np.arange(5))
    options = replace(WIDE, alphas=alphas, tol=1e-13)
    path = fit_path(make_store(X, y), options, RUN)
    for i, alpha in enumerate(alphas):
        w = Lasso(alpha=alpha, **TIGHT).fit(X, y).coef_
        residual = y - X @ w
        residual -= residual.mean()
        size = np.abs((X - X.mean(axis=0)).T @ residual) / len(y)
        close = np.abs(size - alpha) <= 1e-6
        ours = path.coef[i] != 0
        assert not np.any(ours & ~close & (size < alpha))


def test_one_small_alpha_needs_few_reads(make_store, assert_certified):
    X, y = wide(n=60, d=600)
    options = replace(WIDE, alphas=(1e-3,), tol=1e-8)
    path = fit_path(make_store(X, y), options, RUN)
    assert_certified(path, X, y, options)
    assert path.scans <= 8


def test_targets_share_the_reads(make_store, assert_certified):
    X, y = wide()
    y = np.column_stack(
        [y, X[:, 100] - X[:, 150], np.random.default_rng(3).standard_normal(len(y))]
    )
    path = fit_path(make_store(X, y), WIDE, RUN)
    assert_certified(path, X, y, WIDE)
    assert path.scans <= 8


@pytest.mark.parametrize("standardize", [True, *slow(False)])
def test_folds_have_the_errors_of_the_gram_solver(standardize, make_store):
    X, y = wide(n=60, d=150)
    weight = np.random.default_rng(1).uniform(0.2, 3.0, len(y))
    data = make_store(X, y, weight)
    options = replace(WIDE, standardize=standardize, tol=1e-11, eps=0.05)
    ours, theirs = (
        fit_cv(data, replace(options, solver=solver), CvOptions(folds=3), RUN)
        for solver in ("working_set", "gram")
    )
    mine, other = (path.cross_validation.by_ratio[0] for path in (ours, theirs))
    np.testing.assert_allclose(mine.error_path, other.error_path, rtol=1e-4)
    np.testing.assert_allclose(mine.fold_weights, other.fold_weights)
    assert ours.alpha_selected == pytest.approx(theirs.alpha_selected, rel=1e-14)
    assert mine.gap.max() <= options.tol


def test_integers_stay_as_they_are_stored(make_store, assert_certified):
    rng = np.random.default_rng(0)
    X = rng.binomial(2, 0.3, (50, 400)).astype(np.uint8)
    y = X[:, :5] @ np.ones(5) + rng.standard_normal(50)
    path = fit_path(make_store(X, y, dtype=np.uint8, codec="zstd", chunk_columns=64), WIDE, RUN)
    assert_certified(path, X.astype(float), y, WIDE)


def test_bits_do_not_depend_on_threads(make_store, monkeypatch):
    X, y = wide(n=30, d=2100)
    data = make_store(X, y, chunk_rows=20, chunk_columns=500)
    found = []
    for threads in (1, 3):
        monkeypatch.setattr("dasklasso.scan.runners.threads_each", lambda _, n=threads: n)
        found.append(fit_path(data, WIDE, RUN))
    assert (found[0].coef_rows != found[1].coef_rows).nnz == 0
    np.testing.assert_array_equal(found[0].dual_gaps, found[1].dual_gaps)


def test_elastic_net_without_l1_holds_every_column(make_store, assert_certified):
    X, y = wide(n=30, d=60)
    options = replace(WIDE, l1_ratio=0.0, alphas=(0.5,))
    path = fit_path(make_store(X, y), options, RUN)
    assert path.solver == "working_set"
    assert path.n_nonzero[0] == 60
    assert_certified(path, X, y, options)


def test_an_elastic_net_has_more_features_than_rows_in_use(make_store, assert_certified):
    X, y = wide(n=30, d=400)
    options = replace(WIDE, l1_ratio=0.05, alphas=(1.0,), tol=1e-7)
    path = fit_path(make_store(X, y), options, RUN)
    assert path.n_nonzero[0] > 1.1 * 30 + 100
    assert_certified(path, X, y, options)


def hold_few(monkeypatch):
    """Let no more than 40 columns be held as a rule."""
    monkeypatch.setattr("dasklasso.solvers.working_set.cost.HELD_ROWS", 0.0)
    monkeypatch.setattr("dasklasso.solvers.working_set.cost.FEWEST_HELD", 40)


def test_more_columns_than_usual_are_held_where_problems_need_them(
    make_store, monkeypatch, assert_certified
):
    X, y = wide(n=60, d=400)
    hold_few(monkeypatch)
    path = fit_path(make_store(X, y), replace(WIDE, tol=1e-6), RUN)
    assert path.n_nonzero[-1] > 40
    assert_certified(path, X, y, replace(WIDE, tol=1e-6))


def test_what_does_not_fit_is_refused_with_the_figure(make_store, monkeypatch):
    X, y = wide(n=80, d=600)
    hold_few(monkeypatch)
    monkeypatch.setattr("dasklasso.solvers.working_set.cost.memory_limit", lambda _: 0)
    with pytest.raises(MemoryLimitError, match=r"features are in use.*may hold 40"):
        fit_path(make_store(X, y), replace(WIDE, eps=0.01), RUN)


def test_a_gram_matrix_that_does_not_fit_is_refused_with_the_figure(make_store, monkeypatch):
    X, y = wide(n=80, d=600)
    monkeypatch.setattr("dasklasso.solvers.working_set.cost.IN_USE_ROWS", 0.0)
    monkeypatch.setattr("dasklasso.solvers.working_set.cost.IN_USE_SPARE", 30)
    with pytest.raises(MemoryLimitError, match=r"more than 30 features are in use"):
        fit_path(make_store(X, y), replace(WIDE, eps=0.01), RUN)


def test_a_resumed_fit_takes_the_same_steps_without_the_first_read(
    make_store, tmp_path, monkeypatch
):
    X, y = wide(n=50, d=900)
    data = make_store(X, y)
    whole = fit_path(data, WIDE, RUN)
    run = replace(RUN, checkpoint=str(tmp_path / "state"), checkpoint_seconds=0.0)

    def stop(event):
        if event.scan == 3 and not event.stage:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_path(data, WIDE, run, progress=stop)
    monkeypatch.setattr("dasklasso.solvers.working_set.look.ask_strips", None)
    again = fit_path(data, WIDE, replace(run, resume=True))
    assert again.scans == whole.scans
    assert (whole.coef_rows != again.coef_rows).nnz == 0
    np.testing.assert_array_equal(whole.dual_gaps, again.dual_gaps)


def test_scans_that_run_out_leave_true_gaps(make_store, judge):
    X, y = wide(n=60, d=900)
    options = replace(WIDE, max_scans=2)
    path = fit_path(make_store(X, y), options, RUN)
    assert path.dual_gap.max() > WIDE.tol
    for i, alpha in enumerate(path.alphas):
        found = judge(X, y, path.coef[i], path.intercept[i], alpha, options)
        assert found.relative_gap <= path.dual_gap[i] + 1e-12
