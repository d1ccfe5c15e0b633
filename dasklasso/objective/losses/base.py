"""Losses: what one row costs, given its prediction. One formula per class, no storage, no sums."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np

from dasklasso.backend import Array


class Loss(ABC):
    """A smooth convex loss ``f(p, y)`` of a row's prediction p and target y.

    A loss is a value: two of the same class and parameters are equal, and it travels to workers.
    The methods from ``value`` to ``mean`` are elementwise over arrays of one shape, of any array
    API namespace.

    A loss that is no quadratic can be certified if ``k(u) = 1/f*''(u)``, the curvature f'' where
    the slope is u, is concave on the domain of f*, which has to hold 0; ``terms`` then gives the
    slack r ≥ 0, with g ± r in that domain and ``r ≤ slack_ratio · k(g)``
    (:mod:`dasklasso.objective.duality`). ``tests/test_plugins.py`` has a loss of some 40 lines.

    Attributes
    ----------
    name : str
    max_curvature : float
        sup of f'' over p: the loss's share of the Lipschitz constant.
    quadratic : bool
        Whether f is a quadratic in p: centring columns and targets then takes the intercept out
        of the problem. Otherwise the intercept is one more coordinate.
    target_range : (least, greatest) target that the loss is defined for
    slack_ratio : float
        sup of r/f'', the certificate's m, for a loss that is no quadratic.
    gives_probabilities : bool
        Whether the mean of y at a prediction is a probability.
    most_classes : int
        Of how many classes targets may be labels, 0 where they are numbers.
    predicts_mean : bool
        Whether a model predicts the mean of y, and not the prediction that the loss takes.
    damping : float
        From 0, where f'' serves from afar too, to 1, where steps had better begin by
        ``model_curvature``.
    has_easier : bool
        Whether :meth:`easier` may have losses to offer.
    """

    name: ClassVar[str]
    max_curvature: ClassVar[float]
    quadratic: ClassVar[bool]
    target_range: ClassVar[tuple[float, float]]
    gives_probabilities: ClassVar[bool]
    most_classes: ClassVar[int] = 0
    predicts_mean: ClassVar[bool] = False
    damping: ClassVar[float] = 0.0
    has_easier: ClassVar[bool] = False

    @classmethod
    def of(cls, *, n_classes: int, huber_delta: float) -> Self:
        """Return the loss that options describe, of whose parameters it takes those that it has."""
        return cls()

    @property
    def parameters(self) -> dict[str, float]:
        """What a model has to keep of the loss beside its name, by the options' names."""
        return {}

    @property
    def unbounded(self) -> bool:
        """Whether no curvature is the largest."""
        return math.isinf(self.max_curvature)

    @property
    def slack_ratio(self) -> float:
        return 1.0

    @property
    def steepness(self) -> float:
        """What slopes of large residuals are proportional to: alphas of easier losses follow it."""
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
        """Return both at once, where one serves the other."""
        return self.value(prediction, y), self.gradient(prediction, y)

    def terms(self, prediction: Array, y: Array) -> tuple[Array, ...]:
        """Value and slope g, and what the certificate of a loss that is no quadratic needs besides.

        That is ``g²/k(g)``, which is g²/f'', and the slack r.
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
        """Return the curvature of a quadratic that is to stand for f around p: f'', or more.

        More where f'' would let a step go much too far.
        """
        return self.curvature(prediction, y)

    def easier(self, prediction: np.ndarray, y: np.ndarray) -> Sequence[Loss]:
        """Losses that lead to this one, the easiest first; none where it is easy itself.

        Parameters
        ----------
        prediction, y : of the rows, where the first is to begin
        """
        return ()

    @abstractmethod
    def conjugate(self, dual: Array, y: Array) -> Array:
        """Return the convex conjugate in p: ``f*(u, y) = sup_p (u p - f(p, y))``."""

    @abstractmethod
    def mean(self, prediction: Array) -> Array:
        """Return the mean of y that a prediction stands for: the inverse of the link."""

    @abstractmethod
    def link(self, mean: np.ndarray) -> np.ndarray:
        """Return the prediction that stands for a mean of y, ±inf where none does."""

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
