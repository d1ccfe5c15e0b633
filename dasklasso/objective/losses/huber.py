"""Huber's loss: squares of small residuals, absolute values of large ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from dasklasso.backend import Array, namespace
from dasklasso.errors import OptionError
from dasklasso.objective.losses.base import Loss

HUBER_DELTA = 1.35  # 95 % as efficient as least squares where noise is normal of variance 1
AUTO_DELTA = "auto"  # of the targets' spread

HuberDelta = float | Literal["auto"]

DELTA_RATIO = 4.0  # of one easier loss's delta to the next's


def parse_huber_delta(text: str | float) -> HuberDelta:
    """Take a number, or the word "auto".

    Raises
    ------
    OptionError
    """
    if text == AUTO_DELTA:
        return "auto"
    try:
        return Huber(float(text)).delta
    except ValueError:
        raise OptionError(
            f"huber_delta: {text!r} found, expected a positive number or auto"
        ) from None


@dataclass(frozen=True)
class Huber(Loss):
    """½r² of a residual r = p − y up to delta, and ``delta (|r| − ½ delta)`` beyond.

    Huber (1964), Robust estimation of a location parameter, section 4. A row that is far off pulls
    with delta, no more.

    Attributes
    ----------
    delta : float
        In units of the target.

    Raises
    ------
    OptionError
        When delta is no positive number.
    """

    delta: float = HUBER_DELTA

    name = "huber"
    max_curvature = 1.0
    quadratic = False
    target_range = (-np.inf, np.inf)
    gives_probabilities = False
    damping = 1.0
    has_easier = True

    def __post_init__(self) -> None:
        if not 0.0 < self.delta < np.inf:
            raise OptionError(f"huber_delta: {self.delta} found, expected a positive number")

    @classmethod
    def of(cls, *, n_classes: int, huber_delta: float) -> Self:
        return cls(huber_delta)

    @property
    def parameters(self) -> dict[str, float]:
        return {"huber_delta": self.delta}

    @property
    def slack_ratio(self) -> float:
        return self.delta

    @property
    def steepness(self) -> float:
        return self.delta

    def value(self, prediction: Array, y: Array) -> Array:
        return self.value_and_gradient(prediction, y)[0]

    def gradient(self, prediction: Array, y: Array) -> Array:
        xp = namespace(prediction)
        residual = prediction - y
        large = xp.abs(residual) > self.delta
        return xp.where(large, self.delta * xp.sign(residual), residual)

    def value_and_gradient(self, prediction: Array, y: Array) -> tuple[Array, Array]:
        slope = self.gradient(prediction, y)
        return slope * (prediction - y) - 0.5 * (slope * slope), slope

    def terms(self, prediction: Array, y: Array) -> tuple[Array, ...]:
        xp = namespace(prediction)
        value, slope = self.value_and_gradient(prediction, y)
        # as the domain of f* has it, where f*'' is 1 everywhere: also at its ends, the tails of f
        return value, slope, slope * slope, self.delta - xp.abs(slope)

    def overshoot(self, loss: np.ndarray, slope_squares: np.ndarray) -> np.ndarray:
        """``g (p − f*'(g))`` is ``delta (|r| − delta)`` in a tail: there the loss less ½g²."""
        return np.maximum(loss - 0.5 * slope_squares, 0.0)

    def curvature(self, prediction: Array, y: Array) -> Array:
        xp = namespace(prediction)
        residual = prediction - y
        return xp.where(xp.abs(residual) > self.delta, 0.0 * residual, 1.0 + 0.0 * residual)

    def model_curvature(self, prediction: Array, y: Array) -> Array:
        """``|g / r|``, 1 up to delta: of the quadratic around y that touches f at p, nowhere below.

        Huber and Ronchetti (2009), Robust Statistics, section 7.8. f'' is 0 in tails, and so may
        be that of all rows together.
        """
        xp = namespace(prediction)
        size = xp.abs(prediction - y)
        return self.delta / xp.where(size > self.delta, size, xp.full_like(size, self.delta))

    def easier(self, prediction: np.ndarray, y: np.ndarray) -> Sequence[Loss]:
        """Return Huber losses of larger deltas, falling from the median absolute residual.

        Where delta is far below residuals, next to no row has curvature, and Newton's method goes
        astray; solutions change little from one delta to the next.
        """
        spread = float(np.median(np.abs(prediction - y)))
        if not self.delta < spread < np.inf:
            return ()
        steps = int(np.ceil(np.log(spread / self.delta) / np.log(DELTA_RATIO)))
        return [Huber(self.delta * DELTA_RATIO**k) for k in range(steps, 0, -1)]

    def conjugate(self, dual: Array, y: Array) -> Array:
        """½u² + u y, +inf beyond ±delta."""
        xp = namespace(dual)
        value = 0.5 * dual**2 + dual * y
        return xp.where(xp.abs(dual) <= self.delta, value, xp.full_like(value, float("inf")))

    def mean(self, prediction: Array) -> Array:
        return prediction

    def link(self, mean: np.ndarray) -> np.ndarray:
        return mean
