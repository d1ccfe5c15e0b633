"""How well problems predict the rows that they leave out.

Areas under curves are those of ranks. Where the predictions of all rows fit in memory, they
are sorted there. Else rows are counted in bins, whose edges are predictions of a sample of rows
at evenly spaced ranks, and the area comes with a bound on what it is off by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dasklasso.backend import backend_for, to_numpy
from dasklasso.dataset.row_folds import FoldAssignment
from dasklasso.objective.losses.base import Loss
from dasklasso.objective.ranks import area_under_curve, binned_area, rank_bins
from dasklasso.scan.queries import kernels, row_terms
from dasklasso.scan.queries.base import Query
from dasklasso.scan.queries.folds import ALL, Group, pieces
from dasklasso.scan.queries.kernels import StoredPoints
from dasklasso.scan.rows import Rows
from dasklasso.scan.slabs import slabs

RANK_EDGES = 2048  # of bins, where predictions are too many to be sorted
SCORE_SUMS = 3 + 2 * (2 * RANK_EDGES + 1)  # loss, hits, weight, and each label's weights by bin
TIED_SHARE = 2.0**-40  # of the spread of predictions: closer ones are equal but for rounding


@dataclass(frozen=True)
class Scores:
    """How well problems predict the rows they leave out: arrays of shape (K,).

    Attributes
    ----------
    loss : mean loss
    accuracy : share of rows whose label is the more probable one; of probabilities as targets,
        which are a row of each class in part, what is expected of it
    auc : area under the receiver operating characteristic, equal predictions counting half
    auc_bound : by how much the area may be off, 0 where all predictions were sorted
    """

    loss: np.ndarray
    accuracy: np.ndarray
    auc: np.ndarray
    auc_bound: np.ndarray


@dataclass
class _Sums:
    """What a group's rows add up to.

    Attributes
    ----------
    sums : (3, k): Σ s·loss, Σ s of rows that are right, Σ s
    rows : predictions (n, k), y (n, k or 1) and weights (n, 1) of runs of rows, in their order,
        where all are sorted
    bins : for each problem (2, n_bins), the weights of negative and of positive rows, where not
    """

    sums: np.ndarray
    rows: list[tuple[np.ndarray, np.ndarray, np.ndarray]]
    bins: list[np.ndarray]

    def __add__(self, other: _Sums) -> _Sums:
        bins = [a + b for a, b in zip(self.bins, other.bins, strict=True)]
        return _Sums(self.sums + other.sums, self.rows + other.rows, bins)


@dataclass(frozen=True, eq=False)
class HeldOut(Query[Scores]):
    """Scores of K points on the rows that each of them leaves out.

    Inputs: points (n_features, K) and the frame. Answer: :class:`Scores`, NaN for problems of all
    rows. Accuracy and area are NaN where the loss has no probabilities.

    Attributes
    ----------
    targets, intercepts, loss, device : as in :class:`~dasklasso.scan.queries.folds.FoldGradient`
    assignment, n_rows, groups : too
    edges : of each point's bins, or None to sort all predictions
    """

    targets: tuple[int, ...]
    intercepts: tuple[float, ...]
    loss: Loss
    assignment: FoldAssignment
    n_rows: int
    groups: tuple[Group, ...]
    device: str = "cpu"
    edges: tuple[np.ndarray, ...] | None = None
    name = "score"

    def prepare(
        self, inputs: Sequence[Any], widths: Sequence[int]
    ) -> list[tuple[StoredPoints, np.ndarray]]:
        points, frame = inputs
        return [
            ready_to_predict(points[:, group.columns], frame, widths, self.device)
            for group in self.groups
        ]

    def on_rows(self, rows: Rows, prepared: list[tuple[StoredPoints, np.ndarray]]) -> list[_Sums]:
        totals = [self._nothing(group) for group in self.groups]
        for some, folds in pieces(rows, self.assignment, self.n_rows):
            for group, ready, total in zip(self.groups, prepared, totals, strict=True):
                chosen = folds == group.fold
                if group.fold != ALL and chosen.any():
                    self._score(some.take(chosen), group, ready, total)
        return totals

    def combine(self, a: list[_Sums], b: list[_Sums]) -> list[_Sums]:
        return [x + y for x, y in zip(a, b, strict=True)]

    def finish(self, value: list[_Sums], inputs: Sequence[Any]) -> Scores:
        loss, hits, weight = np.concatenate([one.sums for one in value], axis=1)
        areas = np.concatenate([self._areas(one) for one in value], axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            accuracy = (
                hits / weight if self.loss.gives_probabilities else np.full_like(hits, np.nan)
            )
            return Scores(loss / weight, accuracy, *areas)

    def _nothing(self, group: Group) -> _Sums:
        bins: list[np.ndarray] = []
        if self.edges is not None and group.fold != ALL and self.loss.gives_probabilities:
            bins = [np.zeros((2, 2 * len(one) + 1)) for one in self.edges[group.columns]]
        return _Sums(np.zeros((3, group.stop - group.start)), [], bins)

    @row_terms.beyond_numbers
    def _score(
        self, rows: Rows, group: Group, ready: tuple[StoredPoints, np.ndarray], total: _Sums
    ) -> None:
        """Add what some rows, all of the group's fold, say to ``total``."""
        weights, unit = ready
        columns = group.columns
        prediction = predictions(rows, weights, self.intercepts[columns], self.device)
        assert rows.y is not None
        y = row_terms.targets_of(rows.y, self.targets[columns])
        weight = np.ones((rows.n_rows, 1)) if rows.weight is None else rows.weight
        total.sums[0] += np.sum(weight * self.loss.value(prediction, y), axis=0)
        total.sums[2] += weight.sum()
        if not self.loss.gives_probabilities:
            return
        total.sums[1] += np.sum(weight * np.where(prediction > 0, y, 1.0 - y), axis=0)
        score = ties_made_equal(prediction, unit)
        if self.edges is None:
            total.rows.append((score, y, weight))
            return
        of_label = np.stack([weight * (1.0 - y), weight * y])  # (2, n, k or 1)
        for k, (counts, edges) in enumerate(zip(total.bins, self.edges[columns], strict=True)):
            place = rank_bins(score[:, k], edges)
            for label in range(2):
                own = of_label[label, :, min(k, y.shape[1] - 1)]
                counts[label] += np.bincount(place, own, counts.shape[1])

    def _areas(self, found: _Sums) -> np.ndarray:
        """(2, k): areas and their bounds."""
        areas = np.full((2, found.sums.shape[1]), np.nan)
        if found.rows:
            score, y, weight = (np.concatenate(part) for part in zip(*found.rows, strict=True))
            for k, own in enumerate(score.T):
                area = area_under_curve(own, y[:, min(k, y.shape[1] - 1)], weight[:, 0])
                areas[:, k] = area, 0.0 * area
        for k, (negative, positive) in enumerate(found.bins):
            areas[:, k] = np.ravel(binned_area(negative[:, None], positive[:, None]))
        return areas


