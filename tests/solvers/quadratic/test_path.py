"""Paths on a Gram matrix: scikit-learn's answers, honest gaps, and columns that make trouble."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_diabetes
from sklearn.linear_model import ElasticNet, Lasso, Ridge

from dasklasso.objective.penalties.base import Penalty
from dasklasso.objective.penalties.elastic_net import ElasticNet as ElasticNetPenalty
from dasklasso.objective.penalties.elastic_net import elastic_net
from dasklasso.solvers.quadratic import follow
from dasklasso.solvers.quadratic.path import Quadratic, QuadraticPath, solve_path

LASSO = ElasticNetPenalty.of(1.0)
TIGHT = {"fit_intercept": False, "tol": 1e-12, "max_iter": 1_000_000}


def quadratic_of(X: np.ndarray, y: np.ndarray) -> Quadratic:
    n = len(y)
    return Quadratic(np.ascontiguousarray(X.T @ X / n), X.T @ y / n, float(y @ y / n))


def largest(quadratic: Quadratic) -> float:
    return float(np.max(np.abs(quadratic.linear)))


def grid(quadratic: Quadratic, n: int = 12, eps: float = 1e-3) -> np.ndarray:
    return largest(quadratic) * np.geomspace(1.0, eps, n)


def objective(
    quadratic: Quadratic, u: np.ndarray, l1: np.ndarray, l2: np.ndarray, alpha: float, ratio: float
) -> float:
    """Written out afresh, in extended precision."""
    G, c, u, l1, l2 = (
        np.asarray(v, dtype=np.longdouble) for v in (quadratic.gram, quadratic.linear, u, l1, l2)
    )
    penalty = ratio * l1 @ np.abs(u) + (1 - ratio) / 2 * l2 @ u**2
    return float(u @ G @ u / 2 - c @ u + quadratic.yy / 2 + alpha * penalty)


@pytest.fixture(scope="module")
def diabetes() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_diabetes(return_X_y=True)
    return (X - X.mean(axis=0)) / X.std(axis=0), y - y.mean()


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("share", [0.5, 0.1, 0.001])
def test_the_lasso_is_scikit_learns(diabetes, share, positive):
    X, y = diabetes
    quadratic = quadratic_of(X, y)
    alpha = share * largest(quadratic)
    tol = 1e-13 * quadratic.yy
    found = solve_path(
        quadratic, elastic_net(nonnegative=positive).of(1.0), np.array([alpha]), tol=tol
    )
    theirs = Lasso(alpha=alpha, positive=positive, **TIGHT).fit(X, y)
    assert found.coef[0] == pytest.approx(theirs.coef_, abs=1e-4)


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("ratio", [0.9, 0.2])
def test_the_elastic_net_is_scikit_learns(diabetes, ratio, positive):
    X, y = diabetes
    quadratic = quadratic_of(X, y)
    alpha = 0.01 * largest(quadratic)
    found = solve_path(
        quadratic, elastic_net(nonnegative=positive).of(ratio), np.array([alpha]),
        tol=1e-13 * quadratic.yy,
    )  # fmt: skip
    theirs = ElasticNet(alpha=alpha, l1_ratio=ratio, positive=positive, **TIGHT).fit(X, y)
    assert found.coef[0] == pytest.approx(theirs.coef_, abs=1e-4)


def test_without_an_l1_penalty_it_is_ridge_regression(diabetes):
    X, y = diabetes
    quadratic = quadratic_of(X, y)
    found = solve_path(
        quadratic, ElasticNetPenalty.of(0.0), np.array([0.3]), tol=1e-14 * quadratic.yy
    )
    theirs = Ridge(alpha=0.3 * len(y), fit_intercept=False).fit(X, y)
    assert found.coef[0] == pytest.approx(theirs.coef_, abs=1e-5)


def test_penalty_factors_rescale_columns(diabetes):
    X, y = diabetes
    factor = np.linspace(0.5, 2.0, 10)
    quadratic = quadratic_of(X, y)
    alpha = 0.05 * largest(quadratic)
    found = solve_path(
        quadratic, LASSO.at(1.0, factor, factor), np.array([alpha]), tol=1e-13 * quadratic.yy
    )
    theirs = Lasso(alpha=alpha, **TIGHT).fit(X / factor, y)
    assert found.coef[0] == pytest.approx(theirs.coef_ / factor, abs=1e-4)


def test_unpenalised_columns_are_regressed_out(diabetes):
    X, y = diabetes
    factor = np.r_[np.zeros(3), np.ones(7)]
    quadratic = quadratic_of(X, y)
    alpha = 0.05 * largest(quadratic)
    found = solve_path(
        quadratic, LASSO.at(1.0, factor, factor), np.array([alpha]), tol=1e-13 * quadratic.yy
    )
    basis = np.linalg.qr(X[:, :3])[0]
    others, rest = X[:, 3:] - basis @ (basis.T @ X[:, 3:]), y - basis @ (basis.T @ y)
    theirs = Lasso(alpha=alpha, **TIGHT).fit(others, rest)
    assert found.coef[0, 3:] == pytest.approx(theirs.coef_, abs=1e-4)


def test_with_alpha_zero_it_is_least_squares(diabetes):
    X, y = diabetes
    quadratic = quadratic_of(X, y)
    found = solve_path(quadratic, LASSO, np.array([0.0]), tol=1e-14 * quadratic.yy)
    assert found.coef[0] == pytest.approx(np.linalg.lstsq(X, y)[0], abs=1e-5)


@st.composite
def problems(draw: st.DrawFn) -> tuple[Quadratic, np.ndarray, float, bool]:
    """n < d and n > d, correlated, duplicated and constant columns, penalty factors with zeros."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, d = draw(st.integers(3, 60)), draw(st.integers(1, 40))
    mixing = draw(st.sampled_from([0.0, 0.5, 0.95, 0.999]))
    X = rng.standard_normal((n, d)) * np.sqrt(1 - mixing**2)
    X += mixing * rng.standard_normal((n, 1))
    X -= X.mean(axis=0)
    for j in draw(st.lists(st.integers(0, d - 1), max_size=3)):
        X[:, j] = X[:, 0] * draw(st.sampled_from([1.0, -1.0]))
    for j in draw(st.lists(st.integers(0, d - 1), max_size=2)):
        X[:, j] = 0.0
    y = X @ rng.standard_normal(d) + rng.standard_normal(n)
    factor = rng.uniform(0.3, 3.0, d)
    factor[draw(st.lists(st.integers(0, d - 1), max_size=2))] = 0.0
    ratio = draw(st.sampled_from([1.0, 0.7, 0.1, 0.0]))
    return quadratic_of(X, y - y.mean()), factor, ratio, draw(st.booleans())


