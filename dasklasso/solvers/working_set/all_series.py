"""All series of a fit: those of all rows, target by target, then those without each fold."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dasklasso.errors import ValueFound
from dasklasso.objective.best_constant import best_constant, row_derivatives
from dasklasso.objective.losses.base import Loss
from dasklasso.problem.folds import Folds
from dasklasso.problem.problem import Problem, make_problem
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.queries.column_moments import target_moments
from dasklasso.scan.queries.folds import ALL
from dasklasso.solvers.working_set.series import Series
from dasklasso.solvers.working_set.smooth_series import SmoothSeries
from dasklasso.solvers.working_set.squared_series import SquaredSeries
from dasklasso.storage.zarr_blocks import read_rows


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
    """All series of a fit.

    Parameters
    ----------
    folds : with the moments of the columns over the rows that train, or None

    Raises
    ------
    ValueFound
        When the rows outside a fold make no problem.
    """
    weight = rows.weight / rows.weight.sum()
    found = _of_targets(ALL, problem, rows, weight, problem, None)
    for fold in range(0 if folds is None else len(folds.weights)):
        assert folds is not None
        found += _without(fold, problem, rows, folds)
    return found


def _without(fold: int, problem: Problem, rows: RowData, folds: Folds) -> list[Series]:
    assert folds.training is not None
    n, objective = folds.n_rows, problem.objective
    trains = folds.assignment.folds_of_rows(0, n, n) != fold
    weight, tests = np.where(trains, rows.weight, 0.0), np.where(trains, 0.0, rows.weight)
    weight, tests = weight / weight.sum(), tests / tests.sum()
    targets = target_moments(rows.y[trains], rows.weight[trains, None])
    try:
        null = _null_models(problem, rows, weight)
        outside = make_problem(
            objective, folds.training[fold], targets, null=null, unpenalised=True
        )
    except ValueFound as error:
        raise ValueFound(f"in the rows that train for fold {fold}: {error}") from error
    if folds.fills is not None:
        outside = replace(outside, frame=replace(outside.frame, fill=folds.fills[fold]))
    return _of_targets(fold, outside, rows, weight, problem, tests)


def _null_models(
    problem: Problem, rows: RowData, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the best constant of each target beside the offsets, and its mean loss."""
    loss = problem.loss
    if loss.quadratic:
        response = rows.y - rows.offset[:, None]
        zero = np.zeros(problem.n_targets)
        constant = weight @ response if problem.objective.fit_intercept else zero
        return constant, 0.5 * (weight @ (response - constant) ** 2)

    def derivatives(b: np.ndarray) -> np.ndarray:
        return row_derivatives(loss, b + rows.offset[:, None], rows.y, weight[:, None])[:-1]

    if not problem.objective.fit_intercept:
        zero = np.zeros(problem.n_targets)
        return zero, derivatives(zero)[0]
    return best_constant(derivatives, _start(loss, weight @ rows.y))


def _start(loss: Loss, mean: np.ndarray) -> np.ndarray:
    """Return a finite prediction to begin with."""
    found = loss.link(mean)
    return np.where(np.isfinite(found), found, 0.0)


def _of_targets(
    fold: int,
    problem: Problem,
    rows: RowData,
    weight: np.ndarray,
    whole: Problem,
    tests: np.ndarray | None,
) -> list[Series]:
    """Return the series of one set of training rows.

    Parameters
    ----------
    problem : of the rows that train
    whole : of all rows: its null losses are what gaps are relative to
    """
    found: list[Series] = []
    for target in range(problem.n_targets):
        unit = float(whole.null_loss[target])
        common = fold, target, problem, weight, unit, tests
        if not problem.loss.quadratic:
            found.append(SmoothSeries(*common, rows.y[:, target], rows.offset))
            continue
        response = rows.y[:, target] - rows.offset - problem.y_mean[target]
        if problem.objective.fit_intercept:
            response -= weight @ response  # zero but for rounding
        found.append(SquaredSeries(*common, response))
    return found
