"""Second moments of features and targets together: all that least squares needs of some rows.

Each set of rows is centred at its own means, so that nothing cancels where mean >> std; two sets
merge, and one is taken away from another, by a rank-one correction (Chan, Golub and LeVeque, 1983,
Algorithms for computing the sample variance, eq. 1.5, for products instead of squares).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


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
        ``Σ s (z − mean)(z − mean)ᵀ`` over rows z of ``[X, y]``: symmetric, both halves filled.
    n_targets : int
    """

    weight: float
    count: int
    mean: np.ndarray
    products: np.ndarray
    n_targets: int

    @classmethod
    def nothing(cls, n_features: int, n_targets: int) -> CrossMoments:
        """The moments of no rows."""
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

    def of_features(self, columns: np.ndarray) -> CrossMoments:
        """The moments of some features, by number, and of all targets."""
        return self._among(np.append(columns, np.arange(self.n_features, len(self.mean))))

    def of_target(self, target: int) -> CrossMoments:
        """The moments of all features and one target."""
        if self.n_targets == 1:
            return self
        return self._among(np.append(np.arange(self.n_features), self.n_features + target))

    def _among(self, index: np.ndarray) -> CrossMoments:
        n_targets = int(np.count_nonzero(index >= self.n_features))
        products = self.products[np.ix_(index, index)]
        return CrossMoments(self.weight, self.count, self.mean[index], products, n_targets)

    def merged(self, other: CrossMoments) -> CrossMoments:
        """The moments of the union of two disjoint sets of rows."""
        if other.weight == 0:
            return self._counting(other.count)
        if self.weight == 0:
            return other._counting(self.count)
        weight = self.weight + other.weight
        step = other.mean - self.mean
        products = self.products + other.products
        _add_outer(products, step, self.weight * (other.weight / weight))
        mean = self.mean + step * (other.weight / weight)
        return CrossMoments(weight, self.count + other.count, mean, products, self.n_targets)

    def without(self, part: CrossMoments) -> CrossMoments:
        """The moments of these rows less some of them, the inverse of :meth:`merged`.

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
        products = self.products - part.products
        _add_outer(products, part.mean - mean, -weight * (part.weight / self.weight))
        return CrossMoments(weight, count, mean, products, self.n_targets)

    def scaled(self, factor: float) -> CrossMoments:
        """The same rows with every weight multiplied by ``factor``: how the past is forgotten."""
        return CrossMoments(
            self.weight * factor, self.count, self.mean, self.products * factor, self.n_targets
        )

    def _counting(self, more: int) -> CrossMoments:
        """The same moments with ``more`` rows of no weight."""
        return CrossMoments(
            self.weight, self.count + more, self.mean, self.products, self.n_targets
        )


def merge_all(parts: Iterable[CrossMoments]) -> CrossMoments:
    """The moments of the union of one or more disjoint sets of rows, merged in order."""
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
    if s is not None:
        z *= np.sqrt(s)[:, None]
    return CrossMoments(weight, len(z), shift + mean, z.T @ z, y.shape[1])


def _add_outer(products: np.ndarray, step: np.ndarray, factor: float) -> None:
    # row by row: a whole outer product would be one more matrix of that size
    for row, scale in zip(products, factor * step, strict=True):
        if scale:
            row += scale * step
