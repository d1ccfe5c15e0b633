"""The targets, weights and offsets that models are scored against, in the order of the rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dasklasso.dataset.dataset import Dataset
from dasklasso.storage.blocks import BlockSource, LastBlock
from dasklasso.storage.zarr_blocks import read_rows

Observed = tuple[np.ndarray, np.ndarray, np.ndarray]  # y, weight, offset
TARGET_ROWS = 1 << 18  # read at a time for the summary of the targets


class ScoredRows:
    """The targets, weights and offsets of the rows that count, in the order of the rows.

    Weights are scaled by a power of two, so that none is above 1 and sums cannot overflow.
    """

    def __init__(self, data: Dataset, offset: BlockSource | None = None) -> None:
        assert data.y is not None
        self.n_rows = data.n_rows
        self._y = LastBlock(data.y)
        self._weight = None if data.sample_weight is None else LastBlock(data.sample_weight)
        self._offset = None if offset is None else LastBlock(offset)
        self._exponent = 0
        if self._weight is not None:
            largest = max(float(weight.max()) for _, weight, _ in self._read())
            self._exponent = int(np.frexp(largest)[1]) - (np.frexp(largest)[0] == 0.5)

    @property
    def weighted(self) -> bool:
        return self._weight is not None

    @property
    def have_offsets(self) -> bool:
        return self._offset is not None

    def in_blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(y (n, n_targets), weight (n,)) of the rows that count."""
        for y, weight, _ in self.with_offsets():
            yield y, weight

    def with_offsets(self) -> Iterator[Observed]:
        """(y (n, n_targets), weight (n,), offset (n, 1)) of the rows that count."""
        for y, weight, offset in self._read():
            counted = weight > 0
            yield y[counted], weight[counted], offset[counted]

    def counted(self, start: int, stop: int, prediction: np.ndarray) -> tuple[np.ndarray, Observed]:
        """Return predictions and observed values of those of these rows that count."""
        y, weight, offset = self._between(start, stop)
        counted = weight > 0
        if counted.all():
            return prediction, (y, weight, offset)
        return prediction[counted], (y[counted], weight[counted], offset[counted])

    def true_weight(self, scaled: float) -> float:
        """Return a sum of weights as they are stored."""
        return float(np.ldexp(scaled, self._exponent))

    def _read(self) -> Iterator[Observed]:
        for start in range(0, self.n_rows, TARGET_ROWS):
            yield self._between(start, min(start + TARGET_ROWS, self.n_rows))

    def _between(self, start: int, stop: int) -> Observed:
        y, weight, offset = read_rows(self._y, start, stop), np.ones(stop - start), self._offset
        if self._weight is not None:
            weight = np.ldexp(read_rows(self._weight, start, stop)[:, 0], -self._exponent)
        none = np.zeros((stop - start, 1))
        return y, weight, none if offset is None else read_rows(offset, start, stop)
