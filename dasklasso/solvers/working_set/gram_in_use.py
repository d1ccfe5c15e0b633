"""Columns in use of a squared loss: their Gram matrix says all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dasklasso.solvers.quadratic.follow import follow
from dasklasso.solvers.quadratic.path import MAX_PASSES, Quadratic, solve_path
from dasklasso.solvers.working_set.held import HeldColumns
from dasklasso.solvers.working_set.in_use import InUse, Reached
from dasklasso.solvers.working_set.squared_series import SquaredSeries


class GramInUse(InUse):
    """Columns of a squared loss in use, and their Gram matrix.

    Parameters
    ----------
    series : SquaredSeries
    held : HeldColumns
    """

    def __init__(self, series: SquaredSeries, held: HeldColumns) -> None:
        super().__init__(series, held)
        self.series = series
        self.gram, self.linear = np.zeros((0, 0)), np.zeros(0)

    def join(self, places: np.ndarray) -> None:
        """Take more columns into use."""
        if not places.size:
            return
        frame, weight = self.series.frame, self.series.weight
        old, new = len(self.places), len(self.places) + len(places)
        gram = np.empty((new, new))
        gram[:old, :old] = self.gram
        gram[old:, old:] = self.held.gram(frame, places, weight)
        if old:
            across = self.held.gram(frame, places, weight, self.places)
            gram[old:, :old] = across
            gram[:old, old:] = across.T
        response = (weight * self.series.response)[:, None]
        linear = self.held.products(frame, response, places)[:, 0]
        self.gram, self.linear = gram, np.concatenate([self.linear, linear])
        self.places = np.concatenate([self.places, places])

    def without(self, dropped: np.ndarray) -> None:
        """Take columns out of use, (n_in_use,) bool."""
        stays = ~dropped
        self.gram = np.ascontiguousarray(self.gram[np.ix_(stays, stays)])
        self.linear, self.places = self.linear[stays], self.places[stays]

    def null(self) -> Reached:
        """Return the least squares of the columns in use."""
        return Reached(np.inf, np.linalg.lstsq(self.gram, self.linear, rcond=None)[0])

    def solve(self, behind: Sequence[Reached], alphas: np.ndarray, tol: float) -> list[Reached]:
        """Minimise over the columns in use at each alpha."""
        n = len(self.places)
        if not n:
            return [Reached(alpha, np.zeros(0)) for alpha in alphas.tolist()]
        goal, penalty, square = self.goal(tol), self.penalty, self.series.square
        points = [one.padded(n) for one in behind]
        if len(points) < 2 or self.series.frame[self.index].unpenalised.any():
            quadratic = Quadratic(self.gram, self.linear, square)
            coef = solve_path(quadratic, penalty, alphas, tol=goal, start=points[-1]).coef
        else:
            found = follow(
                self.gram,
                self.linear,
                square,
                penalty,
                np.concatenate([[one.alpha for one in behind], alphas]),
                np.diagonal(self.gram) > 0,
                points[-1],
                tol=goal,
                max_passes=MAX_PASSES,
                earlier=points[0],
            )
            coef = np.stack([one.u for one in found])
        return [Reached(*one) for one in zip(alphas.tolist(), coef, strict=True)]
