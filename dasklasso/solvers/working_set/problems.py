"""The problems of a series as they stand: solutions, gaps, and which are put to the test next."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dasklasso.solvers.working_set.held import HeldColumns
from dasklasso.solvers.working_set.series import EMPTY, OnRows, Point, Series

STEP = 0.85  # from one alpha to the next: where those asked for are further apart, others between
FARTHEST = 1e35  # times smaller, to which others lead: rounding hides what is below it
REACH = 0.4  # of the smallest alpha that is credible: how far the next window goes
ON_THE_WAY = 0.4  # times that, where the next alpha is one that only leads to those asked for
LEAST_REACH = 0.7  # where windows were refuted
CREDIBLE = 0.6  # violations for each coefficient in use, up to which a point is credible
FEW_IN_USE = 20  # coefficients that count as in use, in any case


@dataclass(frozen=True, eq=False)
class Problems:
    """One problem for each alpha of a series, its own and those on the way to them.

    Attributes
    ----------
    alphas : (m,) float64, decreasing
    asked : (m,) bool, whether a solution is wanted; others only lead to these
    points : of each problem, the point last evaluated
    gap : (m,), relative, of these points; inf where no scan was there
    objective, slope : (m,), at these points
    scores : (n_scores, m), at these points, on the rows left out
    done : (m,) bool, within the tolerance, given up, or no longer needed
    window : numbers of the problems that the next scan evaluates, ascending
    trials : their points
    base : the smallest alpha that is credible
    reach : how far below it the next window goes
    """

    alphas: np.ndarray
    asked: np.ndarray
    points: tuple[Point, ...]
    gap: np.ndarray
    objective: np.ndarray
    slope: np.ndarray
    scores: np.ndarray
    done: np.ndarray
    window: np.ndarray
    trials: tuple[Point, ...]
    base: float
    reach: float = REACH

    @classmethod
    def begin(cls, alphas: np.ndarray, largest: float, n_scores: int) -> Problems:
        """Return problems of which none was looked at.

        Parameters
        ----------
        alphas : (n_alphas,), decreasing, that are asked for
        largest : the alpha at which all penalised coefficients are zero
        n_scores : on rows left out
        """
        found, asked = steps(alphas, largest)
        m = len(found)
        return cls(
            found,
            asked,
            (EMPTY,) * m,
            np.full(m, np.inf),
            np.full(m, np.inf),
            np.zeros(m),
            np.full((n_scores, m), np.nan),
            np.zeros(m, bool),
            np.zeros(0, np.int64),
            (),
            base=float(found[0]),
        )

    @property
    def numbers(self) -> np.ndarray:
        """(n_alphas,) numbers of the problems that are asked for."""
        return np.flatnonzero(self.asked)

    @property
    def waiting(self) -> np.ndarray:
        """Numbers of those that are not done; of those on the way, as long as one is below."""
        left = np.flatnonzero(~self.done)
        last = np.flatnonzero(~self.done & self.asked)
        return left[left <= last[-1]] if last.size else left[:0]

    @property
    def calls(self) -> tuple[np.ndarray, np.ndarray]:
        """(k,) bool each: problems of the window, and the first half of them."""
        k = len(self.window)
        return np.ones(k, bool), np.arange(k) < (k + 1) // 2

    def behind(self, number: int) -> list[tuple[float, Point]]:
        """Return the alphas and points done before a problem, the last two of them at most."""
        before = np.flatnonzero(self.done[:number] & np.isfinite(self.gap[:number]))[-2:]
        return [(float(self.alphas[k]), self.points[k]) for k in before.tolist()]

    def with_window(self, window: np.ndarray, trials: list[Point]) -> Problems:
        """Return the same with the problems that the next scan evaluates."""
        return replace(self, window=window, trials=tuple(trials))

    def next_window(self, most: int) -> np.ndarray:
        """Choose which problems come next, at most so many: from the first that is not done."""
        waiting = self.waiting
        if not waiting.size:
            return waiting
        reach = self.reach if self.asked[waiting[0]] else self.reach * ON_THE_WAY
        near = self.alphas[waiting] >= min(self.base, self.alphas[waiting[0]]) * reach
        near[0] = True
        return waiting[near][:most]


def given_up(problems: Problems) -> Problems:
    """Return problems of which those of the last window are left as they are."""
    done = problems.done.copy()
    done[problems.window] = True
    return replace(problems, done=done)


def left_as_tried(problems: Problems) -> Problems:
    """Return problems without a window: who was never evaluated is at the nearest trial."""
    points, last = list(problems.points), EMPTY
    tried = dict(zip(problems.window.tolist(), problems.trials, strict=True))
    for number in range(len(points)):
        if np.isfinite(problems.gap[number]):
            last = points[number]
        else:
            last = points[number] = tried.get(number, last)
    return replace(problems, points=tuple(points)).with_window(problems.window[:0], [])


def steps(alphas: np.ndarray, largest: float) -> tuple[np.ndarray, np.ndarray]:
    """Put alphas between those asked for where they are far apart, and on the way to the first.

    Returns
    -------
    alphas : (m,), decreasing
    asked : (m,) bool
    """
    found: list[float] = []
    asked: list[bool] = []
    before = max(largest, float(alphas[0]))
    for alpha in alphas.tolist():
        n = int(np.log(min(before / alpha, FARTHEST)) / -np.log(STEP)) if alpha < before else 0
        between = before * max(alpha / before, 1.0 / FARTHEST) ** (np.arange(1, n + 1) / (n + 1))
        found += [*between.tolist(), alpha]
        asked += [False] * n + [True]
        before = alpha
    return np.array(found), np.array(asked)


@dataclass(frozen=True, eq=False)
class Evaluated:
    """What memory knows of a window's points, for its certificates.

    Attributes
    ----------
    rows : OnRows
    penalty, n_nonzero : (k,), Ω(w) and the coefficients in use
    """

    rows: OnRows
    penalty: np.ndarray
    n_nonzero: np.ndarray


def evaluate(series: Series, held: HeldColumns, problems: Problems) -> Evaluated:
    """Evaluate the points of a window on the columns held."""
    alphas, points = problems.alphas[problems.window], problems.trials
    free = series.problem.unpenalised
    used = np.unique(np.concatenate([free, *(point.index for point in points)]))
    coef = np.zeros((used.size, len(points)))
    for k, point in enumerate(points):
        coef[np.searchsorted(used, point.index), k] = point.values
    intercepts = np.array([point.intercept for point in points])
    penalty = series.penalty_of(used, alphas)
    return Evaluated(
        series.on_rows(held, used, coef, intercepts),
        np.sum(penalty.value(coef), axis=0),
        np.count_nonzero(coef, axis=0),
    )
