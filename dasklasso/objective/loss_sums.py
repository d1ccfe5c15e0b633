"""Sums over rows at several points: all that a scan tells of a loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from dasklasso.backend import Array, namespace, to_numpy


@dataclass(frozen=True, eq=False)
class LossSums:
    """Sums over rows of weights s at K points, with slopes g = dloss/dprediction.

    Each is (K,) float64; those that a loss has no use for are None. What they are for, and what
    k and r are, says :mod:`dasklasso.objective.duality`. Sums over disjoint sets of rows add up
    by ``+``; ``sums / total`` is a mean, ``sums[points]`` are those of some of the points.

    Attributes
    ----------
    loss : Σ s·loss
    slope : Σ s·g
    slope_squares : Σ s·g²
    slope_ratio : Σ s·g²/k(g), of a loss that is no quadratic
    slack : Σ s·r, of such a loss of one output
    slack_product : Σ s·r·prediction
    slack_squares : Σ s·r²
    """

    loss: Array
    slope: Array
    slope_squares: Array
    slope_ratio: Array = None
    slack: Array = None
    slack_product: Array = None
    slack_squares: Array = None

    def __len__(self) -> int:
        return int(self.loss.shape[0])

    def __add__(self, other: LossSums) -> LossSums:
        mine, theirs = self._arrays(), other._arrays()
        return LossSums(*(None if a is None else a + b for a, b in zip(mine, theirs, strict=True)))

    def __truediv__(self, total: Array | float) -> LossSums:
        return self.map(lambda one: one / total)

    def __getitem__(self, points: slice | np.ndarray) -> LossSums:
        return self.map(lambda one: one[points])

    def map(self, function: Callable[[Array], Array]) -> LossSums:
        """Return the sums with ``function`` applied to each array."""
        return LossSums(*(None if one is None else function(one) for one in self._arrays()))

    def to_numpy(self) -> LossSums:
        """Return the sums as NumPy arrays."""
        return self.map(to_numpy)

    @staticmethod
    def concatenate(several: list[LossSums]) -> LossSums:
        """Return the sums of the points of each, one after the other."""
        if len(several) == 1:
            return several[0]
        xp = namespace(several[0].loss)
        columns = zip(*(one._arrays() for one in several), strict=True)
        return LossSums(*(None if one[0] is None else xp.concat(list(one)) for one in columns))

    @property
    def finite(self) -> np.ndarray:
        """(K,) bool: points where every sum is a finite number."""
        known = [np.isfinite(to_numpy(one)) for one in self._arrays() if one is not None]
        return np.logical_and.reduce(known)

    def _arrays(self) -> tuple[Array | None, ...]:
        return tuple(getattr(self, name) for name in _NAMES)


_NAMES = tuple(field.name for field in fields(LossSums))
