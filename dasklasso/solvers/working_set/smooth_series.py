"""Series of losses that are no quadratics: the intercept is a coordinate, all rows are in memory.

Slopes g of the rows at a point are made a dual point in two steps. Both rest on what the loss's
slack r says (:mod:`dasklasso.objective.duality`): ``g ± r`` lies in the domain of f*, which is
convex and holds 0.

*Projection.* θ must be orthogonal to what costs nothing: to ones where there is an intercept, and
to unpenalised columns. With Z of these and Π of the rows' weights, ``q = g − r∘(Zc)`` is, for
``(ZᵀΠRZ) c = ZᵀΠg``: a Newton step in these coordinates, seen from the slopes. Where no ``|Zc|``
is more than 1, q lies in the domain.

*Scaling.* ``θ = s q``, 0 ≤ s ≤ 1, makes ``s v = −s X̃ᵀΠq`` feasible. Since rows are here, their part
of the dual value is computed, not bounded: with offsets o

    gap(s) = Σ π f(p) + Ω(w) + Σ π (f*(s q) − s q o) + Ω*(s v),    Ω*(s v) ≤ s Ω*(v).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dasklasso.objective.duality import SUM_ROUNDING, Certificate
from dasklasso.objective.losses.base import Loss
from dasklasso.objective.penalties.base import Penalty
from dasklasso.objective.ranks import area_under_curve
from dasklasso.problem.unpenalised import project
from dasklasso.scan.queries.held_out import TIED_SHARE, ties_made_equal
from dasklasso.scan.queries.row_terms import beyond_numbers
from dasklasso.solvers.working_set.held import HeldColumns
from dasklasso.solvers.working_set.series import OnRows, Series


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """The rows that train: those of positive weight.

    Attributes
    ----------
    loss : Loss
    y, weight, offset : (n,) float64; weights sum to one
    fit_intercept : bool
    """

    loss: Loss
    y: np.ndarray
    weight: np.ndarray
    offset: np.ndarray
    fit_intercept: bool


@dataclass(frozen=True, eq=False)
class DualPoint:
    """What rows tell of one point.

    Attributes
    ----------
    loss, slope : of the mean loss, its derivative in the intercept
    slopes : (n,) g
    direction : (n,) q; g itself where it does not serve
    feasible : whether q is in the domain of f*, and orthogonal to what costs nothing
    """

    loss: float
    slope: float
    slopes: np.ndarray
    direction: np.ndarray
    feasible: bool

    def gap(self, rows: TrainingRows, penalty: float, ratio: float, conjugate: float) -> float:
        """Bound how far the objective is above its least value.

        Parameters
        ----------
        penalty : Ω(w)
        ratio, conjugate : of v, as of :func:`~dasklasso.objective.duality.column_sums`
        """
        primal = self.loss + penalty
        bounds = [self._dual_cost(rows, 0.0)]
        if self.feasible and np.isfinite(ratio) and np.isfinite(conjugate):
            s = 1.0 / ratio if ratio > 1.0 else 1.0
            bounds.append(self._dual_cost(rows, s) + s * conjugate)
        return max(primal + min(bounds), 0.0)

    def _dual_cost(self, rows: TrainingRows, s: float) -> float:
        """``Σ π (f*(s q) − s q o)``."""
        theta = s * self.direction
        return float(rows.weight @ (rows.loss.conjugate(theta, rows.y) - theta * rows.offset))


@beyond_numbers
def dual_point(
    rows: TrainingRows,
    prediction: np.ndarray,
    free: np.ndarray,
    coef: np.ndarray,
    penalty: Penalty,
) -> DualPoint:
    """Return what rows tell of a point.

    Parameters
    ----------
    prediction : (n,), with offsets
    free : (n_free, n), the unpenalised columns
    coef : (n_free,), of these
    penalty : says which signs are allowed
    """
    value, slopes, _, slack = rows.loss.terms(prediction, rows.y)
    weight = rows.weight
    slope, loss = float(weight @ slopes), float(weight @ value)
    moved, feasible = np.zeros_like(slopes), True
    curved = weight * slack
    total = float(curved.sum())
    if rows.fit_intercept:
        if total > 0:
            moved += slope / total
        else:  # slopes at both ends of a domain have no slack
            feasible = abs(slope) <= SUM_ROUNDING * np.sqrt(weight @ slopes**2)
    if len(free):
        centred = free
        if rows.fit_intercept and total > 0:
            centred = free - (free @ curved / total)[:, None]
        left = slopes - slack * moved
        gram = (centred * curved) @ centred.T
        c = project(coef[:, None], (centred @ (weight * left))[:, None], gram, penalty)[:, 0]
        moved -= c @ centred
    # where a column separates rows, these are at the end of the domain but for rounding
    beyond = float(curved @ np.maximum(np.abs(moved) - 1.0, 0.0))
    direction = slopes - slack * np.clip(moved, -1.0, 1.0)
    feasible = feasible and beyond <= SUM_ROUNDING * np.sqrt(weight @ slopes**2)
    feasible = feasible and bool(np.isfinite(direction).all())
    return DualPoint(loss, slope, slopes, direction if feasible else slopes, feasible)


@dataclass(frozen=True, eq=False)
class SmoothDual:
    """Dual points of a loss that is no quadratic.

    Attributes
    ----------
    rows : TrainingRows
    points : k of them
    """

    rows: TrainingRows
    points: list[DualPoint]

    @beyond_numbers
    def certificate(self, columns: np.ndarray, *, quadratic: bool) -> Certificate:
        """Return the certificates, once a read has told the rest."""
        penalty, _, ratio, conjugate, n_nonzero = columns
        loss = np.array([one.loss for one in self.points])
        gap = [
            one.gap(self.rows, float(penalty[k]), float(ratio[k]), float(conjugate[k]))
            for k, one in enumerate(self.points)
        ]
        found = np.where(np.isfinite(gap), gap, np.inf)
        return Certificate(loss + penalty, found, n_nonzero.astype(int))


@dataclass(frozen=True, eq=False)
class SmoothSeries(Series):
    """One target on one set of training rows, of a loss that is no quadratic.

    Attributes
    ----------
    y, offset : (n_rows,) float64
    """

    y: np.ndarray
    offset: np.ndarray

    @property
    def score_names(self) -> tuple[str, ...]:
        return ("loss", "accuracy", "auc") if self.problem.loss.gives_probabilities else ("loss",)

    @property
    def trains(self) -> np.ndarray:
        """Numbers of the rows that train."""
        return np.flatnonzero(self.weight > 0)

    @property
    def rows(self) -> TrainingRows:
        some = self.trains
        objective = self.problem.objective
        return TrainingRows(
            objective.loss, self.y[some], self.weight[some], self.offset[some],
            objective.fit_intercept,
        )  # fmt: skip

    @property
    def null_intercept(self) -> float:
        """The prediction of the model without features, beside offsets."""
        return float(self.problem.null_intercept[self.target]) if self.rows.fit_intercept else 0.0

    @beyond_numbers
    def pulls(
        self, held: HeldColumns, places: np.ndarray, coef: np.ndarray, intercepts: np.ndarray
    ) -> np.ndarray:
        """Return the negative slopes of the rows' losses, times their weights: (n_rows, K)."""
        prediction = self._predictions(held, places, coef, intercepts)
        y = np.broadcast_to(self.y[:, None], prediction.shape)
        slopes = self.problem.loss.gradient(prediction, y)
        return np.where(self.weight[:, None] > 0, -self.weight[:, None] * slopes, 0.0)

    def on_rows(
        self, held: HeldColumns, index: np.ndarray, coef: np.ndarray, intercepts: np.ndarray
    ) -> OnRows:
        """Return what the rows tell of K points."""
        prediction = self._predictions(held, held.places(index), coef, intercepts)
        rows, some, free = self.rows, self.trains, self.problem.unpenalised
        columns = held.standardised(self.frame, held.places(free))[:, some]
        own, penalty = coef[np.searchsorted(index, free)], self.problem.objective.penalty
        points, directions = [], np.zeros(prediction.shape)
        for k in range(coef.shape[1]):
            one = dual_point(rows, prediction[some, k], columns, own[:, k], penalty)
            directions[some, k] = -rows.weight * one.direction
            points.append(replace(one, slopes=one.slopes[:0]))  # of no use any more
        slope = np.array([one.slope for one in points])
        return OnRows(directions, slope, self._scores(prediction, coef), SmoothDual(rows, points))

    def _predictions(
        self, held: HeldColumns, places: np.ndarray, coef: np.ndarray, intercepts: np.ndarray
    ) -> np.ndarray:
        """(n_rows, K) with intercepts and offsets."""
        found = held.predictions(self.frame, places, coef)
        found += intercepts
        found += self.offset[:, None]
        return found

    @beyond_numbers
    def _scores(self, prediction: np.ndarray, coef: np.ndarray) -> np.ndarray:
        """(n_scores, K) on the rows left out, as of :class:`~dasklasso.scan.queries.held_out`."""
        found = np.full((len(self.score_names), prediction.shape[1]), np.nan)
        if self.tests is None:
            return found
        some = np.flatnonzero(self.tests > 0)
        prediction, y, weight = prediction[some], self.y[some, None], self.tests[some]
        found[0] = weight @ self.problem.loss.value(prediction, y + 0.0 * prediction)
        if len(found) > 1:
            found[1] = weight @ np.where(prediction > 0, y, 1.0 - y)
            spread = np.sqrt(np.sum(coef**2, axis=0))
            score = ties_made_equal(prediction, TIED_SHARE * np.where(spread > 0, spread, 1.0))
            found[2] = [area_under_curve(own, y[:, 0], weight) for own in score.T]
        return found
