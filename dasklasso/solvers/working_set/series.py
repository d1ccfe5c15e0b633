"""Series: the problems of one target on one set of training rows, one for each alpha.

All of them have the same standardised columns, weights of rows and response. With an intercept the
columns and the response are centred over the rows that train, so that it is no coordinate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dasklasso.errors import ValueFound
from dasklasso.objective.penalties.base import Penalty
from dasklasso.problem.folds import Folds
from dasklasso.problem.problem import Problem, make_problem, penalty_at
from dasklasso.problem.unpenalised import project
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.frame import Frame
from dasklasso.scan.queries.column_moments import target_moments
from dasklasso.scan.queries.folds import ALL
from dasklasso.solvers.working_set.held import HeldColumns
from dasklasso.storage.zarr_blocks import read_rows


@dataclass(frozen=True, eq=False)
class Series:
    """One target on one set of training rows.

    Attributes
    ----------
    fold : left out, or ALL for none
    target : int
    problem : of the rows that train
    weight : (n_rows,) float64
        Of rows: they sum to one, and are 0 for rows that are left out.
    response : (n_rows,) float64
        The target less offsets and the constant that the null model predicts.
    unit : what gaps are relative to: the null loss of all rows
    tests : (n_rows,) float64 or None
        Weights of the rows that are left out: they sum to one. None where no row is.
    """

    fold: int
    target: int
    problem: Problem
    weight: np.ndarray
    response: np.ndarray
    unit: float
    tests: np.ndarray | None = None

    @property
    def frame(self) -> Frame:
        return self.problem.frame

    @property
    def square(self) -> float:
        """``yᵀPy`` of the centred response."""
        return float(self.weight @ self.response**2)

    def penalty_of(self, columns: np.ndarray, alphas: np.ndarray) -> Penalty:
        """Return the penalty of some columns at K alphas."""
        return penalty_at(self.frame[columns], alphas[None, :], self.problem.objective.penalty)

    def residuals(
        self, held: HeldColumns, places: np.ndarray, coef: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Residuals of some points, the best intercept fitted: (n_rows, K); mean slopes (K,).

        Parameters
        ----------
        places : of the columns in use
        coef : (n_places, K) in standardised coordinates
        """
        left = self.response[:, None] - held.predictions(self.frame, places, coef)
        if not self.problem.objective.fit_intercept:
            return left, -(self.weight @ left)
        mean = self.weight @ left
        left -= mean
        return left, -mean

    def dual_directions(
        self, held: HeldColumns, residuals: np.ndarray, points: np.ndarray
    ) -> np.ndarray:
        """Residuals less their projection on unpenalised columns: (n_rows, K).

        Parameters
        ----------
        points : (n_free, K), the unpenalised coefficients
        """
        index = self.problem.unpenalised
        if not index.size:
            return residuals
        places = held.places(index)
        product = held.products(self.frame, self.weight[:, None] * residuals, places)
        penalty = self.problem.objective.penalty
        c = project(points, -product, held.gram(self.frame, places, self.weight), penalty)
        left = residuals - held.predictions(self.frame, places, c)
        if self.problem.objective.fit_intercept:
            left -= self.weight @ left
        return left


@dataclass(frozen=True)
class RowData:
    """All that is known of rows but X: y (n, n_targets), weight (n,) and offset (n,), float64."""

    y: np.ndarray
    weight: np.ndarray
    offset: np.ndarray


def rows_of(engine: ScanEngine) -> RowData:
    """Read targets, weights and offsets; X is not read."""
    table = engine.table
    n = table.X.shape[0]
    assert table.y is not None
    y = np.asarray(read_rows(table.y, 0, n), dtype=np.float64)
    weight, offset = (
        default if source is None else np.asarray(read_rows(source, 0, n), np.float64)[:, 0]
        for source, default in ((table.weight, np.ones(n)), (table.offset, np.zeros(n)))
    )
    return RowData(y, weight, offset)


def series_of(problem: Problem, rows: RowData, folds: Folds | None) -> list[Series]:
    """All series of a fit: those of all rows target by target, then those without each fold.

    Parameters
    ----------
    folds : with the moments of the columns over the rows that train, or None

    Raises
    ------
    ValueFound
        When the rows outside a fold make no problem.
    """
    n_folds = 0 if folds is None else len(folds.weights)
    found = [_all_rows(problem, rows, target) for target in range(problem.n_targets)]
    for fold in range(n_folds):
        assert folds is not None
        found += _without(fold, problem, rows, folds)
    return found


def _all_rows(problem: Problem, rows: RowData, target: int) -> Series:
    weight = rows.weight / rows.weight.sum()
    response = rows.y[:, target] - rows.offset - problem.y_mean[target]
    if problem.objective.fit_intercept:
        response -= weight @ response  # zero but for rounding
    return Series(ALL, target, problem, weight, response, float(problem.null_loss[target]))


def _without(fold: int, problem: Problem, rows: RowData, folds: Folds) -> list[Series]:
    assert folds.training is not None
    n, objective = folds.n_rows, problem.objective
    trains = folds.assignment.folds_of_rows(0, n, n) != fold
    weight, tests = np.where(trains, rows.weight, 0.0), np.where(trains, 0.0, rows.weight)
    weight, tests = weight / weight.sum(), tests / tests.sum()
    response = rows.y - rows.offset[:, None]
    constant = weight @ response if objective.fit_intercept else np.zeros(problem.n_targets)
    response = response - constant
    if objective.fit_intercept:
        response -= weight @ response
    null = constant, 0.5 * (weight @ response**2)
    targets = target_moments(rows.y[trains], rows.weight[trains, None])
    try:
        outside = make_problem(objective, folds.training[fold], targets, null=null)
    except ValueFound as error:
        raise ValueFound(f"in the rows that train for fold {fold}: {error}") from error
    if folds.fills is not None:
        outside = replace(outside, frame=replace(outside.frame, fill=folds.fills[fold]))
    return [
        Series(
            fold,
            target,
            outside,
            weight,
            response[:, target],
            float(problem.null_loss[target]),
            tests,
        )
        for target in range(problem.n_targets)
    ]


def at_l1_ratio(series: Sequence[Series], l1_ratio: float) -> list[Series]:
    """Return the same series for another share of the l1 penalty."""

    def changed(one: Series) -> Series:
        objective = replace(one.problem.objective, l1_ratio=l1_ratio)
        return replace(one, problem=replace(one.problem, objective=objective))

    return [changed(one) for one in series]
