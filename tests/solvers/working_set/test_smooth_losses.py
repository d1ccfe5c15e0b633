"""Working sets on wide data of losses that are no quadratics: against Newton and the conditions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from dasklasso.dataset.dataset import from_arrays
from dasklasso.errors import OptionError
from dasklasso.fit import fit_cv, fit_path
from dasklasso.options import CvOptions, FitOptions, RunOptions

RUN = RunOptions(in_process=True, keep_statistics=False)
WIDE = FitOptions(solver="working_set", loss="logistic", n_alphas=3, eps=0.1, tol=1e-9)
LOSSES = {
    "logistic": WIDE,
    "poisson": replace(WIDE, loss="poisson"),
    "huber": replace(WIDE, loss="huber", huber_delta=0.8),
}


def slow(*values):
    return [pytest.param(*value, marks=pytest.mark.slow) for value in values]


def wide(loss="logistic", seed=0, n=30, d=120):
    """Correlated columns; some of them twice, some nearly so."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    X[:, 1::2] += 0.5 * X[:, ::2]
    X[:, 10:14] = X[:, :4]
    X[:, 20:24] = X[:, :4] + 1e-5 * rng.standard_normal((n, 4))
    p = X[:, :6] @ rng.standard_normal(6)
    X = X * rng.uniform(0.5, 2.0, d) + rng.uniform(-1, 1, d)
    if loss == "logistic":
        return X, (rng.random(n) < 1 / (1 + np.exp(-p))).astype(float)
    if loss == "poisson":
        return X, rng.poisson(np.exp(p / 3)).astype(float)
    return X, p + rng.standard_t(2, n)


def slopes(p, y, options):
    if options.loss == "logistic":
        return 0.5 * (1.0 + np.tanh(0.5 * p)) - y
    if options.loss == "poisson":
        return np.exp(p) - y
    return np.clip(p - y, -options.huber_delta, options.huber_delta)


def missed(X, y, w, b, alpha, options, weight=None, offset=0.0):
    """By how much the optimality conditions are missed, in units of alpha and of each column."""
    pi = np.full(len(y), 1 / len(y)) if weight is None else weight / weight.sum()
    slope = pi * slopes(X @ w + b + offset, y, options)
    std = np.sqrt(pi @ (X - pi @ X) ** 2)
    unit = std if options.standardize else np.ones_like(std)
    f = np.ones_like(std) if options.penalty_factor is None else options.penalty_factor
    v = -(X.T @ slope) - alpha * (1 - options.l1_ratio) * f * unit**2 * w
    l1 = alpha * options.l1_ratio * f * unit
    at_zero = np.maximum((v if options.positive else np.abs(v)) - l1, 0)
    found = np.where(w != 0, np.abs(v - np.sign(w) * l1), at_zero) / (alpha * std)
    return max(found.max(), abs(slope.sum()) / alpha if options.fit_intercept else 0.0)


@pytest.mark.parametrize(
    ("loss", "seed"),
    [
        *(("logistic", 0), ("poisson", 0), ("huber", 0)),
        *slow(*(("logistic", seed) for seed in range(1, 20))),
        *slow(*((loss, seed) for loss in ("poisson", "huber") for seed in range(1, 6))),
    ],
)
def test_objectives_are_those_of_newton(loss, seed):
    data = from_arrays(*wide(loss, seed))
    ours, theirs = (
        fit_path(data, replace(LOSSES[loss], solver=solver, tol=1e-10, eps=0.03), RUN)
        for solver in ("working_set", "newton")
    )
    assert ours.solver == "working_set"
    np.testing.assert_allclose(ours.objectives, theirs.objectives, rtol=1e-8)
    assert ours.dual_gaps.max() <= 1e-10


# later versions of scikit-learn would have the penalty named by l1_ratio alone
@pytest.mark.filterwarnings("ignore:'penalty' was deprecated:FutureWarning")
@pytest.mark.filterwarnings("ignore:Inconsistent values:UserWarning")
def test_logistic_coefficients_predict_as_scikit_learns():
    X, y = wide(n=60)
    alphas = (0.05, 0.02)
    options = replace(WIDE, alphas=alphas, fit_intercept=False, tol=1e-11)
    path = fit_path(from_arrays(X, y), options, RUN)
    for i, alpha in enumerate(alphas):
        model = LogisticRegression(
            penalty="l1", solver="liblinear", C=1 / (alpha * len(y)), fit_intercept=False, tol=1e-10
        ).fit(X, y)
        w, found = path.coef[i], model.coef_[0]
        ours, theirs = (
            np.mean(np.logaddexp(0, X @ c) - y * (X @ c)) + alpha * np.abs(c).sum()
            for c in (w, found)
        )
        assert ours == pytest.approx(theirs, rel=1e-8)


