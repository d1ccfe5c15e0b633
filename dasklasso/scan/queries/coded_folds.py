"""Sums over the rows of each fold of columns with missing values: what they are filled in with.

Missing values of a problem without a fold are the means of the rows that train. So its moments are
no merge of the folds' moments, but they are sums over the folds of the values that are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from dasklasso.backend import backend_for
from dasklasso.dataset.row_folds import FoldAssignment
from dasklasso.scan.columns.coded import CodedBlock
from dasklasso.scan.queries.column_moments import Moments
from dasklasso.scan.rows import Rows

_ROWS_AT_ONCE = 2048


@dataclass(frozen=True, eq=False)
class FoldTotals:
    """Sums over the rows of each fold, (n_folds, n_columns) float64 if not said otherwise.

    x is a known value less what storage fills in, so that spread beside a large mean stays.

    Attributes
    ----------
    weight : (n_folds, 1) of the rows
    known : number of values that are known
    total : Σ x
    absent : weight of the rows whose value is missing
    weighted : Σ s x, s the weight of a row
    squares : Σ s x²
    minimum, maximum : of known values; infinite without one
    """

    weight: np.ndarray
    known: np.ndarray
    total: np.ndarray
    absent: np.ndarray
    weighted: np.ndarray
    squares: np.ndarray
    minimum: np.ndarray
    maximum: np.ndarray

    @classmethod
    def side_by_side(cls, several: Sequence[FoldTotals]) -> FoldTotals:
        """Return the sums of the columns of each, over the same rows."""
        arrays = {
            field.name: np.concatenate([getattr(one, field.name) for one in several], axis=1)
            for field in fields(cls)
            if field.name != "weight"
        }
        return cls(weight=several[0].weight, **arrays)

    def outside(self, fold: int, stored_fill: np.ndarray) -> tuple[Moments, np.ndarray]:
        """Return moments over the rows outside a fold, and what they are of where one is missing.

        Parameters
        ----------
        stored_fill : (n_columns,) what storage fills in

        Returns
        -------
        moments : Moments
        fill : (n_columns,)
            Means of the known values; of columns without one what storage fills in.
        """
        others = np.arange(len(self.weight)) != fold
        weight = float(self.weight[others].sum())
        known, total, absent, weighted, squares = (
            getattr(self, name)[others].sum(axis=0)
            for name in ("known", "total", "absent", "weighted", "squares")
        )
        step = total / np.maximum(known, 1.0)
        mean = (weighted + absent * step) / weight
        spread = np.maximum(squares + absent * step**2 - weight * mean**2, 0.0)
        minimum = self.minimum[others].min(axis=0)
        maximum = self.maximum[others].max(axis=0)
        fill = stored_fill + step
        empty, constant = known == 0, minimum >= maximum
        minimum, maximum = np.where(empty, fill, minimum), np.where(empty, fill, maximum)
        fill = np.where(constant, minimum, fill)
        moments = Moments(
            weight=weight,
            mean=np.where(constant | empty, minimum, stored_fill + mean),
            squares=np.where(constant | empty, 0.0, spread),
            minimum=minimum,
            maximum=maximum,
            bad=np.zeros(len(mean)),
            unit=np.ones(len(mean)),
        )
        return moments, fill


def fold_totals(
    assignment: FoldAssignment, n_rows: int, rows: Sequence[Rows], weight: np.ndarray | None
) -> FoldTotals:
    """Return the sums of columns with missing values over the rows of each fold.

    Parameters
    ----------
    n_rows : of the data
    rows : all of them, each of one coded block of the same columns
    weight : (n_rows, 1), or None for ones
    """
    n_folds, width = assignment.n_folds, rows[0].blocks[0].width
    names = ("known", "total", "absent", "weighted", "squares")
    sums = {name: np.zeros((n_folds, width)) for name in names}
    found = FoldTotals(
        weight=np.zeros((n_folds, 1)),
        **sums,
        minimum=np.full((n_folds, width), np.inf),
        maximum=np.full((n_folds, width), -np.inf),
    )
    for some in rows:
        for start in range(some.start, some.start + some.n_rows, _ROWS_AT_ONCE):
            stop = min(start + _ROWS_AT_ONCE, some.start + some.n_rows)
            block = some.between(start, stop).blocks[0]
            assert isinstance(block, CodedBlock)
            own = None if weight is None else weight[start:stop, 0]
            _add(found, block, assignment.folds_of_rows(start, stop, n_rows), own)
    return found


def _add(
    found: FoldTotals, block: CodedBlock, folds: np.ndarray, weight: np.ndarray | None
) -> None:
    """Add some rows of columns, whose folds are ``folds``, to sums."""
    member = (folds == np.arange(len(found.weight))[:, None]).astype(np.float64)
    heavy = member if weight is None else member * weight
    holes = block.holes()
    fill = block.missing.fill
    (slab,) = block.slabs(len(folds), np.dtype(np.float64), backend_for("cpu"), fill)
    x = slab.dense()
    found.weight[:] += heavy.sum(axis=1, keepdims=True)
    found.known[:] += member.sum(axis=1, keepdims=True) - (holes @ member.T).T
    found.absent[:] += (holes @ heavy.T).T
    found.total[:] += member @ x
    found.weighted[:] += heavy @ x
    np.multiply(x, x, out=x)
    found.squares[:] += heavy @ x
    for fold in np.unique(folds).tolist():
        values = block.values[folds == fold]
        absent = values == block.missing.code
        least = np.where(absent, np.inf, values).min(axis=0)
        most = np.where(absent, -np.inf, values).max(axis=0)
        np.minimum(found.minimum[fold], least, out=found.minimum[fold])
        np.maximum(found.maximum[fold], most, out=found.maximum[fold])
