"""Metrics of each loss: sums over rows, and what follows from them. Pure mathematics.

A loss's metrics are one class in :data:`METRICS`. Several models and several targets are judged
at once: predictions are (n_rows, n_models, n_targets), sums and metrics (n_models, n_targets).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from dasklasso.errors import OptionError
from dasklasso.objective.losses import Loss
from dasklasso.scoring.targets import Targets

Reasons = list["str | None"]  # for each target why a metric is undefined, None where it is defined

SAME_TARGETS = "all rows have the same target"
NOT_LABELS = "the targets are not all 0 or 1"


class LossMetrics(ABC):
    """Metrics of the models of one loss.

    Every loss has ``deviance_explained``, D² = 1 − deviance / null deviance. The deviance of a row
    is twice its loss less the least loss that its target allows; the null model is the constant
    with the least loss on the rows that are scored (Hastie, Tibshirani and Wainwright, Statistical
    Learning with Sparsity, 2015, section 3.2).

    Parameters
    ----------
    loss : Loss
    targets : Targets
        Of the rows that are scored.
    null : (n_targets,), optional
        The prediction of the null model, where moments of the targets do not tell it.

    Attributes
    ----------
    names : tuple of str
        Of the metrics, in the order in which they are shown.
    ranked : bool
        Whether rows are ranked by their prediction as well: ``auc`` and calibration.
    """

    names: ClassVar[tuple[str, ...]]
    ranked: ClassVar[bool] = False

    def __init__(self, loss: Loss, targets: Targets, null: np.ndarray | None = None) -> None:
        self.loss, self.targets = loss, targets
        if null is None:
            known = loss.null_model(targets.mean, targets.variance, fit_intercept=True)
            assert known is not None
            null = known[0]
        # where the best constant is infinite all targets are the same: nothing is explained
        self._null = np.where(np.isfinite(null), null, 0.0)

    def sums(self, prediction: np.ndarray, y: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Weighted sums over some rows; those of disjoint rows add up.

        Parameters
        ----------
        prediction : (n_rows, n_models, n_targets) float64, ``Xw + b``
        y : (n_rows, n_targets)
        weight : (n_rows,)

        Returns
        -------
        (n_sums, n_models, n_targets) float64
        """
        y = y[:, None, :]
        shape = prediction.shape[1:]
        terms = [*self._deviances(prediction, y), *self._terms(prediction, y)]
        totals = [(weight @ t.reshape(len(t), -1)).reshape(t.shape[1:]) for t in terms]
        return np.stack([np.broadcast_to(total, shape) for total in totals])

    def _deviances(self, prediction: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
        """Halves of the deviances of the models and of the null model, row by row."""
        least = self.loss.conjugate(np.zeros_like(y), y)  # −inf over p of f(p, y)
        null = self.loss.value(self._null + np.zeros_like(y), y)
        return [self.loss.value(prediction, y) + least, null + least]

    @abstractmethod
    def _terms(self, prediction: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
        """More to sum, (n_rows, n_models or 1, n_targets) each."""

    def metrics(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        """From the sums over all rows: (n_models, n_targets) for each name, NaN where undefined."""
        with np.errstate(divide="ignore", invalid="ignore"):
            found = {"deviance_explained": 1.0 - sums[0] / sums[1], **self._metrics(sums)}
        for name, reasons in self.undefined().items():
            if name in found:
                found[name][:, [reason is not None for reason in reasons]] = np.nan
        return found

    @abstractmethod
    def _metrics(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        """All but ``deviance_explained`` and what needs ranks."""

    def undefined(self) -> dict[str, Reasons]:
        """For metrics that some target has not: why, target by target."""
        return {"deviance_explained": self._where(self.targets.constant, SAME_TARGETS)}

    @staticmethod
    def _where(condition: np.ndarray, reason: str) -> Reasons:
        return [reason if holds else None for holds in condition]


class OfMeans(LossMetrics):
    """Of losses whose model is the mean of y: R², mean squared and mean absolute error."""

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


class OfProbabilities(LossMetrics):
    """Of losses whose model is the probability of the label 1.

    ``log_loss`` is the mean negative log-likelihood, or cross-entropy where targets are
    probabilities; ``brier_score`` the mean squared difference of probability and target;
    ``accuracy`` the share of labels that are on their side of probability ½.
    """

    names = ("auc", "log_loss", "accuracy", "brier_score", "deviance_explained")
    ranked = True

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


METRICS: dict[str, type[LossMetrics]] = {
    "squared": OfMeans,
    "huber": OfMeans,
    "poisson": OfMeans,
    "logistic": OfProbabilities,
}


def check_scorable(loss: str) -> None:
    """Refuse a loss that has no metrics.

    Raises
    ------
    OptionError
    """
    if loss not in METRICS:
        raise OptionError(f"loss: models of {loss} cannot be scored, only of {', '.join(METRICS)}.")


def metrics_for(loss: Loss, targets: Targets, null: np.ndarray | None = None) -> LossMetrics:
    """The metrics of a loss, for the targets of some rows.

    Parameters are those of :class:`LossMetrics`.

    Raises
    ------
    OptionError
        Where it has none.
    """
    check_scorable(loss.name)
    return METRICS[loss.name](loss, targets, null)
