"""Alphas at both ends of float64: each solver solves those, or says that it got no closer."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from dasklasso.dataset.dataset import from_arrays
from dasklasso.errors import DataWarning
from dasklasso.fit import fit_path
from dasklasso.objective.penalties.base import LARGEST_WEIGHT, SMALLEST_WEIGHT, in_range
from dasklasso.options import FitOptions, RunOptions

RUN = RunOptions(in_process=True, keep_statistics=False)
SOLVERS = {
    "squared": ["gram", "fista", "working_set", "prox_sgd"],
    "huber": ["newton", "fista"],
    "logistic": ["newton", "fista"],
    "softmax": ["newton", "fista"],
}
OPTIONS = {"huber": {"huber_delta": 1.0}, "softmax": {"n_classes": 3}}
EACH = [(loss, solver) for loss, solvers in SOLVERS.items() for solver in solvers]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 4))
    p = X @ [1.0, -2.0, 0.0, 0.5] + 0.5 * rng.standard_normal(60)
    targets = {"squared": p, "huber": p, "logistic": p > 0, "softmax": np.digitize(p, [-1, 1])}
    return {loss: from_arrays(X, y.astype(float)) for loss, y in targets.items()}


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5, 0.0])
@pytest.mark.parametrize(("loss", "solver"), EACH)
def test_every_alpha_of_float64_has_a_true_gap_and_no_warning(data, loss, solver, l1_ratio):
    alphas = (1.7e308, 1e300, 0.1, 5e-324)
    options = FitOptions(loss, alphas, l1_ratio=l1_ratio, solver=solver, max_scans=3)
    options = FitOptions(**{**vars(options), "epochs": 2, **OPTIONS.get(loss, {})})
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        warnings.simplefilter("ignore", DataWarning)  # newton got no further, and says so
        path = fit_path(data[loss], options, RUN)
    assert path.dual_gap[:2].max() <= options.tol
    assert np.abs(path.coef[:2]).max() <= 1e-200
    assert np.all(np.isfinite(path.dual_gap) & (path.dual_gap >= 0))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("factor", [1e200, 1e-200])
@pytest.mark.parametrize("solver", SOLVERS["squared"])
def test_a_weight_that_leaves_the_range_is_the_last_in_it(data, solver, factor):
    alphas = (1e200,) if factor > 1 else (1e-200,)
    factors = np.array([1.0, 1.0, 1.0, factor])
    options = FitOptions(
        "squared", alphas, penalty_factor=factors, solver=solver, max_scans=4, epochs=2
    )
    path = fit_path(data["squared"], options, RUN)
    assert np.isfinite(path.dual_gap).all()


@pytest.mark.parametrize("kind", [float, np.float64, lambda one: np.array([[one]])])
@pytest.mark.parametrize(
    ("factor", "alpha", "expected"),
    [
        (3.0, 0.5, 1.5),
        (0.0, 1e308, 0.0),
        (1e308, 0.0, 0.0),
        (1e200, 1e200, LARGEST_WEIGHT),
        (1e-200, 1e-200, SMALLEST_WEIGHT),
        (0.5, 5e-324, SMALLEST_WEIGHT),
    ],
)
def test_a_weight_is_zero_or_in_range(kind, factor, alpha, expected):
    assert in_range(kind(factor), alpha) == expected
