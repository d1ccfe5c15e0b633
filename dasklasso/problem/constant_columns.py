"""Columns that have one value in the rows that train: they have no coefficient, which is said."""

from __future__ import annotations

import warnings

import numpy as np

from dasklasso.dataset.dataset import Dataset
from dasklasso.dataset.row_folds import FoldAssignment
from dasklasso.errors import DataWarning
from dasklasso.problem.folds import Folds
from dasklasso.problem.problem import Problem
from dasklasso.storage.zarr_blocks import read_rows

_MOST_NAMED = 5  # covariates in a warning


def warn_of_constant_columns(folds: Folds, problem: Problem, data: Dataset) -> None:
    """Say once which columns standardize makes zero without some fold.

    Parameters
    ----------
    problem : of all rows
    data : what covariates do is said elsewhere
    """
    names = data.feature_names
    n_features = data.n_features - data.n_covariates
    found = [
        (column, fold)
        for fold in range(len(folds.weights))
        for column in np.flatnonzero(
            (problem.frame.matters & ~folds.problem_outside(problem, fold).frame.matters)[
                :n_features
            ]
        ).tolist()
    ]
    if found:
        column, fold = min(found)
        n = len({column for column, _ in found})
        warnings.warn(
            f"folds: {n} {'feature has' if n == 1 else 'features have'} one value in all rows "
            f"outside a fold (the first: {names[column]}, fold {fold}); standardized they are 0 "
            "there, and have no coefficient in models trained without that fold",
            DataWarning,
            stacklevel=2,
        )


def warn_of_constant_covariates(data: Dataset, assignment: FoldAssignment) -> None:
    """Say once which covariates have one value in all rows, or in those outside a fold.

    The intercept stands for them there. Covariates and weights are read, no feature.

    Parameters
    ----------
    assignment : of rows to folds; of one fold where there are none
    """
    first, n = data.n_features - data.n_covariates, data.n_rows
    j = len(data.X.column_bounds) - 2  # they are one block of columns, the last
    bounds = data.X.row_bounds
    values = np.concatenate([data.X.block(i, j) for i in range(len(bounds) - 1)])
    counts = np.ones(n, dtype=bool)
    if data.sample_weight is not None:
        counts = read_rows(data.sample_weight, 0, n)[:, 0] > 0
    always = np.ptp(values[counts], axis=0) == 0
    new = always & (np.ptp(values, axis=0) > 0)  # what has one value in the table was said of it
    names = np.asarray(data.feature_names[first:])
    found = [f"{_named(names[new])} in every row that counts"] if new.any() else []
    fold_of = assignment.folds_of_rows(0, n, n)
    for fold in range(assignment.n_folds) if assignment.n_folds > 1 else ():
        trains = counts & (fold_of != fold)
        constant = ~always & (np.ptp(values[trains], axis=0) == 0) if trains.any() else always
        if (constant & ~always).any():
            found.append(f"{_named(names[constant])} in all rows outside fold {fold}")
    if found:
        warnings.warn(
            f"covariates with one value have no coefficient there: {'; '.join(found)}",
            DataWarning,
            stacklevel=2,
        )


def _named(names: np.ndarray) -> str:
    more = ", ..." if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED].tolist()) + more
