"""FISTA on all problems at once: proximal gradient with momentum and adaptive restart.

Beck and Teboulle (2009), A fast iterative shrinkage-thresholding algorithm, section 4; restart on
the gradient condition of O'Donoghue and Candès (2015), Adaptive restart for accelerated gradient
schemes, eq. 13. Each scan returns the gradient both at the iterate u, which certifies it, and at
the extrapolated point z, from which the next step goes; a step that momentum would spoil is taken
from u instead, on the same scan. The Lipschitz constant comes from a power iteration, which is
one more column of each scan; the curvature seen between u and z is its safeguard. Where the loss
has no largest curvature, problems hold the iterate before, and may step back to it
(:mod:`dasklasso.solvers.fista.backtracking`).

The functions here are pure arithmetic on one block of columns, or on small arrays of one number
for each problem; :mod:`dasklasso.solvers.fista.in_flight` decides which problem does what.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dasklasso.backend import Array, Backend, backend_for, namespace
from dasklasso.objective.duality import COLUMN_SUMS, column_sums
from dasklasso.objective.loss_sums import LossSums
from dasklasso.objective.penalties.base import Penalty
from dasklasso.problem.problem import penalty_at
from dasklasso.problem.unpenalised import dual_direction
from dasklasso.scan.frame import Frame
from dasklasso.solvers.certificate_scan import without_slope

# Rows of a summary beyond those of column_sums
RESTART, CURVATURE, DISTANCE, STEP = range(COLUMN_SUMS, COLUMN_SUMS + 4)
SUMMARY_ROWS = COLUMN_SUMS + 4
POWER_NUMBERS = 2  # ‖Av‖², vᵀAv

ZERO = -1  # as a base: start at zero


@dataclass(frozen=True)
class Plan:
    """The next step of every job in flight. Columns count those of the points last evaluated.

    Attributes
    ----------
    base : (K,) int
        Column that the proximal step starts from; ZERO to start at zero.
    previous : (K,) int
        Column of the iterate before, from which momentum extrapolates.
    momentum : (K,) float64
    alpha : (K,) float64
    lipschitz : (K,) float64
        What steps divide by.
    power : float or None
        Norm of the last power iterate, by which the next is divided; None when it has ended.
    holds : bool
        Whether the iterates before are evaluated again, for problems to go back to.
    """

    base: np.ndarray
    previous: np.ndarray
    momentum: np.ndarray
    alpha: np.ndarray
    lipschitz: np.ndarray
    power: float | None
    holds: bool = False

    @property
    def n_iterates(self) -> int:
        """Points of which the loss is taken: all but the direction of the power iteration."""
        return (3 if self.holds else 2) * self.base.size

    @property
    def n_points(self) -> int:
        return self.n_iterates + (self.power is not None)


def prox_step(
    points: Array,
    gradient: Array,
    frame: Frame,
    plan: Plan,
    penalty: Penalty,
    device: str,
) -> Array:
    """Take one step of all problems on one block of columns.

    Parameters
    ----------
    points, gradient : (width, n_points) float64
        Points last evaluated, and the gradient there.
    frame : of the columns of the block
    penalty : of the objective

    Returns
    -------
    (width, plan.n_points) float64
        New iterates u, K columns; points z, K columns; the iterates before, K columns, if the plan
        holds them; the direction of the power iteration.
    """
    backend = backend_for(device)
    points, gradient = backend.asarray(points), backend.asarray(gradient)
    frame = frame.on(backend)
    xp = namespace(points)
    base = _columns(points, plan.base, backend)
    slope = _columns(gradient, plan.base, backend)
    previous = _columns(points, plan.previous, backend)
    penalty = penalty_at(frame, _row(plan.alpha, backend), penalty)
    step = _row(1.0 / plan.lipschitz, backend)
    u = penalty.prox(base - step * slope, step)
    # columns without spread stay at zero, whatever rounding says
    u = xp.where(frame.matters[:, None], u, xp.zeros_like(u))
    z = u + _row(plan.momentum, backend) * (u - previous)
    found = [u, z, previous] if plan.holds else [u, z]
    if plan.power is not None:
        found.append(gradient[:, -1:] / plan.power)
    return xp.concat(found, axis=1)


def summarise(
    points: Array,
    gradient: Array,
    frame: Frame,
    projection: Array | None,
    plan: Plan,
    penalty: Penalty,
    device: str,
    sums: LossSums | None = None,
    frequency: np.ndarray | None = None,
) -> Array:
    """Sum over one block of columns what decisions need, once its gradient is known.

    Parameters
    ----------
    projection : (width, K) or None
        What projecting the dual direction off unpenalised columns takes from ``v``.
    sums : of the points, or None
        Over rows, where the intercept is a coordinate: slopes then have to sum to zero first.
    frequency : of classes, where they have to in each

    Returns
    -------
    (1, 9 · K + 2) float64
        Flattened (9, K): certificate sums at u; the restart test at z; ⟨∇f(z) − ∇f(u), z − u⟩ and
        ‖z − u‖²; ‖u − the iterate before‖² if the plan holds that. Then ‖Av‖² and vᵀAv of the power
        iteration.
    """
    backend = backend_for(device)
    points, gradient = backend.asarray(points), backend.asarray(gradient)
    frame = frame.on(backend)
    xp = namespace(points)
    k = plan.base.size
    u, z = points[:, :k], points[:, k : 2 * k]
    grad_u, grad_z = gradient[:, :k], gradient[:, k : 2 * k]
    penalty = penalty_at(frame, _row(plan.alpha, backend), penalty)
    dual = dual_direction(grad_u, frame, projection)
    if sums is not None:
        dual = without_slope(-grad_u, sums[:k].map(backend.asarray), penalty, frequency, backend)
    certificate = column_sums(u, -grad_u, penalty, dual)
    step = _row(1.0 / plan.lipschitz, backend)
    following = penalty.prox(z - step * grad_z, step)
    between = z - u
    taken = u - points[:, 2 * k : 3 * k] if plan.holds else xp.zeros_like(u)
    stepwise = xp.stack(
        [
            xp.sum((z - following) * (following - u), axis=0),
            xp.sum((grad_z - grad_u) * between, axis=0),
            xp.sum(between**2, axis=0),
            xp.sum(taken**2, axis=0),
        ]
    )
    numbers = xp.zeros((POWER_NUMBERS,), dtype=u.dtype, device=_device(u, backend))
    if plan.power is not None:
        product, direction = gradient[:, -1], points[:, -1]
        numbers = xp.stack([xp.sum(product**2), xp.sum(product * direction)])
    flat = xp.reshape(xp.concat([certificate, stepwise], axis=0), (SUMMARY_ROWS * k,))
    return xp.expand_dims(xp.concat([flat, numbers]), axis=0)


def next_momentum(t: np.ndarray, restart: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nesterov's sequence: (momentum of this step, t of the next), t back to 1 on restart."""
    t = np.where(restart, 1.0, t)
    following = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * t**2))
    return (t - 1.0) / following, following


