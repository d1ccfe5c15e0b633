"""The objective: a loss and a penalty, with their parameters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dasklasso.errors import OptionError
from dasklasso.objective.losses.base import Loss
from dasklasso.objective.losses.squared import SQUARED


@dataclass(frozen=True)
class Objective:
    """What is minimised, in the user's terms.

    Attributes
    ----------
    l1_ratio : share of the l1 penalty, 0 … 1
    fit_intercept, standardize, positive : bool
    penalty_factor : (n_features,) or None for ones
    loss : Loss
    grouped : whether a feature's coefficients for all outputs of the loss are in or out together
    """

    l1_ratio: float = 1.0
    fit_intercept: bool = True
    standardize: bool = False
    positive: bool = False
    penalty_factor: np.ndarray | None = None
    loss: Loss = SQUARED
    grouped: bool = False

    def __post_init__(self) -> None:
        if not 0.0 <= self.l1_ratio <= 1.0:
            raise OptionError(f"l1_ratio: {self.l1_ratio} found, expected a number from 0 to 1")
        if self.grouped and self.loss.n_outputs == 1:
            raise OptionError(f"grouped: needs loss softmax, and loss is {self.loss.name}")
        if self.grouped and self.positive:
            raise OptionError("grouped: cannot be together with positive")
        factor = self.penalty_factor
        # a dual point would have to be orthogonal to unpenalised columns under weights that change
        if factor is not None and not self.loss.quadratic and np.any(np.asarray(factor) == 0):
            raise OptionError(
                f"penalty_factor: 0 found for feature {int(np.argmin(np.abs(factor)))}, expected "
                f"positive numbers: loss {self.loss.name} has no unpenalised features yet"
            )

    @property
    def n_together(self) -> int:
        """Coefficients of a feature that are in or out together."""
        return self.loss.n_outputs if self.grouped else 1
