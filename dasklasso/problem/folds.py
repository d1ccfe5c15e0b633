"""Folds of rows, for problems that are each solved without one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import groupby, pairwise
from typing import Any

import numpy as np

from dasklasso.dataset.dataset import Dataset
from dasklasso.dataset.row_folds import FoldAssignment
from dasklasso.errors import ValueFound
from dasklasso.objective.loss_sums import LossSums
from dasklasso.problem.problem import Problem
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.queries.column_moments import Moments, merge_moments, target_moments
from dasklasso.scan.queries.folds import (
    ALL,
    FoldGradient,
    FoldHessians,
    Group,
    HeldOut,
    HeldOutClasses,
    Scores,
)
from dasklasso.scan.queries.gradient import Gradient
from dasklasso.scan.queries.hessian import WeightedGrams
from dasklasso.scan.reader import targets_only
from dasklasso.storage.zarr_blocks import read_rows


@dataclass(frozen=True)
class Folds:
    """How rows are dealt to folds.

    Attributes
    ----------
    assignment : FoldAssignment
    n_rows : of the data
    weights : (n_folds,)
        Sum of the weights of each fold's rows.
    """

    assignment: FoldAssignment
    n_rows: int
    weights: np.ndarray

    def groups(self, folds: Sequence[int], total_weight: float) -> tuple[Group, ...]:
        """Runs of problems that leave out the same fold.

        Parameters
        ----------
        folds : of each problem, those of the same fold next to each other
        total_weight : of all rows
        """
        found, start = [], 0
        for fold, run in groupby(folds):
            stop = start + len(list(run))
            found.append(Group(fold, start, stop, self.weight_outside(fold, total_weight)))
            start = stop
        return tuple(found)

    def weight_outside(self, fold: int, total_weight: float) -> float:
        """Of the rows that problems without a fold, or of ALL rows, are trained on."""
        return total_weight - (0.0 if fold == ALL else float(self.weights[fold]))

    def gradient(self, query: Gradient, groups: tuple[Group, ...]) -> FoldGradient:
        """The same query, each problem over the rows of its group."""
        same = {field.name: getattr(query, field.name) for field in fields(Gradient)}
        return FoldGradient(**same, assignment=self.assignment, n_rows=self.n_rows, groups=groups)

    def hessians(self, query: WeightedGrams, folds: Sequence[int]) -> FoldHessians:
        """The same query, each point over the rows outside its fold."""
        same = {field.name: getattr(query, field.name) for field in fields(WeightedGrams)}
        return FoldHessians(
            **same,
            assignment=self.assignment,
            n_rows=self.n_rows,
            folds=tuple(folds),
            totals=tuple(self.weight_outside(fold, query.total_weight) for fold in folds),
        )

    def held_out(self, query: Gradient) -> HeldOut | HeldOutClasses:
        """How well its points predict the rows that they leave out."""
        assert isinstance(query, FoldGradient)
        if query.loss.n_outputs > 1:
            return HeldOutClasses(
                query.intercepts,
                query.loss,
                self.assignment,
                self.n_rows,
                query.groups,
                query.device,
            )
        return HeldOut(
            query.targets,
            query.intercepts,
            query.loss,
            self.assignment,
            self.n_rows,
            query.groups,
            query.device,
        )

    def widened(self, sums: LossSums, folds: Sequence[int], problem: Problem) -> LossSums:
        """Sums over rows with which a certificate holds for columns that are centred elsewhere.

        Columns are centred and of unit spread over all rows, W in weight. Over the w that a
        problem is trained on their squares sum to at most W/w, and their sum is no zero: the bound
        |Σ π r x̃| ≤ (Σ π r²)^½ (Σ π x̃²)^½ has W/w in it, and nothing is taken off it.

        Parameters
        ----------
        sums : of K problems
        folds : of each problem
        """
        left = np.array([0.0 if fold == ALL else self.weights[fold] for fold in folds])
        total = problem.total_weight
        wide = sums.slack_squares * (total / (total - left)) + sums.slack**2
        return replace(sums, slack_squares=np.where(left > 0, wide, sums.slack_squares))


def weights_by_class(data: Dataset, assignment: FoldAssignment, n_classes: int) -> np.ndarray:
    """(n_folds, n_classes) sums of the weights of each class's rows in each fold.

    Parameters
    ----------
    data : Dataset
        Whose target is coded. Its y, its weights and the fold column are read.
    """
    assert data.y is not None
    totals = np.zeros(assignment.n_folds * n_classes)
    for start, stop in pairwise(data.y.row_bounds):
        codes = read_rows(data.y, start, stop)[:, 0].astype(np.intp)
        cells = assignment.folds_of_rows(start, stop, data.n_rows) * n_classes + codes
        weight = None
        if data.sample_weight is not None:
            weight = read_rows(data.sample_weight, start, stop)[:, 0]
        totals += np.bincount(cells, weight, minlength=len(totals))
    return totals.reshape(assignment.n_folds, n_classes)


def folds_of(engine: ScanEngine, assignment: FoldAssignment) -> Folds:
    """The folds of some data, from its targets and weights; X is not read.

    Raises
    ------
    ValueFound
        When a fold has no rows of positive weight, or the rows outside it have targets that leave
        nothing to fit.
    """
    bounds = engine.layout.row_bounds
    n_rows = int(bounds[-1])
    found: list[Moments | None] = [None] * assignment.n_folds
    for i in range(len(bounds) - 1):
        rows = targets_only(engine.table, i)
        assert rows.y is not None
        fold_of = assignment.folds_of_rows(rows.start, int(bounds[i + 1]), n_rows)
        weight = np.ones((len(rows.y), 1)) if rows.weight is None else rows.weight
        for fold in np.unique(fold_of).tolist():
            own = (fold_of == fold) & (weight[:, 0] > 0)
            if own.any():
                here, before = target_moments(rows.y[own], weight[own]), found[fold]
                found[fold] = here if before is None else merge_moments(before, here)
    moments = []
    for fold, one in enumerate(found):
        if one is None:
            raise ValueFound(f"folds: fold {fold} has no rows of positive weight")
        moments.append(one)
    for fold in range(len(moments)):
        others = [other for k, other in enumerate(moments) if k != fold]
        least = np.min([other.minimum for other in others], axis=0)
        most = np.max([other.maximum for other in others], axis=0)
        constant = np.flatnonzero(least == most)
        if constant.size:
            raise ValueFound(
                f"folds: target {constant[0]} is {least[constant[0]]:g} in every row outside fold "
                f"{fold}, expected at least two different values"
            )
    return Folds(assignment, n_rows, np.array([one.weight for one in moments]))


def scores_of(scores: Any, k: int) -> dict[str, float]:
    """What a scan says of the rows that one of its problems leaves out, if anything."""
    if not isinstance(scores, Scores):
        return {}
    return {name: float(getattr(scores, name)[k]) for name in ("loss", "accuracy", "auc")}
