"""The loss of counts: a Poisson distribution whose mean is the exponential of the prediction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dasklasso.backend import Array, namespace
from dasklasso.objective.losses.base import Loss

LOG_MARGIN = 10.0  # of c: slopes have squares up to e¹⁰ beyond it
SMALL_LOG_DIFFERENCE = 1e-3  # of log y − p: from there the mean is nearly the slope between
ROUNDING = 1e-15  # of a dual value and a target, relative to that


@dataclass(frozen=True)
class Poisson(Loss):
    """Half the Poisson deviance, ``eᵖ − y p − (y − y log y)``, with y ≥ 0 and 0 log 0 = 0.

    The negative log-likelihood less the least that y allows, so that the loss is 0 at p = log y
    (McCullagh and Nelder, 1989, Generalized Linear Models, section 2.3). y may be any number ≥ 0,
    such as a rate beside a weight.

    From p = c on, near ½ log(the largest number), where a mean's square is no number any more, the
    loss goes on as the parabola of curvature eᶜ: a step that went much too far is then seen as
    that. The certificate holds for it: its k(u) is min(u + y, eᶜ), concave still.
    """

    name = "poisson"
    max_curvature = np.inf
    quadratic = False
    target_range = (0.0, np.inf)
    gives_probabilities = False
    damping = 1.0
    predicts_mean = True

    def value(self, prediction: Array, y: Array) -> Array:
        return self.value_and_gradient(prediction, y)[0]

    def gradient(self, prediction: Array, y: Array) -> Array:
        curved, beyond = _curved(prediction)
        return curved * (1.0 + beyond) - y

    def value_and_gradient(self, prediction: Array, y: Array) -> tuple[Array, Array]:
        return self.terms(prediction, y)[:2]

    def terms(self, prediction: Array, y: Array) -> tuple[Array, ...]:
        xp = namespace(prediction)
        curved, beyond = _curved(prediction)
        slope = curved * (1.0 + beyond) - y
        logarithm = xp.log(xp.where(y > 0, y, xp.ones_like(y)))
        value = slope - y * (prediction - logarithm) + 0.5 * curved * (beyond * beyond)
        # g²/f'' would be 0/0 where y = 0 and the mean has underflown, infinite where y > 0
        least = xp.finfo(curved.dtype).smallest_normal * (1.0 + slope * slope)
        ratio = slope * (slope / (curved + least))
        return xp.where(value < 0, xp.zeros_like(value), value), slope, ratio, curved

    def curvature(self, prediction: Array, y: Array) -> Array:
        return _curved(prediction)[0] + 0.0 * y

    def model_curvature(self, prediction: Array, y: Array) -> Array:
        """The mean; where it is below y, the slope of g from p to log y: (y − eᵖ) / (log y − p).

        There eᵖ only grows on the way: the step of a row alone would go beyond log y, up to eᵗ
        times too far where it is t below. With this curvature it goes to log y.
        """
        xp = namespace(prediction)
        mean = _curved(prediction)[0]
        logarithm = xp.log(xp.where(y > 0, y, xp.ones_like(y)))
        below = xp.where(y > 0, logarithm - prediction, 0.0 * prediction)
        far = below > SMALL_LOG_DIFFERENCE
        steeper = (y - mean) / xp.where(far, below, xp.ones_like(below))
        return xp.where(far, steeper, mean)

    def conjugate(self, dual: Array, y: Array) -> Array:
        """``t log t − t − (y log y − y)`` at t = u + y, +inf where t < 0."""
        xp = namespace(dual)
        t = dual + y
        inside = t >= -ROUNDING * (1.0 + xp.abs(y))
        value = _entropy(t) - _entropy(y)
        return xp.where(inside, value, xp.full_like(value, float("inf")))

    def mean(self, prediction: Array) -> Array:
        """eᵖ."""
        return namespace(prediction).exp(prediction)

    def link(self, mean: np.ndarray) -> np.ndarray:
        """log of the mean."""
        with np.errstate(divide="ignore"):
            return np.log(mean)


def _curved(prediction: Array) -> tuple[Array, Array]:
    """Return the curvature, eᵖ up to c, and by how much p is beyond c."""
    xp = namespace(prediction)
    c = 0.5 * float(np.log(float(xp.finfo(prediction.dtype).max))) - LOG_MARGIN
    most = xp.full_like(prediction, c)
    held = xp.where(prediction < most, prediction, most)
    return xp.exp(held), prediction - held


def _entropy(t: Array) -> Array:
    """``t log t − t``, 0 at 0 and below."""
    xp = namespace(t)
    positive = t > 0
    safe = xp.where(positive, t, xp.ones_like(t))
    return xp.where(positive, safe * xp.log(safe) - safe, xp.zeros_like(t))
