"""Metrics of the probabilities of several classes: of all rows, and of those of each class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import entr

from dasklasso.objective.losses.softmax import indicators
from dasklasso.scoring.metrics.base import SAME_TARGETS, LossMetrics, Outcome, Ranking, Reasons

MOST_RANKED = 100  # classes: rows are sorted for each


class OfClasses(LossMetrics):
    """Metrics of a loss whose model is the probability of each of C classes.

    Predictions have the classes on their last axis, as outputs of the one target; targets are
    their indicators (``target_summary.summarise_classes``), y their codes.

    ``accuracy`` is the share of rows whose label is the most probable class (the first of several),
    ``balanced_accuracy`` the mean over the classes that have rows of the share among their rows,
    ``log_loss`` the mean negative log-likelihood. ``auc`` is the mean over classes of the area
    under the curve of its probability against the rest (Provost and Domingos, 2000, Well-trained
    PETs, with every class counting the same).

    The calibration is that of the most probable class: predicted is its probability, observed
    whether it was the label.
    """

    names = ("accuracy", "balanced_accuracy", "auc", "log_loss", "deviance_explained")

    def sums(
        self,
        prediction: np.ndarray,
        y: np.ndarray,
        weight: np.ndarray,
        offset: np.ndarray | None = None,
    ) -> np.ndarray:
        """Sums of losses; of hits by class; of rows for which each class is predicted."""
        n_classes = prediction.shape[2]
        chosen = prediction.argmax(axis=2)
        own = indicators(y[:, 0], n_classes, np.float64) * weight[:, None]
        hits = own.T @ (chosen == y)
        counts = [np.bincount(k, weight, n_classes) for k in chosen.T]
        losses = weight @ self.loss.value(prediction, y)
        return np.concatenate([losses[None], hits, np.transpose(counts)])[:, :, None]

    def metrics(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        total, share = self.targets.weight, self.targets.mean
        losses, hits, _ = self._parts(sums)
        recall = hits[share > 0] / (total * share[share > 0])[:, None, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            # the best constant is the frequencies, and its loss their entropy
            explained = 1.0 - losses / (total * entr(share).sum())
        same = [reason is not None for reason in self.undefined()["deviance_explained"]]
        explained[:, same] = np.nan
        return {
            "accuracy": hits.sum(axis=0) / total,
            "balanced_accuracy": recall.mean(axis=0),
            "log_loss": losses / total,
            "deviance_explained": explained,
        }

    def undefined(self) -> dict[str, Reasons]:
        same = SAME_TARGETS if self.targets.constant.all() else None
        absent = int(np.count_nonzero(self.targets.mean == 0))
        auc = same
        if len(self.targets.mean) > MOST_RANKED:
            auc = auc or f"the model has more than {MOST_RANKED} classes"
        elif absent:
            auc = auc or f"classes without a row: {absent} of {len(self.targets.mean)}"
        return {"deviance_explained": [same], "auc": [auc]}

    def rankings(self) -> Sequence[Ranking]:
        by_class = [Ranking(np.uint8)] * self._n_ranked
        return [*by_class, *([Ranking(np.uint8, np.asarray, has_area=False)] * self.calibrated)]

    def outcomes(self, prediction: np.ndarray, y: np.ndarray) -> Sequence[Outcome]:
        probability = self.loss.mean(prediction)
        own = indicators(y[:, 0], prediction.shape[2], np.uint8)
        found = [(probability[:, :, k], own[:, k]) for k in range(self._n_ranked)]
        if self.calibrated:
            found.append((probability.max(axis=2), (prediction.argmax(axis=2) == y)[:, 0]))
        return found

    def areas(self, found: np.ndarray) -> np.ndarray:
        if not self._n_ranked:
            return np.full((found.shape[1], 1), np.nan)
        return found[: self._n_ranked].mean(axis=0)[:, None]

    def by_class(self, sums: np.ndarray, areas: np.ndarray) -> list[dict[str, Any]] | None:
        """Share of the rows, recall, precision and area of each class, NaN where undefined."""
        total, share = self.targets.weight, self.targets.mean
        _, hits, counts = (part[..., 0, 0] for part in self._parts(sums))
        area = areas[:, 0] if self._n_ranked else np.full(len(share), np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            columns = {
                "share": share,
                "recall": hits / (total * share),
                "precision": hits / counts,
                "auc": area[: len(share)],
            }
        rows = np.transpose([*columns.values()]).tolist()
        return [dict(zip(columns, row, strict=True)) for row in rows]

    @property
    def _n_ranked(self) -> int:
        """Classes whose areas are wanted: where one has no rows, those of the others still are."""
        n_classes = len(self.targets.mean)
        return 0 if self.targets.constant.all() or n_classes > MOST_RANKED else n_classes

    @staticmethod
    def _parts(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Losses (n_models, 1); hits and counts (n_classes, n_models, 1)."""
        n_classes = len(sums) // 2
        return sums[0], sums[1 : 1 + n_classes], sums[1 + n_classes :]
