"""Losses: what one row costs, given its prediction. One formula per class, no storage, no sums."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dasklasso.backend import Array, namespace

NEAR_ZERO = 1e-3  # of a prediction: a slope between there and zero is 1/4, but for 1e-7
ROUNDING = 1e-15  # of a probability: the sum of a dual value and a target


class Loss(ABC):
    """A smooth convex loss ``f(p, y)`` of a row's prediction p and target y.

    A loss is a value: two of the same class and parameters are equal, and it travels to workers.
    The methods from ``value`` to ``mean`` are elementwise over arrays of one shape, of any array
    API namespace.

    Attributes
    ----------
    name : str
    max_curvature : float
        sup of f'' over p: the loss's share of the Lipschitz constant.
    quadratic : bool
        Whether f is a quadratic in p: centring columns and targets then takes the intercept out
        of the problem. Otherwise the intercept is one more coordinate.
    target_range : (least, greatest) target that the loss is defined for
    room_ratio : float
        sup of r/f'', the certificate's m, for a loss that is no quadratic.
    gives_probabilities : bool
        Whether the mean of y at a prediction is a probability.
    most_classes : int
        Of how many classes targets may be labels, 0 where they are numbers.
    predicts_mean : bool
        Whether a model predicts the mean of y, and not the prediction that the loss takes.
    caution : float
        From 0, where f'' serves from afar too, to 1, where steps had better begin by
        ``model_curvature``.
    """

    name: ClassVar[str]
    max_curvature: ClassVar[float]
    quadratic: ClassVar[bool]
    target_range: ClassVar[tuple[float, float]]
    gives_probabilities: ClassVar[bool]
    most_classes: ClassVar[int] = 0
    predicts_mean: ClassVar[bool] = False
    caution: ClassVar[float] = 0.0

    @property
    def unbounded(self) -> bool:
        """Whether no curvature is the largest."""
        return math.isinf(self.max_curvature)

    @property
    def room_ratio(self) -> float:
        return 1.0

    @property
    def n_outputs(self) -> int:
        """Predictions of a row.

        Where they are several, they are the last axis of ``prediction`` and of derivatives in it,
        which targets and values do not have.
        """
        return 1

    @abstractmethod
    def value(self, prediction: Array, y: Array) -> Array:
        """f(p, y)."""

    @abstractmethod
    def gradient(self, prediction: Array, y: Array) -> Array:
        """df/dp."""

    def value_and_gradient(self, prediction: Array, y: Array) -> tuple[Array, Array]:
        """Both at once, where one serves the other."""
        return self.value(prediction, y), self.gradient(prediction, y)

    def terms(self, prediction: Array, y: Array) -> tuple[Array, ...]:
        """Value and slope g, and what the certificate of a loss that is no quadratic needs besides.

        That is g²/f'', and the room r: see :mod:`dasklasso.objective.duality`.
        """
        return self.value_and_gradient(prediction, y)

    def overshoot(self, loss: np.ndarray, slope_squares: np.ndarray) -> np.ndarray:
        """``Σ π g (p − f*'(g))`` from ``Σ π f`` and ``Σ π g²``, the certificate's X.

        Not 0 where f has tails that are straight: there p says more than the slope.

        Parameters
        ----------
        loss, slope_squares : (n_problems,), of weights π that sum to one
        """
        return np.zeros_like(loss)

    @abstractmethod
    def curvature(self, prediction: Array, y: Array) -> Array:
        """d²f/dp²."""

    def model_curvature(self, prediction: Array, y: Array) -> Array:
        """The curvature of a quadratic that is to stand for f around p: f'', or more.

        More where f'' would let a step go much too far.
        """
        return self.curvature(prediction, y)

    @abstractmethod
    def conjugate(self, dual: Array, y: Array) -> Array:
        """The convex conjugate in p: ``f*(u, y) = sup_p (u p - f(p, y))``."""

    @abstractmethod
    def mean(self, prediction: Array) -> Array:
        """The mean of y that a prediction stands for: the inverse of the link."""

    @abstractmethod
    def link(self, mean: np.ndarray) -> np.ndarray:
        """The prediction that stands for a mean of y, ±inf where none does."""

    def null_model(
        self, mean: np.ndarray, variance: np.ndarray, *, fit_intercept: bool
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """The model without features: its prediction, the same for every row, and its mean loss.

        None where moments do not tell it: see :mod:`dasklasso.problem.null_model`.

        Parameters
        ----------
        mean, variance : (n_targets,)
            Of the targets, under the rows' weights.

        Returns
        -------
        prediction : (n_targets,), the best constant, or 0 without an intercept
        loss : (n_targets,), exactly 0 for targets that leave nothing to fit
        """
        return None


@dataclass(frozen=True)
class Squared(Loss):
    """Half the squared residual, ½(p − y)²."""

    name = "squared"
    max_curvature = 1.0
    quadratic = True
    target_range = (-np.inf, np.inf)
    gives_probabilities = False

    def value(self, prediction: Array, y: Array) -> Array:
        return 0.5 * (prediction - y) ** 2

    def gradient(self, prediction: Array, y: Array) -> Array:
        return prediction - y

    def value_and_gradient(self, prediction: Array, y: Array) -> tuple[Array, Array]:
        residual = prediction - y
        return 0.5 * (residual * residual), residual

    def curvature(self, prediction: Array, y: Array) -> Array:
        return 1.0 + 0.0 * (prediction - y)

    def conjugate(self, dual: Array, y: Array) -> Array:
        return 0.5 * dual**2 + dual * y

    def mean(self, prediction: Array) -> Array:
        return prediction

    def link(self, mean: np.ndarray) -> np.ndarray:
        return mean

    def null_model(
        self, mean: np.ndarray, variance: np.ndarray, *, fit_intercept: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        spread = variance if fit_intercept else variance + mean**2
        # constant but for rounding is constant
        loss = np.where(constant_but_for_rounding(mean, spread), 0.0, 0.5 * spread)
        return (mean if fit_intercept else np.zeros_like(mean)), loss


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


def constant_but_for_rounding(mean: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Whether targets of that mean, and that mean square from a constant, are all the constant."""
    return squares <= (1e-14 * mean) ** 2


SQUARED = Squared()  # the default wherever a loss may be chosen
