"""Small softmax problems that are solved side by side, beside each of them alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dasklasso.dataset.dataset import from_arrays
from dasklasso.fit import fit_cv, fit_path
from dasklasso.objective.objective import Objective
from dasklasso.options import CvOptions, FitOptions, RunOptions
from dasklasso.problem.problem import Problem
from dasklasso.scan.frame import Frame
from dasklasso.scan.queries.sample import Sample
from dasklasso.solvers.newton.step import Point
from dasklasso.solvers.softmax import stacked
from dasklasso.solvers.softmax.hessian import softmax_hessian
from dasklasso.solvers.softmax.rows import HeldRows
from dasklasso.solvers.softmax.stacked import StackedSteps
from dasklasso.solvers.softmax.step import softmax_step, terms_at

RUN = RunOptions(in_process=True)
OPTIONS = FitOptions(loss="softmax", solver="newton", n_alphas=10, eps=1e-2, tol=1e-7)
N_CLASSES = 3


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(5)
    X = rng.standard_normal((120, 5)) * 10.0 ** rng.uniform(-1, 1, 5) + 2.0
    z = (X - X.mean(axis=0)) / X.std(axis=0)
    W = np.where(rng.random((5, N_CLASSES)) < 0.5, 1.5, 0.0)
    y = (z @ W + rng.gumbel(size=(120, N_CLASSES))).argmax(axis=1)
    return X, y.astype(float), rng.uniform(0.2, 2.0, 120)


def one_by_one(monkeypatch):
    monkeypatch.setattr(stacked, "MOST_PRODUCTS", 0)


@pytest.fixture
def rows(table):
    X, y, weight = table
    frame = Frame(np.zeros(5), X.mean(axis=0), 1 / X.std(axis=0), np.ones(5), np.ones(5))
    options = replace(OPTIONS, n_classes=N_CLASSES)
    objective = Objective(loss=options.loss_value)
    none = np.zeros(N_CLASSES)
    problem = Problem(objective, frame, none, np.ones(N_CLASSES), none, float(weight.sum()))
    return HeldRows(Sample(X, y[:, None], weight[:, None], None), problem, whole=True)


@pytest.fixture
def points(rows):
    found, rng = [], np.random.default_rng(1)
    for _ in range(4):
        u, b = rng.standard_normal((5, N_CLASSES)), rng.standard_normal(N_CLASSES)
        u[rng.random(u.shape) < 0.4] = 0.0
        seen = rows.see(u, b, "float64")
        found.append(Point(u, b, float(seen.sums.loss[0]), seen.gradient, seen.sums.slope))
    return found


def test_hessians_are_those_of_each_point(rows, points):
    found = StackedSteps(rows, 1e-7).hessians(points)
    everything = np.arange(found.shape[1])
    for matrix, point in zip(found, points, strict=True):
        alone = softmax_hessian(rows, point, 1.0, everything, "float64", 0)
        np.testing.assert_allclose(matrix, alone.matrix, rtol=1e-10, atol=1e-13)


def test_steps_are_those_of_each_alone(rows, points, monkeypatch):
    monkeypatch.setattr("dasklasso.solvers.softmax.step.MODEL_TOL", 1e-9)
    alphas = np.array([0.3, 0.1, 0.03, 0.01])
    found = StackedSteps(rows, 1e-12).steps(points, alphas)
    for step, point, alpha in zip(found, points, alphas.tolist(), strict=True):
        terms, everything = terms_at(rows.problem, alpha), np.arange(N_CLASSES * 6)
        hessian = softmax_hessian(rows, point, alpha, everything, "float64", 0)
        alone = softmax_step(point, terms, everything, hessian.matrix, 1e-12)
        assert step.predicted == pytest.approx(alone.predicted, rel=1e-6)
        np.testing.assert_allclose(step.u, alone.u, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "more", [{}, {"l1_ratio": 0.5}, {"fit_intercept": False}, {"positive": True}], ids=str
)
def test_paths_are_those_of_problems_one_by_one(table, more, monkeypatch):
    options = replace(OPTIONS, **more)
    side_by_side = fit_path(from_arrays(*table), options, RUN)
    one_by_one(monkeypatch)
    alone = fit_path(from_arrays(*table), options, RUN)
    assert side_by_side.converged
    np.testing.assert_allclose(side_by_side.objective, alone.objective, rtol=4e-7)


def test_curves_are_those_of_problems_one_by_one(table, monkeypatch):
    options = replace(OPTIONS, standardize=True)
    side_by_side = fit_cv(from_arrays(*table), options, CvOptions(3), RUN)
    assert side_by_side.scans == 3
    one_by_one(monkeypatch)
    alone = fit_cv(from_arrays(*table), options, CvOptions(3), RUN)
    ours, theirs = (path.cross_validation.best for path in (side_by_side, alone))
    np.testing.assert_allclose(ours.scores["loss"], theirs.scores["loss"], rtol=1e-3)


def test_what_is_not_solved_side_by_side_is_solved_alone(table, monkeypatch):
    monkeypatch.setattr(stacked, "MOST_ROUNDS", 2)
    assert fit_path(from_arrays(*table), OPTIONS, RUN).converged
