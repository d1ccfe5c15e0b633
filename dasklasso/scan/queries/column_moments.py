"""Moments of the columns: count, mean, spread, extremes, from one scan and without cancellation.

Weighted updates as in Chan, Golub and LeVeque (1983), Algorithms for computing the sample
variance: means and sums of squared deviations of two sets of rows merge into those of their union.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dasklasso.backend import Array, Backend, backend_for, namespace
from dasklasso.scan.queries import column_moments as moments
from dasklasso.scan.queries.base import Query
from dasklasso.scan.queries.kernels import beyond_numbers, slabs
from dasklasso.scan.rows import Rows


@dataclass(frozen=True)
class Moments:
    """Moments of some columns over some rows. Arrays of shape (n_columns,) float64.

    Attributes
    ----------
    weight : float
        Sum of the rows' weights.
    mean : weighted means
    squares : weighted sums of squared deviations from the mean
    minimum, maximum : over rows of any weight
    bad : number of values that are NaN or infinite
    """

    weight: float
    mean: Array
    squares: Array
    minimum: Array
    maximum: Array
    bad: Array


@beyond_numbers
def moments_of(values: Array, weight: Array | None) -> Moments:
    """Moments of the columns of a (n_rows, n_columns) float64 array."""
    xp = namespace(values)
    zero = 0.0 * xp.astype(xp.isfinite(values), xp.float64)
    finite = xp.isfinite(values)
    clean = xp.where(finite, values, zero)
    total = float(values.shape[0]) if weight is None else float(xp.sum(weight))
    share = total if total > 0 else 1.0
    mean = xp.sum(clean if weight is None else clean * weight, axis=0) / share
    deviation = (clean - mean) ** 2
    return Moments(
        weight=total,
        mean=mean,
        squares=xp.sum(deviation if weight is None else deviation * weight, axis=0),
        minimum=xp.min(clean, axis=0),
        maximum=xp.max(clean, axis=0),
        bad=xp.sum(1.0 - xp.astype(finite, xp.float64), axis=0),
    )


@beyond_numbers
def merge_moments(a: Moments, b: Moments) -> Moments:
    """Moments of the union of two disjoint sets of rows."""
    xp = namespace(a.mean)
    total = a.weight + b.weight
    share = b.weight / total if total > 0 else 0.0
    step = b.mean - a.mean
    return Moments(
        weight=total,
        mean=a.mean + step * share,
        squares=a.squares + b.squares + step**2 * (a.weight * share),
        minimum=xp.where(b.minimum < a.minimum, b.minimum, a.minimum),
        maximum=xp.where(b.maximum > a.maximum, b.maximum, a.maximum),
        bad=a.bad + b.bad,
    )


def merged(a: Moments | None, b: Moments | None) -> Moments | None:
    """Moments of the union of two disjoint sets of rows, where None stands for no rows."""
    if a is None or b is None:
        return b if a is None else a
    return merge_moments(a, b)


def column_moments(rows: Rows, backend: Backend) -> Moments:
    """Moments of X's columns over one row of blocks, in float64."""
    xp = backend.xp
    weight = None if rows.weight is None else backend.asarray(rows.weight)
    merged: Moments | None = None
    for start, stop, blocks in slabs(rows, None, np.float64, backend):
        part = None if weight is None else weight[start:stop, :]
        values = blocks[0] if len(blocks) == 1 else xp.concat(blocks, axis=1)
        found = moments_of(values, part)
        merged = found if merged is None else merge_moments(merged, found)
    assert merged is not None
    return merged


def target_moments(y: np.ndarray, weight: np.ndarray | None) -> Moments:
    """Moments of the targets over some rows; targets live on the host."""
    return moments_of(np.asarray(y, dtype=np.float64), weight)


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


def to_host(moments: Moments, convert: Any) -> Moments:
    """The same moments with every array passed through ``convert``."""
    return Moments(
        weight=moments.weight,
        mean=convert(moments.mean),
        squares=convert(moments.squares),
        minimum=convert(moments.minimum),
        maximum=convert(moments.maximum),
        bad=convert(moments.bad),
    )


@dataclass(frozen=True)
class ColumnMoments(Query[Moments]):
    """Moments of X's columns, in float64. Answer: :class:`Moments`."""

    device: str = "cpu"
    name = "statistics"

    def on_rows(self, rows: Rows, prepared: Any) -> moments.Moments:
        return moments.column_moments(rows, backend_for(self.device))

    def combine(self, a: moments.Moments, b: moments.Moments) -> moments.Moments:
        return moments.merge_moments(a, b)
