"""Logistic loss: log(1 + eᵖ) − y p, for two labels or for probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dasklasso.backend import Array, namespace
from dasklasso.objective.losses.base import Loss

NEAR_ZERO = 1e-3  # of a prediction: a slope between there and zero is 1/4, but for 1e-7


ROUNDING = 1e-15  # of a probability: the sum of a dual value and a target


@dataclass(frozen=True)
class Logistic(Loss):
    """The negative log-likelihood of a binary target, log(1 + eᵖ) − y p, with y from 0 to 1.

    y is a label, 0 or 1, or a probability. Hastie, Tibshirani and Friedman (2009), The Elements
    of Statistical Learning, eq. 4.20.
    """

    name = "logistic"
    max_curvature = 0.25
    quadratic = False
    target_range = (0.0, 1.0)
    gives_probabilities = True
    most_classes = 2

    def value(self, prediction: Array, y: Array) -> Array:
        return self.value_and_gradient(prediction, y)[0]

    def gradient(self, prediction: Array, y: Array) -> Array:
        sign, odds, _, miss = _sides(prediction, y)
        return sign * (miss / (1.0 + odds))

    def value_and_gradient(self, prediction: Array, y: Array) -> tuple[Array, Array]:
        return self.terms(prediction, y)[:2]

    def terms(self, prediction: Array, y: Array) -> tuple[Array, ...]:
        xp = namespace(prediction)
        sign, odds, against, miss = _sides(prediction, y)
        total = 1.0 + odds
        value = against * xp.abs(prediction) + xp.log1p(odds)
        # g²/f'' would be 0/0 in rows that a float holds for certain
        ratio = miss * (miss / (odds + xp.finfo(odds.dtype).smallest_normal))
        return value, sign * (miss / total), ratio, odds / (total * total)

    def curvature(self, prediction: Array, y: Array) -> Array:
        xp = namespace(prediction)
        small = xp.exp(-xp.abs(prediction))
        return small / (1.0 + small) ** 2 + 0.0 * y

    def model_curvature(self, prediction: Array, y: Array) -> Array:
        """``tanh(p/2) / 2p``: of the quadratic that touches f at p, and at −p, nowhere below.

        Jaakkola and Jordan (2000), Bayesian parameter estimation via variational methods, eq. 9.
        f'' falls as e^−|p|: of rows that are all but certain it says nothing.
        """
        xp = namespace(prediction)
        size = xp.abs(prediction)
        near = size < NEAR_ZERO
        size = xp.where(near, xp.ones_like(size), size)
        odds = xp.exp(-size)
        slope = (1.0 - odds) / (2.0 * size * (1.0 + odds))
        return xp.where(near, 0.25 + 0.0 * slope, slope) + 0.0 * y

    def conjugate(self, dual: Array, y: Array) -> Array:
        """``t log t + (1 − t) log(1 − t)`` at t = u + y, +inf where that is no probability."""
        xp = namespace(dual)
        t = dual + y
        inside = (t >= -ROUNDING) & (t <= 1.0 + ROUNDING)
        return xp.where(inside, _minus_entropy(t), xp.full_like(t, float("inf")))

    def mean(self, prediction: Array) -> Array:
        """1 / (1 + e⁻ᵖ)."""
        xp = namespace(prediction)
        small = xp.exp(-xp.abs(prediction))
        return xp.where(prediction > 0, xp.ones_like(small), small) / (1.0 + small)

    def null_model(
        self, mean: np.ndarray, variance: np.ndarray, *, fit_intercept: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        mean = np.asarray(mean, dtype=np.float64)
        if not fit_intercept:
            return np.zeros_like(mean), np.full_like(mean, np.log(2.0))
        # with one class the best constant is infinite: its loss of 0 says so
        return self.link(mean), -_minus_entropy(mean)

    def link(self, mean: np.ndarray) -> np.ndarray:
        """log odds."""
        with np.errstate(divide="ignore"):
            return np.log(mean) - np.log1p(-mean)


def _sides(prediction: Array, y: Array) -> tuple[Array, Array, Array, Array]:
    """Logistic rows by the side that their prediction takes, without a branch or an overflow.

    Returns
    -------
    sign : 1 where the prediction is for y = 1, else −1
    odds : of the other side, e^−|p|, at most 1
    against : the target's share of the other side
    miss : |slope|·(1 + odds), signed as if the prediction were for y = 1; exact for labels
    """
    xp = namespace(prediction)
    odds = xp.exp(-xp.abs(prediction))
    above = xp.astype(prediction > 0, odds.dtype)
    against = y + above * (1.0 - 2.0 * y)
    return 2.0 * above - 1.0, odds, against, against - (1.0 - against) * odds


def _minus_entropy(t: Array) -> Array:
    """``t log t + (1 − t) log(1 − t)``, 0 at 0 and 1 and beyond."""
    xp = namespace(t)
    within = (t > 0) & (t < 1)
    t = xp.where(within, t, 0.5 + xp.zeros_like(t))
    return xp.where(within, t * xp.log(t) + (1.0 - t) * xp.log1p(-t), xp.zeros_like(t))
