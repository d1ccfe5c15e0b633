"""A window of a path, solved on the columns held: what the next read puts to the test.

The quadratic of the columns in use is minimised from their Gram matrix, alpha after alpha
(:mod:`dasklasso.solvers.quadratic`). Columns that are held but not in use are looked at through the
residuals, and join where they violate the optimality conditions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dasklasso.scan.frame import Frame
from dasklasso.solvers.quadratic.path import Quadratic, solve_path
from dasklasso.solvers.solution import Nonzeros
from dasklasso.solvers.working_set.calls import scores_of
from dasklasso.solvers.working_set.held import HeldColumns
from dasklasso.solvers.working_set.series import Series

ALPHAS_AT_ONCE = 8  # solved before columns not in use are looked at
MEMORY_TOL_SHARE = 0.05  # of tol: what the solve in memory may leave of a gap
LEAST_TOL = 1e-14  # relative gaps below this are rounding
LEAST_JOINING = 64  # columns that may join at once; beyond, as many as are in use
STRONG = 0.9  # of λ₁: columns that join beyond it at the start of a batch
VIOLATED = 1.0 + 1e-9  # a score beyond it is no rounding
MOST_ROUNDS = 50  # of columns that join, in a batch


@dataclass
class _InUse:
    """Columns of a series in use: their places, and their Gram matrix, which grows."""

    series: Series
    held: HeldColumns
    places: np.ndarray
    gram: np.ndarray
    linear: np.ndarray

    @classmethod
    def none(cls, series: Series, held: HeldColumns) -> _InUse:
        return cls(series, held, np.zeros(0, np.int64), np.zeros((0, 0)), np.zeros(0))

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


def solve_window(
    series: Series, held: HeldColumns, alphas: np.ndarray, start: Nonzeros, tol: float
) -> list[Nonzeros]:
    """Solve at some alphas on the columns held.

    Parameters
    ----------
    alphas : (k,), decreasing
    start : where the path begins, (indices, values): the solution of a larger alpha
    tol : relative gap that the fit is to reach

    Returns
    -------
    For each alpha (indices, values), indices ascending.
    """
    in_use = _InUse.none(series, held)
    begins_with = np.union1d(start[0], series.problem.unpenalised)
    in_use.join(held.places(begins_with))
    at = np.zeros(begins_with.size)
    at[np.searchsorted(begins_with, start[0])] = start[1]
    everything, found = series.frame[held.index], []
    for first in range(0, len(alphas), ALPHAS_AT_ONCE):
        points = _solve_batch(in_use, everything, alphas[first : first + ALPHAS_AT_ONCE], at, tol)
        index = held.index[in_use.places]
        order = np.argsort(index)
        for point in points:
            used = order[point[order] != 0.0]
            found.append((index[used], point[used]))
        at = points[-1]
    return found


def _solve_batch(
    in_use: _InUse, everything: Frame, alphas: np.ndarray, start: np.ndarray, tol: float
) -> np.ndarray:
    """Solve a few alphas, until no column held violates their conditions: (k, n_in_use)."""
    series = in_use.series
    _join_beyond(in_use, start[None, :], alphas[:1], STRONG)
    goal = max(MEMORY_TOL_SHARE * tol, LEAST_TOL) * series.unit
    for _ in range(MOST_ROUNDS):
        frame = everything[in_use.places]
        points = solve_path(
            Quadratic(in_use.gram, in_use.linear, series.square),
            series.problem.objective.penalty.at(1.0, frame.l1_factor, frame.l2_factor),
            alphas,
            tol=goal,
            start=_padded(start, len(in_use.places)),
        ).coef
        if not _join_beyond(in_use, points, alphas, VIOLATED):
            break
    return np.stack([_padded(point, len(in_use.places)) for point in points])


def _padded(point: np.ndarray, n: int) -> np.ndarray:
    """Return a point with zeros for the columns that have joined since."""
    return np.concatenate([point, np.zeros(n - point.size)])


def _join_beyond(in_use: _InUse, points: np.ndarray, alphas: np.ndarray, bar: float) -> bool:
    """Take columns into use whose score is beyond a bar at some point: whether there were any."""
    series, held = in_use.series, in_use.held
    if len(in_use.places) == len(held):
        return False
    residuals, _ = series.residuals(held, in_use.places[: points.shape[1]], points.T)
    v = held.products(series.frame, series.weight[:, None] * residuals)
    scores = scores_of(v, series.penalty_of(held.index, alphas)).max(axis=1)
    scores[in_use.places] = 0.0
    beyond = np.flatnonzero(scores > bar)
    most = max(LEAST_JOINING, len(in_use.places))
    if beyond.size > most:
        beyond = np.sort(beyond[np.argsort(-scores[beyond], kind="stable")[:most]])
    in_use.join(beyond)
    return bool(beyond.size)
