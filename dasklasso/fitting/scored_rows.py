"""The targets and weights that models are scored against, in the order of the rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dasklasso.dataset.blocks import LastBlock
from dasklasso.dataset.dataset import Dataset
from dasklasso.dataset.zarrblocks import read_rows

TARGET_ROWS = 1 << 18  # read at a time for the summary of the targets


class ScoredRows:
    """The targets and weights of the rows that count, in the order of the rows.

    Weights are scaled by a power of two, so that none is above 1 and sums cannot overflow.
    """

    def __init__(self, data: Dataset) -> None:
        assert data.y is not None
        self.n_rows = data.n_rows
        self._y = LastBlock(data.y)
        self._weight = None if data.sample_weight is None else LastBlock(data.sample_weight)
        self._exponent = 0
        if self._weight is not None:
            largest = max(float(weight.max()) for _, weight in self._read())
            self._exponent = int(np.frexp(largest)[1]) - (np.frexp(largest)[0] == 0.5)

    @property
    def weighted(self) -> bool:
        return self._weight is not None

    def in_blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(y (n, n_targets), weight (n,)) of the rows that count."""
        for y, weight in self._read():
            counted = weight > 0
            yield y[counted], weight[counted]

    def beside(
        self, start: int, stop: int, prediction: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Predictions, targets and weights of those of these rows that count."""
        y, weight = self._between(start, stop)
        counted = weight > 0
        if counted.all():
            return prediction, y, weight
        return prediction[counted], y[counted], weight[counted]

    def true_weight(self, scaled: float) -> float:
        """A sum of weights as they are stored."""
        return float(np.ldexp(scaled, self._exponent))

    def _read(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, self.n_rows, TARGET_ROWS):
            yield self._between(start, min(start + TARGET_ROWS, self.n_rows))

    def _between(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        y = read_rows(self._y, start, stop)
        if self._weight is None:
            return y, np.ones(stop - start)
        return y, np.ldexp(read_rows(self._weight, start, stop)[:, 0], -self._exponent)
