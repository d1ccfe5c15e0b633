"""Columns in use of a squared loss: their Gram matrix says all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dasklasso.solvers.quadratic.face_factor import LARGE, FaceFactor
from dasklasso.solvers.quadratic.follow import follow
from dasklasso.solvers.quadratic.lazy_pages import lazy_square
from dasklasso.solvers.quadratic.path import MAX_PASSES, Quadratic, solve_path
from dasklasso.solvers.working_set.held import HeldColumns
from dasklasso.solvers.working_set.in_use import InUse, Reached
from dasklasso.solvers.working_set.squared_series import SquaredSeries

JOINING_AT_ONCE = 256  # columns whose products with all others are made at a time
SPACE_ADDED = 2  # times the columns in use, that there is address space for


class GramInUse(InUse):
    """Columns of a squared loss in use, and their Gram matrix, which grows in place.

    ``gram`` has address space for more columns; its leading part is the matrix.

    Parameters
    ----------
    series : SquaredSeries
    held : HeldColumns
    """

    def __init__(self, series: SquaredSeries, held: HeldColumns) -> None:
        super().__init__(series, held)
        self.series = series
        self.gram, self.linear = np.zeros((0, 0)), np.zeros(0)
        self.factor: FaceFactor | None = None

    def join(self, places: np.ndarray) -> None:
        """Take more columns into use."""
        if not places.size:
            return
        frame, weight = self.series.frame, self.series.weight
        response = (weight * self.series.response)[:, None]
        linear = self.held.products(frame, response, places)[:, 0]
        self._make_space(len(self.places) + len(places))
        for start in range(0, len(places), JOINING_AT_ONCE):
            some = places[start : start + JOINING_AT_ONCE]
            old, new = len(self.places), len(self.places) + len(some)
            self.places = np.concatenate([self.places, some])
            across = self.held.gram(frame, some, weight, self.places if old else None)
            self.gram[old:new, :new] = across
            self.gram[:old, old:new] = across[:, :old].T
        self.linear = np.concatenate([self.linear, linear])

    def without(self, dropped: np.ndarray) -> None:
        """Take columns out of use, (n_in_use,) bool."""
        stays = np.flatnonzero(~dropped)
        for row, old in enumerate(stays.tolist()):  # in place: there may be no space for another
            self.gram[row, : stays.size] = self.gram[old, stays]
        self.linear, self.places, self.factor = self.linear[stays], self.places[stays], None

    def null(self) -> Reached:
        """Return the least squares of the columns in use."""
        n = len(self.places)
        return Reached(np.inf, np.linalg.lstsq(self.gram[:n, :n], self.linear, rcond=None)[0])

    def solve(self, behind: Sequence[Reached], alphas: np.ndarray, tol: float) -> list[Reached]:
        """Minimise over the columns in use at each alpha."""
        n = len(self.places)
        if not n:
            return [Reached(alpha, np.zeros(0)) for alpha in alphas.tolist()]
        goal, penalty, square = self.goal(tol), self.penalty, self.series.square
        points = [one.padded(n) for one in behind]
        if len(points) < 2 or self.series.frame[self.index].unpenalised.any():
            own = np.ascontiguousarray(self.gram[:n, :n])
            quadratic = Quadratic(own, self.linear, square)
            coef = solve_path(quadratic, penalty, alphas, tol=goal, start=points[-1]).coef
        else:
            if n >= LARGE:
                self.factor = self.factor or FaceFactor(n)
                self.factor.widen(n)
            found = follow(
                self.gram,
                self.linear,
                square,
                penalty,
                np.concatenate([[one.alpha for one in behind], alphas]),
                np.diagonal(self.gram)[:n] > 0,
                points[-1],
                tol=goal,
                max_passes=MAX_PASSES,
                earlier=points[0],
                factor=self.factor,
            )
            coef = np.stack([one.u for one in found])
        return [Reached(*one) for one in zip(alphas.tolist(), coef, strict=True)]

    def _make_space(self, n: int) -> None:
        """Have address space for n columns."""
        if n > len(self.gram):
            space = max(n, min(len(self.held), SPACE_ADDED * (n + JOINING_AT_ONCE)))
            larger, old = lazy_square(space, np.dtype(float)), len(self.places)
            larger[:old, :old] = self.gram[:old, :old]
            self.gram = larger