@pytest.mark.parametrize(
    ("loss", "changes"),
    [
        ("logistic", {"fit_intercept": False, "standardize": True}),
        ("poisson", {"positive": True, "l1_ratio": 0.5, "standardize": True}),
        ("huber", {"penalty_factor": np.linspace(0.3, 3.0, 120)}),
        *slow(
            ("logistic", {"positive": True, "l1_ratio": 0.5}),
            ("logistic", {"penalty_factor": np.linspace(0.3, 3.0, 120)}),
            ("logistic", {"l1_ratio": 0.0, "alphas": (0.1,)}),
            ("poisson", {"fit_intercept": False}),
            ("poisson", {"l1_ratio": 0.5}),
            ("huber", {"fit_intercept": False, "positive": True}),
            ("huber", {"huber_delta": 0.01}),
            ("huber", {"huber_delta": "auto"}),
        ),
    ],
    ids=str,
)
def test_every_penalty_satisfies_the_conditions(loss, changes):
    X, y = wide(loss)
    weight = np.random.default_rng(1).uniform(0.2, 3.0, len(y))
    options = replace(LOSSES[loss], **changes)
    path = fit_path(from_arrays(X, y, weight), options, RUN)
    delta = path.penalty_options.get("huber_delta")
    options = options if delta is None else replace(options, huber_delta=delta)
    assert path.solver == "working_set"
    assert path.dual_gaps.max() <= options.tol
    for w, b, alpha in zip(path.coef, path.intercept, path.alphas, strict=True):
        assert missed(X, y, w, b, alpha, options, weight) <= 3e-4


def test_offsets_are_added_to_predictions():
    X, y = wide("poisson")
    options = LOSSES["poisson"]
    offset = np.random.default_rng(4).uniform(-1, 1, len(y))
    path = fit_path(from_arrays(X, y, offset=offset), options, RUN)
    for w, b, alpha in zip(path.coef, path.intercept, path.alphas, strict=True):
        assert missed(X, y, w, b, alpha, options, None, offset) <= 3e-4


@pytest.mark.parametrize(
    ("loss", "changes"),
    [
        ("logistic", {}),
        ("huber", {"positive": True}),
        ("poisson", {"fit_intercept": False, "l1_ratio": 0.5}),
        *slow(
            ("logistic", {"positive": True, "standardize": True}),
            ("logistic", {"fit_intercept": False}),
            ("poisson", {}),
            ("huber", {}),
        ),
    ],
    ids=str,
)
def test_unpenalised_columns_are_in_use_at_every_alpha(loss, changes):
    X, y = wide(loss)
    factor = np.random.default_rng(2).uniform(0.5, 2.0, X.shape[1])
    factor[[3, 50, 100]] = 0.0
    options = replace(LOSSES[loss], penalty_factor=factor, **changes)
    path = fit_path(from_arrays(X, y), options, RUN)
    assert path.dual_gaps.max() <= options.tol
    assert options.positive or set(np.flatnonzero(path.coef[0])) <= {3, 50, 100}
    for w, b, alpha in zip(path.coef, path.intercept, path.alphas, strict=True):
        assert missed(X, y, w, b, alpha, options) <= 3e-4


@pytest.mark.parametrize("factor", [1.0, 0.0])
def test_gaps_of_rough_solutions_are_true(factor):
    X, y = wide(n=40, d=200)
    factors = np.ones(200)
    factors[[3, 50]] = factor
    rough, exact = (
        fit_path(
            from_arrays(X, y),
            replace(WIDE, tol=tol, max_scans=scans, penalty_factor=factors),
            RUN,
        )
        for tol, scans in ((1e-3, 4), (1e-11, 100))
    )
    above = (rough.objectives - exact.objectives) / np.log(2)
    assert np.all(above <= rough.dual_gaps + 1e-9)
    assert np.isfinite(rough.dual_gaps).any()


def test_a_column_that_standardize_leaves_without_penalty_is_one():
    X, y = wide("poisson")
    X[:, 7] = 2.0
    options = replace(LOSSES["poisson"], standardize=True, fit_intercept=False)
    path = fit_path(from_arrays(X, y), options, RUN)
    assert np.all(path.coef[:, 7] != 0)
    for w in path.coef:
        assert abs(np.mean(slopes(X @ w, y, options))) <= 1e-6


def test_targets_share_the_reads():
    X, y = wide()
    y = np.column_stack([y, X[:, 100] > X[:, 110], np.random.default_rng(3).random(len(y)) > 0.5])
    path = fit_path(from_arrays(X, y.astype(float)), WIDE, RUN)
    assert path.dual_gaps.max() <= WIDE.tol
    assert path.scans <= 8
    for target in range(3):
        w, b = path.coef[-1, :, target], path.intercept[-1, target]
        assert missed(X, y[:, target], w, b, path.alphas[-1], WIDE) <= 3e-4


