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
        return (mean if fit_intercept else np.zeros_like(mean)), 0.5 * spread


SQUARED = Squared()  # the default wherever a loss may be chosen
