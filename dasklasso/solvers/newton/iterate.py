"""The iterate of each problem of a proximal Newton fit: its point, and the trial point after it.

A trial is evaluated by the next scan together with those of all other problems. If the objective
falls by a share of what the model promised (the condition of Armijo, as Lee, Sun and Saunders,
2014, eq. 2.16, have it for proximal steps), the problem moves there. Otherwise it stays where it is
and tries a shorter step of a model that has learned from the failure. No scan is made for a line
search alone.

The next Hessian is more damped then: between that of the loss, which is right nearby but says
nothing of rows whose curvature is about to change, and that of a quadratic nowhere below it, whose
steps cannot fail but may be short. What is added falls with every step that keeps its promise
(Levenberg, 1944, and Marquardt, 1963: Nocedal and Wright, 2006, Numerical Optimization, 10.3).

Figures of float32 may be further off than any bound on rounding says, where the loss is a small
difference of large numbers. So what a point is evaluated to again replaces what was known of it,
and before a float64 trial is rejected, figures of float32 that it is compared with are taken again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dasklasso.problem.problem import Problem, penalty_at
from dasklasso.solvers.newton.hessian_model import MOST_SECANTS, Secant
from dasklasso.solvers.newton.step import (
    ACCURATE_DECREASE,
    LEAST_DAMPING,
    SUFFICIENT_DECREASE,
    Point,
    Step,
)

STEP_SHRINK, STEP_GROWTH = 0.25, 4.0
GAIN_GAP_SHARE = 0.9  # of the gap: below it a gain, whatever rounding makes of the objective
SECANT_LARGEST_OBJECTIVE = 10.0  # times the objective: a gradient beyond is no secant nearby
WORTHWHILE_DECREASE = 0.01  # of the objective: a gain, however little the gap falls
SCANS_COUNTED_IN_PLACE = 5  # that one scan counts for, if the problem has not moved
SLOW_GAP_SHARE = 0.3  # of the gap before last: above it the model is not good enough


@dataclass
class Iterate:
    """One problem: its point, its trial point, and how far its models are trusted.

    Attributes
    ----------
    index, target : of its alpha among all, and its target
    fold : int
        Rows that it is not trained on; :data:`dasklasso.scan.queries.folds.ALL` for all rows.
    trial : (u, b) to be evaluated next
    point : Point
        The best so far.
    objective, gap : there; the gap relative to the null model's loss, once it is known
    scores : of the rows left out, at the point, once a scan in float64 was there
    exact : whether objective and gap come from a scan in float64
    certified : whether it is done: its gap, which is exact, is small enough or falls no more
    resting : whether it looks solved, or gains nothing, and waits for a scan in float64
    stalled : scans since the gap or the objective last fell
    idle : scans since they last fell by a share worth a scan, several for one in the same place
    mark : objective and gap then
    secants : what gradients of successive scans showed, the oldest first
    gaps : of the last three trials
    step_share : share of a step that is taken
    damping : float
        How much of a model that is nowhere below the loss its next Hessian has: see
        :class:`dasklasso.scan.queries.hessian.WeightedGrams`.
    noise : how far rounding may have moved the objective
    predicted : what the objective is to lose at the trial
    """

    index: int
    target: int
    fold: int
    trial: tuple[np.ndarray, Any]
    point: Point
    objective: float
    gap: float = np.inf
    scores: dict[str, float] = field(default_factory=dict)
    exact: bool = False
    certified: bool = False
    resting: bool = False
    stalled: int = 0
    idle: int = 0
    mark: tuple[float, float] = (np.inf, np.inf)
    secants: list[Secant] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    step_share: float = 1.0
    damping: float = 0.0
    noise: float = 0.0
    predicted: float = 0.0

    @property
    def known(self) -> bool:
        """Whether the gap at the point is known, from a scan of whatever precision."""
        return bool(np.isfinite(self.gap))

    @property
    def slow(self) -> bool:
        """Whether the last two scans gained too little."""
        return len(self.gaps) > 2 and self.gaps[-1] > SLOW_GAP_SHARE * self.gaps[-3]

    def take(
        self,
        found: Point,
        objective: float,
        gap: float,
        noise: float,
        scores: dict[str, float] | None = None,
        *,
        exact: bool,
    ) -> None:
        """Settle the trial that a scan has evaluated.

        Parameters
        ----------
        noise : how far rounding may move this objective
        scores : at the trial, of the rows left out
        exact : whether the scan was one in float64
        """
        doubt = self.noise + noise
        self.gaps = [*self.gaps[-2:], gap]
        if not objective > SECANT_LARGEST_OBJECTIVE * self.objective:
            self._learn(found)
        enough = objective <= self.objective - SUFFICIENT_DECREASE * self.predicted + doubt
        better = self.known and gap <= GAIN_GAP_SHARE * self.gap
        gains = better or objective < self.objective - doubt
        self.stalled = 0 if gains else self.stalled + 1
        again = np.array_equal(found.u, self.point.u) and np.array_equal(found.b, self.point.b)
        if not again:
            self._trust(self.objective - objective + doubt, accepted=enough or better)
        scans = SCANS_COUNTED_IN_PLACE if again and exact == self.exact else 1
        if enough or better or again:
            self.point, self.objective, self.gap, self.noise = found, objective, gap, noise
            self.scores, self.exact = scores or {}, exact
        objective_then, gap_then = self.mark
        worthwhile = self.objective < (1.0 - WORTHWHILE_DECREASE) * objective_then
        if self.gap < GAIN_GAP_SHARE * gap_then or worthwhile:
            self.mark, self.idle = (self.objective, self.gap), 0
        else:
            self.idle += scans

    def refuse(self) -> None:
        """Reject the trial: the loss there is not finite."""
        self.stalled, self.idle = self.stalled + 1, self.idle + 1
        self._trust(0.0, accepted=False)

    def _trust(self, gain: float, *, accepted: bool) -> None:
        """Choose the share of the next step, and the damping of its model."""
        if not accepted:
            self.step_share *= STEP_SHRINK
            self.damping = min(1.0, max(STEP_GROWTH**2 * self.damping, LEAST_DAMPING))
            return
        if gain >= ACCURATE_DECREASE * self.predicted and self.step_share >= 1.0:
            self.damping = STEP_SHRINK * self.damping if self.damping > LEAST_DAMPING else 0.0
        self.step_share = min(1.0, STEP_GROWTH * self.step_share)

    def borrow(self, point: Point, noise: float, objective: float) -> None:
        """Go on from the point of another problem, where this one's objective is smaller."""
        self.point, self.objective, self.noise = point, objective, noise
        self.gap, self.gaps, self.scores, self.exact = np.inf, [], {}, False
        self.secants, self.step_share, self.stalled, self.resting = [], 1.0, 0, False

    def aim(self, step: Step) -> None:
        """Set the trial point: the minimum of a model, or the trusted share of the way to it."""
        u, b, share = self.point.u, self.point.b, self.step_share
        if share >= 1.0:
            self.trial = step.u, step.b
        else:
            self.trial = u + share * (step.u - u), b + share * (step.b - b)
        self.predicted = share * step.predicted

    def hold(self) -> None:
        """Evaluate the point itself again in the next scan."""
        self.trial, self.predicted = (self.point.u, self.point.b), 0.0

    def _learn(self, found: Point) -> None:
        before = self.point
        step = np.append(found.u - before.u, found.b - before.b)
        if not step.any():
            return
        change = np.append(found.gradient - before.gradient, found.slope - before.slope)
        self.secants = [*self.secants[1 - MOST_SECANTS :], Secant(step, change)]


