"""Information criteria along a path: AIC, BIC and extended BIC, from second moments.

Gaussian errors: ``−2 log L = n log(2πσ²) + RSS/σ²``, which with the variance of greatest
likelihood, σ² = RSS/n, is ``n log(2π RSS/n) + n``. Then

    AIC  = −2 log L + 2 df
    BIC  = −2 log L + df log n
    EBIC = BIC + 2γ log(p over k)

for k of p features in use (Chen and Chen, 2008, Extended Bayesian information criteria for model
selection with large model spaces; unpenalised features are no choice and not counted). The
intercept is in every model and counted in none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.linalg import LinAlgError, cholesky, solve_triangular
from scipy.special import betaln

from dasklasso.cross_validation.curves import mean_squared_residual
from dasklasso.errors import OptionError, ValueFound
from dasklasso.moments.cross_moments import CrossMoments
from dasklasso.objective.objective import Objective
from dasklasso.problem.problem import Problem, penalty_at, penalty_factors
from dasklasso.selection.least_squares import least_squares
from dasklasso.solvers.quadratic.from_moments import problem_of, quadratic_of, standardised_gram

InformationCriterion = Literal["aic", "bic", "ebic"]
EXACT_FIT = 1e-14  # of the null model's: a residual sum of squares below it is rounding


@dataclass(frozen=True)
class Criteria:
    """Information criteria of every model of a path: infinite where it leaves no residual.

    Attributes
    ----------
    alphas : (n_alphas,)
    degrees_of_freedom : (n_alphas,)
    n_nonzero : (n_alphas,) int
    mse : (n_alphas,)
        Mean squared residual on the rows that the models were fitted to.
    noise_variance : float or None
        As given or estimated; None where each model has its own.
    aic, bic, ebic : (n_alphas,)
    """

    alphas: np.ndarray
    degrees_of_freedom: np.ndarray
    n_nonzero: np.ndarray
    mse: np.ndarray
    noise_variance: float | None
    aic: np.ndarray
    bic: np.ndarray
    ebic: np.ndarray

    def index(self, criterion: InformationCriterion) -> int:
        """Index of the model with the smallest criterion; of equals the one with the largest alpha.

        Raises
        ------
        OptionError
            When there is no such criterion.
        ValueFound
            When no model leaves a residual, so that none can be preferred.
        """
        if criterion not in ("aic", "bic", "ebic"):
            raise OptionError(f"criterion: {criterion!r} found, expected 'aic', 'bic' or 'ebic'")
        values: np.ndarray = getattr(self, criterion)
        if not np.isfinite(values).any():
            raise ValueFound(
                f"{criterion}: every model of the path fits the target exactly, expected a "
                "residual to take the noise variance from"
            )
        return int(np.argmin(values))

    def alpha(self, criterion: InformationCriterion) -> float:
        """Return the alpha that a criterion recommends."""
        return float(self.alphas[self.index(criterion)])

    def table(self) -> list[dict[str, float | int | None]]:
        """Return one row for each alpha, in plain numbers; None for what is infinite."""
        rows: list[dict[str, float | int | None]] = []
        for k, alpha in enumerate(self.alphas):
            row: dict[str, float | int | None] = {
                "alpha": float(alpha),
                "degrees_of_freedom": float(self.degrees_of_freedom[k]),
                "n_nonzero": int(self.n_nonzero[k]),
                "mse": float(self.mse[k]),
            }
            for name in ("aic", "bic", "ebic"):
                value = float(getattr(self, name)[k])
                row[name] = value if np.isfinite(value) else None
            rows.append(row)
        return rows


def information_criteria(
    moments: CrossMoments,
    objective: Objective,
    alphas: np.ndarray,
    coef: np.ndarray,
    *,
    target: int = 0,
    noise_variance: float | Literal["estimated"] | None = None,
    gamma: float = 1.0,
    n_rows: float | None = None,
    n_candidates: int | None = None,
) -> Criteria:
    """Judge the models of a path on the rows that they were fitted to.

    Parameters
    ----------
    alphas : (n_alphas,)
    coef : (n_alphas, n_features)
        In the units of the data; with an intercept, its best value goes with each.
    noise_variance
        None: unknown, each model's own. "estimated": the residual variance of least squares on
        all the features, as in scikit-learn's LassoLarsIC. Or the variance, where it is known.
    gamma : 0 … 1, of EBIC
        0 is BIC; more than 1 − log n / (2 log p) finds the true model in the limit (Chen and
        Chen, 2008, theorem 1).
    n_rows : by default the number of rows
        Where weights count repeated rows, their sum.
    n_candidates : by default those of ``moments`` that vary and have a penalty
        Features that EBIC chooses among, where ``moments`` have those in use only.

    Raises
    ------
    OptionError
        When ``noise_variance`` or ``gamma`` cannot be used.
    ValueFound
        When the noise variance cannot be estimated, or the target is constant.
    """
    alphas, coef = np.asarray(alphas, dtype=np.float64), np.asarray(coef, dtype=np.float64)
    if not 0.0 <= gamma <= 1.0:
        raise OptionError(f"gamma: {gamma} found, expected a number from 0 to 1")
    n = float(moments.count if n_rows is None else n_rows)
    problem = problem_of(moments, objective)
    mse = training_mse(moments, objective, coef, target)
    df = degrees_of_freedom(moments, problem, alphas, coef)
    variance = _known(noise_variance, moments, problem, target, n)
    if variance is None:
        exact = mse <= EXACT_FIT * 2.0 * problem.null_loss[target]
        with np.errstate(divide="ignore"):
            deviance = np.where(exact, np.inf, n * np.log(2 * np.pi * mse) + n)
    else:
        deviance = n * np.log(2 * np.pi * variance) + n * mse / variance
    bic = deviance + np.log(n) * df
    factor = penalty_factors(objective.penalty_factor, moments.n_features)
    candidates = (problem.frame.inverse_scale > 0) & (factor > 0)
    in_use = np.count_nonzero(coef[:, candidates], axis=1)
    among = int(np.count_nonzero(candidates)) if n_candidates is None else n_candidates
    choices = _log_choose(among, in_use)
    return Criteria(
        alphas,
        df,
        np.count_nonzero(coef, axis=1),
        mse,
        variance,
        deviance + 2.0 * df,
        bic,
        bic + 2.0 * gamma * choices,
    )


def training_mse(
    moments: CrossMoments, objective: Objective, coef: np.ndarray, target: int = 0
) -> np.ndarray:
    """(n_models,) mean squared residual, each model with its best intercept if it has one."""
    if objective.fit_intercept:
        return mean_squared_residual(moments, coef, np.zeros(len(coef)), target)
    mean = moments.y_mean[target] - coef @ moments.x_mean
    return mean_squared_residual(moments, coef, mean, target)


def degrees_of_freedom(
    moments: CrossMoments, problem: Problem, alphas: np.ndarray, coef: np.ndarray
) -> np.ndarray:
    """Degrees of freedom of every model, the intercept not counted.

    Of the lasso the number of nonzeros (Zou, Hastie and Tibshirani, 2007, On the degrees of
    freedom of the lasso, theorem 1, for independent columns); of the elastic net
    ``tr X_A (X_AᵀX_A + λ₂I)⁻¹X_Aᵀ`` on the nonzeros A (Zou, 2005, Some perspectives of sparse
    statistical modeling; Tibshirani and Taylor, 2012, Degrees of freedom in lasso problems, for
    columns of any kind).

    Parameters
    ----------
    alphas : (n_alphas,)
    coef : (n_alphas, n_features)

    Returns
    -------
    (n_alphas,) float64
    """
    found = np.count_nonzero(coef, axis=1).astype(np.float64)
    if not problem.objective.penalty.l2 > 0:
        return found
    gram = standardised_gram(moments, problem)
    for k in np.flatnonzero((alphas > 0) & (found > 0)):
        used = np.flatnonzero(coef[k])
        ridge = penalty_at(problem.frame, alphas[k], problem.objective.penalty).l2[used, 0]
        found[k] -= _shrunk_away(gram[np.ix_(used, used)], ridge)
    return found


def _shrunk_away(gram: np.ndarray, ridge: np.ndarray) -> float:
    """``tr D (G + D)⁻¹`` for a diagonal D: what a ridge takes from the count of columns."""
    matrix = gram + np.diag(ridge)
    try:
        factor = cholesky(matrix, lower=True, check_finite=False)
    except LinAlgError:  # unpenalised columns that depend on one another
        return float(len(ridge) - np.trace(np.linalg.pinv(matrix, hermitian=True) @ gram))
    return float(np.sum(solve_triangular(factor, np.diag(np.sqrt(ridge)), lower=True) ** 2))


def noise_variance_of(moments: CrossMoments, problem: Problem, target: int, n: float) -> float:
    """Residual variance of least squares on all the features: RSS / (n − d − intercept).

    Raises
    ------
    ValueFound
        When there are too few rows for it.
    """
    objective = problem.objective
    left = n - moments.n_features - objective.fit_intercept
    if left <= 0:
        raise ValueFound(
            f"noise_variance: {n:g} rows and {moments.n_features} features found, expected more "
            "rows than coefficients to estimate it; give its value"
        )
    every = np.arange(moments.n_features)
    nonnegative = objective.penalty.nonnegative
    u = least_squares(quadratic_of(moments, problem, target), every, positive=nonnegative)
    coef = (u * problem.frame.inverse_scale)[None]
    return float(n * training_mse(moments, objective, coef, target)[0] / left)


def _known(
    given: float | str | None, moments: CrossMoments, problem: Problem, target: int, n: float
) -> float | None:
    if given is None:
        return None
    found = given
    if given == "estimated":
        found = noise_variance_of(moments, problem, target, n)
        if found <= EXACT_FIT * 2.0 * problem.null_loss[target]:
            raise ValueFound(
                "noise_variance: least squares on all the features fits the target exactly, "
                "expected a residual to estimate it from; give its value"
            )
    if isinstance(found, str) or not found > 0 or not np.isfinite(found):
        raise OptionError(
            f"noise_variance: {given!r} found, expected a positive number, 'estimated' or None"
        )
    return float(found)


def _log_choose(n: int, k: np.ndarray) -> np.ndarray:
    """``log (n over k)``"""
    return -betaln(n - k + 1.0, k + 1.0) - np.log(n + 1.0)
