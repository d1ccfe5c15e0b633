"""The problems of a series as they stand: solutions, gaps, and which are put to the test next."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dasklasso.solvers.solution import Nonzeros
from dasklasso.solvers.working_set.held import HeldColumns
from dasklasso.solvers.working_set.series import Series

STEP = 0.85  # from one alpha to the next: where those asked for are further apart, others between
FARTHEST = 1e35  # times smaller, to which others lead: rounding hides what is below it
REACH = 0.4  # of the smallest alpha that is credible: how far the next window goes
ON_THE_WAY = 0.4  # times that, where the next alpha is one that only leads to those asked for
LEAST_REACH = 0.7  # where windows were refuted
CREDIBLE = 0.6  # violations for each coefficient in use, up to which a point is credible
FEW_IN_USE = 20  # coefficients that count as in use, in any case
EMPTY: Nonzeros = (np.zeros(0, np.int64), np.zeros(0))


@dataclass(frozen=True, eq=False)
class Problems:
    """One problem for each alpha of a series, its own and those on the way to them.

    Attributes
    ----------
    alphas : (m,) float64, decreasing
    asked : (m,) bool, whether a solution is wanted; others only lead to these
    points : of each problem (indices, values), the point last evaluated
    gap : (m,), relative, of these points; inf where no scan was there
    objective, slope, error : (m,), at these points; the error on rows left out
    done : (m,) bool, within the tolerance, given up, or no longer needed
    window : numbers of the problems that the next scan evaluates, ascending
    trials : their points
    base : the smallest alpha that is credible
    reach : how far below it the next window goes
    """

    alphas: np.ndarray
    asked: np.ndarray
    points: tuple[Nonzeros, ...]
    gap: np.ndarray
    objective: np.ndarray
    slope: np.ndarray
    error: np.ndarray
    done: np.ndarray
    window: np.ndarray
    trials: tuple[Nonzeros, ...]
    base: float
    reach: float = REACH

    @classmethod
    def begin(cls, alphas: np.ndarray, largest: float) -> Problems:
        """Return problems of which none was looked at.

        Parameters
        ----------
        alphas : (n_alphas,), decreasing, that are asked for
        largest : the alpha at which all penalised coefficients are zero
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
            np.full(m, np.nan),
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

    def behind(self, number: int) -> list[tuple[float, Nonzeros]]:
        """Return the alphas and points done before a problem, the last two of them at most."""
        before = np.flatnonzero(self.done[:number] & np.isfinite(self.gap[:number]))[-2:]
        return [(float(self.alphas[k]), self.points[k]) for k in before.tolist()]

    def with_window(self, window: np.ndarray, trials: list[Nonzeros]) -> Problems:
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
    directions : (n_rows, k), dual directions times the rows' weights
    residual_squares, slope : (k,), mean square of the residuals and mean slope
    dual_squares, dual_product : (k,) of the dual directions, or None where residuals are these
    penalty, product, n_nonzero : (k,), Ω(w), wᵀv and the coefficients in use
    error : (k,) mean squared error on the rows left out; NaN without any
    """

    directions: np.ndarray
    residual_squares: np.ndarray
    slope: np.ndarray
    dual_squares: np.ndarray | None
    dual_product: np.ndarray | None
    penalty: np.ndarray
    product: np.ndarray
    n_nonzero: np.ndarray
    error: np.ndarray


def evaluate(series: Series, held: HeldColumns, problems: Problems) -> Evaluated:
    """Evaluate the points of a window on the columns held."""
    alphas, points = problems.alphas[problems.window], problems.trials
    free = series.problem.unpenalised
    used = np.unique(np.concatenate([free, *(index for index, _ in points)]))
    coef = np.zeros((used.size, len(points)))
    for k, (index, values) in enumerate(points):
        coef[np.searchsorted(used, index), k] = values
    places, weight = held.places(used), series.weight[:, None]
    residuals, slope = series.residuals(held, places, coef)
    v = held.products(series.frame, weight * residuals, places)
    penalty = series.penalty_of(used, alphas)
    dual_squares = dual_product = None
    directions = residuals
    if free.size:
        directions = series.dual_directions(held, residuals, coef[np.searchsorted(used, free)])
        dual_squares = series.weight @ directions**2
        dual_product = (series.weight * series.response) @ directions
    return Evaluated(
        weight * directions,
        series.weight @ residuals**2,
        slope,
        dual_squares,
        dual_product,
        np.sum(penalty.value(coef), axis=0),
        np.sum(coef * v, axis=0),
        np.count_nonzero(coef, axis=0),
        np.full(len(points), np.nan) if series.tests is None else series.tests @ residuals**2,
    )
