"""Cross-validation of whole paths from the second moments of each fold, without data.

Every fold's training rows are the other folds merged, never the total less the fold: a difference
would lose digits where one fold holds nearly all the weight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from dasklasso.errors import OptionError, ValueFound
from dasklasso.moments.cross_moments import CrossMoments, merge_all
from dasklasso.objective.objective import Objective
from dasklasso.solvers.quadratic.from_moments import solve_moments

GREATER_IS_BETTER = ("auc", "accuracy")
Map = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]


class FoldPath(NamedTuple):
    """One fold's share of a cross-validation.

    Attributes
    ----------
    mse : (n_alphas,)
        Mean squared error on the fold, of models trained without it.
    gap : (n_alphas,)
        Relative dual gap of those models.
    """

    mse: np.ndarray
    gap: np.ndarray


@dataclass(frozen=True)
class CrossValidation:
    """Prediction errors along a path, and the alphas they recommend.

    Attributes
    ----------
    alphas : (n_alphas,), decreasing
    l1_ratio : float
    error_path : (n_alphas, n_folds)
        On each fold what alphas are compared by, the smaller the better: a score that is the
        better the greater has a minus here. People are shown :attr:`mean_score`.
    fold_weights : (n_folds,)
        Sum of the weights of each fold's rows.
    gap : (n_alphas, n_folds)
        Relative dual gap of the model trained without the fold.
    criterion : {"mse", "loss", "auc", "accuracy"}
        What alphas are compared by.
    scores : dict of (n_alphas, n_folds)
        Everything that was measured, by name; NaN where it is not defined, as the area under the
        curve of a fold of one class. "auc_bound", where areas may be off, says by how much.
    """

    alphas: np.ndarray
    l1_ratio: float
    error_path: np.ndarray
    fold_weights: np.ndarray
    gap: np.ndarray
    criterion: str = "mse"
    scores: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def greater_is_better(self) -> bool:
        return self.criterion in GREATER_IS_BETTER

    @property
    def mean_score(self) -> np.ndarray:
        """(n_alphas,) mean over folds of the criterion itself."""
        return -self.mean_error if self.greater_is_better else self.mean_error

    @property
    def shown_as(self) -> str:
        """What people are shown the criterion as, in tables."""
        return "error" if self.criterion == "loss" else self.criterion

    @property
    def mean_scores(self) -> dict[str, np.ndarray]:
        """(n_alphas,) means of everything that was measured, over the folds that have it."""
        having = {name: path[:, folds_with(path)] for name, path in self.scores.items()}
        nothing = np.full(len(self.alphas), np.nan)
        return {
            name: np.mean(path, axis=1) if path.shape[1] else nothing
            for name, path in having.items()
        }

    @property
    def mean_error(self) -> np.ndarray:
        """(n_alphas,) mean over folds, each counting the same, as in scikit-learn."""
        return np.mean(self.error_path, axis=1)

    @property
    def standard_error(self) -> np.ndarray:
        """(n_alphas,) standard error of that mean: folds weighted by their rows, as in glmnet.

        ``√(Σ w (mse − mean)² / Σ w / (K − 1))``: with folds of equal weight, the standard
        deviation over folds divided by √K.
        """
        deviation = self.error_path - self.mean_error[:, None]
        variance = np.average(deviation**2, axis=1, weights=self.fold_weights)
        return np.sqrt(variance / (self.error_path.shape[1] - 1))

    @property
    def index_min(self) -> int:
        """Of the alpha with the smallest mean; the largest such alpha.

        An alpha without an error on every fold, where scans ran out, is not chosen.

        Raises
        ------
        OptionError
            There is no other.
        """
        known = np.isfinite(self.mean_error)
        if not known.any():
            raise OptionError(
                f"cross-validation: no alpha has {_CALLED[self.criterion]} on every fold, so none "
                "can be chosen; expected enough scans for some to have one (max_scans)"
            )
        return int(np.argmin(np.where(known, self.mean_error, np.inf)))

    @property
    def index_1se(self) -> int:
        """Of the largest alpha whose mean is within one standard error of the smallest.

        The 1 SE rule of Breiman, Friedman, Olshen and Stone (1984, Classification and regression
        trees, section 3.4.3).
        """
        least = self.index_min
        return int(
            np.argmax(self.mean_error <= self.mean_error[least] + self.standard_error[least])
        )

    @property
    def alpha_min(self) -> float:
        return float(self.alphas[self.index_min])

    @property
    def alpha_1se(self) -> float:
        return float(self.alphas[self.index_1se])

    def table(self) -> list[dict[str, float]]:
        """One row for each alpha, in plain numbers."""
        name = self.shown_as
        path = -self.error_path if self.greater_is_better else self.error_path
        others = {k: v for k, v in self.mean_scores.items() if k != name}
        return [
            {
                "alpha": float(alpha),
                f"mean_{name}": float(self.mean_score[i]),
                "standard_error": float(self.standard_error[i]),
                **{score: float(means[i]) for score, means in others.items()},
                **{f"{name}_fold_{k}": float(value) for k, value in enumerate(path[i])},
            }
            for i, alpha in enumerate(self.alphas)
        ]


_CALLED = {
    "mse": "a mean squared error",
    "loss": "a loss",
    "auc": "an area under the curve",
    "accuracy": "an accuracy",
}


def folds_with(path: np.ndarray) -> np.ndarray:
    """(n_folds,) bool: folds that have a score (n_alphas, n_folds) at all.

    A fold of one class has no area under a curve, whatever the alpha. What is NaN at some alphas
    only was not reached by a scan.
    """
    return np.isfinite(path).any(axis=0)


@dataclass(frozen=True)
class RatioChoice:
    """Cross-validations of several l1_ratios, and which of them predicts best.

    Attributes
    ----------
    by_ratio : one cross-validation for each l1_ratio, in the order given
    """

    by_ratio: tuple[CrossValidation, ...]

    @property
    def best(self) -> CrossValidation:
        """The one with the smallest mean error anywhere on its path; of equals the first.

        One without an alpha that has an error on every fold is not chosen where another has some.
        """
        known = [found for found in self.by_ratio if np.isfinite(found.mean_error).any()]
        return min(
            known or self.by_ratio, key=lambda found: float(found.mean_error[found.index_min])
        )

    @property
    def l1_ratio(self) -> float:
        return self.best.l1_ratio

    @property
    def alpha_min(self) -> float:
        return self.best.alpha_min

    def table(self) -> list[dict[str, float]]:
        """One row for each l1_ratio and alpha, in plain numbers."""
        return [
            {"l1_ratio": float(found.l1_ratio), **row}
            for found in self.by_ratio
            for row in found.table()
        ]


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
    return FoldPath(validation_mse(train, validation, objective, found.coef, target), found.gap)


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
    """One cross-validation from the paths of its folds."""
    return CrossValidation(
        alphas,
        l1_ratio,
        np.stack([path.mse for path in paths], axis=1),
        np.array([fold.weight for fold in folds]),
        np.stack([path.gap for path in paths], axis=1),
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