def ready_to_predict(
    points: np.ndarray, frame: Any, widths: Sequence[int], device: str
) -> tuple[StoredPoints, np.ndarray]:
    """Points ready to meet rows, and the unit (k,) of each one's predictions."""
    spread = np.sqrt(np.sum(to_numpy(points) ** 2, axis=0))
    weights = kernels.stored_points(points, frame, widths, np.float64, backend_for(device))
    # spread is that of predictions where columns are not correlated
    return weights, TIED_SHARE * np.where(spread > 0, spread, 1.0)


def predictions(
    rows: Rows, weights: StoredPoints, intercepts: Sequence[float], device: str
) -> np.ndarray:
    """(n_rows, k) float64 with intercepts and offsets."""
    shares = [
        to_numpy(kernels.predict(blocks, weights) + weights.constant)
        for _, _, blocks in slabs(rows, weights.shifts, np.float64, backend_for(device))
    ]
    offset = 0.0 if rows.offset is None else rows.offset
    return np.concatenate(shares) + np.asarray(intercepts or 0.0) + offset


@row_terms.beyond_numbers
def ties_made_equal(prediction: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Predictions in whole units: rows that are the same are tied, wherever they are met."""
    return np.round(prediction / unit) * unit


@dataclass(frozen=True)
class HeldOutClasses(Query[Scores]):
    """Scores of problems of C classes on the rows that each of them leaves out.

    Inputs: points (n_features, n_problems · C) and the frame. Answer: :class:`Scores` of the
    problems, NaN for those of all rows, and without an area under a curve.

    Attributes
    ----------
    intercepts, loss, device : as in :class:`~dasklasso.scan.queries.folds.FoldGradient`
    assignment, n_rows, groups : too
    """

    intercepts: tuple[float, ...]
    loss: Loss
    assignment: FoldAssignment
    n_rows: int
    groups: tuple[Group, ...]
    device: str = "cpu"
    name = "score"

    def prepare(self, inputs: Sequence[Any], widths: Sequence[int]) -> list[StoredPoints]:
        points, frame = inputs
        backend = backend_for(self.device)
        return [
            kernels.stored_points(points[:, g.columns], frame, widths, np.float64, backend)
            for g in self.groups
        ]

    def on_rows(self, rows: Rows, prepared: list[StoredPoints]) -> np.ndarray:
        n_classes = self.loss.n_outputs
        total = np.zeros((3, self.groups[-1].stop // n_classes))
        for some, folds in pieces(rows, self.assignment, self.n_rows):
            for group, weights in zip(self.groups, prepared, strict=True):
                chosen = folds == group.fold
                if group.fold != ALL and chosen.any():
                    own = slice(group.start // n_classes, group.stop // n_classes)
                    total[:, own] += self._sums(some.take(chosen), group, weights)
        return total

    def combine(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return a + b

    def finish(self, value: np.ndarray, inputs: Sequence[Any]) -> Scores:
        loss, hits, weight = value
        with np.errstate(divide="ignore", invalid="ignore"):
            none = np.full_like(loss, np.nan)
            return Scores(loss / weight, hits / weight, none, none)

    def _sums(self, rows: Rows, group: Group, weights: StoredPoints) -> Any:
        """(3, n_problems of the group): Σ s·loss, Σ s of rows that are right, Σ s."""
        found = predictions(rows, weights, self.intercepts[group.columns], self.device)
        prediction = row_terms.by_output(found, self.loss)
        assert rows.y is not None
        y = np.asarray(rows.y, dtype=np.float64)
        weight = np.ones((1, rows.n_rows)) if rows.weight is None else rows.weight.T
        right = np.argmax(prediction, axis=-1) == y
        sums = [weight @ self.loss.value(prediction, y), weight @ right]
        return np.concatenate([*sums, np.full_like(sums[0], weight.sum())])
