"""Where proximal Newton begins: the path of the quadratic at the model without features."""

from __future__ import annotations

import numpy as np
import pytest

from dasklasso.dataset.dataset import from_arrays
from dasklasso.fit import fit_path
from dasklasso.options import FitOptions, RunOptions
from dasklasso.problem.zero_scan import meet
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.runners import InProcess
from dasklasso.solvers.base import Jobs
from dasklasso.solvers.newton.start import columns_at_null, first_start, null_models

ALPHAS = np.geomspace(0.5, 0.01, 25)


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((120, 6)) * [1.0, 3.0, 0.2, 1.0, 1.0, 1.0] + 1.0
    return X, X[:, 0] - 0.5 * X[:, 1] + rng.standard_normal(120)


def at_null(X, y, loss, **more):
    """The problem, and its null model with the Hessian there, written out."""
    data = from_arrays(X, y)
    objective = FitOptions(loss=loss, **more).objective()
    problem, _ = meet(data, ScanEngine(data, InProcess(1), 1 << 20), objective, "cpu")
    Z = (X - problem.frame.centre) * problem.frame.inverse_scale
    b = problem.null_intercept[0] if problem.steps_intercept else 0.0
    target = y - problem.y_mean[0]
    at = np.full(len(y), b)
    slope, curvature = problem.loss.gradient(at, target), problem.loss.curvature(at, target)
    Z1 = np.column_stack([Z, np.ones(len(y))])
    matrix = Z1.T @ (Z1 * curvature[:, None]) / len(y)
    gradient = Z.T @ slope / len(y)
    null = null_models(
        problem, gradient[:, None], np.array([slope.mean()]), np.arange(X.shape[1]), [matrix]
    )
    return problem, null


def test_of_squared_loss_it_is_the_path_itself(rows):
    X, y = rows
    problem, null = at_null(X, y, "squared")
    start = first_start(problem, Jobs(ALPHAS, 1), null)
    options = FitOptions(alphas=tuple(ALPHAS), solver="gram", tol=1e-10)
    path = fit_path(from_arrays(X, y), options, RunOptions(in_process=True))
    coef = start.points.T * problem.frame.inverse_scale
    assert np.allclose(coef, path.coef, atol=2e-2)
    assert start.intercepts.tolist() == [0.0] * len(ALPHAS)


def test_gradients_there_are_those_of_the_quadratic(rows):
    X, y = rows
    y = (y > 0.5).astype(float)
    problem, null = at_null(X, y, "logistic")
    start = first_start(problem, Jobs(ALPHAS, 1), null)
    [point], [matrix] = null.points, null.matrices
    along = np.vstack([start.points, start.intercepts - point.b])
    expected = np.append(point.gradient, point.slope)[:, None] + matrix @ along
    assert np.allclose(start.gradients, expected[:-1], atol=1e-12)
    assert np.allclose(expected[-1], 0.0, atol=1e-12)  # the intercept is where it costs least


def test_columns_that_the_hessian_lacks_stay_at_zero(rows):
    X, y = rows
    problem, null = at_null(X, y, "squared")
    some = np.array([1, 4])
    place = np.append(some, X.shape[1])
    gradient = null.points[0].gradient[:, None]
    few = null_models(
        problem, gradient, np.zeros(1), some, [null.matrices[0][np.ix_(place, place)]]
    )
    start = first_start(problem, Jobs(ALPHAS, 1), few)
    others = np.setdiff1d(np.arange(X.shape[1]), some)
    assert not start.points[others].any()
    assert np.array_equal(start.gradients[others], np.tile(gradient[others], len(ALPHAS)))


def test_the_columns_of_the_steepest_gradients_are_taken_where_not_all_are(rows):
    X, y = rows
    problem, null = at_null(X, y, "squared")
    gradient = null.points[0].gradient
    taken = columns_at_null(problem, gradient[:, None], 2)
    ratio = np.abs(gradient) / problem.frame.l1_factor
    assert taken.tolist() == sorted(np.argsort(-ratio)[:2].tolist())
    assert columns_at_null(problem, gradient[:, None], 10).tolist() == list(range(6))
