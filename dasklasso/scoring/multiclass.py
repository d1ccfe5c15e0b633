"""Metrics of probabilities of several classes. Pure functions on arrays in memory.

In all of them, ``probabilities`` is (n_rows, n_classes), ``labels`` (n_rows,) integers from 0 to
n_classes − 1, and ``weight`` (n_rows,) or None for weights of 1.
"""

from __future__ import annotations

import numpy as np

from dasklasso.scoring.ranked import area_under_curve


def accuracy(
    probabilities: np.ndarray, labels: np.ndarray, weight: np.ndarray | None = None
) -> float:
    """The share of rows whose label is the most probable class (the first of several)."""
    return float(np.average(np.argmax(probabilities, axis=1) == labels, weights=weight))


def log_loss(
    probabilities: np.ndarray, labels: np.ndarray, weight: np.ndarray | None = None
) -> float:
    """The mean of −log of the probability of a row's label; +inf where one of them is 0."""
    with np.errstate(divide="ignore"):
        logs = np.log(np.take_along_axis(probabilities, labels[:, None], axis=1)[:, 0])
    counted = np.ones(len(logs), dtype=bool) if weight is None else weight > 0
    return -float(np.average(logs[counted], weights=None if weight is None else weight[counted]))


def one_vs_rest_auc(
    probabilities: np.ndarray, labels: np.ndarray, weight: np.ndarray | None = None
) -> float:
    """The unweighted mean over classes of the area under the curve of each against the rest.

    NaN where some class has no row, or all of them (Provost and Domingos, 2000; its macro mean).
    """
    areas = [
        area_under_curve(column, (labels == k).astype(np.float64), weight)
        for k, column in enumerate(probabilities.T)
    ]
    return float(np.mean(areas))
