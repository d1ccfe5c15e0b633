"""What a read shows of the problems that it evaluated, and which columns offered are held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dasklasso.objective.duality import combine_column_sums
from dasklasso.solvers.working_set.calls import NEAR, Offered, StripAnswer
from dasklasso.solvers.working_set.held import HeldColumns
from dasklasso.solvers.working_set.problems import (
    CREDIBLE,
    FEW_IN_USE,
    LEAST_REACH,
    REACH,
    Evaluated,
    Problems,
)
from dasklasso.solvers.working_set.series import Series

MOST_VIOLATIONS = 2  # times what is called in as a rule, where so many violate the conditions
FEWEST_CALLED = 100  # columns at a time, in any case


@dataclass(frozen=True, eq=False)
class Verdict:
    """What a read showed of one series.

    Attributes
    ----------
    problems : as they stand now
    calls : (k,) bool, those of the window whose violations call columns in
    gained : whether some problem was certified, or got better
    """

    problems: Problems
    calls: np.ndarray
    gained: bool


def combined(answers: Sequence[StripAnswer]) -> tuple[np.ndarray, np.ndarray]:
    """Combine the answers of all strips: sums (5, K), violations (K,)."""
    sums = combine_column_sums(np.stack([one.sums for one in answers]))
    return sums, np.sum([one.violations for one in answers], axis=0)


def judge(
    series: Series,
    problems: Problems,
    evaluated: Evaluated,
    sums: np.ndarray,
    violations: np.ndarray,
    tol: float,
) -> Verdict:
    """Certify the problems of a window, and find how far it was credible.

    Parameters
    ----------
    sums : (5, k), over all columns, at zero
    violations : (k,)
    """
    columns = sums.copy()
    columns[0], columns[4] = evaluated.penalty, evaluated.n_nonzero
    rows, quadratic = evaluated.rows, bool(series.problem.objective.penalty.l2 > 0)
    certificate = rows.dual.certificate(columns, quadratic=quadratic)
    window, gap = problems.window, certificate.gap / series.unit
    ok = gap <= tol
    few = violations <= CREDIBLE * np.maximum(evaluated.n_nonzero, FEW_IN_USE)
    last = int(np.flatnonzero(few)[-1]) if few.any() else 0
    within = np.arange(len(window)) <= last
    gaps, objective = problems.gap.copy(), problems.objective.copy()
    slope, scores = problems.slope.copy(), problems.scores.copy()
    points, done = list(problems.points), problems.done.copy()
    gained = False
    for k, number in enumerate(window.tolist()):
        if gap[k] <= gaps[number]:
            gained |= bool(gap[k] < 0.9 * gaps[number])
            gaps[number], objective[number] = gap[k], certificate.primal[k]
            slope[number], scores[:, number] = rows.slope[k], rows.scores[:, k]
            points[number] = problems.trials[k]
    done[window] = ok | (within & few & ~problems.asked[window])
    reach = REACH if few.any() or ok.any() else min(LEAST_REACH, problems.reach**0.5)
    after = replace(
        problems,
        points=tuple(points),
        gap=gaps,
        objective=objective,
        slope=slope,
        scores=scores,
        done=done,
        base=float(problems.alphas[window[last]]),
        reach=reach,
    )
    return Verdict(after, ~ok & within, gained)


def called_in(
    held: HeldColumns,
    offered: Sequence[Offered],
    calls: np.ndarray,
    wanted: int,
    room: int,
) -> HeldColumns:
    """Hold the columns that problems call in, of those offered.

    Parameters
    ----------
    calls : (K,) bool, the problems that call
    wanted : columns to call in at a time
    room : columns that there is memory for
    """
    scores = np.concatenate([one.scores for one in offered])
    score = scores[:, calls].max(axis=1) if calls.any() else np.zeros(len(scores))
    violated, near = np.count_nonzero(score > 1.0), np.count_nonzero(score > NEAR)
    wanted = max(wanted, FEWEST_CALLED)
    most = min(room, max(min(near, wanted), min(violated, MOST_VIOLATIONS * wanted)))
    chosen = np.sort(np.argsort(-score, kind="stable")[:most])
    return taken(held, offered, chosen, len(held) + room)


def taken(
    held: HeldColumns, offered: Sequence[Offered], chosen: np.ndarray, capacity: int = 0
) -> HeldColumns:
    """Hold some of the columns offered, by their numbers among all of them, ascending."""
    edges = np.concatenate([[0], np.cumsum([len(one.index) for one in offered])])
    pieces = []
    for one, start, stop in zip(offered, edges[:-1], edges[1:], strict=True):
        first, last = np.searchsorted(chosen, [start, stop])
        own = chosen[first:last] - start
        pieces.append((one.index[own], one.values[own]))
    return held.with_more(pieces, capacity)
