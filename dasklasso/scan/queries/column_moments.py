"""Moments of the columns: count, mean, spread, extremes, from one scan and without cancellation.

Weighted updates as in Chan, Golub and LeVeque (1983), Algorithms for computing the sample
variance: means and sums of squared deviations of two sets of rows merge into those of their union.
Deviations whose squares float64 cannot hold are divided by a unit before they are squared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dasklasso.backend import Array, Backend, backend_for, namespace
from dasklasso.objective.square_units import unit_for
from dasklasso.scan.columns.base import ColumnBlock
from dasklasso.scan.columns.dense import DenseBlock
from dasklasso.scan.queries.base import Query
from dasklasso.scan.queries.row_terms import beyond_numbers
from dasklasso.scan.rows import Rows
from dasklasso.scan.slabs import slabs


@dataclass(frozen=True)
class Moments:
    """Moments of some columns over some rows. Arrays of shape (n_columns,) float64.

    Attributes
    ----------
    weight : float
        Sum of the rows' weights.
    mean : weighted means
    squares : weighted sums of squared deviations from the mean, in units of ``unit²``
    minimum, maximum : over rows of any weight
    bad : number of values that are NaN or infinite
    unit : powers of two, 1 but for columns of extreme size; or 1.0 for all
    """

    weight: float
    mean: Array
    squares: Array
    minimum: Array
    maximum: Array
    bad: Array
    unit: Array | float = 1.0

    @property
    def std(self) -> Array:
        """Standard deviations, in the units of the data."""
        xp = namespace(self.squares)
        return xp.sqrt(self.squares / self.weight) * self.unit

    @property
    @beyond_numbers
    def variance(self) -> Array:
        """Weighted variances; infinite, or 0, where float64 does not reach."""
        return self.squares / self.weight * self.unit * self.unit


@beyond_numbers
def moments_of(block: ColumnBlock, weight: Array | None) -> Moments:
    """Moments of the columns of a float64 block, for row weights (n_rows, 1) or None."""
    clean, bad = block.finite()
    total = float(block.shape[0]) if weight is None else float(namespace(weight).sum(weight))
    mean = clean.sums(weight) / (total if total > 0 else 1.0)
    minimum, maximum = clean.extremes()
    unit = unit_for(_larger(maximum - mean, mean - minimum))
    squares = clean.squares(weight, mean, unit)
    return Moments(total, mean, squares, minimum, maximum, bad, unit)


@beyond_numbers
def merge_moments(a: Moments, b: Moments) -> Moments:
    """Moments of the union of two disjoint sets of rows."""
    xp = namespace(a.mean)
    total = a.weight + b.weight
    share = b.weight / total if total > 0 else 0.0
    step = b.mean - a.mean
    unit = unit_for(_larger(xp.abs(step), _larger(_size(a), _size(b))))
    # one factor after the other: the square of a ratio may be beyond float64
    of_a, of_b = a.unit / unit, b.unit / unit
    squares = a.squares * of_a * of_a + b.squares * of_b * of_b
    return Moments(
        weight=total,
        mean=a.mean + step * share,
        squares=squares + (step / unit) ** 2 * (a.weight * share),
        minimum=xp.where(b.minimum < a.minimum, b.minimum, a.minimum),
        maximum=xp.where(b.maximum > a.maximum, b.maximum, a.maximum),
        bad=a.bad + b.bad,
        unit=unit,
    )


def merged(a: Moments | None, b: Moments | None) -> Moments | None:
    """Moments of the union of two disjoint sets of rows, where None stands for no rows."""
    if a is None or b is None:
        return b if a is None else a
    return merge_moments(a, b)


def _larger(a: Array, b: Array) -> Array:
    return namespace(a).where(a < b, b, a)


def _size(moments: Moments) -> Array:
    """Standard deviations, 0 where rows have no weight."""
    return moments.std if moments.weight > 0 else 0.0 * moments.squares


def column_moments(rows: Rows, backend: Backend) -> Moments:
    """Moments of X's columns over one row of blocks, in float64."""
    weight = None if rows.weight is None else backend.asarray(rows.weight)
    total: list[Moments | None] = [None] * len(rows.blocks)
    for start, stop, blocks in slabs(rows, None, np.float64, backend):
        part = None if weight is None else weight[start:stop, :]
        total = [
            merged(before, moments_of(block, part))
            for before, block in zip(total, blocks, strict=True)
        ]
    return side_by_side([one for one in total if one is not None])


def side_by_side(several: Sequence[Moments]) -> Moments:
    """Moments of the columns of each, over the same rows."""
    if len(several) == 1:
        return several[0]
    xp = namespace(several[0].mean)
    names = ("mean", "squares", "minimum", "maximum", "bad", "unit")
    arrays = (xp.concat([getattr(one, name) for one in several]) for name in names)
    return Moments(several[0].weight, *arrays)


def target_moments(y: np.ndarray, weight: np.ndarray | None) -> Moments:
    """Moments of the targets over some rows; targets live on the host.

    They are taken of distances from a row that counts: what is the same in all of them has no
    spread at all.
    """
    y = np.asarray(y, dtype=np.float64)
    first = y[0 if weight is None else int(np.argmax(weight[:, 0] > 0))]
    found = moments_of(DenseBlock(y - first), weight)
    minimum, maximum = y.min(axis=0), y.max(axis=0)
    return replace(found, mean=first + found.mean, minimum=minimum, maximum=maximum)


def indicator_moments(totals: np.ndarray) -> Moments:
    """Moments of the indicators of classes, from the weight of each class's rows."""
    weight = float(totals.sum())
    share = totals / weight
    return Moments(
        weight=weight,
        mean=share,
        squares=weight * share * (1.0 - share),
        minimum=np.zeros_like(share),
        maximum=np.ones_like(share),
        bad=np.zeros_like(share),
    )


def to_host(moments: Moments, convert: Callable[[Any], Any]) -> Moments:
    """Return the same moments with every array passed through ``convert``."""
    return Moments(
        weight=moments.weight,
        mean=convert(moments.mean),
        squares=convert(moments.squares),
        minimum=convert(moments.minimum),
        maximum=convert(moments.maximum),
        bad=convert(moments.bad),
        unit=moments.unit if isinstance(moments.unit, float) else convert(moments.unit),
    )


@dataclass(frozen=True)
class ColumnMoments(Query[Moments]):
    """Moments of X's columns, in float64. Answer: :class:`Moments`."""

    device: str = "cpu"
    name = "statistics"

    def on_rows(self, rows: Rows, prepared: Any) -> Moments:
        return column_moments(rows, backend_for(self.device))

    def combine(self, a: Moments, b: Moments) -> Moments:
        return merge_moments(a, b)
