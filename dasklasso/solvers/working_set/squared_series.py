"""Series of squared loss: with an intercept, columns and response are centred over the rows that
train, so that it is no coordinate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dasklasso.objective.duality import Certificate, squared_certificate
from dasklasso.problem.unpenalised import project
from dasklasso.solvers.working_set.held import HeldColumns
from dasklasso.solvers.working_set.series import OnRows, Series


@dataclass(frozen=True, eq=False)
class SquaredDual:
    """Dual points of squared loss.

    Attributes
    ----------
    residual_squares : (k,), mean square of the residuals
    product : (k,) wᵀv
    dual_squares, dual_product : (k,) of the dual directions, or None where residuals are these
    """

    residual_squares: np.ndarray
    product: np.ndarray
    dual_squares: np.ndarray | None
    dual_product: np.ndarray | None

    def certificate(self, columns: np.ndarray, *, quadratic: bool) -> Certificate:
        """Return the certificates, once a read has told the rest."""
        columns = columns.copy()
        columns[1] = self.product
        return squared_certificate(
            self.residual_squares,
            columns,
            quadratic=quadratic,
            projected_squares=self.dual_squares,
            projected_product=self.dual_product,
        )


@dataclass(frozen=True, eq=False)
class SquaredSeries(Series):
    """One target on one set of training rows, squared loss.

    Attributes
    ----------
    response : (n_rows,) float64
        The target less offsets and the constant that the null model predicts.
    """

    response: np.ndarray

    @property
    def score_names(self) -> tuple[str, ...]:
        return ("mse",)

    @property
    def square(self) -> float:
        """``yᵀPy`` of the centred response."""
        return float(self.weight @ self.response**2)

    def pulls(
        self, held: HeldColumns, places: np.ndarray, coef: np.ndarray, intercepts: np.ndarray
    ) -> np.ndarray:
        """Return the residuals times the rows' weights."""
        return self.weight[:, None] * self.residuals(held, places, coef)[0]

    def on_rows(
        self, held: HeldColumns, index: np.ndarray, coef: np.ndarray, intercepts: np.ndarray
    ) -> OnRows:
        """Return what the rows tell of K points."""
        places, weight = held.places(index), self.weight[:, None]
        residuals, slope = self.residuals(held, places, coef)
        v = held.products(self.frame, weight * residuals, places)
        free = self.problem.unpenalised
        dual_squares = dual_product = None
        directions = residuals
        if free.size:
            directions = self._directions(held, residuals, coef[np.searchsorted(index, free)])
            dual_squares = self.weight @ directions**2
            dual_product = (self.weight * self.response) @ directions
        squares = self.weight @ residuals**2
        none = np.full(coef.shape[1], np.nan)
        error = none if self.tests is None else self.tests @ residuals**2
        dual = SquaredDual(squares, np.sum(coef * v, axis=0), dual_squares, dual_product)
        return OnRows(weight * directions, slope, error[None, :], dual)

    def residuals(
        self, held: HeldColumns, places: np.ndarray, coef: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Residuals of some points, the best intercept fitted: (n_rows, K); mean slopes (K,).

        Parameters
        ----------
        places : of the columns in use
        coef : (n_places, K) in standardised coordinates
        """
        left = self.response[:, None] - held.predictions(self.frame, places, coef)
        if not self.problem.objective.fit_intercept:
            return left, -(self.weight @ left)
        mean = self.weight @ left
        left -= mean
        return left, -mean

    def _directions(
        self, held: HeldColumns, residuals: np.ndarray, points: np.ndarray
    ) -> np.ndarray:
        """Residuals less their projection on unpenalised columns: (n_rows, K).

        Parameters
        ----------
        points : (n_free, K), the unpenalised coefficients
        """
        places = held.places(self.problem.unpenalised)
        product = held.products(self.frame, self.weight[:, None] * residuals, places)
        penalty = self.problem.objective.penalty
        c = project(points, -product, held.gram(self.frame, places, self.weight), penalty)
        left = residuals - held.predictions(self.frame, places, c)
        if self.problem.objective.fit_intercept:
            left -= self.weight @ left
        return left
