"""One step of proximal Newton: a quadratic model of the loss, minimised with the penalty.

    minimise over u, b   gᵀδ + Sβ + ½ [δ; β]ᵀ H [δ; β] + penalty(u),   δ = u − u₀, β = b − b₀

(Lee, Sun and Saunders, 2014, Proximal Newton-type methods for minimizing composite functions,
eq. 2.7.) The intercept b has no penalty, so it is eliminated: what remains in u is a quadratic with
the Schur complement of H, which :mod:`dasklasso.solvers.quadratic.path` minimises.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dasklasso.objective.penalties.base import Penalty
from dasklasso.solvers.newton.hessian_model import Quadric
from dasklasso.solvers.quadratic.path import Quadratic, solve_path

# passes over one model's coordinates, and the arithmetic of all of them: a step that ends there is
# used as it is, for the next scan says what it is worth
FEWEST_SWEEPS, MOST_SWEEPS, SWEEP_FLOPS = 100, 2_000, 4e9

# the same wherever a step is judged, by a scan or in memory
SUFFICIENT_DECREASE = 1e-4  # of the predicted decrease
ACCURATE_DECREASE = 0.5  # of the predicted decrease: from there on a model may be less damped
LEAST_DAMPING = 1e-4
NULL_LOSSES_ADDED = 2.0  # to a model, so that it is nowhere below zero


@dataclass(frozen=True)
class Point:
    """A point and what a scan showed there.

    Attributes
    ----------
    u : (n_features,) float64, standardised coordinates; (n_features, C) of C classes
    b : float, the intercept; (C,) of classes
    loss : float, mean loss
    gradient : as ``u``
    slope : as ``b``, of the mean loss in the intercept
    """

    u: np.ndarray
    b: Any
    loss: float
    gradient: np.ndarray
    slope: Any


@dataclass(frozen=True)
class Step:
    """Where a model has its minimum.

    Attributes
    ----------
    u, b : as in :class:`Point`
    predicted : float
        What the objective loses on the way, if the model is right.
    """

    u: np.ndarray
    b: Any
    predicted: float


@np.errstate(over="ignore", invalid="ignore")  # a step beyond all numbers is refused by its scan
def newton_step(
    point: Point,
    quadric: Quadric,
    own_penalty: Penalty,
    *,
    fit_intercept: bool,
    tol: float,
    added: float,
) -> Step:
    """Minimise the model around a point.

    Parameters
    ----------
    own_penalty : of the problem at its alpha; its weights are (n_features,)
    tol : absolute duality gap of the minimum
    added : to the model's value, so that it is a square's half nowhere below zero
    """
    columns, full = quadric.columns, quadric.matrix
    matrix, gradient, coupling = full[:-1, :-1], point.gradient[columns], full[:-1, -1]
    spread = full[-1, -1]
    eliminates = fit_intercept and spread > 0
    if eliminates:
        matrix = matrix - np.outer(coupling, coupling / spread)
        gradient = gradient - coupling * (point.slope / spread)
    start = point.u[columns]
    moved = start
    if columns.size:
        own = replace(own_penalty, l1=own_penalty.l1[columns], l2=own_penalty.l2[columns])
        moved = model_minimum(matrix, gradient, start, point.loss + added, own, tol)
    u = point.u.copy()
    u[columns] = moved
    b, step = point.b, moved - start
    if eliminates:
        b -= (point.slope + coupling @ step) / spread
    along = np.append(step, b - point.b)
    linear_part = point.gradient[columns] @ step + point.slope * (b - point.b)
    change = (
        linear_part
        + 0.5 * along @ (full @ along)
        + float(np.sum(own_penalty.value(u)))
        - float(np.sum(own_penalty.value(point.u)))
    )
    return Step(u, b, max(-float(change), 0.0))


def most_sweeps(n_columns: int) -> int:
    """Passes over a quadratic's coordinates after which its minimum is near enough."""
    affordable = int(SWEEP_FLOPS / (2.0 * max(n_columns, 1) ** 2))
    return max(FEWEST_SWEEPS, min(MOST_SWEEPS, affordable))


def model_minimum(
    matrix: np.ndarray,
    gradient: np.ndarray,
    start: np.ndarray,
    height: float,
    penalty: Penalty,
    tol: float,
) -> np.ndarray:
    """Find where a quadratic of some height and gradient at ``start`` has its minimum.

    Parameters
    ----------
    matrix : (c, c)
    gradient, start : (c,)
    penalty : of the c coefficients
    tol : absolute duality gap of the minimum
    """
    product = matrix @ start
    linear = product - gradient
    half = height + linear @ start - 0.5 * (start @ product)
    path = solve_path(
        Quadratic(np.ascontiguousarray(matrix), linear, 2.0 * half),
        penalty,
        np.ones(1),
        tol=tol,
        start=start,
        max_passes=most_sweeps(start.size),
    )
    return path.coef[0]
