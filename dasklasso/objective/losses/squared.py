"""Squared loss: ½(p − y)²."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dasklasso.backend import Array
from dasklasso.objective.losses.base import Loss


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


def constant_but_for_rounding(mean: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Whether targets of that mean, and that mean square from a constant, are all the constant."""
    return squares <= (1e-14 * mean) ** 2


SQUARED = Squared()  # the default wherever a loss may be chosen