BORROWED_DECREASE = 1e-3  # of an objective: how much less it must be at another's point


def share(
    iterates: Sequence[Iterate],
    problems: Mapping[int, Problem],
    alphas: np.ndarray,
    *,
    exact_only: bool,
) -> None:
    """Let each problem go on from the best point of any on the same rows.

    Parameters
    ----------
    problems : of all rows and of the rows outside each fold, by the fold
    alphas : (n_alphas,)
    exact_only : whether losses of float32 count for nothing
    """
    teams: dict[tuple[int, int], list[Iterate]] = {}
    for iterate in iterates:
        teams.setdefault((iterate.target, iterate.fold), []).append(iterate)
    for (_, fold), team in teams.items():
        known = [(t.point, t.noise) for t in team if t.known and (t.exact or not exact_only)]
        if not known:
            continue
        problem = problems[fold]
        penalty = penalty_at(problem.frame, 1.0, problem.objective.penalty)
        points = np.stack([point.u for point, _ in known], axis=1)
        loss = np.array([point.loss for point, _ in known])
        costs = penalty.value(points).sum(axis=0)
        for iterate in team:
            with np.errstate(over="ignore"):  # then none of them is better
                objectives = loss + alphas[iterate.index] * costs
            best = int(np.argmin(objectives))
            size = abs(iterate.objective)
            margin = BORROWED_DECREASE * size if np.isfinite(size) else 0.0
            if objectives[best] < iterate.objective - margin and not iterate.certified:
                iterate.borrow(*known[best], float(objectives[best]))
