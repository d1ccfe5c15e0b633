"""How well models of several classes predict the rows that they leave out, from the same read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dasklasso.backend import Array, backend_for, to_numpy
from dasklasso.dataset.row_folds import RowLabels
from dasklasso.objective.losses.base import Loss
from dasklasso.scan.queries import kernels
from dasklasso.scan.queries.base import Query
from dasklasso.scan.queries.folds import ALL, Group, Scores, pieces
from dasklasso.scan.queries.kernels import Rows, Weights


@dataclass(frozen=True)
class HeldOutClasses(Query):
    """Scores of problems of C classes on the rows that each of them leaves out.

    Inputs: points (n_features, n_problems · C) and the frame. Answer: :class:`Scores` of the
    problems, NaN for those of all rows, and without an area under a curve.

    Attributes
    ----------
    intercepts, loss, device : as in :class:`~dasklasso.scan.queries.folds.FoldGradient`
    labels, n_rows, groups : too
    """

    intercepts: tuple[float, ...]
    loss: Loss
    labels: RowLabels
    n_rows: int
    groups: tuple[Group, ...]
    device: str = "cpu"
    name = "score"

    def prepare(self, inputs: Sequence[Array], widths: Sequence[int]) -> list[Weights]:
        points, frame = inputs
        backend = backend_for(self.device)
        return [
            kernels.weights_at(points[:, g.columns], frame, widths, np.float64, backend)
            for g in self.groups
        ]

    def on_rows(self, rows: Rows, prepared: list[Weights]) -> np.ndarray:
        n_classes = self.loss.n_outputs
        total = np.zeros((3, self.groups[-1].stop // n_classes))
        for some, folds in pieces(rows, self.labels, self.n_rows):
            for group, weights in zip(self.groups, prepared, strict=True):
                chosen = folds == group.fold
                if group.fold != ALL and chosen.any():
                    own = slice(group.start // n_classes, group.stop // n_classes)
                    total[:, own] += self._sums(some.those(chosen), group, weights)
        return total

    def combine(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return a + b

    def finish(self, value: np.ndarray, inputs: Sequence[Array]) -> Scores:
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
