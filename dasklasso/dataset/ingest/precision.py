"""What narrowing to the store's type takes off a column, compared with the column's spread.

A column whose mean dwarfs its standard deviation (Unix seconds, a projected coordinate, a counter)
loses in float32 what a model needs of it: the rounding of 1.7e9 is 64. So rounding is measured
while rows are encoded, value by value, and judged once all of them were seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dasklasso.dataset.manifest import ColumnStatistics

ROUNDING_PER_STD = 1e-4  # most that rounding may be of a standard deviation: 1e-8 of the variance
EXACT_INTEGERS = 2.0**53  # up to here float64 tells every two whole numbers apart
_MOST_NAMED = 5


class Rounding:
    """Rounding errors of columns, gathered as their values are narrowed.

    An error that is the same in every row moves the column and harms no model, so what counts is
    the errors' standard deviation, taken about the first row's error: it is exactly 0 for a column
    that has one value, whatever that value is.

    Parameters
    ----------
    n_columns : int
    """

    def __init__(self, n_columns: int) -> None:
        self._count = 0
        self._first = np.zeros(n_columns)
        self._sum = np.zeros(n_columns)
        self._squares = np.zeros(n_columns)
        self._largest = np.zeros(n_columns)  # of errors whose squares are 0 in float64
        self._fractional = np.zeros(n_columns, dtype=bool)
        self._beyond = np.zeros(n_columns, dtype=bool)

    def add(self, natural: np.ndarray, stored: np.ndarray) -> None:
        """Take in rows, (n, n_columns), as they were and as they are stored."""
        self._look_for_large(natural)
        start, self._count = self._count, self._count + len(natural)
        if np.can_cast(natural.dtype, stored.dtype) or not len(natural):
            return
        with np.errstate(invalid="ignore", over="ignore"):  # infinities are refused elsewhere
            error = np.subtract(natural, stored, dtype=np.float64)
            if start == 0:
                self._first = error[0].copy()
            elif not error.any() and not self._first.any():
                return
            error -= self._first
            self._sum += error.sum(axis=0)
            self._squares += np.einsum("ij,ij->j", error, error)
            tiny = np.flatnonzero(self._squares == 0)
            if len(tiny):
                sizes = np.abs(error[:, tiny]).max(axis=0)
                self._largest[tiny] = np.maximum(self._largest[tiny], sizes)

    def _look_for_large(self, natural: np.ndarray) -> None:
        if natural.dtype.itemsize < 4 or not natural.size:
            return
        if max(float(natural.max()), -float(natural.min())) < EXACT_INTEGERS:
            return
        self._beyond |= (np.abs(natural.astype(np.float64)) >= EXACT_INTEGERS).any(axis=0)
        if natural.dtype.kind == "f":
            self._fractional |= (natural != np.floor(natural)).any(axis=0)

    @property
    def std(self) -> np.ndarray:
        """(n_columns,) standard deviation of the rounding errors.

        Of errors below 1e-162, whose squares are 0 in float64, it is the largest one.
        """
        n = max(1, self._count)
        found = np.sqrt(np.maximum(self._squares / n - (self._sum / n) ** 2, 0.0))
        return np.where(self._squares == 0, self._largest, found)

    def harmed(self, std: np.ndarray) -> np.ndarray:
        """(n_columns,) bool: columns whose rounding is no longer small beside their spread.

        Parameters
        ----------
        std : (n_columns,) standard deviations of the columns as stored
        """
        return np.asarray(self.std > ROUNDING_PER_STD * std)

    @property
    def beyond_integers(self) -> np.ndarray:
        """(n_columns,) bool: whole numbers, some of them of 2^53 or more."""
        return self._beyond & ~self._fractional


@dataclass(frozen=True)
class HarmedColumn:
    """A column that float32 rounds by more than it should.

    Attributes
    ----------
    name : str
    mean, std : float
        Of the column.
    rounding : float
        Standard deviation of the rounding errors.
    """

    name: str
    mean: float
    std: float
    rounding: float

    def __str__(self) -> str:
        share = f"{self.rounding / self.std:.2g} of that" if self.std else "more than that"
        return (
            f"{self.name} (mean {self.mean:.6g}, standard deviation {self.std:.3g}) "
            f"by {self.rounding:.2g}, {share}"
        )


def harmed_columns(
    names: Sequence[str], statistics: ColumnStatistics, rounding: Rounding, harmed: np.ndarray
) -> list[HarmedColumn]:
    """Return the columns marked in ``harmed``, with the figures that say why."""
    errors = rounding.std
    return [
        HarmedColumn(
            names[j], float(statistics.mean[j]), float(statistics.std[j]), float(errors[j])
        )
        for j in np.flatnonzero(harmed).tolist()
    ]


def widened_note(columns: Sequence[HarmedColumn]) -> str:
    """Say why X is float64 where float32 was the default."""
    return (
        f"X is stored as float64, twice the size: float32 would round {_listed(columns)}. "
        "To keep float32, subtract a constant near the mean, leave the column out (--drop), or "
        "ask for --dtype float32."
    )


def rounded_warning(columns: Sequence[HarmedColumn], dtype: str, remedy: str = "") -> str:
    """Note that X was rounded, as its type was given, and by how much."""
    remedy = remedy + " " if remedy else ""
    return (
        f"{dtype} rounds {_listed(columns)}: models see the rounded values. "
        f"{remedy}--dtype float64 keeps them as they are."
    )


def beyond_integers_warning(names: Sequence[str]) -> str:
    """Note that whole numbers are too large to be told apart."""
    some = ", ".join(names[:_MOST_NAMED]) + (", ..." if len(names) > _MOST_NAMED else "")
    has = "column has" if len(names) == 1 else "columns have"
    return (
        f"{len(names)} {has} whole numbers of 2^53 and more ({some}), which even float64 does not "
        "all tell apart. Identifiers are no features: leave them out (--drop)."
    )


def _listed(columns: Sequence[HarmedColumn]) -> str:
    some = "; ".join(str(column) for column in columns[:_MOST_NAMED])
    more = len(columns) - _MOST_NAMED
    return some + (f"; and {more} more columns" if more > 0 else "")