def penalty_of(problem: tuple[Quadratic, np.ndarray, float, bool]) -> Penalty:
    _, factor, ratio, positive = problem
    return elastic_net(nonnegative=positive).of(ratio).at(1.0, factor, factor)


def solve(problem: tuple[Quadratic, np.ndarray, float, bool], tol: float) -> QuadraticPath:
    quadratic = problem[0]
    return solve_path(
        quadratic, penalty_of(problem), grid(quadratic, 6),
        tol=tol * quadratic.yy / 2,
    )  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(problems())
def test_every_alpha_reaches_a_gap_of_1e_10(problem):
    quadratic = problem[0]
    assert np.max(solve(problem, 1e-10).gap) <= 1e-10 * quadratic.yy / 2


@settings(max_examples=150, deadline=None)
@given(problems(), st.sampled_from([1e-1, 1e-3, 1e-6]))
def test_the_gap_bounds_what_is_left_to_gain(problem, tol):
    quadratic, factor, ratio, _ = problem
    rough, exact = solve(problem, tol), solve(problem, 1e-12)
    for k, alpha in enumerate(grid(quadratic, 6)):
        there, best = (
            objective(quadratic, path.coef[k], factor, factor, alpha, ratio)
            for path in (rough, exact)
        )
        assert there - best <= rough.gap[k] + 1e-11 * quadratic.yy


