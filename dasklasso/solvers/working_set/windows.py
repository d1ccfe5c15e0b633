"""A window of a path, solved on the columns held: what the next read puts to the test.

The columns in use are solved alpha after alpha: a squared loss from their Gram matrix
(:mod:`~dasklasso.solvers.working_set.gram_in_use`), any other by proximal Newton
(:mod:`~dasklasso.solvers.working_set.newton_in_use`). Columns that are held but not in use are
looked at through the rows' slopes, and join where they violate the optimality conditions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dasklasso.solvers.working_set.calls import scores_of
from dasklasso.solvers.working_set.gram_in_use import GramInUse
from dasklasso.solvers.working_set.held import HeldColumns
from dasklasso.solvers.working_set.in_use import InUse, Reached
from dasklasso.solvers.working_set.newton_in_use import NewtonInUse
from dasklasso.solvers.working_set.series import Point, Series
from dasklasso.solvers.working_set.smooth_series import SmoothSeries
from dasklasso.solvers.working_set.squared_series import SquaredSeries

FIRST_AT_ONCE, LEAST_AT_ONCE = 8, 4  # alphas, before columns not in use are looked at
NEARLY_VIOLATED = 0.95  # a score beyond which columns join, once some violate their conditions
LEAST_JOINING = 64  # columns that may join at once; beyond, as many as are in use
MOST_EMPTIED = 20  # times, where columns that violate their conditions do not fit
VIOLATED = 1.0 + 1e-9  # a score beyond it is no rounding


def null_pulls(series: Series, held: HeldColumns) -> np.ndarray:
    """Return the pulls (n_rows,) of the model of the unpenalised columns alone."""
    in_use = _begun(series, held, series.problem.unpenalised)
    null = in_use.null()
    found = series.pulls(held, in_use.places, null.u[:, None], np.array([null.intercept]))
    return found[:, 0]


def solve_window(
    series: Series,
    held: HeldColumns,
    alphas: np.ndarray,
    behind: Sequence[tuple[float, Point]],
    likely: np.ndarray,
    tol: float,
    most: int,
) -> list[Point]:
    """Solve at some alphas on the columns held.

    Parameters
    ----------
    alphas : (k,), decreasing
    behind : the last solutions at larger alphas, at most two
    likely : indices of columns that are likely to come into use, held or not
    tol : relative gap that the fit is to reach
    most : columns in use that there is memory for

    Returns
    -------
    For each alpha a point; for the first of them only, maybe none, where more would need more
    columns than fit.
    """
    begins_with = series.problem.unpenalised
    for _, point in behind:
        begins_with = np.union1d(begins_with, point.index)
    in_use = _begun(series, held, begins_with)
    last = []
    for alpha, point in behind:
        u = np.zeros(begins_with.size)
        u[np.searchsorted(begins_with, point.index)] = point.values
        last.append(Reached(alpha, u, point.intercept))
    null = last[-1] if last else in_use.null()
    found: list[Point] = []
    if not behind:
        found = _null_until(series, in_use, null, alphas)
        last = [null._replace(alpha=float(alpha)) for alpha in alphas[: len(found)]][-2:]
        if len(found) == len(alphas):
            return found
    if len(held) <= most or np.count_nonzero(np.isin(held.index, likely)) <= most:
        _join_where(in_use, np.isin(held.index, likely))
    following = alphas[len(found) : len(found) + 1]
    _join_worst(in_use, _scores(series, in_use, [null], following), most)
    emptied = 0  # times that columns without a coefficient were taken out of use, for one alpha
    at_once = FIRST_AT_ONCE
    while len(found) < len(alphas):
        some = alphas[len(found) : len(found) + at_once]
        points = in_use.solve(last or [null], some, tol)
        scores = _scores(series, in_use, points, some)
        wrong = np.flatnonzero((scores > VIOLATED).any(axis=0))
        n_right = int(wrong[0]) if wrong.size else len(points)
        found += [_nonzeros(in_use.index, point) for point in points[:n_right]]
        last = [*last, *points[:n_right]][-2:]
        at_once = 2 * at_once if n_right == len(points) else max(LEAST_AT_ONCE, 2 * n_right)
        ahead = scores[:, n_right:] if wrong.size else scores[:, -1:]
        joining = np.count_nonzero(ahead.max(axis=1) > NEARLY_VIOLATED)
        n = len(in_use.places)
        emptied = 0 if n_right else emptied
        if joining > most - n and emptied < MOST_EMPTIED:
            # with those in use at the point refuted, what is solved next can only be better
            used = [one.padded(n) != 0.0 for one in (*last, *points[n_right : n_right + 1])]
            idle = ~np.any(used, axis=0) if used else np.ones(n, bool)
            idle &= ~np.isin(in_use.index, series.problem.unpenalised)
            in_use.without(idle)
            last = [one._replace(u=one.padded(n)[~idle]) for one in last]
            null = null._replace(u=null.padded(n)[~idle])
            emptied += 1
        if not _join_worst(in_use, ahead, most) and wrong.size:
            break
    return found


def _null_until(series: Series, in_use: InUse, null: Reached, alphas: np.ndarray) -> list[Point]:
    """Return the model of the unpenalised columns for each alpha at which it is the solution.

    It is so exactly, where a solution by steps would leave a coefficient of rounding.
    """
    found: list[Point] = []
    if in_use.penalty.nonnegative and (null.u < 0).any():
        return found
    for k in range(len(alphas)):
        if (_scores(series, in_use, [null], alphas[k : k + 1]) > VIOLATED).any():
            break
        found.append(_nonzeros(in_use.index, null))
    return found


def _begun(series: Series, held: HeldColumns, index: np.ndarray) -> InUse:
    """Return some columns of a series in use."""
    found: InUse
    if isinstance(series, SquaredSeries):
        found = GramInUse(series, held)
    else:
        assert isinstance(series, SmoothSeries)
        found = NewtonInUse(series, held)
    found.join(held.places(index))
    return found


def _scores(
    series: Series, in_use: InUse, points: Sequence[Reached], alphas: np.ndarray
) -> np.ndarray:
    """(n_held, k) of the columns held at some points, 0 for those in use."""
    held, n = in_use.held, max(one.u.size for one in points)
    coef = np.stack([one.padded(n) for one in points], axis=1)
    intercepts = np.array([one.intercept for one in points])
    pulls = series.pulls(held, in_use.places[:n], coef, intercepts)
    v = held.products(series.frame, pulls)
    found = scores_of(v, series.penalty_of(held.index, alphas))
    found[in_use.places] = 0.0
    return found


def _join_where(in_use: InUse, some: np.ndarray) -> None:
    """Take columns into use where ``some`` (n_held,) says, those that are not yet."""
    some[in_use.places] = False
    in_use.join(np.flatnonzero(some))


def _join_worst(in_use: InUse, scores: np.ndarray, most: int) -> bool:
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


def _nonzeros(index: np.ndarray, point: Reached) -> Point:
    order = np.argsort(index)
    used = order[point.u[order] != 0.0]
    return Point(index[used], point.u[used], point.intercept)
