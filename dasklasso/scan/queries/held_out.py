"""How well problems predict the rows that they leave out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dasklasso.backend import backend_for, to_numpy
from dasklasso.dataset.row_folds import FoldAssignment
from dasklasso.objective.losses.base import Loss
from dasklasso.scan.queries import kernels
from dasklasso.scan.queries.base import Query
from dasklasso.scan.queries.folds import ALL, Group, pieces
from dasklasso.scan.queries.kernels import Weights
from dasklasso.scan.rows import Rows

BINS, FARTHEST = 4096, 15.0  # of predictions, whose ranks an area under a curve is made of
SCORE_SUMS = 3 + 2 * BINS  # loss, hits, weight, and the weights of each label by bin


@dataclass(frozen=True)
class Scores:
    """How well problems predict the rows they leave out: arrays of shape (K,).

    Attributes
    ----------
    loss : mean loss
    accuracy : share of rows whose label is the more probable one; of probabilities as targets,
        which are a row of each class in part, what is expected of it
    auc : area under the receiver operating characteristic, equal predictions counting half. Ranks
        are those of bins, 1/140 of the spread of predictions wide where most of them are: what is
        in the same bin counts as equal
    """

    loss: np.ndarray
    accuracy: np.ndarray
    auc: np.ndarray


@dataclass(frozen=True)
class HeldOut(Query[Scores]):
    """Scores of K points on the rows that each of them leaves out.

    Inputs: points (n_features, K) and the frame. Answer: :class:`Scores`, NaN for problems of all
    rows. Accuracy and area are NaN where the loss has no probabilities.

    Attributes
    ----------
    targets, intercepts, loss, device : as in :class:`FoldGradient`
    assignment, n_rows, groups : too
    """

    targets: tuple[int, ...]
    intercepts: tuple[float, ...]
    loss: Loss
    assignment: FoldAssignment
    n_rows: int
    groups: tuple[Group, ...]
    device: str = "cpu"
    name = "score"

    def prepare(
        self, inputs: Sequence[Any], widths: Sequence[int]
    ) -> list[tuple[Weights, np.ndarray]]:
        points, frame = inputs
        backend = backend_for(self.device)
        found = []
        for group in self.groups:
            own = points[:, group.columns]
            # of unit spread where columns are not correlated: the unit that bins are laid out in
            spread = np.sqrt(np.sum(to_numpy(own) ** 2, axis=0))
            weights = kernels.weights_at(own, frame, widths, np.float64, backend)
            found.append((weights, np.where(spread > 0, spread, 1.0)))
        return found

    def on_rows(self, rows: Rows, prepared: list[tuple[Weights, np.ndarray]]) -> list[np.ndarray]:
        totals = [np.zeros((SCORE_SUMS, g.stop - g.start)) for g in self.groups]
        for some, folds in pieces(rows, self.assignment, self.n_rows):
            for group, ready, total in zip(self.groups, prepared, totals, strict=True):
                chosen = folds == group.fold
                if group.fold != ALL and chosen.any():
                    self._score(some.those(chosen), group, ready, total)
        return totals

    def combine(self, a: list[np.ndarray], b: list[np.ndarray]) -> list[np.ndarray]:
        return [x + y for x, y in zip(a, b, strict=True)]

    def finish(self, value: list[np.ndarray], inputs: Sequence[Any]) -> Scores:
        sums = np.concatenate(value, axis=1)
        loss, hits, weight = sums[:3]
        negatives, positives = sums[3 : 3 + BINS], sums[3 + BINS :]
        below = np.cumsum(negatives, axis=0) - 0.5 * negatives
        with np.errstate(divide="ignore", invalid="ignore"):
            pairs = positives.sum(axis=0) * negatives.sum(axis=0)
            auc = np.where(pairs > 0, np.sum(positives * below, axis=0) / pairs, np.nan)
            accuracy = (
                hits / weight if self.loss.gives_probabilities else np.full_like(hits, np.nan)
            )
            return Scores(loss / weight, accuracy, auc)

    @kernels.beyond_numbers
    def _score(
        self, rows: Rows, group: Group, ready: tuple[Weights, np.ndarray], total: np.ndarray
    ) -> None:
        """Add what some rows, all of the group's fold, say to ``total``."""
        weights, spread = ready
        backend = backend_for(self.device)
        columns = group.columns
        added = np.asarray(self.intercepts[columns] or 0.0)
        offset = 0.0 if rows.offset is None else rows.offset
        shares = [
            to_numpy(kernels.predict(blocks, weights.columns, weights.used) + weights.constant)
            for _, _, blocks in kernels.slabs(rows, weights.shifts, np.float64, backend)
        ]
        prediction = np.concatenate(shares) + added + offset
        assert rows.y is not None
        y = kernels.targets_of(rows.y, self.targets[columns])
        weight = np.ones((rows.n_rows, 1)) if rows.weight is None else rows.weight
        total[0] += np.sum(weight * self.loss.value(prediction, y), axis=0)
        total[2] += weight.sum()
        if not self.loss.gives_probabilities:
            return
        total[1] += np.sum(weight * np.where(prediction > 0, y, 1.0 - y), axis=0)
        height = np.arcsinh((prediction - added) / spread) / FARTHEST
        place = np.clip((height + 1.0) * (0.5 * BINS), 0, BINS - 1).astype(np.int64)
        for k in range(place.shape[1]):
            positive = weight[:, 0] * y[:, min(k, y.shape[1] - 1)]
            total[3 : 3 + BINS, k] += np.bincount(place[:, k], weight[:, 0] - positive, BINS)
            total[3 + BINS :, k] += np.bincount(place[:, k], positive, BINS)


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

    def prepare(self, inputs: Sequence[Any], widths: Sequence[int]) -> list[Weights]:
        points, frame = inputs
        backend = backend_for(self.device)
        return [
            kernels.weights_at(points[:, g.columns], frame, widths, np.float64, backend)
            for g in self.groups
        ]

    def on_rows(self, rows: Rows, prepared: list[Weights]) -> np.ndarray:
        n_classes = self.loss.n_outputs
        total = np.zeros((3, self.groups[-1].stop // n_classes))
        for some, folds in pieces(rows, self.assignment, self.n_rows):
            for group, weights in zip(self.groups, prepared, strict=True):
                chosen = folds == group.fold
                if group.fold != ALL and chosen.any():
                    own = slice(group.start // n_classes, group.stop // n_classes)
                    total[:, own] += self._sums(some.those(chosen), group, weights)
        return total

    def combine(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return a + b

    def finish(self, value: np.ndarray, inputs: Sequence[Any]) -> Scores:
        loss, hits, weight = value
        with np.errstate(divide="ignore", invalid="ignore"):
            return Scores(loss / weight, hits / weight, np.full_like(loss, np.nan))

    def _sums(self, rows: Rows, group: Group, weights: Weights) -> Any:
        """(3, n_problems of the group): Σ s·loss, Σ s of rows that are right, Σ s."""
        backend = backend_for(self.device)
        added = np.asarray(self.intercepts[group.columns] or 0.0)
        shares = [
            to_numpy(kernels.predict(blocks, weights.columns, weights.used) + weights.constant)
            for _, _, blocks in kernels.slabs(rows, weights.shifts, np.float64, backend)
        ]
        prediction = kernels.by_output(np.concatenate(shares) + added, self.loss)
        assert rows.y is not None
        y = np.asarray(rows.y, dtype=np.float64)
        weight = np.ones((1, rows.n_rows)) if rows.weight is None else rows.weight.T
        right = np.argmax(prediction, axis=-1) == y
        sums = [weight @ self.loss.value(prediction, y), weight @ right]
        return np.concatenate([*sums, np.full_like(sums[0], weight.sum())])
