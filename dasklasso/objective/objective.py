"""The objective: a loss and a penalty, with their parameters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dasklasso.errors import OptionError
from dasklasso.objective.losses.base import Loss
from dasklasso.objective.losses.squared import SQUARED
from dasklasso.objective.penalties.base import Penalty
from dasklasso.objective.penalties.elastic_net import ElasticNet


def check_l1_ratio(l1_ratio: float) -> None:
    """Refuse a share that is none.

    Raises
    ------
    OptionError
    """
    if not 0.0 <= l1_ratio <= 1.0:
        raise OptionError(f"l1_ratio: {l1_ratio} found, expected a number from 0 to 1")


@dataclass(frozen=True)
class Objective:
    """What is minimised, in the user's terms.

    Attributes
    ----------
    l1_ratio : share of the part of the penalty that has a kink, 0 … 1
    fit_intercept, standardize : bool
    penalty_factor : (n_features,) or None for ones
    loss : Loss
    penalty_type : class of the penalty

    Raises
    ------
    OptionError
        When they do not go together.
    """

    l1_ratio: float = 1.0
    fit_intercept: bool = True
    standardize: bool = False
    penalty_factor: np.ndarray | None = None
    loss: Loss = SQUARED
    penalty_type: type[Penalty] = ElasticNet

    def __post_init__(self) -> None:
        check_l1_ratio(self.l1_ratio)
        if self.penalty_type.grouped and self.loss.n_outputs == 1:
            raise OptionError(f"grouped: needs loss softmax, and loss is {self.loss.name}")
        factor = self.penalty_factor
        # a dual point would have to be orthogonal to unpenalised columns in every class
        if factor is not None and self.loss.n_outputs > 1 and np.any(np.asarray(factor) == 0):
            raise OptionError(
                f"penalty_factor: 0 found for feature {int(np.argmin(np.abs(factor)))}, expected "
                f"positive numbers: loss {self.loss.name} has no unpenalised features yet"
            )

    @property
    def penalty(self) -> Penalty:
        """The penalty of alpha 1 and factors of 1."""
        return self.penalty_type.of(self.l1_ratio, self.loss.n_outputs)

    @property
    def l1_penalty(self) -> Penalty:
        """The same of l1_ratio 1, in which the largest alpha of a path is counted."""
        return self.penalty_type.of(1.0, self.loss.n_outputs)
