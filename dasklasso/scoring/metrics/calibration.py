"""Calibration: whether of the rows predicted at 20%, 20% have the label 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dasklasso.objective.ranks import Groups


class Calibration:
    """Bins of nearly equal weight along the predicted probability.

    Rows with the same prediction share a bin, the one that the middle of their weight falls into;
    so bins may differ in weight, and some may be empty.

    Parameters
    ----------
    n_bins : int
    total_weight : float
        Of all rows.
    probability : function of an array
        From scores, in whose order rows come, to probabilities.
    """

    def __init__(
        self,
        n_bins: int,
        total_weight: float,
        probability: Callable[[np.ndarray], np.ndarray],
    ) -> None:
        self._total_weight = total_weight
        self._probability = probability
        self._sums = np.zeros((4, n_bins))  # rows, Σ s, Σ s · probability, Σ s y
        self._range = np.stack([np.full(n_bins, np.inf), np.full(n_bins, -np.inf)])

    def add(self, found: Groups) -> None:
        """Take in the next scores."""
        n_bins = self._sums.shape[1]
        so_far = found.negative + found.positive
        middle = 0.5 * (so_far[1:] + so_far[:-1])
        at = np.minimum((middle / self._total_weight * n_bins).astype(np.intp), n_bins - 1)
        probability = self._probability(found.score)
        weight = np.diff(found.negative) + np.diff(found.positive)
        terms = (np.diff(found.count), weight, weight * probability, np.diff(found.positive))
        for sums, term in zip(self._sums, terms, strict=True):
            sums += np.bincount(at, weights=term, minlength=n_bins)
        np.minimum.at(self._range[0], at, probability)
        np.maximum.at(self._range[1], at, probability)

    def table(self) -> list[dict[str, Any]]:
        """Return one row for each bin that is not empty, in plain numbers."""
        rows: list[dict[str, Any]] = []
        for (count, weight, predicted, observed), (low, high) in zip(
            self._sums.T, self._range.T, strict=True
        ):
            if count == 0:
                continue
            rows.append(
                {
                    "bin": len(rows) + 1,
                    "lowest": float(low),
                    "highest": float(high),
                    "rows": int(count),
                    "weight": float(weight),
                    "mean_prediction": float(predicted / weight),
                    "observed_rate": float(observed / weight),
                }
            )
        return rows