@settings(max_examples=100, deadline=None)
@given(problems())
def test_objectives_are_those_of_the_coefficients(problem):
    quadratic, factor, ratio, _ = problem
    path = solve(problem, 1e-4)
    for u, alpha, value in zip(path.coef, grid(quadratic, 6), path.objective, strict=True):
        assert value == pytest.approx(
            objective(quadratic, u, factor, factor, alpha, ratio), abs=1e-12 * quadratic.yy
        )


@settings(max_examples=100, deadline=None)
@given(problems())
def test_a_warm_start_does_not_change_the_answer(problem):
    quadratic, path = problem[0], solve(problem, 1e-11)
    for k, alpha in enumerate(grid(quadratic, 6)):
        alone = solve_path(
            quadratic, penalty_of(problem), np.array([alpha]),
            tol=1e-11 * quadratic.yy / 2,
        )  # fmt: skip
        # each lies within its own gap of the one optimum, also where rounding stopped it early
        apart = alone.gap[0] + path.gap[k] + 1e-12 * quadratic.yy
        assert alone.objective[0] == pytest.approx(path.objective[k], abs=apart)


@settings(max_examples=100, deadline=None)
@given(problems())
def test_working_sets_and_kernels_end_where_all_columns_and_plain_python_do(problem):
    quadratic, plain = problem[0], solve(problem, 1e-10)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(follow, "COMPILED_FROM", 0)
        fast = solve(problem, 1e-10)
    assert np.max(fast.gap) <= 1e-10 * quadratic.yy / 2
    assert fast.objective == pytest.approx(plain.objective, abs=1e-10 * quadratic.yy / 2)


@settings(max_examples=50, deadline=None)
@given(problems())
def test_signs_are_kept_where_they_are_constrained(problem):
    quadratic, factor, ratio, _ = problem
    assert np.min(solve((quadratic, factor, ratio, True), 1e-8).coef) >= 0.0


@settings(max_examples=50, deadline=None)
@given(problems())
def test_columns_without_variance_stay_at_zero(problem):
    quadratic = problem[0]
    constant = np.diagonal(quadratic.gram) == 0
    assert not np.any(solve(problem, 1e-8).coef[:, constant])


def wide(n: int, d: int, seed: int = 0) -> Quadratic:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) + rng.standard_normal((n, 1))
    X -= X.mean(axis=0)
    y = X[:, :10].sum(axis=1) + rng.standard_normal(n)
    return quadratic_of(X, y - y.mean())


def test_a_path_of_more_columns_than_rows_is_certified():
    quadratic = wide(80, 600)
    found = solve_path(quadratic, LASSO, grid(quadratic, 30), tol=1e-10 * quadratic.yy / 2)
    assert np.max(found.gap) <= 1e-10 * quadratic.yy / 2


def test_a_single_small_alpha_needs_no_path():
    quadratic = wide(80, 600)
    found = solve_path(quadratic, LASSO, grid(quadratic, 30)[-1:], tol=1e-10 * quadratic.yy / 2)
    assert found.gap[0] <= 1e-10 * quadratic.yy / 2


def test_powers_of_one_column_are_no_obstacle():
    x = np.linspace(-1.0, 1.0, 400)
    X = x[:, None] ** np.arange(1, 16)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    y = np.exp(x) - np.exp(x).mean()
    quadratic = quadratic_of(X, y)
    found = solve_path(quadratic, LASSO, grid(quadratic, 40), tol=1e-10 * quadratic.yy / 2)
    assert np.max(found.gap) <= 1e-10 * quadratic.yy / 2


def test_a_tolerance_below_rounding_ends_with_the_gap_that_is():
    quadratic = wide(200, 30)
    found = solve_path(quadratic, LASSO, grid(quadratic), tol=0.0, max_passes=100_000)
    assert found.passes < 100_000
    assert np.max(found.gap) < 1e-14 * quadratic.yy


