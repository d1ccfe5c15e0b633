"""Second fits on the same moments: relaxed and adaptive lasso.

The lasso shrinks what it selects. The relaxed lasso moves each model towards least squares on the
features it uses; the adaptive lasso asks for less of a penalty where a first estimate is large.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from dasklasso.cross_validation.curves import (
    FoldPath,
    Map,
    decreasing,
    gathered,
    judged,
    over_folds,
)
from dasklasso.cross_validation.error_curve import CrossValidation
from dasklasso.errors import OptionError
from dasklasso.moments.cross_moments import CrossMoments
from dasklasso.objective.objective import Objective
from dasklasso.objective.penalties.elastic_net import ElasticNet
from dasklasso.problem.problem import penalty_at, penalty_factors
from dasklasso.selection.least_squares import least_squares
from dasklasso.solvers.quadratic.from_moments import (
    MomentsPath,
    intercepts,
    problem_of,
    quadratic_of,
    solve_moments,
)

InitialMethod = Literal["least_squares", "ridge", "lasso"]


@dataclass(frozen=True)
class RelaxedPath:
    """A path relaxed by several shares.

    Attributes
    ----------
    gammas : (n_gammas,)
        Share of the lasso: 1 is the lasso, 0 least squares on its support.
    coef : (n_gammas, n_alphas, n_features)
    intercept : (n_gammas, n_alphas)
    gap : (n_alphas,)
        Relative dual gap of the lasso that was relaxed.
    """

    gammas: np.ndarray
    coef: np.ndarray
    intercept: np.ndarray
    gap: np.ndarray


@dataclass(frozen=True)
class RelaxedChoice:
    """Cross-validations of a relaxed path, one for each gamma, and which predicts best."""

    gammas: np.ndarray
    by_gamma: tuple[CrossValidation, ...]

    @property
    def index(self) -> int:
        """Index of the gamma with the smallest mean error on its path; of equals the first."""
        return int(np.argmin([np.min(found.mean_error) for found in self.by_gamma]))

    @property
    def gamma(self) -> float:
        return float(self.gammas[self.index])

    @property
    def best(self) -> CrossValidation:
        return self.by_gamma[self.index]

    @property
    def alpha_min(self) -> float:
        return self.best.alpha_min

    def table(self) -> list[dict[str, float]]:
        """Return one row for each gamma and alpha, in plain numbers."""
        return [
            {"gamma": float(gamma), **row}
            for gamma, found in zip(self.gammas, self.by_gamma, strict=True)
            for row in found.table()
        ]


def relaxed_path(
    moments: CrossMoments,
    objective: Objective,
    alphas: np.ndarray,
    gammas: Sequence[float],
    *,
    target: int = 0,
    tol: float = 1e-12,
) -> RelaxedPath:
    """Relax a path: ``γ · lasso + (1 − γ) · least squares on the lasso's support``.

    The idea is of Meinshausen (2007, Relaxed lasso), this form of Hastie, Tibshirani and
    Tibshirani (2020, Best subset, forward stepwise or lasso?). Least squares keeps the
    objective's intercept and its sign constraint; where the features of a support depend on one
    another it is the solution of least norm among those with columns of unit spread.

    Parameters
    ----------
    alphas : (n_alphas,), decreasing
    gammas : 0 … 1

    Raises
    ------
    OptionError
        When a gamma is not from 0 to 1, or alphas do not decrease.
    """
    shares = _gammas(gammas)
    found = solve_moments(moments, objective, decreasing(alphas), target=target, tol=tol)
    refitted = _on_supports(moments, objective, found.coef, target)
    gamma = shares[:, None, None]
    coef = gamma * found.coef + (1.0 - gamma) * refitted
    return RelaxedPath(shares, coef, intercepts(moments, objective, coef, target), found.gap)


def cross_validate_relaxed(
    folds: Sequence[CrossMoments],
    objective: Objective,
    alphas: np.ndarray,
    gammas: Sequence[float] = (0.0, 0.25, 0.5, 0.75, 1.0),
    *,
    target: int = 0,
    tol: float = 1e-12,
    map: Map = map,
) -> RelaxedChoice:
    """Cross-validate a relaxed path over alphas and gammas at once.

    Raises
    ------
    OptionError, ValueFound
        As :func:`relaxed_path` and :func:`dasklasso.cross_validation.curves.cross_validate`.
    """
    grid, shares = decreasing(alphas), _gammas(gammas)
    paths = over_folds(fold_relaxed, folds, [(objective, grid, shares, target, tol)], map)[0]
    return RelaxedChoice(
        shares,
        tuple(
            gathered(objective.l1_ratio, grid, folds, [of_fold[k] for of_fold in paths])
            for k in range(len(shares))
        ),
    )


def fold_relaxed(
    train: CrossMoments,
    validation: CrossMoments,
    objective: Objective,
    alphas: np.ndarray,
    gammas: np.ndarray,
    target: int,
    tol: float,
) -> list[FoldPath]:
    """Relax a path on some rows and judge it on others, for every gamma: a pure function."""
    found = relaxed_path(train, objective, alphas, gammas.tolist(), target=target, tol=tol)
    return [judged(train, validation, objective, coef, found.gap, target) for coef in found.coef]


def initial_estimate(
    moments: CrossMoments,
    objective: Objective,
    method: InitialMethod = "least_squares",
    *,
    alpha: float | None = None,
    target: int = 0,
    tol: float = 1e-12,
) -> np.ndarray:
    """Return a first estimate for the adaptive lasso, from the same moments.

    Parameters
    ----------
    method
        "least_squares" needs more rows than features; "ridge" is for features that depend on
        one another (Zou, 2006, on collinearity), "lasso" for more features than rows.
    alpha : of the ridge (l1_ratio 0) or of the lasso, in the units of the objective

    Returns
    -------
    (n_features,) float64, in the units of the data

    Raises
    ------
    OptionError
        When the method is not known or its alpha is missing.
    """
    if method not in ("least_squares", "ridge", "lasso"):
        raise OptionError(
            f"initial: {method!r} found, expected 'least_squares', 'ridge' or 'lasso'"
        )
    if method != "least_squares" and (alpha is None or not alpha > 0):
        raise OptionError(
            f"initial_alpha: {alpha} found, expected a positive number for a {method}"
        )
    if method == "lasso":
        lasso = replace(objective, l1_ratio=1.0)
        return solve_moments(moments, lasso, np.array([alpha]), target=target, tol=tol).coef[0]
    problem = problem_of(moments, objective)
    ridge = None
    if alpha is not None and method == "ridge":
        ridge = penalty_at(problem.frame, alpha, ElasticNet.of(0.0)).l2[:, 0]
    u = least_squares(
        quadratic_of(moments, problem, target),
        np.arange(moments.n_features),
        ridge=ridge,
        positive=objective.penalty.nonnegative,
    )
    return u * problem.frame.inverse_scale


def adaptive_factors(
    moments: CrossMoments, objective: Objective, initial: np.ndarray, power: float = 1.0
) -> np.ndarray:
    """Penalty factors ``f_j / |w_j|^γ`` of the adaptive lasso (Zou, 2006, section 3.1).

    With ``standardize`` w is the coefficient of a column of unit spread, as the penalty's is. An
    infinite factor excludes a feature; an unpenalised one stays so.

    Parameters
    ----------
    initial : (n_features,)
        First estimate, in the units of the data.
    power : positive; Zou's γ

    Returns
    -------
    (n_features,) float64

    Raises
    ------
    OptionError
        When ``initial``, ``power`` or the objective's own factors cannot be used.
    """
    problem_of(moments, objective)  # refuses what could not be solved
    d = moments.n_features
    own = penalty_factors(objective.penalty_factor, d)
    size = np.abs(np.asarray(initial, dtype=np.float64))
    if size.shape != (d,) or not np.isfinite(size).all():
        raise OptionError(
            f"initial: {size.size} numbers found, expected a finite one for each of {d} features"
        )
    if not 0.0 < power < np.inf:
        raise OptionError(f"power: {power} found, expected a positive number")
    if objective.standardize:
        size = size * moments.std[:d]
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        return np.where(own > 0, own / size**power, 0.0)


def adaptive_path(
    moments: CrossMoments,
    objective: Objective,
    alphas: np.ndarray,
    initial: np.ndarray,
    *,
    power: float = 1.0,
    target: int = 0,
    tol: float = 1e-12,
) -> MomentsPath:
    """The adaptive lasso: a path whose penalty spares features that a first estimate has large.

    Zou (2006, The adaptive lasso and its oracle properties). Features that the first estimate
    has at zero are left out of the problem; their coefficients are zero.

    Parameters
    ----------
    alphas : (n_alphas,), decreasing
    initial : (n_features,)
        As of :func:`initial_estimate`.
    power : positive; Zou's γ

    Raises
    ------
    OptionError
        When ``initial``, ``power`` or the alphas cannot be used.
    """
    grid = decreasing(alphas)
    factor = adaptive_factors(moments, objective, initial, power)
    kept = np.flatnonzero(np.isfinite(factor))
    coef = np.zeros((len(grid), moments.n_features))
    if not kept.size:
        intercept = intercepts(moments, objective, coef, target)
        return MomentsPath(coef, intercept, np.zeros(len(grid)))
    among = replace(objective, penalty_factor=factor[kept])
    found = solve_moments(moments.of_features(kept), among, grid, target=target, tol=tol)
    coef[:, kept] = found.coef
    return MomentsPath(coef, found.intercept, found.gap)


def cross_validate_adaptive(
    folds: Sequence[CrossMoments],
    objective: Objective,
    alphas: np.ndarray,
    *,
    method: InitialMethod = "least_squares",
    initial_alpha: float | None = None,
    power: float = 1.0,
    target: int = 0,
    tol: float = 1e-12,
    map: Map = map,
) -> CrossValidation:
    """Cross-validate the adaptive lasso, its first estimate made anew without each fold.

    A first estimate from all the rows would have seen the fold that it is judged on.

    Raises
    ------
    OptionError, ValueFound
        As :func:`initial_estimate`, :func:`adaptive_path` and
        :func:`dasklasso.cross_validation.curves.cross_validate`.
    """
    grid = decreasing(alphas)
    arguments = (objective, grid, method, initial_alpha, power, target, tol)
    paths = over_folds(fold_adaptive, folds, [arguments], map)[0]
    return gathered(objective.l1_ratio, grid, folds, paths)


def fold_adaptive(
    train: CrossMoments,
    validation: CrossMoments,
    objective: Objective,
    alphas: np.ndarray,
    method: InitialMethod,
    initial_alpha: float | None,
    power: float,
    target: int,
    tol: float,
) -> FoldPath:
    """Return an adaptive path on some rows, judged on others: a pure function."""
    first = initial_estimate(train, objective, method, alpha=initial_alpha, target=target, tol=tol)
    found = adaptive_path(train, objective, alphas, first, power=power, target=target, tol=tol)
    return judged(train, validation, objective, found.coef, found.gap, target)


def _on_supports(
    moments: CrossMoments, objective: Objective, coef: np.ndarray, target: int
) -> np.ndarray:
    """(n_alphas, n_features) least squares on the features that each model uses."""
    problem = problem_of(moments, objective)
    quadratic = quadratic_of(moments, problem, target)
    refitted = np.empty_like(coef)
    for k, used in enumerate(coef != 0):
        if k and np.array_equal(used, coef[k - 1] != 0):
            refitted[k] = refitted[k - 1]  # a support lasts for several alphas of a fine grid
            continue
        u = least_squares(quadratic, np.flatnonzero(used), positive=objective.penalty.nonnegative)
        refitted[k] = u * problem.frame.inverse_scale
    return refitted


def _gammas(gammas: Sequence[float]) -> np.ndarray:
    found = np.asarray(gammas, dtype=np.float64)
    bad = found[~((found >= 0) & (found <= 1))]
    if found.ndim != 1 or not found.size or bad.size:
        what = f"{bad[0]}" if bad.size else f"{gammas}"
        raise OptionError(f"gamma: {what} found, expected numbers from 0 to 1")
    return found
