"""Cross-validation of whole paths from the second moments of each fold, without data.

Every fold's training rows are the other folds merged, never the total less the fold: a difference
would lose digits where one fold holds nearly all the weight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from dasklasso.cross_validation.error_curve import BOUND, CrossValidation, RatioChoice
from dasklasso.errors import OptionError, ValueFound
from dasklasso.moments.cross_moments import CrossMoments, merge_all
from dasklasso.moments.rounding import error_rounding
from dasklasso.objective.objective import Objective
from dasklasso.solvers.quadratic.from_moments import solve_moments

Map = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]


class FoldPath(NamedTuple):
    """One fold's share of a cross-validation.

    Attributes
    ----------
    mse : (n_alphas,)
        Mean squared error on the fold, of models trained without it.
    gap : (n_alphas,)
        Relative dual gap of those models.
    bound : (n_alphas,)
        What rounding of the moments may have added to their errors.
    """

    mse: np.ndarray
    gap: np.ndarray
    bound: np.ndarray


def cross_validate(
    folds: Sequence[CrossMoments],
    objective: Objective,
    alphas: np.ndarray,
    *,
    target: int = 0,
    tol: float = 1e-12,
    map: Map = map,
) -> CrossValidation:
    """Cross-validate one path.

    Parameters
    ----------
    folds : two or more
        Moments of each fold's rows.
    alphas : (n_alphas,), decreasing
    tol : relative to the loss of the null model
    map : runs the folds' solves, for instance an executor's ``map``

    Raises
    ------
    OptionError
        When there are fewer than two folds, one has no weight, or alphas do not decrease.
    ValueFound
        When the target is constant in a fold's training rows.
    """
    ratios = cross_validate_ratios(
        folds, objective, [objective.l1_ratio], [alphas], target=target, tol=tol, map=map
    )
    return ratios.by_ratio[0]


def cross_validate_ratios(
    folds: Sequence[CrossMoments],
    objective: Objective,
    l1_ratios: Sequence[float],
    alphas: Sequence[np.ndarray],
    *,
    target: int = 0,
    tol: float = 1e-12,
    map: Map = map,
) -> RatioChoice:
    """Cross-validate the path of every l1_ratio, each on its own alphas.

    Parameters
    ----------
    objective : its own l1_ratio is not used
    alphas : for each l1_ratio (n_alphas,), decreasing

    Raises
    ------
    OptionError, ValueFound
        As :func:`cross_validate`.
    """
    if len(l1_ratios) != len(alphas) or not len(l1_ratios):
        raise OptionError(
            f"l1_ratio: {len(l1_ratios)} found with {len(alphas)} grids of alphas, expected one "
            "grid for each of one or more"
        )
    grids = [decreasing(grid) for grid in alphas]
    objectives = [replace(objective, l1_ratio=float(ratio)) for ratio in l1_ratios]
    arguments = [(each, grid, target, tol) for each, grid in zip(objectives, grids, strict=True)]
    by_ratio = over_folds(fold_path, folds, arguments, map)
    return RatioChoice(
        tuple(
            gathered(each.l1_ratio, grid, folds, paths)
            for each, grid, paths in zip(objectives, grids, by_ratio, strict=True)
        )
    )


def fold_path(
    train: CrossMoments,
    validation: CrossMoments,
    objective: Objective,
    alphas: np.ndarray,
    target: int,
    tol: float,
) -> FoldPath:
    """Solve the path on some rows and judge it on others: the unit of work, a pure function."""
    found = solve_moments(train, objective, alphas, target=target, tol=tol)
    return judged(train, validation, objective, found.coef, found.gap, target)


def judged(
    train: CrossMoments,
    validation: CrossMoments,
    objective: Objective,
    coef: np.ndarray,
    gap: np.ndarray,
    target: int,
) -> FoldPath:
    """Judge models that were trained on some rows by others.

    Rounding counts twice: in the error, and in the training rows' objective, of which a model that
    is best but for rounding r misses the optimum by 2r at most.

    Parameters
    ----------
    coef : (n_models, n_features)
    gap : (n_models,)
    """
    bound = error_rounding(validation, coef) + 2.0 * error_rounding(train, coef)
    return FoldPath(validation_mse(train, validation, objective, coef, target), gap, bound)


def validation_mse(
    train: CrossMoments,
    validation: CrossMoments,
    objective: Objective,
    coef: np.ndarray,
    target: int,
) -> np.ndarray:
    """(n_models,) mean squared error on some rows of models whose intercepts come from others.

    Parameters
    ----------
    coef : (n_models, n_features)
    """
    x_step, y_step = validation.x_mean, validation.y_mean[target]
    if objective.fit_intercept:
        # b = ȳ − wᵀx̄ of the training rows: differences of means, since means may be ≫ std
        x_step, y_step = x_step - train.x_mean, y_step - train.y_mean[target]
    return mean_squared_residual(validation, coef, y_step - coef @ x_step, target)


def over_folds(
    unit: Callable[..., Any],
    folds: Sequence[CrossMoments],
    arguments: Sequence[tuple[Any, ...]],
    map: Map,
) -> list[list[Any]]:
    """Results of ``unit(train, validation, *arguments)`` for every fold, by arguments.

    Parameters
    ----------
    unit : a function that can be pickled
    arguments : one or more tuples, each of which meets every fold

    Returns
    -------
    For each tuple of arguments, the results of every fold.
    """
    check_folds(folds)
    tasks = (
        (unit, k, train, folds[k], *more)
        for k, train in enumerate(training_moments(folds))
        for more in arguments
    )
    results = list(map(_run, tasks))
    return [results[i :: len(arguments)] for i in range(len(arguments))]


def _run(task: tuple[Any, ...]) -> Any:
    unit, fold, *arguments = task
    try:
        return unit(*arguments)
    except ValueFound as error:
        raise ValueFound(f"in the rows that train for fold {fold}: {error}") from error


def training_moments(folds: Sequence[CrossMoments]) -> Iterator[CrossMoments]:
    """For each fold in order, the moments of all the others.

    Halves the folds again and again, merging into each half what lies outside of it: K log₂ K
    merges for K folds, with log₂ K sets of moments alive at a time, and no subtraction.
    """
    if len(folds) < 2:
        raise ValueError("there is nothing to train on outside of a single fold")
    yield from _outside(folds, None)


def _outside(folds: Sequence[CrossMoments], beyond: CrossMoments | None) -> Iterator[CrossMoments]:
    if len(folds) == 1:
        if beyond is not None:
            yield beyond
        return
    middle = len(folds) // 2
    for inner, outer in ((folds[:middle], folds[middle:]), (folds[middle:], folds[:middle])):
        outside = merge_all(outer)
        yield from _outside(inner, outside if beyond is None else beyond.merged(outside))


def check_folds(folds: Sequence[CrossMoments]) -> None:
    """Refuse folds that cannot be cross-validated.

    Raises
    ------
    OptionError
    """
    if len(folds) < 2:
        raise OptionError(f"folds: {len(folds)} found, expected at least 2")
    for k, fold in enumerate(folds):
        if not fold.weight > 0:
            raise OptionError(f"folds: fold {k} has no rows of positive weight, expected some")


def decreasing(alphas: np.ndarray) -> np.ndarray:
    """Alphas as float64, refused unless they are numbers from 0, largest first.

    Raises
    ------
    OptionError
    """
    found = np.asarray(alphas, dtype=np.float64)
    if found.ndim != 1 or not found.size or not (np.isfinite(found).all() and found[-1] >= 0):
        raise OptionError(f"alphas: {alphas} found, expected a list of numbers >= 0")
    if np.any(np.diff(found) > 0):
        raise OptionError("alphas: found in another order, expected the largest first")
    return found


def gathered(
    l1_ratio: float,
    alphas: np.ndarray,
    folds: Sequence[CrossMoments],
    paths: Sequence[FoldPath],
) -> CrossValidation:
    """Assemble one cross-validation from the paths of its folds."""
    return CrossValidation(
        alphas,
        l1_ratio,
        np.stack([path.mse for path in paths], axis=1),
        np.array([fold.weight for fold in folds]),
        np.stack([path.gap for path in paths], axis=1),
        scores={BOUND: np.stack([path.bound for path in paths], axis=1)},
    )


def mean_squared_residual(
    moments: CrossMoments, coef: np.ndarray, mean_residual: np.ndarray, target: int = 0
) -> np.ndarray:
    """``Σ s r² / Σ s`` of every model, as the variance of its residuals plus their squared mean.

    With v = (w, −1) on the columns [X, y], the variance is ``vᵀPv / Σ s``. ``Pv`` comes first: its
    entries are products with the residual, as small as the residual is, so that the second
    product no longer subtracts large numbers from one another.

    Parameters
    ----------
    moments : of the rows that the residuals belong to
    coef : (n_models, n_features)
    mean_residual : (n_models,)
        Weighted mean of each model's residuals, which the caller knows how to take without
        cancellation.

    Returns
    -------
    (n_models,) float64, never negative
    """
    linear, square = moments.xy[:, target], moments.yy[target]
    if moments.unit is not None:
        unit = float(moments.unit[moments.n_features + target])
        coef = coef * (moments.x_unit / unit)
    of_features = coef @ moments.xx - linear
    of_target = coef @ linear - square
    spread = np.einsum("kj,kj->k", coef, of_features) - of_target
    if moments.unit is not None:
        spread *= unit**2
    return np.maximum(spread, 0.0) / moments.weight + mean_residual**2
