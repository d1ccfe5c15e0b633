"""Metrics of each loss: sums over rows, and what follows from them. Pure mathematics.

A loss's metrics are one class in :data:`METRICS`. Several models and several targets are judged
at once: predictions are (n_rows, n_models, n_targets), sums and metrics (n_models, n_targets).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from dasklasso.errors import OptionError
from dasklasso.objective.losses.base import Loss
from dasklasso.scoring.metrics.base import (
    NOT_LABELS,
    SAME_TARGETS,
    LossMetrics,
    Outcome,
    Ranking,
    Reasons,
)
from dasklasso.scoring.metrics.class_metrics import OfClasses
from dasklasso.scoring.metrics.target_summary import Targets


class OfTargets(LossMetrics):
    """Metrics of losses of one prediction for each target."""

    def __init__(
        self,
        loss: Loss,
        targets: Targets,
        null: np.ndarray | None = None,
        *,
        calibrated: bool = False,
    ) -> None:
        super().__init__(loss, targets, null, calibrated=calibrated)
        if null is None:
            known = loss.null_model(targets.mean, targets.variance, fit_intercept=True)
            assert known is not None
            null = known[0]
        # where the best constant is infinite all targets are the same: nothing is explained
        self._null = np.where(np.isfinite(null), null, 0.0)

    def sums(
        self,
        prediction: np.ndarray,
        y: np.ndarray,
        weight: np.ndarray,
        offset: np.ndarray | None = None,
    ) -> np.ndarray:
        y = y[:, None, :]
        shape = prediction.shape[1:]
        null = self._null + np.zeros_like(y)
        if offset is not None:
            null += offset[:, None]
        terms = [*self._deviances(prediction, null, y), *self._terms(prediction, y)]
        totals = [(weight @ t.reshape(len(t), -1)).reshape(t.shape[1:]) for t in terms]
        return np.stack([np.broadcast_to(total, shape) for total in totals])

    def _deviances(
        self, prediction: np.ndarray, null: np.ndarray, y: np.ndarray
    ) -> list[np.ndarray]:
        """Halves of the deviances of the models and of the null model, row by row."""
        least = self.loss.conjugate(np.zeros_like(y), y)  # −inf over p of f(p, y)
        return [self.loss.value(p, y) + least for p in (prediction, null)]

    @abstractmethod
    def _terms(self, prediction: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
        """Return more arrays to sum, (n_rows, n_models or 1, n_targets) each."""

    def metrics(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        with np.errstate(divide="ignore", invalid="ignore"):
            found = {"deviance_explained": 1.0 - sums[0] / sums[1], **self._metrics(sums)}
        for name, reasons in self.undefined().items():
            if name in found:
                found[name][:, [reason is not None for reason in reasons]] = np.nan
        return found

    @abstractmethod
    def _metrics(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        """Compute all metrics but ``deviance_explained`` and what needs ranks."""

    def undefined(self) -> dict[str, Reasons]:
        return {"deviance_explained": self._where(self.targets.constant, SAME_TARGETS)}

    @staticmethod
    def _where(condition: np.ndarray, reason: str) -> Reasons:
        return [reason if holds else None for holds in condition]


class OfMeans(OfTargets):
    """Metrics of losses whose model is the mean of y: R², mean squared and mean absolute error."""

    names = ("r2", "mean_squared_error", "mean_absolute_error", "deviance_explained")

    def _terms(self, prediction: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
        residual = self.loss.mean(prediction) - y
        return [residual**2, np.abs(residual), (y - self.targets.mean) ** 2]

    def _metrics(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        total = self.targets.weight
        return {
            "r2": 1.0 - sums[2] / sums[4],
            "mean_squared_error": sums[2] / total,
            "mean_absolute_error": sums[3] / total,
        }

    def undefined(self) -> dict[str, Reasons]:
        reasons = super().undefined()
        return {**reasons, "r2": reasons["deviance_explained"]}


class OfProbabilities(OfTargets):
    """Metrics of losses whose model is the probability of the label 1.

    ``log_loss`` is the mean negative log-likelihood, or cross-entropy where targets are
    probabilities; ``brier_score`` the mean squared difference of probability and target;
    ``accuracy`` the share of labels that are on their side of probability ½.
    """

    names = ("auc", "log_loss", "accuracy", "brier_score", "deviance_explained")

    def _terms(self, prediction: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
        hit = (prediction > 0) == (y > 0.5)
        return [
            self.loss.value(prediction, y),
            (self.loss.mean(prediction) - y) ** 2,
            hit.astype(np.float64),
        ]

    def _metrics(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        total = self.targets.weight
        return {
            "log_loss": sums[2] / total,
            "accuracy": sums[4] / total,
            "brier_score": sums[3] / total,
        }

    def undefined(self) -> dict[str, Reasons]:
        targets = self.targets
        labels: Reasons = self._where(~targets.labels, NOT_LABELS)
        same = self._where(targets.constant, SAME_TARGETS)
        auc = [first or second for first, second in zip(labels, same, strict=True)]
        return {**super().undefined(), "auc": auc, "accuracy": labels}

    def rankings(self) -> Sequence[Ranking]:
        labels, probability = self.targets.labels, self.loss.mean if self.calibrated else None
        # a label fits in a byte
        return [Ranking(np.uint8 if labels[k] else np.float64, probability) for k in self._ranked()]

    def outcomes(self, prediction: np.ndarray, y: np.ndarray) -> Sequence[Outcome]:
        return [(prediction[:, :, k], y[:, k]) for k in self._ranked()]

    def areas(self, found: np.ndarray) -> np.ndarray:
        reasons = self.undefined()["auc"]
        area = np.full((found.shape[1], len(reasons)), np.nan)
        area[:, self._ranked()] = found.T
        area[:, [reason is not None for reason in reasons]] = np.nan
        return area

    def _ranked(self) -> list[int]:
        """Targets whose rows are ranked: for a calibration all, for an area those of two labels."""
        reasons = self.undefined()["auc"]
        return [k for k, reason in enumerate(reasons) if self.calibrated or reason is None]


METRICS: dict[str, type[LossMetrics]] = {
    "squared": OfMeans,
    "huber": OfMeans,
    "poisson": OfMeans,
    "logistic": OfProbabilities,
    "softmax": OfClasses,
}


def check_scorable(loss: str) -> None:
    """Refuse a loss that has no metrics.

    Raises
    ------
    OptionError
    """
    if loss not in METRICS:
        raise OptionError(f"loss: models of {loss} cannot be scored, only of {', '.join(METRICS)}.")


def metrics_for(
    loss: Loss, targets: Targets, null: np.ndarray | None = None, *, calibrated: bool = False
) -> LossMetrics:
    """Return the metrics of a loss, for the targets of some rows.

    Parameters are those of :class:`~dasklasso.scoring.metrics.base.LossMetrics`.

    Raises
    ------
    OptionError
        Where it has none.
    """
    check_scorable(loss.name)
    return METRICS[loss.name](loss, targets, null, calibrated=calibrated)
