"""The jobs in flight: which column each of them has, what its next step is, and when it is done.

A job is one (alpha, target). Every scan serves a batch of jobs, the jobs in flight; one that is
done leaves, and the next takes its column, warm-started from the nearest larger alpha of its
target. All of it is small arithmetic on the client, from sums that the scan returned.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from dasklasso.objective.duality import RATIO, Certificate, together
from dasklasso.solvers.base import Jobs
from dasklasso.solvers.fista.backtracking import Backtracking
from dasklasso.solvers.fista.intercepts import Evaluated, Intercepts
from dasklasso.solvers.fista.step import (
    CURVATURE,
    DISTANCE,
    RESTART,
    SUMMARY_ROWS,
    ZERO,
    Lipschitz,
    Plan,
    next_momentum,
)

STALL_SCANS = 300  # without a better gap: float32 has given what it has


@dataclass(frozen=True)
class InFlight:
    """The jobs that the next scan serves, and how far each of them is.

    Attributes
    ----------
    jobs : (K,) int
    t : (K,) float64
        Nesterov's sequence of each.
    best_gap : (K,) float64
        Smallest relative gap so far.
    since_best : (K,) int
        Scans since then.
    waiting : tuple of int
        Jobs that have not begun, in order.
    plan : Plan
        The step whose points were, or will be, evaluated next.
    lipschitz : Lipschitz
    intercepts : Intercepts or None
        Of the plan's points, where the intercept is a coordinate.
    backtracking : Backtracking or None
        Where the loss has no largest curvature.
    """

    jobs: np.ndarray
    t: np.ndarray
    best_gap: np.ndarray
    since_best: np.ndarray
    waiting: tuple[int, ...]
    plan: Plan
    lipschitz: Lipschitz
    intercepts: Intercepts | None = None
    backtracking: Backtracking | None = None

    @property
    def loss_curvature(self) -> np.ndarray | float:
        """What steps of intercepts are divided by."""
        held = self.backtracking
        return self.lipschitz.loss_curvature if held is None else held.curvature


@dataclass(frozen=True)
class Outcome:
    """What a scan showed of the jobs in flight: arrays of shape (K,).

    Attributes
    ----------
    certificate : Certificate
    relative_gap : gap over the loss of the null model
    leaving : bool, whether the job is done
    """

    certificate: Certificate
    relative_gap: np.ndarray
    leaving: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))


def first_in_flight(
    jobs: Jobs,
    wanted: list[int],
    n_in_flight: int,
    lipschitz: Lipschitz,
    base: np.ndarray,
    power: float | None,
    evaluated: Evaluated | None = None,
    backtracking: Backtracking | None = None,
) -> InFlight:
    """Start the first jobs of ``wanted``; the others wait.

    Parameters
    ----------
    base : (len(jobs),) int
        For every job the column, of the points last evaluated, that it starts from.
    power : float or None
        Norm of the power iterate among those points.
    evaluated : Evaluated or None
        Intercepts of those points, where the intercept is a coordinate.
    backtracking : Backtracking or None
        Of all jobs, where the loss has no largest curvature.
    """
    started = np.asarray(wanted[:n_in_flight], dtype=int)
    held = None if backtracking is None else backtracking.of(started)
    plan = Plan(
        base=base[started],
        previous=base[started],
        momentum=np.zeros(started.size),
        alpha=jobs.alpha(started),
        lipschitz=_divisors(lipschitz, held, started.size),
        power=power,
        holds=held is not None,
    )
    return InFlight(
        jobs=started,
        t=np.ones(started.size),
        best_gap=np.full(started.size, np.inf),
        since_best=np.zeros(started.size, dtype=int),
        waiting=tuple(wanted[n_in_flight:]),
        plan=plan,
        lipschitz=lipschitz,
        intercepts=_stepped(evaluated, plan, jobs.target(started), lipschitz, held),
        backtracking=held,
    )


def judge(
    in_flight: InFlight,
    certificate: Certificate,
    null_loss: np.ndarray,
    goal: float,
    stall_scans: int,
) -> Outcome:
    """Decide which jobs are done: their gap is within ``goal``, or it has stopped falling.

    ``stall_scans`` is the number of scans without a better gap after which a job is given up.
    """
    known = np.isfinite(certificate.primal) & np.isfinite(certificate.gap)
    relative = np.where(known, certificate.gap, np.inf) / null_loss
    stalled = (relative >= in_flight.best_gap) & (in_flight.since_best + 1 >= stall_scans)
    return Outcome(certificate, relative, (relative <= goal) | stalled)


def advance(
    in_flight: InFlight,
    jobs: Jobs,
    outcome: Outcome,
    stepwise: np.ndarray,
    power: np.ndarray,
    evaluated: Evaluated | None = None,
    noise: np.ndarray | float = 0.0,
) -> InFlight:
    """Plan the next scan: the next step of each job, and the jobs that replace those done.

    Parameters
    ----------
    stepwise : (9, K)
        The summary of the last scan.
    power : (2,)
        ‖Av‖² and vᵀAv of the power iteration.
    evaluated : Evaluated or None
        What the scan showed of intercepts, where the intercept is a coordinate.
    noise : (K,)
        How far rounding may move differences of gradients.
    """
    k = in_flight.jobs.size
    if in_flight.intercepts is not None and evaluated is not None:
        stepwise = in_flight.intercepts.in_stepwise(
            stepwise, evaluated.slope, in_flight.plan.lipschitz, in_flight.loss_curvature
        )
    stepwise = together(stepwise, jobs.n_outputs, RATIO)
    lipschitz, too_small = _lipschitz(in_flight, stepwise, power, noise)
    restart, previous, held = (
        (stepwise[RESTART] > 0) | too_small,
        np.arange(k),
        in_flight.backtracking,
    )
    if held is not None:
        objective = outcome.certificate.primal
        accepted = held.accepted(in_flight.plan, stepwise, objective)
        held = held.after(in_flight.plan, stepwise, objective, accepted, too_small)
        restart, previous = restart | ~accepted, np.where(accepted, previous, 2 * k + previous)
    momentum, t = next_momentum(in_flight.t, restart)
    base = np.where(restart, previous, k + np.arange(k))
    better = outcome.relative_gap < in_flight.best_gap
    best = np.minimum(in_flight.best_gap, outcome.relative_gap)
    since = np.where(better, 0, in_flight.since_best + 1)

    following, waiting, places = in_flight.jobs.copy(), list(in_flight.waiting), np.arange(k)
    begins, keep = previous.copy(), ~outcome.leaving
    for column in np.flatnonzero(outcome.leaving):
        if not waiting:
            break
        job = _next_for(jobs, waiting, in_flight.jobs[column])
        source = _warm_start(jobs, in_flight.jobs, job)
        following[column], keep[column] = job, True
        places[column] = source
        base[column] = previous[column] = ZERO if source == ZERO else begins[source]
        momentum[column], t[column], best[column], since[column] = 0.0, 1.0, np.inf, 0
    if held is not None:
        held = held.of(places[keep])
    plan = Plan(
        base=base[keep],
        previous=previous[keep],
        momentum=momentum[keep],
        alpha=jobs.alpha(following[keep]),
        lipschitz=_divisors(lipschitz, held, int(keep.sum())),
        power=None
        if in_flight.plan.power is None or lipschitz.settled
        else float(np.sqrt(power[0])) or None,
        holds=in_flight.plan.holds,
    )
    return replace(
        in_flight,
        jobs=following[keep],
        t=t[keep],
        best_gap=best[keep],
        since_best=since[keep],
        waiting=tuple(waiting),
        plan=plan,
        lipschitz=lipschitz,
        intercepts=_stepped(evaluated, plan, jobs.target(following[keep]), lipschitz, held),
        backtracking=held,
    )


def _stepped(
    evaluated: Evaluated | None,
    plan: Plan,
    targets: np.ndarray,
    lipschitz: Lipschitz,
    held: Backtracking | None,
) -> Intercepts | None:
    if evaluated is None:
        return None
    curvature = lipschitz.loss_curvature if held is None else held.curvature
    return evaluated.step(plan, targets, curvature)


def _divisors(lipschitz: Lipschitz, held: Backtracking | None, n_jobs: int) -> np.ndarray:
    """(K,): what the steps of coefficients are divided by."""
    return lipschitz.value * (np.ones(n_jobs) if held is None else held.curvature)


def _lipschitz(
    in_flight: InFlight, stepwise: np.ndarray, power: np.ndarray, noise: np.ndarray | float
) -> tuple[Lipschitz, np.ndarray]:
    """Update the estimate after a scan; also say which jobs met more curvature than it allowed."""
    estimate = in_flight.lipschitz
    if in_flight.plan.power is not None:
        estimate = estimate.after_product(float(np.sqrt(power[0])))
    distance = stepwise[DISTANCE]
    with np.errstate(divide="ignore", invalid="ignore"):
        certain = stepwise[CURVATURE] - noise * np.sqrt(distance)
        curvature = np.where(distance > 0, certain / distance, 0.0)
    # differences of nearly equal gradients are noise: only steps that still move count
    known = np.isfinite(curvature)
    moving = known & (distance > 1e-10 * np.max(distance, where=known, initial=0.0))
    worst = float(np.max(np.where(moving, curvature, 0.0), initial=0.0))
    too_small = moving & (curvature > 1.001 * in_flight.plan.lipschitz)
    if in_flight.backtracking is not None:  # each job has its own: the estimate is X's alone
        return estimate, too_small
    if worst > 1.001 * estimate.value and estimate.value < estimate.bound:
        estimate = estimate.after_curvature(worst)
    return estimate, too_small & (in_flight.lipschitz.value < in_flight.lipschitz.bound)


def _next_for(jobs: Jobs, waiting: list[int], leaving: int) -> int:
    """Take the next job: one of the same target, if any waits, for it starts warm."""
    target = leaving % jobs.n_targets
    same = next((job for job in waiting if job % jobs.n_targets == target), waiting[0])
    waiting.remove(same)
    return same


def _warm_start(jobs: Jobs, started: np.ndarray, job: int) -> int:
    """Find the column whose iterate is nearest for ``job``: same target, next larger alpha."""
    same = (started % jobs.n_targets == job % jobs.n_targets) & (started < job)
    if not np.any(same):
        return ZERO
    return int(np.flatnonzero(same)[np.argmax(started[same])])


def unpack(summary: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Split blocks' summaries into ((n_blocks, 9, K), power numbers (2,) summed over blocks)."""
    stepwise = summary[:, : SUMMARY_ROWS * k].reshape(-1, SUMMARY_ROWS, k)
    return stepwise, summary[:, SUMMARY_ROWS * k :].sum(axis=0)
