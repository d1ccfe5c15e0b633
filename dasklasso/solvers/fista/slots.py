"""Slots: which of many problems is worked on in which column, and when it is done.

A job is one (alpha, target). As many jobs as there are slots are in flight on every scan; one that
is done leaves, and the next joins in its column, warm-started from the nearest larger alpha of its
target. All of it is small arithmetic on the client, from sums that the scan brought home.
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
class Slots:
    """Who is in flight, and how far they are.

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


def slots_for(n_rows: int, n_features: int, n_jobs: int, n_outputs: int = 1) -> int:
    """How many jobs share each read: more, until their columns outweigh it. Whole problems."""
    worthwhile = int(np.clip(2.5e8 / (n_rows * n_features), 16, 128))
    fits = max(1, (64 << 20) // (16 * n_features))
    most = min(worthwhile, fits, n_jobs)
    return max(1, most // n_outputs) * n_outputs


def first_slots(
    jobs: Jobs,
    wanted: list[int],
    n_slots: int,
    lipschitz: Lipschitz,
    base: np.ndarray,
    power: float | None,
    evaluated: Evaluated | None = None,
    backtracking: Backtracking | None = None,
) -> Slots:
    """Fill the slots with the first jobs of ``wanted``.

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
    flying = np.asarray(wanted[:n_slots], dtype=int)
    held = None if backtracking is None else backtracking.of(flying)
    plan = Plan(
        base=base[flying],
        previous=base[flying],
        momentum=np.zeros(flying.size),
        alpha=jobs.alpha(flying),
        lipschitz=_divisors(lipschitz, held, flying.size),
        power=power,
        holds=held is not None,
    )
    return Slots(
        jobs=flying,
        t=np.ones(flying.size),
        best_gap=np.full(flying.size, np.inf),
        since_best=np.zeros(flying.size, dtype=int),
        waiting=tuple(wanted[n_slots:]),
        plan=plan,
        lipschitz=lipschitz,
        intercepts=_stepped(evaluated, plan, jobs.target(flying), lipschitz, held),
        backtracking=held,
    )


def judge(
    slots: Slots, certificate: Certificate, null_loss: np.ndarray, goal: float, patience: int
) -> Outcome:
    """Which jobs are done: their gap is within ``goal``, or it has stopped falling."""
    known = np.isfinite(certificate.primal) & np.isfinite(certificate.gap)
    relative = np.where(known, certificate.gap, np.inf) / null_loss
    stalled = (relative >= slots.best_gap) & (slots.since_best + 1 >= patience)
    return Outcome(certificate, relative, (relative <= goal) | stalled)


def advance(
    slots: Slots,
    jobs: Jobs,
    outcome: Outcome,
    stepwise: np.ndarray,
    power: np.ndarray,
    evaluated: Evaluated | None = None,
    noise: np.ndarray | float = 0.0,
) -> Slots:
    """The slots for the next scan.

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
    k = slots.jobs.size
    if slots.intercepts is not None and evaluated is not None:
        stepwise = slots.intercepts.in_stepwise(
            stepwise, evaluated.slope, slots.plan.lipschitz, slots.loss_curvature
        )
    stepwise = together(stepwise, jobs.n_outputs, RATIO)
    lipschitz, too_small = _lipschitz(slots, stepwise, power, noise)
    restart, previous, held = (stepwise[RESTART] > 0) | too_small, np.arange(k), slots.backtracking
    if held is not None:
        objective = outcome.certificate.primal
        kept = held.kept(slots.plan, stepwise, objective)
        held = held.after(slots.plan, stepwise, objective, kept, too_small)
        restart, previous = restart | ~kept, np.where(kept, previous, 2 * k + previous)
    momentum, t = next_momentum(slots.t, restart)
    base = np.where(restart, previous, k + np.arange(k))
    better = outcome.relative_gap < slots.best_gap
    best = np.minimum(slots.best_gap, outcome.relative_gap)
    since = np.where(better, 0, slots.since_best + 1)

    flying, waiting, places = slots.jobs.copy(), list(slots.waiting), np.arange(k)
    begins, keep = previous.copy(), ~outcome.leaving
    for slot in np.flatnonzero(outcome.leaving):
        if not waiting:
            break
        job = _next_for(jobs, waiting, slots.jobs[slot])
        source = _warm_start(jobs, slots.jobs, job)
        flying[slot], keep[slot] = job, True
        places[slot] = source
        base[slot] = previous[slot] = ZERO if source == ZERO else begins[source]
        momentum[slot], t[slot], best[slot], since[slot] = 0.0, 1.0, np.inf, 0
    if held is not None:
        held = held.of(places[keep])
    plan = Plan(
        base=base[keep],
        previous=previous[keep],
        momentum=momentum[keep],
        alpha=jobs.alpha(flying[keep]),
        lipschitz=_divisors(lipschitz, held, int(keep.sum())),
        power=None
        if slots.plan.power is None or lipschitz.settled
        else float(np.sqrt(power[0])) or None,
        holds=slots.plan.holds,
    )
    return replace(
        slots,
        jobs=flying[keep],
        t=t[keep],
        best_gap=best[keep],
        since_best=since[keep],
        waiting=tuple(waiting),
        plan=plan,
        lipschitz=lipschitz,
        intercepts=_stepped(evaluated, plan, jobs.target(flying[keep]), lipschitz, held),
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


def _divisors(lipschitz: Lipschitz, held: Backtracking | None, n_slots: int) -> np.ndarray:
    """(K,): what the steps of coefficients are divided by."""
    return lipschitz.value * (np.ones(n_slots) if held is None else held.curvature)


def _lipschitz(
    slots: Slots, stepwise: np.ndarray, power: np.ndarray, noise: np.ndarray | float
) -> tuple[Lipschitz, np.ndarray]:
    """The estimate after a scan, and which problems have met more curvature than it allowed."""
    estimate = slots.lipschitz
    if slots.plan.power is not None:
        estimate = estimate.after_product(float(np.sqrt(power[0])))
    distance = stepwise[DISTANCE]
    with np.errstate(divide="ignore", invalid="ignore"):
        certain = stepwise[CURVATURE] - noise * np.sqrt(distance)
        curvature = np.where(distance > 0, certain / distance, 0.0)
    # differences of nearly equal gradients are noise: only steps that still move count
    known = np.isfinite(curvature)
    moving = known & (distance > 1e-10 * np.max(distance, where=known, initial=0.0))
    worst = float(np.max(np.where(moving, curvature, 0.0), initial=0.0))
    too_small = moving & (curvature > 1.001 * slots.plan.lipschitz)
    if slots.backtracking is not None:  # where each problem has its own: the estimate is X's alone
        return estimate, too_small
    if worst > 1.001 * estimate.value and estimate.value < estimate.bound:
        estimate = estimate.after_curvature(worst)
    return estimate, too_small & (slots.lipschitz.value < slots.lipschitz.bound)


def _next_for(jobs: Jobs, waiting: list[int], leaving: int) -> int:
    """The next job: of the same target where one waits, for it starts warm from its neighbour."""
    target = leaving % jobs.n_targets
    same = next((job for job in waiting if job % jobs.n_targets == target), waiting[0])
    waiting.remove(same)
    return same


def _warm_start(jobs: Jobs, flying: np.ndarray, job: int) -> int:
    """The slot whose iterate is the nearest for ``job``: same target, next larger alpha."""
    same = (flying % jobs.n_targets == job % jobs.n_targets) & (flying < job)
    if not np.any(same):
        return ZERO
    return int(np.flatnonzero(same)[np.argmax(flying[same])])


def unpack(summary: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Blocks' summaries → ((n_blocks, 9, K), power numbers (2,) summed over blocks)."""
    stepwise = summary[:, : SUMMARY_ROWS * k].reshape(-1, SUMMARY_ROWS, k)
    return stepwise, summary[:, SUMMARY_ROWS * k :].sum(axis=0)
