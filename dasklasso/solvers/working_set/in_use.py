"""Columns of a series in use: what a window of a path is solved on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from dasklasso.objective.penalties.base import Penalty
from dasklasso.solvers.working_set.held import HeldColumns
from dasklasso.solvers.working_set.series import Series

MEMORY_TOL_SHARE = 0.2  # of tol: what the solve in memory may leave of a gap
LEAST_TOL = 1e-14  # relative gaps below this are rounding


class Reached(NamedTuple):
    """A point of a path.

    Attributes
    ----------
    alpha : float
    u : coefficients of the columns in use then
    intercept : where it is a coordinate that is solved for, else 0
    """

    alpha: float
    u: np.ndarray
    intercept: float = 0.0

    def padded(self, n: int) -> np.ndarray:
        """Return the coefficients, with zeros for the columns that have joined since."""
        return np.concatenate([self.u, np.zeros(n - self.u.size)])


class InUse(ABC):
    """Columns of a series in use, and what their solutions are computed from, which grows.

    Parameters
    ----------
    series : Series
    held : HeldColumns

    Attributes
    ----------
    places : (n_in_use,) of the columns, among those held
    """

    def __init__(self, series: Series, held: HeldColumns) -> None:
        self.held = held
        self.places = np.zeros(0, np.int64)
        self._series: Any = series

    @property
    def index(self) -> np.ndarray:
        """(n_in_use,) numbers of the columns in X."""
        return self.held.index[self.places]

    @property
    def penalty(self) -> Penalty:
        """The penalty of these columns at alpha 1."""
        frame = self._series.frame[self.index]
        found: Penalty = self._series.problem.objective.penalty.at(
            1.0, frame.l1_factor, frame.l2_factor
        )
        return found

    def goal(self, tol: float) -> float:
        """Return the absolute gap that a solution in memory is to reach."""
        return float(max(MEMORY_TOL_SHARE * tol, LEAST_TOL) * self._series.unit)

    @abstractmethod
    def join(self, places: np.ndarray) -> None:
        """Take more columns into use."""

    @abstractmethod
    def without(self, dropped: np.ndarray) -> None:
        """Take columns out of use, (n_in_use,) bool."""

    @abstractmethod
    def null(self) -> Reached:
        """Return the model of the columns in use, none of which has a penalty."""

    @abstractmethod
    def solve(self, behind: Sequence[Reached], alphas: np.ndarray, tol: float) -> list[Reached]:
        """Minimise over the columns in use at each alpha.

        Parameters
        ----------
        behind : the last two points of the path, or the last one
        alphas : (k,), decreasing
        tol : relative gap that the fit is to reach
        """
