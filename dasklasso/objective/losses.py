"""Losses: what one row costs, given its prediction. One formula per class, no storage, no sums."""

from __future__ import annotations

from abc import ABC, abstractmethod

from dasklasso.backend import Array
from dasklasso.errors import OptionError


class Loss(ABC):
    """A smooth convex loss ``f(p, y)`` of a row's prediction p and target y.

    All methods are elementwise over arrays of one shape, of any array API namespace.
    """

    name: str
    max_curvature: float  # sup of f'' over p: the loss's share of the Lipschitz constant

    @abstractmethod
    def value(self, prediction: Array, y: Array) -> Array:
        """f(p, y)."""

    @abstractmethod
    def gradient(self, prediction: Array, y: Array) -> Array:
        """df/dp."""

    def value_and_gradient(self, prediction: Array, y: Array) -> tuple[Array, Array]:
        """Both at once, where one serves the other."""
        return self.value(prediction, y), self.gradient(prediction, y)

    @abstractmethod
    def conjugate(self, dual: Array, y: Array) -> Array:
        """The convex conjugate in p: ``f*(u, y) = sup_p (u p - f(p, y))``."""


class Squared(Loss):
    """Half the squared residual, ½(p − y)²."""

    name = "squared"
    max_curvature = 1.0

    def value(self, prediction: Array, y: Array) -> Array:
        return 0.5 * (prediction - y) ** 2

    def gradient(self, prediction: Array, y: Array) -> Array:
        return prediction - y

    def value_and_gradient(self, prediction: Array, y: Array) -> tuple[Array, Array]:
        residual = prediction - y
        return 0.5 * (residual * residual), residual

    def conjugate(self, dual: Array, y: Array) -> Array:
        return 0.5 * dual**2 + dual * y


LOSSES: dict[str, type[Loss]] = {Squared.name: Squared}


def loss_named(name: str) -> Loss:
    """The loss called ``name``.

    Raises
    ------
    OptionError
        When there is none of that name.
    """
    if name not in LOSSES:
        raise OptionError(f"loss: {name!r} is none of {', '.join(LOSSES)}")
    return LOSSES[name]()