def test_sweeps_end_at_their_limit():
    quadratic = wide(80, 600)
    found = solve_path(quadratic, LASSO, grid(quadratic, 5), tol=0.0, max_passes=3)
    assert found.passes <= 15


def test_a_good_start_saves_sweeps():
    quadratic = wide(200, 30)
    alpha, tol = grid(quadratic)[-1:], 1e-9 * quadratic.yy
    cold = solve_path(quadratic, LASSO, alpha, tol=tol)
    warm = solve_path(quadratic, LASSO, alpha, tol=tol, start=cold.coef[0])
    assert warm.passes < cold.passes


def test_the_matrix_and_the_start_are_left_as_they_were():
    quadratic = wide(200, 30)
    gram, start = quadratic.gram.copy(), np.ones(30)
    solve_path(quadratic, LASSO, grid(quadratic), tol=1e-9 * quadratic.yy, start=start)
    assert np.array_equal(quadratic.gram, gram)
    assert np.array_equal(start, np.ones(30))


@pytest.mark.parametrize("d", [90, 300])
def test_threads_find_what_one_finds(d):
    quadratics = [wide(60, d, seed) for seed in range(6)]

    def solve_one(quadratic: Quadratic) -> np.ndarray:
        return solve_path(quadratic, LASSO, grid(quadratic), tol=1e-9 * quadratic.yy).coef

    alone = [solve_one(quadratic) for quadratic in quadratics]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(solve_one, quadratics))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_correlated_columns_take_few_sweeps_in_a_block_and_beyond():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((5_000, 60))
    for j in range(1, 60):
        X[:, j] = 0.95 * X[:, j - 1] + np.sqrt(1 - 0.95**2) * X[:, j]
    y = X[:, ::9].sum(axis=1) + 3.0 * rng.standard_normal(5_000)
    quadratic = quadratic_of(X, y)
    found = solve_path(quadratic, LASSO, grid(quadratic, 100), tol=1e-8 * quadratic.yy)
    assert np.count_nonzero(found.coef[-1]) > 30
    assert found.passes < 3 * 100


def test_where_no_column_varies_all_coefficients_are_zero():
    quadratic = Quadratic(np.zeros((3, 3)), np.zeros(3), 2.0)
    found = solve_path(quadratic, LASSO, np.array([1.0, 0.1]), tol=1e-9)
    assert not found.coef.any()
    assert found.objective.tolist() == [1.0, 1.0]
    assert found.gap.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("twin", [1.0, -1.0])
@pytest.mark.parametrize("positive", [False, True])
def test_unpenalised_twins_keep_their_coefficients_small(twin, positive):
    rng = np.random.default_rng(0)
    X = 0.95 * rng.standard_normal((15, 1)) + 0.3 * rng.standard_normal((15, 29))
    X[:, 22] = twin * X[:, 1]
    X -= X.mean(axis=0)
    y = X @ rng.standard_normal(29)
    quadratic, factor = quadratic_of(X, y - y.mean()), np.ones(29)
    factor[[1, 22]] = 0.0
    found = solve_path(
        quadratic, elastic_net(nonnegative=positive).of(1.0).at(1.0, factor, factor),
        grid(quadratic, 6),
        tol=1e-10 * quadratic.yy / 2,
    )  # fmt: skip
    assert np.max(found.gap) <= 1e-10 * quadratic.yy / 2
    assert np.max(np.abs(found.coef)) < 100.0


def test_a_path_goes_on_from_its_last_two_points():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 40))
    quadratic = quadratic_of(X, X[:, :5].sum(axis=1) + rng.standard_normal(60))
    alphas, weights = grid(quadratic), np.ones(40)
    penalty = LASSO.at(1.0, weights, weights)
    whole = solve_path(quadratic, LASSO, alphas, tol=1e-12).coef
    found = follow.follow(
        quadratic.gram, quadratic.linear, quadratic.yy, penalty, alphas[4:], weights > 0,
        whole[5], tol=1e-12, max_passes=1000, earlier=whole[4],
    )  # fmt: skip
    np.testing.assert_allclose([one.u for one in found], whole[6:], atol=1e-6)
