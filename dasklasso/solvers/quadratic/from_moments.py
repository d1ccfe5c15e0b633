"""Squared-loss problems from second moments alone: whole paths without another look at the data.

``½ Σ p r²`` with centred residuals is a quadratic in the coefficients, whose matrix and vector are
the moments of the rows. In standardised coordinates (:mod:`dasklasso.problem.problem`) that is
``½ uᵀGu − cᵀu + ½ yy``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dasklasso.moments.cross_moments import CrossMoments
from dasklasso.objective.objective import Objective
from dasklasso.problem.problem import Problem, make_problem
from dasklasso.scan.queries.column_moments import Moments
from dasklasso.solvers.quadratic.path import Quadratic, solve_path

SPREAD_FLOOR = 1e-14  # of |mean|: a smaller standard deviation is rounding


def problem_of(moments: CrossMoments, objective: Objective) -> Problem:
    """Meet an objective with the moments of some rows.

    Raises
    ------
    OptionError, ValueFound
        As :func:`dasklasso.problem.problem.make_problem`.
    """
    d = moments.n_features
    squares, unit = np.maximum(np.diagonal(moments.products), 0.0), moments.units
    std = moments.std[:d]
    varies = std > SPREAD_FLOOR * np.abs(moments.x_mean)
    none = np.zeros(d)
    columns = Moments(
        moments.weight,
        moments.x_mean,
        np.where(varies, squares[:d], 0.0),
        # extremes are not known: what matters of them is whether a column varies at all
        minimum=np.where(varies | (moments.x_mean != 0), -1.0, 0.0),
        maximum=np.where(varies, 1.0, np.where(moments.x_mean != 0, -1.0, 0.0)),
        bad=none,
        unit=unit[:d],
    )
    unknown = np.zeros(moments.n_targets)
    targets = Moments(
        moments.weight, moments.y_mean, squares[d:], unknown, unknown, unknown, unit[d:]
    )
    return make_problem(objective, columns, targets)


def quadratic_of(moments: CrossMoments, problem: Problem, target: int = 0) -> Quadratic:
    """The loss of one target in standardised coordinates."""
    return Quadratic(
        standardised_gram(moments, problem),
        standardised_products(moments, problem)[:, target],
        2.0 * float(problem.null_loss[target]),
    )


def standardised_gram(moments: CrossMoments, problem: Problem) -> np.ndarray:
    """(n_features, n_features) matrix of every target's quadratic."""
    inverse = problem.frame.inverse_scale
    in_units = inverse * moments.x_unit
    gram = moments.xx * in_units[:, None]  # in place from here on: it may be gigabytes
    gram *= in_units / moments.weight
    if not problem.objective.fit_intercept:
        mean = moments.x_mean * inverse
        for row, value in zip(gram, mean, strict=True):
            row += value * mean
    return gram


def standardised_products(moments: CrossMoments, problem: Problem) -> np.ndarray:
    """(n_features, n_targets) vector of each target's quadratic."""
    inverse = problem.frame.inverse_scale
    products = moments.xy * (inverse * moments.x_unit / moments.weight)[:, None]
    products *= moments.units[moments.n_features :]
    if not problem.objective.fit_intercept:
        products = products + (moments.x_mean * inverse)[:, None] * moments.y_mean
    return products


@dataclass(frozen=True)
class MomentsPath:
    """A path solved on moments, in the units of the data.

    Attributes
    ----------
    coef : (n_alphas, n_features)
    intercept : (n_alphas,)
    gap : (n_alphas,)
        Relative dual gap of the quadratic: how well it was minimised, not a certificate on data.
    """

    coef: np.ndarray
    intercept: np.ndarray
    gap: np.ndarray


def solve_moments(
    moments: CrossMoments,
    objective: Objective,
    alphas: np.ndarray,
    *,
    target: int = 0,
    tol: float = 1e-10,
    start: np.ndarray | None = None,
) -> MomentsPath:
    """Solve one target's path on the moments of some rows.

    Parameters
    ----------
    alphas : (n_alphas,), decreasing
    tol : relative to the loss of the null model
    start : (n_features,) coefficients in the units of the data, to begin the first alpha from
    """
    problem = problem_of(moments, objective)
    quadratic = quadratic_of(moments, problem, target)
    inverse = problem.frame.inverse_scale
    with np.errstate(divide="ignore", invalid="ignore"):
        first = None if start is None else np.where(inverse > 0, start / inverse, 0.0)
    null = float(problem.null_loss[target])
    found = solve_path(
        quadratic,
        objective.penalty.at(1.0, problem.frame.l1_factor, problem.frame.l2_factor),
        np.asarray(alphas, dtype=float),
        tol=tol * null,
        start=first,
    )
    coef = found.coef * inverse
    return MomentsPath(coef, intercepts(moments, objective, coef, target), found.gap / null)


def intercepts(
    moments: CrossMoments, objective: Objective, coef: np.ndarray, target: int
) -> np.ndarray:
    """The best intercept of each model: coef (..., n_features) -> (...)."""
    if not objective.fit_intercept:
        return np.zeros(coef.shape[:-1])
    return moments.y_mean[target] - coef @ moments.x_mean
