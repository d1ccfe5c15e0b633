"""Softmax by proximal Newton: few scans, whatever the data; Hessians, steps, what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from dasklasso.dataset.dataset import from_arrays
from dasklasso.errors import OptionError
from dasklasso.fit import fit_cv, fit_path
from dasklasso.fit.choose import choose_solver
from dasklasso.objective.objective import Objective
from dasklasso.options import CvOptions, FitOptions, RunOptions
from dasklasso.problem.problem import Problem
from dasklasso.scan.frame import Frame
from dasklasso.scan.queries.sample import Sample
from dasklasso.solvers.newton.step import Point
from dasklasso.solvers.quadratic.face import Face, minimise
from dasklasso.solvers.softmax import solver as softmax_solver
from dasklasso.solvers.softmax.hessian import softmax_hessian
from dasklasso.solvers.softmax.rows import HeldRows

RUN = RunOptions(in_process=True)
OPTIONS = FitOptions(loss="softmax", solver="newton", n_alphas=8, eps=1e-2, tol=1e-6)


def drawn(n=400, d=12, n_classes=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) * 10.0 ** rng.uniform(-1, 1, d) + rng.uniform(-3, 3, d)
    z = (X - X.mean(0)) / X.std(0)
    W = np.where(rng.random((d, n_classes)) < 0.4, 1.5, 0.0)
    return X, (z @ W + rng.gumbel(size=(n, n_classes))).argmax(axis=1).astype(float)


def entropy(y):
    share = np.bincount(y.astype(int)) / len(y)
    return -np.sum(share * np.log(share))


def fitted(X, y, weight=None, run=RUN, **more):
    return fit_path(from_arrays(X, y, weight), replace(OPTIONS, **more), run)


def test_where_all_rows_are_in_memory_one_scan_certifies():
    path = fitted(*drawn())
    assert path.solver == "newton"
    assert path.converged
    assert path.scans == 3  # moments of columns, the model without features, the certificate


@pytest.mark.parametrize(
    "more", [{}, {"l1_ratio": 0.5}, {"fit_intercept": False}, {"positive": True}], ids=str
)
def test_solutions_are_those_of_fista(more):
    X, y = drawn(n=150, d=5, n_classes=3)
    weight = np.random.default_rng(3).uniform(0.2, 2.0, len(X))
    options = {"tol": 1e-8, "n_alphas": 3, "eps": 0.1, **more}
    ours, theirs = (fitted(X, y, weight, solver=s, **options) for s in ("newton", "fista"))
    assert np.allclose(ours.objective, theirs.objective, rtol=2e-8)
    assert max(ours.dual_gaps.max(), theirs.dual_gaps.max()) <= 1e-8


def test_tight_tolerances_are_reached():
    assert fitted(*drawn(), tol=1e-11, n_alphas=4).converged


def test_a_class_that_outweighs_all_others_takes_no_more_scans():
    X, y = drawn(n=200, d=3, n_classes=3)
    path = fitted(X, y, np.where(y == 0, 1000.0, 1e-4), n_alphas=3)
    assert path.converged
    assert path.scans == 3


def test_a_sample_of_rows_is_where_scans_begin(monkeypatch):
    X, y = drawn(n=4000)
    whole = fitted(X, y, tol=1e-8)
    monkeypatch.setattr("dasklasso.solvers.softmax.cost.HELD_BYTES", X.nbytes // 3)
    sampled = fitted(X, y, tol=1e-8)
    assert sampled.converged
    assert 3 < sampled.scans <= 20
    assert np.allclose(sampled.objective, whole.objective, rtol=2e-8)


def test_a_sample_that_lacks_a_class_does(monkeypatch):
    X, y = drawn(n=600, d=4, n_classes=3)
    y[7] = 3.0
    monkeypatch.setattr("dasklasso.solvers.softmax.cost.HELD_BYTES", X.nbytes // 8)
    assert fitted(X, y, max_scans=200).converged


def test_where_more_coordinates_matter_than_a_hessian_has_blocks_take_turns(monkeypatch):
    X, y = drawn(n=200, d=10, n_classes=3)
    whole = fitted(X, y, n_alphas=3, eps=0.1)
    monkeypatch.setattr("dasklasso.solvers.softmax.cost.SOFTMAX_COORDINATES", 14)
    few = fitted(X, y, n_alphas=3, eps=0.1)
    assert np.all(few.objective - whole.objective <= few.dual_gaps[:, 0] * entropy(y) + 1e-9)
    assert few.dual_gaps.max() <= 1e-2


def test_far_from_the_solution_few_coordinates_are_let_in_at_a_time(monkeypatch):
    X, y = drawn(d=100)
    whole = fitted(X, y, alphas=(0.03,), tol=1e-8)
    taken = []

    def noted(rows, point, alpha, coordinates, *more):
        taken.append(len(coordinates))
        return softmax_hessian(rows, point, alpha, coordinates, *more)

    monkeypatch.setattr(softmax_solver, "softmax_hessian", noted)
    monkeypatch.setattr("dasklasso.solvers.softmax.models.FIRST_COORDINATES", 20)
    found = fitted(X, y, alphas=(0.03,), tol=1e-8)
    assert taken[0] == 20
    assert max(taken) < 2.5 * np.count_nonzero(found.coef)
    assert found.objective == pytest.approx(whole.objective, rel=2e-8)


def test_drawn_hessians_lead_to_the_same_optimum(monkeypatch):
    X, y = drawn()
    monkeypatch.setattr("dasklasso.solvers.softmax.stacked.MOST_PRODUCTS", 0)
    whole = fitted(X, y)
    monkeypatch.setattr("dasklasso.solvers.softmax.hessian.EXACT_FLOPS", 0.0)
    few = fitted(X, y)
    assert few.converged
    assert np.allclose(few.objective, whole.objective, rtol=2e-6)


def test_the_same_data_give_the_same_bits(monkeypatch):
    X, y = drawn()
    monkeypatch.setattr("dasklasso.solvers.softmax.stacked.MOST_PRODUCTS", 0)
    monkeypatch.setattr("dasklasso.solvers.softmax.hessian.EXACT_FLOPS", 0.0)
    first, second = fitted(X, y), fitted(X, y)
    assert np.array_equal(first.coef, second.coef)
    assert np.array_equal(first.dual_gaps, second.dual_gaps)


def test_chunks_change_nothing(make_store):
    X, y = drawn(n=200)
    options = replace(OPTIONS, n_alphas=3, tol=1e-9)
    plain = fit_path(make_store(X, y), options, RUN)
    for rows in (17, 90):
        data = make_store(X, y, chunk_rows=rows)
        path = fit_path(data, options, replace(RUN, band_bytes=8 * 12 * rows))
        assert np.allclose(path.objective, plain.objective, rtol=2e-9)
        assert np.allclose(path.coef, plain.coef, atol=1e-4)


class Stopped(Exception):
    pass


@pytest.mark.parametrize("share", [1, 3])
def test_a_fit_that_was_stopped_goes_on(share, monkeypatch, tmp_path):
    X, y = drawn(n=1200)
    monkeypatch.setattr("dasklasso.solvers.softmax.cost.HELD_BYTES", X.nbytes // share)
    run = replace(RUN, checkpoint=str(tmp_path / "state"), checkpoint_seconds=0.0)
    told = []

    def stop(event):
        told.append(event)
        if len(told) == 5:
            raise Stopped

    with pytest.raises(Stopped):
        fit_path(from_arrays(X, y), OPTIONS, run, progress=stop)
    resumed = fit_path(from_arrays(X, y), OPTIONS, replace(run, resume=True))
    assert resumed.converged
    assert np.allclose(resumed.objective, fitted(X, y).objective, rtol=2e-6)
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("share", [1, 3])
def test_a_cross_validation_that_was_stopped_goes_on(share, monkeypatch, tmp_path):
    X, y = drawn(n=1200)
    monkeypatch.setattr("dasklasso.solvers.softmax.cost.HELD_BYTES", X.nbytes // share)
    run = replace(RUN, checkpoint=str(tmp_path / "state"), checkpoint_seconds=0.0)
    data, folds, options = from_arrays(X, y), CvOptions(3), replace(OPTIONS, n_alphas=4)
    told = []
    whole = fit_cv(data, options, folds, RUN, progress=told.append)

    def stop(event):
        told.pop()
        if len(told) == 1:
            raise Stopped

    with pytest.raises(Stopped):
        fit_cv(data, options, folds, run, progress=stop)
    resumed = fit_cv(data, options, folds, replace(run, resume=True))
    assert resumed.converged
    scores, expected = (path.cross_validation.best.scores["loss"] for path in (resumed, whole))
    assert np.allclose(scores, expected, rtol=1e-4)


def test_resumed_without_scans_left_a_fit_is_what_it_was(monkeypatch, tmp_path):
    X, y = drawn(n=1000)
    monkeypatch.setattr("dasklasso.solvers.softmax.cost.HELD_BYTES", X.nbytes // 3)
    run = replace(RUN, checkpoint=str(tmp_path / "state"), checkpoint_seconds=0.0)
    stopped = fitted(X, y, run=run, max_scans=4)
    resumed = fitted(X, y, run=replace(run, resume=True), max_scans=4)
    assert not stopped.converged
    assert np.allclose(resumed.objective, stopped.objective, rtol=1e-3)


@pytest.mark.parametrize("max_scans", [2, 3, 4])
def test_out_of_scans_gaps_are_honest(max_scans, monkeypatch):
    X, y = drawn(n=1000)
    best = fitted(X, y, tol=1e-9)
    monkeypatch.setattr("dasklasso.solvers.softmax.cost.HELD_BYTES", X.nbytes // 3)
    path = fitted(X, y, max_scans=max_scans)
    assert path.scans <= max_scans
    assert np.all(path.dual_gaps[:, 0] * entropy(y) >= path.objective - best.objective - 1e-9)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(12, 60),
    d=st.integers(1, 12),
    kind=st.sampled_from(["noise", "separable", "duplicates", "rare"]),
)
def test_whatever_the_data_are_the_path_converges(seed, n, d, kind):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    y = rng.integers(0, 3, n).astype(float)
    if kind == "separable":
        y = np.digitize(X[:, 0], np.quantile(X[:, 0], [0.3, 0.7])).astype(float)
    elif kind == "duplicates":
        X = np.column_stack([X, X, X[:, :1] * 1e3])
    elif kind == "rare":
        y = np.zeros(n)
    y[:3] = [0.0, 1.0, 2.0]
    path = fitted(X, y, n_alphas=6, eps=1e-3)
    assert path.converged


def test_a_row_far_beyond_all_others_does_no_harm():
    rng = np.random.default_rng(0)
    rng.standard_normal((12, 1))
    y = rng.integers(0, 3, 12).astype(float)
    X = rng.poisson(0.2, (12, 1)).astype(np.float32)
    X[0], y[:3] = 1000.0, [0.0, 1.0, 2.0]
    assert fitted(X, y, n_alphas=6, eps=1e-3, standardize=True).converged


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"l1_ratio": 0.5, "standardize": True},
        {"fit_intercept": False},
        {"class_weight": "balanced"},
    ],
    ids=str,
)
def test_groups_are_those_of_fista_in_a_few_scans(more):
    X, y = drawn(n=112, d=4, n_classes=3)
    options = {"grouped": True, "n_alphas": 5, "eps": 0.05, "tol": 1e-7, **more}
    ours, fista = fitted(X, y, **options), fitted(X, y, **options, solver="fista")
    assert ours.solver == "newton"
    assert ours.converged
    assert ours.scans <= 4
    assert np.allclose(ours.objective, fista.objective, rtol=1e-7)
    used = ours.coef != 0
    assert np.array_equal(used.any(axis=2), used.all(axis=2))


def test_groups_that_are_sampled_take_few_scans(monkeypatch):
    X, y = drawn(n=1200, d=6, n_classes=3)
    monkeypatch.setattr("dasklasso.solvers.softmax.cost.HELD_BYTES", X.nbytes // 3)
    path = fitted(X, y, grouped=True, n_alphas=6, eps=0.05)
    assert path.converged
    assert path.scans < 15


def test_more_groups_than_a_hessian_may_have_are_let_in_by_degrees(monkeypatch):
    X, y = drawn(n=200, d=12, n_classes=3)
    whole = fitted(X, y, grouped=True, n_alphas=5, eps=0.2)
    monkeypatch.setattr("dasklasso.solvers.softmax.cost.SOFTMAX_COORDINATES", 20)
    few = fitted(X, y, grouped=True, n_alphas=5, eps=0.2)
    assert few.converged
    assert np.allclose(few.objective, whole.objective, rtol=1e-6)


def test_groups_are_cross_validated():
    X, y = drawn(n=150, d=5, n_classes=3)
    options = replace(OPTIONS, grouped=True, n_alphas=6, eps=0.05, solver="auto")
    path = fit_cv(from_arrays(X, y), options, CvOptions(3), RUN)
    assert path.solver == "newton"
    assert path.cross_validation.worst_gap <= options.tol


# -- Hessians and steps -------------------------------------------------------------------------


def held(X, y, n_classes, weight=None):
    d = X.shape[1]
    frame = Frame(np.zeros(d), X.mean(axis=0), 1 / X.std(axis=0), np.ones(d), np.zeros(d))
    options = replace(OPTIONS, n_classes=n_classes)
    problem = Problem(
        Objective(loss=options.loss_value),
        frame,
        np.zeros(n_classes),
        np.ones(n_classes),
        np.zeros(n_classes),
        float(len(X)) if weight is None else float(weight.sum()),
    )
    sample = Sample(X, y[:, None], None if weight is None else weight[:, None], None)
    return HeldRows(sample, problem, whole=True)


def written_out(X, point, weight):
    Z = np.column_stack([(X - X.mean(axis=0)) / X.std(axis=0), np.ones(len(X))])
    p = softmax(Z @ np.vstack([point.u, point.b]), axis=1)
    pi = weight / weight.sum()
    n_classes = p.shape[1]
    blocks = np.einsum("ik,km->ikm", p, np.eye(n_classes)) - np.einsum("ik,im->ikm", p, p)
    full = np.einsum("i,ikm,ij,il->kjml", pi, blocks, Z, Z)
    return full.reshape(n_classes * Z.shape[1], -1)


def somewhere(d, n_classes, seed=1):
    rng = np.random.default_rng(seed)
    u, b = rng.standard_normal((d, n_classes)), rng.standard_normal(n_classes)
    return Point(u, b, 0.0, np.zeros_like(u), np.zeros_like(b))


def test_a_hessian_of_all_rows_is_that_of_the_formula():
    X, y = drawn(n=60, d=3, n_classes=4)
    weight = np.random.default_rng(0).uniform(0.1, 2.0, len(X))
    point = somewhere(3, 4)
    some = np.array([0, 2, 3, 5, 8, 11, 12, 13, 15])
    found = softmax_hessian(held(X, y, 4, weight), point, 0.1, some, "float64", 0)
    assert np.allclose(found.matrix, written_out(X, point, weight)[np.ix_(some, some)])
    assert np.array_equal(found.on(some[2:5]), found.matrix[2:5, 2:5])


def test_drawn_hessians_are_right_on_average_and_positive_semidefinite(monkeypatch):
    monkeypatch.setattr("dasklasso.solvers.softmax.hessian.EXACT_FLOPS", 0.0)
    X, y = drawn(n=60, d=3, n_classes=4)
    point, rows, every = somewhere(3, 4), held(X, y, 4), np.arange(16)
    draws = [softmax_hessian(rows, point, 0.1, every, "float64", k).matrix for k in range(300)]
    assert min(np.linalg.eigvalsh(one)[0] for one in draws[:20]) >= -1e-12
    exact = written_out(X, point, np.ones(60))
    error = np.std(draws, axis=0) / np.sqrt(len(draws))
    assert np.all(np.abs(np.mean(draws, axis=0) - exact) <= 6 * error + 1e-12)
    assert np.max(np.abs(draws[0] - exact)) > 1e-4


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    p=st.integers(1, 30),
    rank=st.integers(1, 40),
    bounded=st.booleans(),
    single=st.booleans(),
)
@example(seed=507090, p=30, rank=1, bounded=False, single=True)
@example(seed=514297, p=30, rank=1, bounded=False, single=False)
def test_a_face_is_minimised(seed, p, rank, bounded, single):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((rank, p))
    A[:, : p // 2] += 3.0 * A[:, -1:]
    matrix = (A.T @ A / rank).astype(np.float32 if single else np.float64)
    # a gradient within the matrix's range: without a lower bound there is nothing to find
    u = np.where(rng.random(p) < 0.5, np.abs(rng.standard_normal(p)), 0.0)
    gradient = matrix.astype(np.float64) @ rng.standard_normal(p)
    l1 = np.full(p, 0.05 * np.abs(gradient).max() + 1e-3)
    face = Face(matrix, gradient, u, l1, np.full(p, bounded))
    found = minimise(face, 1e-4 * l1[0])
    at = gradient + matrix.astype(np.float64) @ (found - u)
    assert face.violation(at, found).max() <= 2e-4 * l1[0]
    assert not bounded or found.min() >= 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_intercept_of_a_rare_class_is_not_left_behind(dtype):
    curvature = 1e-9
    matrix = np.array([[1.0, 1e-5], [1e-5, curvature]], dtype)
    gradient, l1 = np.array([0.3, 1e-10]), np.array([0.1, 0.0])
    face = Face(matrix, gradient, np.zeros(2), l1, np.zeros(2, bool))
    found = minimise(face, 1e-6)
    slope = gradient[1] + matrix[1].astype(float) @ found
    assert found[0] < 0
    assert abs(slope) <= 1e-6 * np.sqrt(curvature)


# -- what is refused, and what is chosen --------------------------------------------------------


def test_too_many_classes_are_refused():
    X, _ = drawn(n=100)
    with pytest.raises(OptionError, match="newton has at most 30 classes, and there are 50"):
        fitted(X, np.arange(100) % 50.0)


def chosen(n, d, n_classes, dtype=np.float32, **more):
    data = from_arrays(np.zeros((n, d), dtype), (np.arange(n) % n_classes).astype(float))
    options = replace(OPTIONS, solver="auto", n_classes=n_classes, **more)
    choice = choose_solver(data, options, replace(RUN, memory=8 << 30))
    return choice.solver, choice.why


def test_newton_is_chosen_for_classes_that_couple_few_coordinates():
    assert chosen(300, 20, 5) == ("newton", "loss softmax")
    assert chosen(300, 20, 5, grouped=True) == ("newton", "loss softmax")


@pytest.mark.parametrize(
    ("shape", "more", "why"),
    [
        ((100, 3000, 10), {}, "3,000 features in 10 classes are too many for a Hessian of 8,192"),
        ((50, 5, 40), {}, ""),
    ],
    ids=str,
)
def test_fista_is_chosen_where_newton_would_not_do(shape, more, why):
    solver, found = chosen(*shape, **more)
    assert solver == "fista"
    assert why in found


def test_fista_is_chosen_where_a_sample_would_be_too_small(monkeypatch):
    monkeypatch.setattr("dasklasso.solvers.softmax.cost.HELD_BYTES", 4 * 20 * 100)
    solver, why = chosen(1000, 20, 3)
    assert solver == "fista"
    assert "100 rows fit in memory, and a sample should have 1,200" in why
