"""Column statistics gathered in one pass, accurate also where the mean dwarfs the deviation."""

from __future__ import annotations

import numpy as np

from dasklasso.dataset.manifest import ColumnStatistics
from dasklasso.objective.square_units import unit_for
from dasklasso.storage.missing_codes import MissingCode

_SLAB_ELEMENTS = 1 << 17  # 1 MiB of float64: one slab stays in the processor's cache
_SLAB_ROWS = 64  # least rows of a slab: wide blocks are cut by columns, so that merging is cheap


class RunningMoments:
    """Mean, deviation, minimum and maximum of columns that arrive as blocks of rows.

    Each slab of rows is reduced by the corrected two-pass formula and merged pairwise
    (Chan, Golub and LeVeque, "Algorithms for computing the sample variance", 1983), so nothing
    cancels when mean ≫ std. All sums are float64. NaN and infinity propagate into ``mean``.

    Parameters
    ----------
    n_columns : int
    missing : MissingCode, optional
        Of blocks that have one; the moments are of the values filled in.
    """

    def __init__(self, n_columns: int, missing: MissingCode | None = None) -> None:
        self.count = 0
        self._missing = missing
        # the mean is kept as origin + offset: of a mean that dwarfs the deviation, float64 has too
        # few digits left for the steps between the means of slabs
        self._origin = np.zeros(n_columns)
        self._offset = np.zeros(n_columns)
        self._squares = np.zeros(n_columns)  # of deviations from the mean, in units of _unit²
        self._unit = np.ones(n_columns)
        self.minimum = np.full(n_columns, np.inf)
        self.maximum = np.full(n_columns, -np.inf)

    def update(self, block: np.ndarray) -> None:
        """Take in rows; ``block`` is (n, n_columns) of any real or boolean dtype."""
        n, width = block.shape
        rows = max(min(_SLAB_ROWS, n), _SLAB_ELEMENTS // max(1, width), 1)
        step = max(1, _SLAB_ELEMENTS // rows)
        for start in range(0, n, rows):
            slab = block[start : start + rows]
            for left in range(0, width, step):
                columns = slice(left, min(left + step, width))
                self._merge(slab[:, columns], columns)
            self.count += len(slab)

    def take_counted(self, columns: slice, values: np.ndarray, counts: np.ndarray) -> None:
        """Take in all rows of some columns, as how often each of their few values is there.

        Parameters
        ----------
        values, counts : (n_values, width), the counts of each column with the same sum
        """
        total = counts.sum(axis=0)
        self.count = int(total[0])
        mean = (values * counts).sum(axis=0) / total
        self._origin[columns] = mean
        self._squares[columns] = (counts * (values - mean) ** 2).sum(axis=0)
        self.minimum[columns] = np.where(counts > 0, values, np.inf).min(axis=0)
        self.maximum[columns] = np.where(counts > 0, values, -np.inf).max(axis=0)

    def _merge(self, slab: np.ndarray, columns: slice) -> None:
        """Take in rows of some columns, which ``count`` does not have yet."""
        n = len(slab)
        if self._missing is not None:
            slab = self._missing[columns].filled(slab)
        # views of what is known of these columns
        minimum, maximum = self.minimum[columns], self.maximum[columns]
        origin, offset = self._origin[columns], self._offset[columns]
        squares, unit = self._squares[columns], self._unit[columns]
        # inf - inf, or sums beyond float64: the deviation then says that it is not finite
        with np.errstate(invalid="ignore", over="ignore"):
            least, most = slab.min(axis=0), slab.max(axis=0)
            np.minimum(minimum, least, out=minimum)
            np.maximum(maximum, most, out=maximum)
            mean = slab.mean(axis=0, dtype=np.float64)
            deviation = np.subtract(slab, mean, dtype=np.float64)
            rest = deviation.sum(axis=0)  # zero but for rounding: corrects both moments
            if self.count == 0:
                origin[:] = mean
            total = self.count + n
            delta = (mean - origin) + rest / n - offset
            size = np.maximum(np.maximum(most - mean, mean - least), np.abs(delta))
            new_unit = unit_for(np.maximum(size, _std(squares, self.count) * unit))
            deviation /= new_unit
            own = np.einsum("ij,ij->j", deviation, deviation) - (rest / new_unit) ** 2 / n
            for _ in range(2):  # the square of a ratio may be beyond float64
                squares *= unit / new_unit
            offset += delta * (n / total)
            squares += own + (delta / new_unit) ** 2 * (self.count * n / total)
            unit[:] = new_unit

    @property
    def mean(self) -> np.ndarray:
        """Mean of the rows so far, zero before the first."""
        return self._origin + self._offset

    @property
    def std(self) -> np.ndarray:
        """Population standard deviation (divisor n), exactly 0 for a constant column."""
        found = _std(self._squares, self.count) * self._unit
        return np.where(self.minimum == self.maximum, 0.0, found)

    def statistics(self, missing: np.ndarray) -> ColumnStatistics:
        """Return what the manifest records; ``missing`` is (n_columns,) int64."""
        return ColumnStatistics(
            mean=self.mean,
            std=self.std,
            minimum=self.minimum.copy(),
            maximum=self.maximum.copy(),
            missing=np.asarray(missing, dtype=np.int64),
        )


def _std(squares: np.ndarray, count: int) -> np.ndarray:
    """Standard deviations, in the units that the squares are in."""
    return np.sqrt(np.maximum(squares, 0.0) / max(1, count))


def merge_statistics(
    one: ColumnStatistics, n_one: int, other: ColumnStatistics, n_other: int
) -> ColumnStatistics:
    """Statistics of the rows of two tables together.

    Chan, Golub and LeVeque (1983), Algorithms for computing the sample variance, eq. 1.5.
    """
    n = n_one + n_other
    step = other.mean - one.mean
    minimum = np.minimum(one.minimum, other.minimum)
    maximum = np.maximum(one.maximum, other.maximum)
    # of extreme columns squares are beyond float64, and hypot takes none
    within = np.hypot(one.std * np.sqrt(n_one / n), other.std * np.sqrt(n_other / n))
    std = np.hypot(within, step * (np.sqrt(n_one / n) * np.sqrt(n_other / n)))
    return ColumnStatistics(
        mean=one.mean + step * (n_other / n),
        std=np.where(minimum == maximum, 0.0, std),
        minimum=minimum,
        maximum=maximum,
        missing=one.missing + other.missing,
    )
