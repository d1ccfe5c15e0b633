"""Series: the problems of one target on one set of training rows, one for each alpha.

All of them have the same standardised columns, weights of rows and targets. What depends on the
loss is said here in general, by :mod:`~dasklasso.solvers.working_set.squared_series` for squared
loss and by :mod:`~dasklasso.solvers.working_set.smooth_series` for all others.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np

from dasklasso.objective.duality import Certificate
from dasklasso.objective.penalties.base import Penalty
from dasklasso.problem.problem import Problem, penalty_at
from dasklasso.scan.frame import Frame
from dasklasso.solvers.working_set.held import HeldColumns


class Point(NamedTuple):
    """A point of a problem.

    Attributes
    ----------
    index, values : of its nonzero coefficients in standardised coordinates, indices ascending
    intercept : of centred columns, where it is a coordinate that is solved for; else 0
    """

    index: np.ndarray  # type: ignore[assignment]  # a method of tuples is called so too
    values: np.ndarray
    intercept: float = 0.0


EMPTY = Point(np.zeros(0, np.int64), np.zeros(0))


class Dual(Protocol):
    """Dual points of k problems as far as rows tell of them."""

    def certificate(self, columns: np.ndarray, *, quadratic: bool) -> Certificate:
        """Return the certificates, once a read has told the rest.

        Parameters
        ----------
        columns : (5, k), as of :func:`~dasklasso.objective.duality.column_sums`, over all columns
        quadratic : whether the penalty has a quadratic part
        """


@dataclass(frozen=True, eq=False)
class OnRows:
    """What the rows tell of k points.

    Attributes
    ----------
    directions : (n_rows, k), dual directions times the rows' weights
    slope : (k,), of the mean loss in the intercept
    scores : (n_scores, k), on the rows left out; NaN without any
    dual : of the directions
    """

    directions: np.ndarray
    slope: np.ndarray
    scores: np.ndarray
    dual: Dual

    def without_directions(self) -> OnRows:
        """Return the same, once a read has what it needs of the directions."""
        return replace(self, directions=self.directions[:, :0])


@dataclass(frozen=True, eq=False)
class Series(ABC):
    """One target on one set of training rows.

    Attributes
    ----------
    fold : left out, or ALL for none
    target : int
    problem : of the rows that train
    weight : (n_rows,) float64
        Of rows: they sum to one, and are 0 for rows that are left out.
    unit : what gaps are relative to: the null loss of all rows
    tests : (n_rows,) float64 or None
        Weights of the rows that are left out: they sum to one. None where no row is.
    """

    fold: int
    target: int
    problem: Problem
    weight: np.ndarray
    unit: float
    tests: np.ndarray | None

    @property
    def frame(self) -> Frame:
        return self.problem.frame

    def penalty_of(self, columns: np.ndarray, alphas: np.ndarray) -> Penalty:
        """Return the penalty of some columns at K alphas."""
        return penalty_at(self.frame[columns], alphas[None, :], self.problem.objective.penalty)

    @property
    @abstractmethod
    def score_names(self) -> tuple[str, ...]:
        """Names of what predictions of rows left out are judged by."""

    @abstractmethod
    def pulls(
        self, held: HeldColumns, places: np.ndarray, coef: np.ndarray, intercepts: np.ndarray
    ) -> np.ndarray:
        """Return the negative slopes of the rows' losses, times their weights: (n_rows, K).

        Their products with columns are the negative gradient.

        Parameters
        ----------
        places : of the columns in use
        coef : (n_places, K) in standardised coordinates
        intercepts : (K,)
        """

    @abstractmethod
    def on_rows(
        self, held: HeldColumns, index: np.ndarray, coef: np.ndarray, intercepts: np.ndarray
    ) -> OnRows:
        """Return what the rows tell of K points.

        Parameters
        ----------
        index : of columns, ascending: those in use, and those without a penalty
        coef : (n_index, K)
        intercepts : (K,)
        """


def at_l1_ratio(series: Sequence[Series], l1_ratio: float) -> list[Series]:
    """Return the same series for another share of the l1 penalty."""

    def changed(one: Series) -> Series:
        objective = replace(one.problem.objective, l1_ratio=l1_ratio)
        return replace(one, problem=replace(one.problem, objective=objective))

    return [changed(one) for one in series]
