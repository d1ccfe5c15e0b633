"""The softmax loss of one row: C predictions, and a target that is one of C classes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from dasklasso.backend import Array, device_of, namespace
from dasklasso.objective.losses.base import Loss
from dasklasso.objective.losses.logistic import ROUNDING


@dataclass(frozen=True)
class Softmax(Loss):
    """The negative log-likelihood of one of C classes, ``log Σ_k exp(p_k) − p_y``.

    Hastie, Tibshirani and Friedman (2009), The Elements of Statistical Learning, eq. 4.17, but
    with coefficients for every class: the penalty chooses among those that predict the same.

    Predictions have the C classes on their last axis. Targets are codes 0 … C − 1 of any real
    type, of a shape that broadcasts with that of the predictions without the last axis.

    Attributes
    ----------
    n_classes : int
        0 while it is not known: only its attributes are then of use.
    """

    n_classes: int = 0
    name = "softmax"
    # the Hessian diag(t) − ttᵀ is at most ½(I − 11ᵀ/C): Böhning (1992), Multinomial logistic
    # regression algorithm, theorem 5.3
    max_curvature = 0.5
    quadratic = False
    target_range = (0.0, np.inf)
    gives_probabilities = True
    most_classes = 10_000

    @classmethod
    def of(cls, *, n_classes: int, huber_delta: float) -> Self:
        return cls(n_classes)

    @property
    def n_outputs(self) -> int:
        """Predictions of a row: one for each class."""
        return self.n_classes

    def value(self, prediction: Array, y: Array) -> Array:
        """f(p, y): (...)."""
        return self.value_and_gradient(prediction, y)[0]

    def gradient(self, prediction: Array, y: Array) -> Array:
        """Probabilities less the indicator of the class: (..., C)."""
        return self.terms(prediction, y)[1]

    def value_and_gradient(self, prediction: Array, y: Array) -> tuple[Array, Array]:
        value, gradient, _ = self.terms(prediction, y)
        return value, gradient

    def terms(self, prediction: Array, y: Array) -> tuple[Array, ...]:
        """Value (...), gradient (..., C) and q/(1 − q), q the probability of all other classes.

        The last, for :mod:`dasklasso.objective.duality_softmax`, is ``exp(value) − 1``.
        """
        xp = namespace(prediction)
        is_own = self._own(prediction, y) > 0
        nothing = xp.zeros_like(prediction)
        top = _greatest(prediction)
        behind = top - _sum(xp.where(is_own, prediction, nothing))
        sizes = _sizes(prediction, top)
        others = _sum(xp.where(is_own, nothing, sizes))
        own = xp.exp(-behind)
        total = xp.expand_dims(others + own, axis=-1)
        # of a row that is all but certain the loss is a sum of small numbers: no 1 is added to them
        value = behind + xp.log1p(others + xp.expm1(-behind))
        gradient = xp.where(is_own, -xp.expand_dims(others, axis=-1), sizes) / total
        # where a row is hopeless still a number that many rows can add up
        most = xp.full_like(value, 0.9 * math.log(float(xp.finfo(value.dtype).max)))
        return value, gradient, xp.expm1(xp.minimum(value, most))

    def curvature(self, prediction: Array, y: Array) -> Array:
        """Diagonal of the Hessian ``diag(t) − ttᵀ`` in p, t the probabilities: (..., C)."""
        shares = self.mean(prediction)
        return shares * (1.0 - shares)

    def conjugate(self, dual: Array, y: Array) -> Array:
        """``Σ_k t_k log t_k`` at t = u + indicator(y), +inf where that is no distribution: (...).

        Rockafellar (1970), Convex Analysis, section 16: the conjugate of log Σ exp.
        """
        xp = namespace(dual)
        t = dual + self._own(dual, y)
        inside = xp.all(t >= -ROUNDING, axis=-1)
        inside = inside & (xp.abs(_sum(t) - 1.0) <= ROUNDING * self.n_classes)
        positive = t > 0
        logs = xp.log(xp.where(positive, t, xp.ones_like(t)))
        value = _sum(xp.where(positive, t * logs, xp.zeros_like(t)))
        return xp.where(inside, value, xp.full_like(value, float("inf")))

    def mean(self, prediction: Array) -> Array:
        """``exp(p_k) / Σ_l exp(p_l)``: the probability of each class, (..., C)."""
        xp = namespace(prediction)
        sizes = _sizes(prediction, _greatest(prediction))
        return sizes / xp.expand_dims(_sum(sizes), axis=-1)

    def null_model(
        self, mean: np.ndarray, variance: np.ndarray, *, fit_intercept: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the model without features, from the classes' frequencies.

        Parameters
        ----------
        mean : (C,)
            Frequency of each class, under the rows' weights.

        Returns
        -------
        prediction : (C,), their logarithms less the mean of these; or 0 without an intercept
        loss : (C,), the entropy of the frequencies, or log C, again for every class
        """
        frequency = np.asarray(mean, dtype=np.float64)
        if not fit_intercept:
            return np.zeros_like(frequency), np.full_like(frequency, np.log(self.n_classes))
        with np.errstate(divide="ignore", invalid="ignore"):
            entropy = -np.sum(np.where(frequency > 0, frequency * np.log(frequency), 0.0))
        # with one class the best constant is infinite: its loss of 0 says so
        return self.link(frequency), np.full_like(frequency, max(float(entropy), 0.0))

    def link(self, mean: np.ndarray) -> np.ndarray:
        """(C,) logarithms of probabilities less the mean of these."""
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log(mean)
            return logs - logs.mean()

    def _own(self, like: Array, y: Array) -> Array:
        """Indicator of each target's class, (..., C), in the type of ``like``."""
        return indicators(y, self.n_classes, like.dtype)


def indicators(y: Array, n_classes: int, dtype: Any) -> Array:
    """1 at the class that a code names, else 0: codes (...) → (..., C) of ``dtype``."""
    xp = namespace(y)
    classes = xp.arange(n_classes, dtype=y.dtype, device=device_of(y))
    return xp.astype(xp.expand_dims(y, axis=-1) == classes, dtype)


def _sum(array: Array) -> Array:
    """Over the last, short axis: as a product, for NumPy is slow at summing short rows."""
    xp = namespace(array)
    ones = xp.ones((array.shape[-1],), dtype=array.dtype, device=device_of(array))
    return xp.reshape(xp.reshape(array, (-1, array.shape[-1])) @ ones, array.shape[:-1])


def _sizes(prediction: Array, top: Array) -> Array:
    """Probabilities but for a factor, at most 1: (..., C)."""
    xp = namespace(prediction)
    return xp.exp(prediction - xp.expand_dims(top, axis=-1))


def _greatest(array: Array) -> Array:
    """Maximum over the last, short axis: class by class, for the same reason."""
    xp = namespace(array)
    greatest = array[..., 0]
    for k in range(1, array.shape[-1]):
        greatest = xp.maximum(greatest, array[..., k])
    return greatest
