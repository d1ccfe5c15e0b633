"""What metrics need to know of the targets before any prediction is looked at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from dasklasso.scan.moments import Moments, merge_moments, target_moments


@dataclass(frozen=True)
class Targets:
    """Targets of all rows whose weight is above 0.

    Attributes
    ----------
    n_rows : int
    weight : float, the sum of the rows' weights
    mean, variance : (n_targets,) float64, weighted
    minimum, maximum : (n_targets,) float64
    labels : (n_targets,) bool
        Whether every value is 0 or 1.
    """

    n_rows: int
    weight: float
    mean: np.ndarray
    variance: np.ndarray
    minimum: np.ndarray
    maximum: np.ndarray
    labels: np.ndarray

    @property
    def constant(self) -> np.ndarray:
        """(n_targets,) bool, whether all rows have the same value."""
        return self.minimum == self.maximum


def summarise(blocks: Iterable[tuple[np.ndarray, np.ndarray]]) -> Targets:
    """Targets block by block.

    Parameters
    ----------
    blocks : of (y (n_rows, n_targets), weight (n_rows,)), every weight above 0; one row at least
    """
    moments: Moments | None = None
    n_rows, labels = 0, np.asarray(True)
    for y, weight in blocks:
        if len(y) == 0:
            continue
        found = target_moments(y, weight[:, None])
        moments = found if moments is None else merge_moments(moments, found)
        labels = labels & np.all((y == 0) | (y == 1), axis=0)
        n_rows += len(y)
    assert moments is not None
    return Targets(
        n_rows,
        moments.weight,
        moments.mean,
        moments.squares / moments.weight,
        moments.minimum,
        moments.maximum,
        labels,
    )
