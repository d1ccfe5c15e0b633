"""Columns in use of a loss that is no quadratic: proximal Newton on them, alpha after alpha.

A step minimises a quadratic model over the *active* columns: those with a coefficient, and those
whose gradient is near what the penalty allows. Its matrix is that of a *reference* point, kept
from step to step and from alpha to alpha as long as steps by it do well, for the gradient is
exact at every point; only its rows for columns that become active are added. Each step has a
backtracking line search (Lee, Sun and Saunders, 2014, Proximal Newton-type methods for minimizing
composite functions, algorithm 1). An alpha is solved where the duality gap over all columns in use
is within the tolerance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dasklasso.objective.duality import column_sums
from dasklasso.objective.losses.base import Loss
from dasklasso.objective.penalties.base import Penalty
from dasklasso.scan.queries.row_terms import beyond_numbers
from dasklasso.scan.threads import in_parts, slices
from dasklasso.solvers.newton.step import (
    ACCURATE_DECREASE,
    LEAST_DAMPING,
    NULL_LOSSES_ADDED,
    SUFFICIENT_DECREASE,
)
from dasklasso.solvers.quadratic.face_factor import FaceFactor
from dasklasso.solvers.working_set.held import HeldColumns
from dasklasso.solvers.working_set.in_use import InUse, Reached
from dasklasso.solvers.working_set.newton_model import Reference, model_step
from dasklasso.solvers.working_set.smooth_series import SmoothSeries, dual_point

MOST_STEPS = 60  # for one alpha and one loss
MOST_HALVINGS = 30  # of a step
MODEL_TOL = 1e-2  # of a gap: how exactly a model is minimised
HARD_GAP = 1e-3  # relative: where steps leave more, easier losses lead to the one asked for
LEAST_GAIN = 1e-9  # of the null loss: a step that gains less, and no half of the gap, is fruitless
MOST_FRUITLESS = 4  # steps one after the other: what is left is rounding
SLOW_STEP = 0.2  # of a gap left by a step: from there on the next has a matrix of its own point
FEW_ACTIVE = 64  # columns, up to which every step has a matrix of its own point
NEARLY_ACTIVE = 0.9  # of what the penalty allows a gradient: columns beyond it are active
COLUMNS_AT_ONCE = 512  # of a matrix, and of products with slopes
NULL_TOL = 1e-14  # of the null loss: the gap of a model of unpenalised columns alone


@dataclass
class _Iterate:
    """A point on its way.

    Attributes
    ----------
    u : (n_in_use,)
    b : intercept
    prediction : (n,) with offsets
    """

    u: np.ndarray
    b: float
    prediction: np.ndarray


@dataclass(frozen=True)
class _Look:
    """What the rows tell of an iterate.

    Attributes
    ----------
    value : of the objective
    loss, slope : of the mean loss
    gradient : (n_in_use,)
    gap : absolute, over the columns in use
    """

    value: float
    loss: float
    slope: float
    gradient: np.ndarray
    gap: float


class NewtonInUse(InUse):
    """Columns in use of a loss that is no quadratic.

    Parameters
    ----------
    series : SmoothSeries
    held : HeldColumns
    """

    def __init__(self, series: SmoothSeries, held: HeldColumns) -> None:
        super().__init__(series, held)
        self.series, self._rows, self._trains = series, series.rows, series.trains
        self._columns = np.zeros((0, self._trains.size))
        self._reference: Reference | None = None
        self._damping = series.problem.loss.damping

    def join(self, places: np.ndarray) -> None:
        """Take more columns into use."""
        if not places.size:
            return
        more = self.held.standardised(self.series.frame, places)
        if self._trains.size < more.shape[1]:
            more = more[:, self._trains]
        self._columns = np.concatenate([self._columns, more])
        self.places = np.concatenate([self.places, places])

    def without(self, dropped: np.ndarray) -> None:
        """Take columns out of use, (n_in_use,) bool."""
        self._columns, self.places = self._columns[~dropped], self.places[~dropped]
        self._reference = None

    def null(self) -> Reached:
        """Return the model of the columns in use, none of which has a penalty."""
        start = Reached(np.inf, np.zeros(len(self.places)), self.series.null_intercept)
        if not len(self.places):
            return start
        return self._path([start], np.ones(1), NULL_TOL * self.series.unit)[0]

    def solve(self, behind: Sequence[Reached], alphas: np.ndarray, tol: float) -> list[Reached]:
        """Minimise over the columns in use at each alpha."""
        return self._path(behind, alphas, self.goal(tol))

    @beyond_numbers
    def _path(self, behind: Sequence[Reached], alphas: np.ndarray, goal: float) -> list[Reached]:
        penalty, found = self.penalty, []
        n, last = len(self.places), behind[-1]
        at = self._at(last.padded(n), last.intercept)
        one = np.ones(n)
        line = [Reached(known.alpha, known.padded(n), known.intercept) for known in behind]
        for alpha in alphas.tolist():
            here, loss = penalty.at(alpha, one, one), self._rows.loss
            self._go_on(at, line, alpha, here)
            gap = self._solved(at, here, goal, loss)
            if gap > max(goal, HARD_GAP * self.series.unit):
                self._by_continuation(at, here, goal, loss)
            found.append(Reached(alpha, at.u, at.b))
            line = [line[-1], found[-1]]
        return found

    def _go_on(self, at: _Iterate, line: Sequence[Reached], alpha: float, penalty: Penalty) -> None:
        """Go on along the line through the last two points, in place, if it lowers the objective.

        It is a better place to begin from, so that a reference of alphas before serves for longer.
        """
        if len(line) < 2 or not np.inf > line[0].alpha > line[1].alpha > alpha:
            return
        before, last = line
        ahead = (last.alpha - alpha) / (before.alpha - last.alpha)
        u = at.u + ahead * (at.u - before.u)
        u[u * at.u <= 0.0] = 0.0  # what would change its sign, or comes from zero, waits there
        there = self._at(u, at.b + ahead * (at.b - before.intercept))
        if self._value(there, penalty) < self._value(at, penalty):
            at.u, at.b, at.prediction = there.u, there.b, there.prediction

    def _value(self, at: _Iterate, penalty: Penalty) -> float:
        """Return the objective."""
        loss = self._rows.loss.value(at.prediction, self._rows.y)
        return float(self._rows.weight @ loss) + float(np.sum(penalty.value(at.u)))

    def _at(self, u: np.ndarray, b: float) -> _Iterate:
        used = np.flatnonzero(u)
        return _Iterate(u, b, u[used] @ self._columns[used] + b + self._rows.offset)

    def _by_continuation(self, at: _Iterate, penalty: Penalty, goal: float, loss: Loss) -> None:
        """Solve again through easier losses, each started from the one before."""
        easier = loss.easier(at.prediction, self._rows.y)
        for one in [*easier, loss] if easier else []:
            self._damping, self._reference = one.damping, None
            self._solved(at, penalty, goal, one)

    def _solved(self, at: _Iterate, penalty: Penalty, goal: float, loss: Loss) -> float:
        """Take steps from an iterate, in place: the gap that it is left with."""
        before = least = lowest = np.inf
        fruitless = 0
        for _ in range(MOST_STEPS):
            look = self._look(at, penalty, loss)
            gains = look.gap < 0.5 * least or look.value < lowest - LEAST_GAIN * self.series.unit
            fruitless = 0 if gains else fruitless + 1
            if look.gap <= goal or fruitless > MOST_FRUITLESS:
                break
            least, lowest = min(least, look.gap), min(lowest, look.value)
            slow, before = look.gap > SLOW_STEP * before, look.gap
            few = self._reference is None or self._reference.active.size <= FEW_ACTIVE
            fresh = slow or few
            if self._reference is None or fresh:
                self._reference = self._referred(at, look, penalty, loss)
            else:
                self._reference = self._extended(self._reference, at, look, penalty)
            damping = self._damping
            moved = self._step(at, look, penalty, loss, MODEL_TOL * look.gap)
            if not moved and fresh and self._damping == damping:
                break
            if not moved or self._damping != damping:
                self._reference = None
        return look.gap

    def _look(self, at: _Iterate, penalty: Penalty, loss: Loss) -> _Look:
        """Return the gradient and the gap over the columns in use."""
        rows = self._rows if loss is self._rows.loss else replace(self._rows, loss=loss)
        free = np.flatnonzero((penalty.l1 == 0) & (penalty.l2 == 0))
        point = dual_point(rows, at.prediction, self._columns[free], at.u[free], penalty)
        pair = np.stack([point.slopes, point.direction], axis=1)
        pair *= rows.weight[:, None]
        products = np.empty((len(self._columns), 2))

        def part(some: slice) -> None:
            products[some] = self._columns[some] @ pair

        in_parts(part, slices(len(products), COLUMNS_AT_ONCE))
        gradient, dual = products.T
        dual = -dual
        dual[free] = 0.0
        columns = replace(penalty, l1=penalty.l1[:, None], l2=penalty.l2[:, None])
        cost, _, ratio, conjugate, _ = column_sums(at.u[:, None], dual[:, None], columns)[:, 0]
        gap = point.gap(rows, float(cost), float(ratio), float(conjugate))
        gap = gap if np.isfinite(gap) else np.inf
        return _Look(point.loss + float(cost), point.loss, point.slope, gradient, gap)

    def _referred(self, at: _Iterate, look: _Look, penalty: Penalty, loss: Loss) -> Reference:
        """Return the matrix of the iterate itself, over the columns that are active there."""
        y = self._rows.y
        curvature = loss.curvature(at.prediction, y)
        if self._damping > 0:
            more = loss.model_curvature(at.prediction, y) - curvature
            curvature = curvature + self._damping * more
        none = np.zeros(0, np.int64)
        curved = self._rows.weight * curvature
        empty = Reference(curved, none, np.zeros((0, 0)), np.zeros(0), FaceFactor(0))
        return self._extended(empty, at, look, penalty)

    def _extended(
        self, reference: Reference, at: _Iterate, look: _Look, penalty: Penalty
    ) -> Reference:
        """Return the same with the columns that have become active."""
        active = (at.u != 0) | (penalty.size(-look.gradient) >= NEARLY_ACTIVE * penalty.l1)
        active[reference.active] = False
        new = np.flatnonzero(active)
        if not new.size:
            return reference
        old, n = reference.active.size, reference.active.size + new.size
        gram = np.empty((n, n))
        gram[:old, :old] = reference.gram
        root, before = np.sqrt(reference.curved), self._columns[reference.active]
        block, coupling = self._columns[new] * root, np.empty(new.size)

        def part(some: slice) -> None:
            own, below = slice(old + some.start, old + some.stop), slice(0, some.stop)
            # by itself: half of the products are the other half
            within = block[some] @ block[below].T
            gram[own, old : own.stop] = within
            gram[old : own.stop, own] = within.T
            curved = block[some] * root
            coupling[some] = curved.sum(axis=1)
            if old:
                across = curved @ before.T
                gram[own, :old] = across
                gram[:old, own] = across.T

        in_parts(part, slices(new.size, COLUMNS_AT_ONCE)[::-1])  # the longest first
        return replace(
            reference,
            active=np.concatenate([reference.active, new]),
            gram=gram,
            coupling=np.concatenate([reference.coupling, coupling]),
        )

    def _step(self, at: _Iterate, look: _Look, penalty: Penalty, loss: Loss, tol: float) -> bool:
        """Go to the model's minimum, or as far as the objective falls enough: whether anywhere."""
        reference = self._reference
        assert reference is not None
        active = reference.active
        own = replace(penalty, l1=penalty.l1[active], l2=penalty.l2[active])
        start, gradient = at.u[active], np.append(look.gradient[active], look.slope)
        height = look.loss + NULL_LOSSES_ADDED * self.series.unit
        moved, up, predicted = model_step(
            reference, gradient, start, own, height, tol, intercept=self._rows.fit_intercept
        )
        along, cost = moved - start, float(np.sum(own.value(start)))
        used = np.flatnonzero(along)
        ahead = along[used] @ self._columns[active[used]] + up
        objective, t = look.loss + cost, 1.0
        for _ in range(MOST_HALVINGS):
            u = start + t * along if t < 1.0 else moved
            prediction = at.prediction + t * ahead
            value = float(self._rows.weight @ loss.value(prediction, self._rows.y))
            trial = value + float(np.sum(own.value(u)))
            if trial <= objective - SUFFICIENT_DECREASE * t * predicted + 1e-15 * abs(objective):
                accurate = objective - trial >= ACCURATE_DECREASE * predicted
                self._trust(whole=t == 1.0, accurate=accurate)
                whole = at.u.copy()
                whole[active] = u
                at.u, at.b, at.prediction = whole, at.b + t * up, prediction
                return True
            t *= 0.5
        self._trust(whole=False, accurate=False)
        return False

    def _trust(self, *, whole: bool, accurate: bool) -> None:
        """Choose the next damping: how much of a model nowhere below the loss its matrix has."""
        if not whole:
            self._damping = min(1.0, max(16.0 * self._damping, LEAST_DAMPING))
        elif accurate:
            self._damping = 0.25 * self._damping if self._damping > LEAST_DAMPING else 0.0