@pytest.mark.parametrize(
    "loss", ["logistic", *(pytest.param(x, marks=pytest.mark.slow) for x in ("poisson", "huber"))]
)
def test_folds_have_the_scores_of_newton(loss):
    X, y = wide(loss, n=50, d=80)
    data = from_arrays(X, y, np.random.default_rng(1).uniform(0.2, 3.0, len(y)))
    options = replace(LOSSES[loss], standardize=True, tol=1e-10)
    ours, theirs = (
        fit_cv(data, replace(options, solver=solver), CvOptions(folds=3), RUN)
        for solver in ("working_set", "newton")
    )
    mine, other = (path.cross_validation.by_ratio[0] for path in (ours, theirs))
    assert mine.scores.keys() == other.scores.keys()
    for name, path in mine.scores.items():
        np.testing.assert_allclose(path, other.scores[name], rtol=1e-3)
    assert mine.gap.max() <= options.tol


def test_folds_are_cross_validated_beside_unpenalised_columns():
    X, y = wide(n=40)
    factor = np.ones(X.shape[1])
    factor[[0, 5]] = 0.0
    options = replace(WIDE, penalty_factor=factor, solver="auto", alphas=(0.1, 0.07))
    path = fit_cv(from_arrays(X, y), options, CvOptions(folds=2, kind="contiguous"), RUN)
    assert path.solver == "working_set"
    curve = path.cross_validation.by_ratio[0]
    assert curve.gap.max() <= WIDE.tol
    alone = fit_path(from_arrays(X[20:], y[20:]), options, RUN)
    p = X[:20] @ alone.coef[-1] + alone.intercept[-1]
    loss = np.mean(np.logaddexp(0, p) - y[:20] * p)
    assert curve.error_path[-1, 0] == pytest.approx(loss, rel=1e-3)


def test_bits_do_not_depend_on_threads(make_store, monkeypatch):
    X, y = wide(d=1500)
    data = make_store(X, y, chunk_rows=20, chunk_columns=500)
    monkeypatch.setattr("dasklasso.solvers.working_set.newton_in_use.COLUMNS_AT_ONCE", 4)
    found = []
    for threads in (1, 3):
        for module in ("scan.runners", "solvers.newton.side_by_side"):
            monkeypatch.setattr(f"dasklasso.{module}.threads_each", lambda _, n=threads: n)
        found.append(fit_path(data, replace(WIDE, tol=1e-6), RUN))
    assert (found[0].coef_rows != found[1].coef_rows).nnz == 0
    np.testing.assert_array_equal(found[0].dual_gaps, found[1].dual_gaps)


def test_a_resumed_fit_takes_the_same_steps(make_store, tmp_path):
    X, y = wide(d=300)
    data, options = make_store(X, y), replace(WIDE, n_alphas=6, eps=0.03)
    whole = fit_path(data, options, RUN)
    run = replace(RUN, checkpoint=str(tmp_path / "state"), checkpoint_seconds=0.0)

    def stop(event):
        if event.scan == 3 and not event.stage:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_path(data, options, run, progress=stop)
    again = fit_path(data, options, replace(run, resume=True))
    assert (whole.coef_rows != again.coef_rows).nnz == 0
    np.testing.assert_array_equal(whole.intercepts, again.intercepts)
    np.testing.assert_array_equal(whole.dual_gaps, again.dual_gaps)


def test_classes_are_refused_by_name():
    X, y = wide()
    y[:5] = 2.0
    with pytest.raises(OptionError, match="softmax found, but working_set needs one with a single"):
        fit_path(from_arrays(X, y), replace(WIDE, loss="softmax", n_classes=3), RUN)


@pytest.mark.parametrize("solver", ["newton", "fista", "prox_sgd"])
def test_solvers_that_have_no_unpenalised_features_name_the_one_that_has(solver):
    X, y = wide()
    factor = np.ones(X.shape[1])
    factor[5] = 0.0
    options = replace(WIDE, solver=solver, penalty_factor=factor)
    expected = f"0 found for feature 5, but {solver} has no unpenalised features.*working_set can"
    with pytest.raises(OptionError, match=expected):
        fit_path(from_arrays(X, y), options, RUN)


def test_an_unpenalised_column_that_separates_a_row_takes_it_out():
    rng = np.random.default_rng(2)
    X = rng.integers(0, 3, (60, 100)).astype(float)
    y = (X[:, 0] - X[:, 1] + rng.standard_normal(60) > 0).astype(float)
    alone = int(np.argmax(y))
    site = (np.arange(60) == alone).astype(float)
    options = FitOptions(loss="logistic", alphas=(0.1, 0.06), tol=1e-8, solver="working_set")
    free = replace(options, penalty_factor=np.where(np.arange(101) == 100, 0.0, 1.0))
    path = fit_path(from_arrays(np.column_stack([X, site]), y), free, RunOptions(in_process=True))
    others = np.arange(60) != alone
    same = replace(options, alphas=tuple(alpha * 60 / 59 for alpha in options.alphas))
    expected = fit_path(from_arrays(X[others], y[others]), same, RunOptions(in_process=True))
    assert path.converged
    assert path.objective == pytest.approx(expected.objective * 59 / 60, rel=1e-7)
