"""Gradients and Hessians of problems that each leave a fold of rows out, and moments of folds.

All of it comes from one read: rows are shown to every group of problems, those of a fold with
weight zero to the group that is trained without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dasklasso.backend import Array, backend_for, to_numpy
from dasklasso.dataset.row_folds import FoldAssignment
from dasklasso.objective.loss_sums import LossSums
from dasklasso.scan.queries import kernels
from dasklasso.scan.queries.base import Query
from dasklasso.scan.queries.column_moments import Moments, column_moments, merged, to_host
from dasklasso.scan.queries.gradient import Gradient, LossGradient
from dasklasso.scan.queries.hessian import WeightedGrams
from dasklasso.scan.queries.kernels import StoredPoints
from dasklasso.scan.rows import Rows

ROWS_AT_ONCE = 2048  # they stay in the cache while all groups are evaluated on them
ALL = -1  # in the place of a fold: problems of all rows


@dataclass(frozen=True)
class Group:
    """A run of problems that leave the same fold out.

    Attributes
    ----------
    fold : int, or ALL
    start, stop : first problem, and last + 1
    total_weight : of the rows they are trained on
    """

    fold: int
    start: int
    stop: int
    total_weight: float

    @property
    def columns(self) -> slice:
        return slice(self.start, self.stop)


@dataclass(frozen=True)
class FoldGradient(Gradient):
    """Loss and gradient at K points, each over the rows of its group.

    Inputs and answer are those of :class:`~dasklasso.scan.queries.gradient.Gradient`, without
    directions; ``total_weight`` is each group's own.

    Attributes
    ----------
    assignment : FoldAssignment
    n_rows : of the data
    groups : tuple of Group
    """

    assignment: FoldAssignment | None = None
    n_rows: int = 0
    groups: tuple[Group, ...] = ()
    name = "fold-gradient"

    def prepare(self, inputs: Sequence[Any], widths: Sequence[int]) -> Any:
        points, frame = inputs
        return [
            kernels.stored_points(points[:, g.columns], frame, widths, self.dtype, self.backend)
            for g in self.groups
        ]

    def on_rows(self, rows: Rows, prepared: Any) -> LossGradient:
        found = None
        for some, folds in pieces(rows, self.assignment, self.n_rows):
            here = self._of_piece(some, folds, prepared)
            found = here if found is None else found + here
        assert found is not None
        return found

    def finish(self, value: LossGradient, inputs: Sequence[Any]) -> LossGradient:
        totals = np.concatenate([np.full(g.stop - g.start, g.total_weight) for g in self.groups])
        return self._mean(value, inputs[1], self.backend.asarray(totals))

    def _of_piece(
        self, rows: Rows, folds: np.ndarray, prepared: list[StoredPoints]
    ) -> LossGradient:
        xp = self.backend.xp
        ones = np.ones((rows.n_rows, 1)) if rows.weight is None else rows.weight
        found = []
        for group, weights in zip(self.groups, prepared, strict=True):
            columns = group.columns
            added = self.backend.asarray(np.asarray(self.intercepts[columns] or 0.0))
            weight = rows.weight if group.fold == ALL else ones * (folds != group.fold)[:, None]
            found.append(
                kernels.gradient_rows(
                    replace(rows, weight=weight),
                    replace(weights, constant=weights.constant + added),
                    self.loss,
                    self.targets[columns],
                    np.asarray(self.y_shift),
                    np.dtype(self.dtype),
                    self.backend,
                )
            )
        return LossGradient(
            xp.concat([gradient for gradient, _ in found], axis=1),
            LossSums.concatenate([sums for _, sums in found]),
        )


@dataclass(frozen=True, eq=False)
class FoldHessians(WeightedGrams):
    """Hessians at M points, each over the rows outside a fold.

    Attributes
    ----------
    assignment, n_rows : as in :class:`FoldGradient`
    folds : that each point leaves out, or ALL
    totals : sums of the weights of the rows of each
    """

    assignment: FoldAssignment | None = None
    n_rows: int = 0
    folds: tuple[int, ...] = ()
    totals: tuple[float, ...] = ()
    name = "fold-hessian"

    def _counted(self, rows: Rows) -> Array:
        assert self.assignment is not None
        fold_of = self.assignment.folds_of_rows(rows.start, rows.start + rows.n_rows, self.n_rows)
        counts = fold_of[:, None] != np.asarray(self.folds)[None, :]
        return self.backend.asarray(counts.astype(self.dtype))

    def finish(self, value: list[Array], inputs: Sequence[Any]) -> list[np.ndarray]:
        pairs = zip(value, self.totals, strict=True)
        return [to_numpy(gram) / total for gram, total in pairs]


@dataclass(frozen=True)
class FoldMoments(Query[list[Moments | None]]):
    """Moments of X's columns over the rows of each fold, in float64.

    Answer: for each fold :class:`~dasklasso.scan.queries.column_moments.Moments`, or None where it
    has no rows.

    Attributes
    ----------
    assignment : FoldAssignment
    n_rows : of the data
    device : as in :func:`dasklasso.backend.backend_for`
    """

    assignment: FoldAssignment
    n_rows: int
    device: str = "cpu"
    name = "fold-statistics"

    def on_rows(self, rows: Rows, prepared: Any) -> list[Moments | None]:
        backend = backend_for(self.device)
        found: list[Moments | None] = [None] * self.assignment.n_folds
        for some, folds in pieces(rows, self.assignment, self.n_rows):
            for fold in np.unique(folds).tolist():
                here = column_moments(some.take(folds == fold), backend)
                found[fold] = merged(found[fold], here)
        return found

    def combine(self, a: list[Moments | None], b: list[Moments | None]) -> list[Moments | None]:
        return [merged(x, y) for x, y in zip(a, b, strict=True)]

    def finish(self, value: list[Moments | None], inputs: Sequence[Any]) -> list[Moments | None]:
        return [None if one is None else to_host(one, to_numpy) for one in value]


def pieces(rows: Rows, assignment: FoldAssignment | None, n_rows: int) -> Any:
    """Walk some rows a piece at a time: (rows, the fold of each)."""
    assert assignment is not None
    end = rows.start + rows.n_rows
    for start in range(rows.start, end, ROWS_AT_ONCE):
        stop = min(start + ROWS_AT_ONCE, end)
        yield rows.between(start, stop), assignment.folds_of_rows(start, stop, n_rows)
