"""Second moments of features and targets together: all that least squares needs of some rows.

Each set of rows is centred at its own means, so that nothing cancels where mean >> std; two sets
merge, and one is taken away from another, by a rank-one correction (Chan, Golub and LeVeque, 1983,
Algorithms for computing the sample variance, eq. 1.5, for products instead of squares).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from dasklasso.objective.square_units import unit_for


class Precision(IntEnum):
    """How products were taken, best first: see :mod:`dasklasso.moments.rounding`."""

    FLOAT64 = 0  # or float32 without any rounding
    FLOAT32 = 1
    FLOAT32_FEW_VALUES = 2


@dataclass(frozen=True)
class CrossMoments:
    """Moments of the columns of ``[X, y]`` over some rows, in float64.

    Attributes
    ----------
    weight : float
        Sum of the rows' weights.
    count : int
        Number of rows.
    mean : (n_features + n_targets,)
        Weighted means; zeros where the weight is zero.
    products : (n_features + n_targets, n_features + n_targets)
        ``Σ s (z − mean)(z − mean)ᵀ / (unit unitᵀ)`` over rows z of ``[X, y]``: symmetric, both
        halves filled.
    n_targets : int
    unit : (n_features + n_targets,), or None for ones
        Powers of two, 1 but for columns whose squares float64 cannot hold.
    precision : Precision
        Of the least exact of the products of features with each other; what has to do with
        targets, and squares, are in float64.
    """

    weight: float
    count: int
    mean: np.ndarray
    products: np.ndarray
    n_targets: int
    unit: np.ndarray | None = None
    precision: Precision = Precision.FLOAT64

    @classmethod
    def nothing(cls, n_features: int, n_targets: int) -> CrossMoments:
        """Return the moments of no rows."""
        n = n_features + n_targets
        return cls(0.0, 0, np.zeros(n), np.zeros((n, n)), n_targets)

    @property
    def n_features(self) -> int:
        return len(self.mean) - self.n_targets

    @property
    def x_mean(self) -> np.ndarray:
        """(n_features,)"""
        return self.mean[: self.n_features]

    @property
    def y_mean(self) -> np.ndarray:
        """(n_targets,)"""
        return self.mean[self.n_features :]

    @property
    def xx(self) -> np.ndarray:
        """(n_features, n_features) centred products of features."""
        return self.products[: self.n_features, : self.n_features]

    @property
    def xy(self) -> np.ndarray:
        """(n_features, n_targets) centred products of features and targets."""
        return self.products[: self.n_features, self.n_features :]

    @property
    def yy(self) -> np.ndarray:
        """(n_targets,) centred squares of the targets."""
        return np.diagonal(self.products)[self.n_features :]

    @property
    def units(self) -> np.ndarray:
        """(n_features + n_targets,) what products are in units of."""
        return np.ones(len(self.mean)) if self.unit is None else self.unit

    @property
    def x_unit(self) -> np.ndarray:
        """(n_features,) units of the features."""
        return self.units[: self.n_features]

    @property
    def std(self) -> np.ndarray:
        """(n_features + n_targets,) standard deviations, in the units of the data."""
        if self.weight <= 0:
            return np.zeros(len(self.mean))
        squares = np.maximum(np.diagonal(self.products), 0.0)
        return np.sqrt(squares / self.weight) * self.units

    def in_units(self, unit: np.ndarray | None) -> CrossMoments:
        """The same moments, their products in other units: these very ones where they have them."""
        if unit is self.unit or np.array_equal(self.units, 1.0 if unit is None else unit):
            return self
        factor = self.units / (1.0 if unit is None else unit)
        products = self.products * factor[:, None]
        products *= factor
        return replace(self, products=products, unit=unit)

    def of_features(self, columns: np.ndarray) -> CrossMoments:
        """Return the moments of some features, by number, and of all targets."""
        return self._among(np.append(columns, np.arange(self.n_features, len(self.mean))))

    def of_target(self, target: int) -> CrossMoments:
        """Return the moments of all features and one target."""
        if self.n_targets == 1:
            return self
        return self._among(np.append(np.arange(self.n_features), self.n_features + target))

    def _among(self, index: np.ndarray) -> CrossMoments:
        return replace(
            self,
            mean=self.mean[index],
            products=self.products[np.ix_(index, index)],
            n_targets=int(np.count_nonzero(index >= self.n_features)),
            unit=None if self.unit is None else self.unit[index],
        )

    def merged(self, other: CrossMoments) -> CrossMoments:
        """Return the moments of the union of two disjoint sets of rows."""
        if other.weight == 0:
            return self._counting(other.count)
        if self.weight == 0:
            return other._counting(self.count)
        weight = self.weight + other.weight
        step = other.mean - self.mean
        unit = _common_unit(self, other, step)
        products = self.in_units(unit).products + other.in_units(unit).products
        share = step if unit is None else step / unit
        _add_outer(products, share, self.weight * (other.weight / weight))
        return replace(
            self,
            weight=weight,
            count=self.count + other.count,
            mean=self.mean + step * (other.weight / weight),
            products=products,
            unit=unit,
            precision=max(self.precision, other.precision),
        )

    def without(self, part: CrossMoments) -> CrossMoments:
        """Return the moments of these rows less some of them, the inverse of :meth:`merged`.

        Raises
        ------
        ValueError
            When ``part`` holds more rows or weight than there are.
        """
        count, weight = self.count - part.count, self.weight - part.weight
        if count < 0 or weight < -1e-12 * self.weight:
            raise ValueError(
                f"{part.count} rows of weight {part.weight:g} cannot be taken from {self.count} "
                f"rows of weight {self.weight:g}"
            )
        if part.weight == 0:
            return self._counting(-part.count)
        if count == 0 or weight <= 1e-12 * self.weight:
            return CrossMoments.nothing(self.n_features, self.n_targets)._counting(count)
        mean = self.mean + (self.mean - part.mean) * (part.weight / weight)
        products = self.products - part.in_units(self.unit).products
        step = part.mean - mean
        step = step if self.unit is None else step / self.unit
        _add_outer(products, step, -weight * (part.weight / self.weight))
        return replace(self, weight=weight, count=count, mean=mean, products=products)

    def scaled(self, factor: float) -> CrossMoments:
        """The same rows with every weight multiplied by ``factor``: how the past is forgotten."""
        return replace(self, weight=self.weight * factor, products=self.products * factor)

    def _counting(self, more: int) -> CrossMoments:
        """Return the same moments with ``more`` rows of no weight."""
        return replace(self, count=self.count + more)


def merge_all(parts: Iterable[CrossMoments]) -> CrossMoments:
    """Return the moments of the union of one or more disjoint sets of rows, merged in order."""
    total: CrossMoments | None = None
    for part in parts:
        total = part if total is None else total.merged(part)
    if total is None:
        raise ValueError("there is nothing to merge")
    return total


def cross_moments(
    X: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None = None
) -> CrossMoments:
    """Moments of rows in memory, in float64.

    Parameters
    ----------
    X : (n_rows, n_features)
    y : (n_rows,) or (n_rows, n_targets)
    sample_weight : (n_rows,), optional
    """
    y = np.asarray(y, dtype=np.float64)
    y = y[:, None] if y.ndim == 1 else y
    z = np.concatenate([np.asarray(X, dtype=np.float64), y], axis=1)
    s = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64).reshape(-1)
    weight = float(len(z) if s is None else s.sum())
    if weight == 0:
        return CrossMoments.nothing(X.shape[1], y.shape[1])._counting(len(z))
    shift = z[0].copy() if len(z) else np.zeros(z.shape[1])
    z -= shift  # a constant column becomes exactly zero
    mean = (z.sum(axis=0) if s is None else s @ z) / weight
    z -= mean
    unit = not_ones(unit_for(np.abs(z).max(axis=0)))
    if unit is not None:
        z /= unit
    if s is not None:
        z *= np.sqrt(s)[:, None]
    return CrossMoments(weight, len(z), shift + mean, z.T @ z, y.shape[1], unit)


def not_ones(unit: np.ndarray) -> np.ndarray | None:
    """Units, or None where all are 1."""
    return None if np.all(unit == 1.0) else unit


def _common_unit(a: CrossMoments, b: CrossMoments, step: np.ndarray) -> np.ndarray | None:
    """Units for the products of two sets of rows whose means are ``step`` apart."""
    return not_ones(unit_for(np.maximum(np.abs(step), np.maximum(a.std, b.std))))


def _add_outer(products: np.ndarray, step: np.ndarray, factor: float) -> None:
    # row by row: a whole outer product would be one more matrix of that size
    for row, scale in zip(products, factor * step, strict=True):
        if scale:
            row += scale * step