@dataclass(frozen=True)
class Lipschitz:
    """An estimate of the largest eigenvalue of the standardised Gram matrix, times the loss's.

    Attributes
    ----------
    value : float
        What steps divide by.
    seen : float
        The largest curvature seen so far: never above the true constant but for rounding.
    rounds : int
        Power iterations so far.
    settled : bool
        Whether the power iteration has ended.
    bound : float
        The trace, above which the constant cannot lie.
    loss_curvature : float
        Largest curvature of the loss in a prediction: what turns an eigenvalue of the Gram matrix
        into a bound on curvature. All the other numbers have it in them.
    """

    value: float
    seen: float
    rounds: int
    settled: bool
    bound: float
    loss_curvature: float = 1.0

    def after_product(self, norm: float) -> Lipschitz:
        """After one more product Av with ‖v‖ = 1, ‖Av‖ = ``norm`` (never above the eigenvalue)."""
        norm = self.loss_curvature * norm
        grown = norm - self.seen
        seen = max(self.seen, norm)
        settled = self.rounds >= 4 and (grown < 1e-3 * seen or self.rounds >= 40)
        # the growth still to come is about that of the last rounds
        margin = 1.02 if settled else 1.0 + min(1.0, max(0.05, 4.0 * grown / max(seen, 1e-300)))
        return Lipschitz(
            # nothing seen: no column varies, or the first direction is one that X maps to zero;
            # columns have unit spread, so that eigenvalues are 1 on average: none is the largest
            # that is less, however little of it a direction shows
            value=min(self.bound, max(seen * margin, self.loss_curvature))
            if seen > 0
            else self.bound,
            seen=seen,
            rounds=self.rounds + 1,
            settled=settled,
            bound=self.bound,
            loss_curvature=self.loss_curvature,
        )

    def after_curvature(self, curvature: float) -> Lipschitz:
        """After a curvature above ``value`` was met on the way: the safeguard of backtracking."""
        return Lipschitz(
            value=min(self.bound, max(1.5 * self.value, 1.1 * curvature)),
            seen=max(self.seen, curvature),
            rounds=self.rounds,
            settled=self.settled,
            bound=self.bound,
            loss_curvature=self.loss_curvature,
        )


def _columns(array: Array, which: np.ndarray, backend: Backend) -> Array:
    """Columns of ``array`` by number; zeros where the number is ZERO."""
    xp = namespace(array)
    index = backend.asarray(np.where(which == ZERO, 0, which).astype(np.int64))
    taken = xp.take(array, index, axis=1)
    if not np.any(which == ZERO):
        return taken
    started = backend.asarray((which != ZERO)[None, :])
    return xp.where(started, taken, xp.zeros_like(taken))


def _row(values: np.ndarray, backend: Backend) -> Array:
    return backend.asarray(np.asarray(values, dtype=np.float64)[None, :])


def _device(array: Array, backend: Backend) -> object:
    return None if backend.on_host else array.device
