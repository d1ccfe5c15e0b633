"""Quadratic models of softmax problems: the steps taken, and the Hessians that serve others."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from dasklasso.solvers.newton.step import Point, Step
from dasklasso.solvers.softmax.hessian import SoftmaxHessian
from dasklasso.solvers.softmax.step import Terms

HESSIAN_ALPHA_RATIO = 1.2  # ratio of alphas up to which one Hessian serves both
FIRST_COORDINATES = 1000  # of a Hessian, while few are in use


@dataclass
class LastStep:
    """The last step of one problem, and where it began: a shorter one may be tried."""

    origin: Point
    step: Step


@dataclass
class Models:
    """The quadratic models now held: the last step of each problem, and the last Hessian taken.

    Attributes
    ----------
    work : by fold and alpha
    hessian : SoftmaxHessian or None
    draws : Hessians taken so far, which seeds the rows that they are taken of
    """

    work: dict[tuple[int, int], LastStep] = field(default_factory=dict)
    hessian: SoftmaxHessian | None = None
    draws: int = 0

    def copied(self) -> Models:
        """Copy the models, for the next state to change."""
        return Models(dict(self.work), self.hessian, self.draws)


def needed_coordinates(point: Point, terms: Terms) -> np.ndarray:
    """Find the coordinates that are in use, or whose optimality conditions are violated."""
    violates = terms.excess(point) > 0
    return np.flatnonzero(violates | (terms.useful & terms.in_use(point)))


def most_coordinates(needed: np.ndarray, point: Point, most: int) -> int:
    """Bound the coordinates of a Hessian: few where most of those needed are not in use yet.

    Far from the solution next to all violate their conditions, and few will be in use: they join
    by degrees, as in the working sets of Celer (Massias, Gramfort and Salmon, 2018), which are
    twice as large as what is in use.
    """
    few = max(FIRST_COORDINATES, 2 * int(np.count_nonzero(point.u)))
    return min(most, few) if len(needed) > few else most


def serves(hessian: SoftmaxHessian, alpha: float, needed: np.ndarray, most: int) -> bool:
    """Tell whether a Hessian taken elsewhere has all that a step needs."""
    ratio = hessian.alpha / alpha if alpha > 0 and hessian.alpha > 0 else math.inf
    if hessian.alpha != alpha and not 1.0 / HESSIAN_ALPHA_RATIO <= ratio <= HESSIAN_ALPHA_RATIO:
        return False
    if len(needed) > most:
        return False
    return bool(np.isin(needed, hessian.coordinates, assume_unique=True).all())
