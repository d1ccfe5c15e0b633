"""One scan at any points tells their objective, and bounds how far from the least one it is."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import ElasticNet, LogisticRegression

from dasklasso.dataset.dataset import from_arrays
from dasklasso.errors import ValueFound
from dasklasso.options import FitOptions
from dasklasso.problem.zero_scan import look, meet
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.runners import InProcess
from dasklasso.solvers.certificate_scan import CertificateQuestion

N, D = 120, 5


def table(seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(2.0, 1.0, (N, D)) * 10.0 ** rng.integers(-2, 3, D)
    return X, (X / X.std(axis=0)) @ np.array([3.0, -1.0, 0.0, 0.0, 0.5]) + rng.normal(size=N)


def asked(X, y, points, alphas, *, intercepts=None, **options):
    """What a scan says of points in standardised coordinates, and the problem."""
    data = from_arrays(X, y)
    engine = ScanEngine(data, InProcess(1))
    problem, _ = meet(data, engine, FitOptions(**options).objective(), "cpu")
    frame = engine.placed(problem.frame)
    free = look(engine, problem, frame, "cpu").free
    k = points.shape[1]
    found = CertificateQuestion(
        problem, frame, free, engine.by_columns(points), np.zeros(k, int), np.asarray(alphas),
        intercepts=intercepts,
    ).ask(engine)  # fmt: skip
    return found, problem


def loss_at(X, y, w):
    residual = (y - y.mean()) - (X - X.mean(axis=0)) @ w
    return 0.5 * np.mean(residual**2)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.4])
def test_the_objective_is_that_of_the_rows(l1_ratio):
    X, y = table()
    points = np.random.default_rng(1).normal(size=(D, 3))
    alphas = np.array([1.0, 0.1, 0.01])
    found, problem = asked(X, y, points, alphas, l1_ratio=l1_ratio)
    for k, alpha in enumerate(alphas):
        w = points[:, k] * problem.frame.inverse_scale
        penalty = l1_ratio * np.abs(w).sum() + 0.5 * (1 - l1_ratio) * np.sum(w**2)
        expected = loss_at(X, y, w) + alpha * penalty
        assert found.certificate.primal[k] == pytest.approx(expected, rel=1e-12)
        assert found.certificate.n_nonzero[k] == D


@pytest.mark.parametrize("l1_ratio", [1.0, 0.4])
@pytest.mark.parametrize("positive", [False, True])
def test_the_gap_bounds_what_is_missing_to_the_optimum(l1_ratio, positive):
    X, y = table()
    alpha, scale = 0.05, X.std(axis=0)
    best = ElasticNet(alpha, l1_ratio=l1_ratio, positive=positive, tol=1e-14, max_iter=10**6)
    best = best.fit(X, y).coef_
    rng = np.random.default_rng(2)
    distances = np.array([0.0, 1e-4, 1e-2, 1.0])
    points = np.abs(best * scale)[:, None] * np.sign(best)[:, None] + distances * np.abs(
        rng.normal(size=(D, 1))
    )
    found, _ = asked(
        X, y, points, np.full(4, alpha), l1_ratio=l1_ratio, positive=positive
    )  # fmt: skip
    missing = found.certificate.primal - found.certificate.primal[0]
    assert (found.certificate.gap >= missing - 1e-13).all()
    assert found.relative_gap[0] <= 1e-6
    assert (np.diff(found.relative_gap) > 0).all()


def test_a_column_without_penalty_leaves_the_gap_finite():
    X, y = table()
    factors = np.array([1.0, 1.0, 1.0, 1.0, 0.0])
    found, problem = asked(X, y, np.zeros((D, 1)), [0.01], penalty_factor=tuple(factors))
    assert 0 < found.certificate.gap[0] <= problem.null_loss[0]


def test_of_a_logistic_loss_the_gap_bounds_what_is_missing_too():
    X, y = table()
    labels = (y > np.median(y)).astype(float)
    scale, alpha = X.std(axis=0), 0.02
    Z = (X - X.mean(axis=0)) / scale
    best = LogisticRegression(
        l1_ratio=1, solver="saga", C=1 / (alpha * N), tol=1e-12, max_iter=10**5
    ).fit(Z, labels)
    points = np.concatenate([best.coef_.T, 0.9 * best.coef_.T, 0.0 * best.coef_.T], axis=1)
    found, _ = asked(
        X, labels, points, np.full(3, alpha), loss="logistic", standardize=True,
        intercepts=np.full(3, best.intercept_[0]),
    )  # fmt: skip
    prediction = Z @ points + best.intercept_
    rows = np.logaddexp(0, prediction) - labels[:, None] * prediction
    expected = rows.mean(axis=0) + alpha * np.abs(points).sum(axis=0)
    np.testing.assert_allclose(found.certificate.primal, expected, rtol=1e-12)
    missing = found.certificate.primal - found.certificate.primal[0]
    assert (found.certificate.gap >= missing - 1e-12).all()
    assert found.relative_gap[0] <= 1e-6


def test_a_nan_in_the_data_is_named():
    X, y = table()
    X[7, 1] = np.nan
    with pytest.raises(ValueFound, match="X has nan at row 7"):
        asked(X, y, np.zeros((D, 1)), [0.1])
