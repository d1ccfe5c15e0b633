"""What metrics need to know of the targets before any prediction is looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from dasklasso.objective.best_constant import best_constant, row_derivatives
from dasklasso.objective.losses.base import Loss
from dasklasso.scan.queries.column_moments import (
    Moments,
    indicator_moments,
    merge_moments,
    target_moments,
)


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


Blocks = Iterable[tuple[np.ndarray, np.ndarray]]


def null_prediction(
    loss: Loss,
    targets: Targets,
    blocks: Callable[[], Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]]],
    *,
    offsets: bool = False,
) -> np.ndarray:
    """(n_targets,) the constant, added to every row's offset, with the least loss.

    Parameters
    ----------
    targets : Targets
        Of these blocks.
    blocks : callable
        The blocks of :func:`summarise`, from the first, at each call; with the rows' offsets
        (n_rows, 1).
    offsets : bool
        Whether some are not zero.

    Raises
    ------
    ValueFound
        When the loss falls without end.
    """
    known = loss.null_model(targets.mean, targets.variance, fit_intercept=True)
    if known is not None and not offsets:
        return known[0]
    found, varies = np.array(loss.link(targets.mean)), ~targets.constant

    def derivatives(b: np.ndarray) -> np.ndarray:
        parts = (row_derivatives(loss, b + o, y[:, varies], s[:, None]) for y, s, o in blocks())
        total = sum(parts, np.zeros(1))
        return total[:-1] / total[-1]

    if varies.any():
        found[varies] = best_constant(derivatives, found[varies])[0]
    return found


def summarise(blocks: Blocks) -> Targets:
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
        moments.variance,
        moments.minimum,
        moments.maximum,
        labels,
    )


def summarise_classes(blocks: Blocks, n_classes: int) -> Targets:
    """Targets that are codes of classes, as the indicators of the classes: (n_classes,) arrays.

    Parameters
    ----------
    blocks : of (y (n_rows, 1), weight (n_rows,)), every weight above 0; one row at least
    """
    n_rows, totals = 0, np.zeros(n_classes)
    for y, weight in blocks:
        n_rows += len(y)
        totals += np.bincount(y[:, 0].astype(np.intp), weight, n_classes)
    moments = indicator_moments(totals)
    return Targets(
        n_rows,
        moments.weight,
        moments.mean,
        moments.variance,
        minimum=np.floor(moments.mean),
        maximum=np.ceil(moments.mean),
        labels=np.ones(n_classes, dtype=bool),
    )
