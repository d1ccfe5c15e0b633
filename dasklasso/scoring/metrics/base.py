"""What metrics of a loss are: sums over rows, what follows from them, and what is to be ranked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from dasklasso.objective.losses.base import Loss
from dasklasso.scoring.metrics.target_summary import Targets

Reasons = list["str | None"]  # for each target why a metric is undefined, None where it is defined
Outcome = tuple[np.ndarray, np.ndarray]  # scores (n_rows, n_models), y (n_rows,) from 0 to 1

SAME_TARGETS = "all rows have the same target"
NOT_LABELS = "the targets are not all 0 or 1"


@dataclass(frozen=True)
class Ranking:
    """One order of the rows by a score: for an area under the curve, a calibration or both.

    Attributes
    ----------
    y_dtype : numpy dtype that what is ranked fits in
    probability : function of an array, or None
        From scores to probabilities where they are to be calibrated. y is one for all models, so
        there may be one model only where it depends on what that model predicts.
    has_area : bool
    """

    y_dtype: Any
    probability: Callable[[np.ndarray], np.ndarray] | None = None
    has_area: bool = True


class LossMetrics(ABC):
    """Metrics of the models of one loss.

    Every loss has ``deviance_explained``, D² = 1 − deviance / null deviance. The deviance of a row
    is twice its loss less the least loss that its target allows; the null model is the constant,
    added to the offsets where rows have any, with the least loss on the rows that are scored
    (Hastie, Tibshirani and Wainwright, Statistical Learning with Sparsity, 2015, section 3.2).

    Parameters
    ----------
    loss : Loss
    targets : Targets
        Of the rows that are scored.
    null : (n_targets,), optional
        The prediction of the null model, where moments of the targets do not tell it.
    calibrated : bool
        Whether probabilities are calibrated too.

    Attributes
    ----------
    names : tuple of str
        Of the metrics, in the order in which they are shown.
    """

    names: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        loss: Loss,
        targets: Targets,
        null: np.ndarray | None = None,
        *,
        calibrated: bool = False,
    ) -> None:
        self.loss, self.targets, self.null = loss, targets, null
        self.calibrated = calibrated

    @abstractmethod
    def sums(
        self,
        prediction: np.ndarray,
        y: np.ndarray,
        weight: np.ndarray,
        offset: np.ndarray | None = None,
    ) -> np.ndarray:
        """Weighted sums over some rows; those of disjoint rows add up.

        Parameters
        ----------
        prediction : (n_rows, n_models, n_outputs) float64, ``Xw + b``
        y : (n_rows, n_targets)
        weight : (n_rows,)
        offset : (n_rows, 1), optional
            What predictions have in them, and the null model's are to have.

        Returns
        -------
        (n_sums, n_models, n_targets) float64
        """

    @abstractmethod
    def metrics(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        """Compute metrics (n_models, n_targets) by name from sums over all rows; NaN if undefined.

        All but ``auc``.
        """

    @abstractmethod
    def undefined(self) -> dict[str, Reasons]:
        """Say for metrics that some target lacks why, target by target."""

    def rankings(self) -> Sequence[Ranking]:
        """Return the orders of the rows that are wanted, those with a calibration by target."""
        return ()

    def outcomes(self, prediction: np.ndarray, y: np.ndarray) -> Sequence[Outcome]:
        """Return for each of the rankings what to rank of some rows."""
        return ()

    def areas(self, found: np.ndarray) -> np.ndarray:
        """``auc`` (n_models, n_targets) from the areas of the rankings, (n_rankings, n_models)."""
        raise NotImplementedError

    def by_class(self, sums: np.ndarray, areas: np.ndarray) -> list[dict[str, float]] | None:
        """Figures of each class of the first model, where targets are several classes."""
        return None
