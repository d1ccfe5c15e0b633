"""A window of a path, solved on the columns held: what the next read puts to the test.

The quadratic of the columns in use is minimised from their Gram matrix, alpha after alpha
(:mod:`dasklasso.solvers.quadratic`). Columns that are held but not in use are looked at through the
residuals, and join where they violate the optimality conditions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dasklasso.solvers.quadratic.follow import follow
from dasklasso.solvers.quadratic.path import MAX_PASSES, Quadratic, solve_path
from dasklasso.solvers.solution import Nonzeros
from dasklasso.solvers.working_set.calls import scores_of
from dasklasso.solvers.working_set.held import HeldColumns
from dasklasso.solvers.working_set.series import Series

FIRST_AT_ONCE, LEAST_AT_ONCE = 8, 4  # alphas, before columns not in use are looked at
NEARLY_VIOLATED = 0.95  # a score beyond which columns join, once some violate their conditions
MEMORY_TOL_SHARE = 0.2  # of tol: what the solve in memory may leave of a gap
LEAST_TOL = 1e-14  # relative gaps below this are rounding
LEAST_JOINING = 64  # columns that may join at once; beyond, as many as are in use
VIOLATED = 1.0 + 1e-9  # a score beyond it is no rounding


class _Point(NamedTuple):
    """A point of a path: its alpha, and coefficients of the columns in use then."""

    alpha: float
    u: np.ndarray


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

    def without(self, dropped: np.ndarray) -> None:
        """Take columns out of use, (n_in_use,) bool."""
        stays = ~dropped
        self.gram = np.ascontiguousarray(self.gram[np.ix_(stays, stays)])
        self.linear, self.places = self.linear[stays], self.places[stays]

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
    series: Series,
    held: HeldColumns,
    alphas: np.ndarray,
    behind: Sequence[tuple[float, Nonzeros]],
    likely: np.ndarray,
    tol: float,
    most: int,
) -> list[Nonzeros]:
    """Solve at some alphas on the columns held.

    Parameters
    ----------
    alphas : (k,), decreasing
    behind : the last solutions at larger alphas, at most two, each (indices, values)
    likely : indices of columns that are likely to come into use, held or not
    tol : relative gap that the fit is to reach
    most : columns in use that there is memory for

    Returns
    -------
    For each alpha (indices, values), indices ascending; for the first of them only, maybe none,
    where more would need more columns than fit.
    """
    in_use = _InUse.none(series, held)
    begins_with = series.problem.unpenalised
    for _, (index, _) in behind:
        begins_with = np.union1d(begins_with, index)
    in_use.join(held.places(begins_with))
    last = []
    for alpha, (index, values) in behind:
        u = np.zeros(begins_with.size)
        u[np.searchsorted(begins_with, index)] = values
        last.append(_Point(alpha, u))
    if len(held) <= most or np.count_nonzero(np.isin(held.index, likely)) <= most:
        _join_where(in_use, np.isin(held.index, likely))
    at = last[-1].u if last else np.zeros(len(begins_with))
    _join_worst(in_use, _scores(in_use, at[None, :], alphas[:1]), most)
    found: list[Nonzeros] = []
    emptied_at = -1  # alphas found when columns without a coefficient were last taken out of use
    at_once = FIRST_AT_ONCE
    while len(found) < len(alphas):
        some = alphas[len(found) : len(found) + at_once]
        points = _solve(in_use, last, some, tol)
        scores = _scores(in_use, points, some)
        wrong = np.flatnonzero((scores > VIOLATED).any(axis=0))
        n_right = int(wrong[0]) if wrong.size else len(points)
        index = held.index[in_use.places]
        found += [_nonzeros(index, point) for point in points[:n_right]]
        right = zip(some[:n_right].tolist(), points[:n_right], strict=True)
        last = [*last, *(_Point(*one) for one in right)][-2:]
        at_once = 2 * at_once if n_right == len(points) else max(LEAST_AT_ONCE, 2 * n_right)
        ahead = scores[:, n_right:] if wrong.size else scores[:, -1:]
        joining = np.count_nonzero(ahead.max(axis=1) > NEARLY_VIOLATED)
        if joining > most - len(in_use.places) and len(found) > emptied_at:
            whole = [_padded(one.u, len(in_use.places)) for one in last]
            used = [u != 0.0 for u in whole] or [np.zeros(len(in_use.places), bool)]
            idle = ~np.any(used, axis=0)
            in_use.without(idle)
            last = [_Point(one.alpha, u[~idle]) for one, u in zip(last, whole, strict=True)]
            emptied_at = len(found)
        if not _join_worst(in_use, ahead, most) and wrong.size:
            break
    return found


def _solve(in_use: _InUse, behind: Sequence[_Point], alphas: np.ndarray, tol: float) -> np.ndarray:
    """Minimise over the columns in use: (k, n_in_use).

    Parameters
    ----------
    behind : the last two points of the path, or the last one, or none
    """
    series, n = in_use.series, len(in_use.places)
    if not n:
        return np.zeros((len(alphas), 0))
    frame = series.frame[in_use.held.index[in_use.places]]
    penalty = series.problem.objective.penalty.at(1.0, frame.l1_factor, frame.l2_factor)
    goal = max(MEMORY_TOL_SHARE * tol, LEAST_TOL) * series.unit
    points = [_padded(one.u, n) for one in behind]
    start = points[-1] if points else np.zeros(n)
    usable = np.diagonal(in_use.gram) > 0
    if len(points) < 2 or frame.unpenalised.any():
        quadratic = Quadratic(in_use.gram, in_use.linear, series.square)
        return solve_path(quadratic, penalty, alphas, tol=goal, start=start).coef
    found = follow(
        in_use.gram,
        in_use.linear,
        series.square,
        penalty,
        np.concatenate([[one.alpha for one in behind], alphas]),
        usable,
        start,
        tol=goal,
        max_passes=MAX_PASSES,
        earlier=points[0],
    )
    return np.stack([one.u for one in found])


def _padded(u: np.ndarray, n: int) -> np.ndarray:
    """Return a point with zeros for the columns that have joined since."""
    return np.concatenate([u, np.zeros(n - u.size)])


def _scores(in_use: _InUse, points: np.ndarray, alphas: np.ndarray) -> np.ndarray:
    """(n_held, k) of the columns held at some points, 0 for those in use."""
    series, held = in_use.series, in_use.held
    residuals, _ = series.residuals(held, in_use.places[: points.shape[1]], points.T)
    v = held.products(series.frame, series.weight[:, None] * residuals)
    found = scores_of(v, series.penalty_of(held.index, alphas))
    found[in_use.places] = 0.0
    return found


def _join_where(in_use: _InUse, some: np.ndarray) -> None:
    """Take columns into use where ``some`` (n_held,) says, those that are not yet."""
    some[in_use.places] = False
    in_use.join(np.flatnonzero(some))


def _join_worst(in_use: _InUse, scores: np.ndarray, most: int) -> bool:
    """Take columns into use that violate their conditions somewhere, the worst ones if many.

    Returns
    -------
    Whether any did, so that there are at most ``most`` in use.
    """
    score = scores.max(axis=1)
    beyond = np.flatnonzero(score > NEARLY_VIOLATED)
    n_joining = min(max(LEAST_JOINING, len(in_use.places)), most - len(in_use.places))
    if beyond.size > n_joining:
        beyond = np.sort(beyond[np.argsort(-score[beyond], kind="stable")[: max(0, n_joining)]])
    in_use.join(beyond)
    return bool(beyond.size)


def _nonzeros(index: np.ndarray, point: np.ndarray) -> Nonzeros:
    order = np.argsort(index)
    used = order[point[order] != 0.0]
    return index[used], point[used]
