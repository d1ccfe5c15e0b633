"""The rows that softmax problems without a fold are trained on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dasklasso.problem.folds import Folds
from dasklasso.problem.problem import Problem
from dasklasso.solvers.softmax.rows import HeldRows


@dataclass(frozen=True)
class Training:
    """One training set.

    Attributes
    ----------
    problem : Problem
        Of these rows, with the frequencies of their classes: see
        :meth:`~dasklasso.problem.folds.Folds.problem_outside`.
    rows : HeldRows
        These in memory, where all rows are; else the sample of all of them.
    """

    problem: Problem
    rows: HeldRows


@dataclass(frozen=True)
class Trainings:
    """The training sets of all folds.

    Attributes
    ----------
    folds : Folds
    without : tuple of Training
    """

    folds: Folds
    without: tuple[Training, ...]


def trainings(problem: Problem, rows: HeldRows, folds: Folds, totals: np.ndarray) -> Trainings:
    """Take each fold out of all rows.

    Parameters
    ----------
    problem : of all rows
    totals : (n_folds, C)
        Weights of the rows of each class in each fold; with an intercept every class has some
        outside every fold.
    """
    fold_of = folds.assignment.folds_of_rows(0, folds.n_rows, folds.n_rows) if rows.whole else None
    found = []
    for fold in range(len(totals)):
        left = np.delete(totals, fold, axis=0).sum(axis=0)
        one = folds.problem_outside(problem, fold)
        if problem.steps_intercept:
            one = replace(one, null_intercept=problem.loss.link(left / left.sum()))
        held = rows if fold_of is None else rows.without(fold, fold_of, one)
        found.append(Training(one, held))
    return Trainings(folds, tuple(found))
