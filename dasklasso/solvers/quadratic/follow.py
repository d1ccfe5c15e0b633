"""Paths of ``½uᵀGu − cᵀu + Σ a_j|u_j| + ½ b_j u_j²`` over decreasing alphas, by working sets.

Only columns that can matter are worked on: those in use, those that the sequential strong rule
keeps (Tibshirani et al., 2012, Strong rules for discarding predictors in lasso-type problems,
eq. 22), and those found to violate the optimality conditions afterwards. Their part of G is
gathered into a block of its own, which stays in the cache, while they are less than half of all;
beyond that the rows of G itself are used, and nothing is copied. Where columns are few, all of them
are worked on: to choose among them takes longer than to sweep over them.

What takes time is matrix products and the compiled sweep, neither of which holds the interpreter's
lock, so threads may solve paths side by side.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dasklasso.objective.penalties.base import Penalty
from dasklasso.solvers.quadratic.active_set import ActiveSet, Reached
from dasklasso.solvers.quadratic.conjugate_gradients import Factor
from dasklasso.solvers.quadratic.descent import descend
from dasklasso.solvers.quadratic.face_factor import LARGE, FaceFactor
from dasklasso.solvers.quadratic.growing_factor import GrowingFactor
from dasklasso.solvers.quadratic.subproblem import Subproblem, times
from dasklasso.solvers.quadratic.sweep import COMPILED_FROM

MIN_JOINING = 64  # columns that may join a working set at once; beyond, as many as are in it
INCOMPLETE_GAP = 1e-2  # of the gap: how far a working set known to be incomplete is solved
ROUNDS_WITHOUT_HALVING = 3  # of the gap, until it is what rounding allows


_NOWHERE = Reached(np.empty(0), np.empty(0), 0)  # no point with a gap has been found


def follow(
    gram: np.ndarray,
    linear: np.ndarray,
    yy: float,
    penalty: Penalty,
    alphas: np.ndarray,
    usable: np.ndarray,
    start: np.ndarray,
    *,
    tol: float,
    max_passes: int,
    earlier: np.ndarray | None = None,
    factor: FaceFactor | None = None,
) -> Iterator[Reached]:
    """Solve at every alpha in turn, each from where the one before has ended.

    Parameters
    ----------
    gram : (≥ n_features, ≥ n_features) float64, C-contiguous
        Its leading rows and columns are G.
    penalty : of alpha 1, separable; its weights are (n_features,)
    alphas : (n_alphas,), decreasing
    usable : (n_features,) bool, columns with variance that are worked on
    start : (n_features,), zero for the other columns
    tol : duality gap to stop at
    max_passes : for each alpha
    earlier : (n_features,), optional
        The solution at the first alpha, where ``start`` is that at the second: the path goes on
        along the line through them, from the third alpha on.
    factor : FaceFactor, optional
        Of the same columns, from an earlier part of the path. No part of G is then gathered: what
        is in use is thought to be most of it.

    Yields
    ------
    The best point that was found at each alpha; NaN in q where none has a gap.
    """
    follower = PathFollower(gram, linear, yy, penalty, alphas, usable, tol, factor)
    u = start.copy()
    used, compiled = u.nonzero()[0], follower.compiled
    line, k = _Line(u, linear - times(gram, linear.size, used, u[used], compiled=compiled)), 0
    if earlier is not None:
        used, k = earlier.nonzero()[0], 2
        q = linear - times(gram, linear.size, used, earlier[used], compiled=compiled)
        line.last = earlier, q
    while k < alphas.size:
        for found in follower.ahead(k, line):
            yield found
            k += 1
        if k < alphas.size:
            yield follower.solve(k, line, tol, max_passes)
            k += 1


class _Line:
    """The last two solutions of a path, u and q, and the point that is worked on."""

    def __init__(self, u: np.ndarray, q: np.ndarray) -> None:
        self.u, self.q = u, q
        self.last: tuple[np.ndarray, np.ndarray] | None = None

    def go_on(self, problem: Subproblem, ahead: float) -> None:
        """Go on along the line through the last two solutions, if that lowers the objective.

        Paths are piecewise linear in alpha, or nearly so; q is affine in u, so that it costs
        nothing but where a coefficient would change its sign and is held at zero instead.
        """
        u, q, last = self.u, self.q, self.last
        self.last = u, q
        self.u, self.q = u.copy(), q.copy()
        if last is None or ahead == 0.0:
            return
        there, q_there = u + ahead * (u - last[0]), q + ahead * (q - last[1])
        held = ((there * u <= 0.0) & (there != 0.0)).nonzero()[0]
        if held.size:
            q_there += problem.times(held, there[held])
            there[held] = 0.0
        if problem.value(there, q_there) < problem.value(u, q):
            self.u, self.q = there, q_there


def factor_for(n_columns: int, *, compiled: bool) -> Factor:
    """Return what preconditions a path over so many columns."""
    if compiled and n_columns >= LARGE:
        return FaceFactor(n_columns)
    return GrowingFactor(n_columns, compiled=compiled)


class PathFollower:
    """A path's working set, its block of G, and the factor that grows along it."""

    def __init__(
        self,
        gram: np.ndarray,
        linear: np.ndarray,
        yy: float,
        penalty: Penalty,
        alphas: np.ndarray,
        usable: np.ndarray,
        tol: float,
        factor: FaceFactor | None = None,
    ) -> None:
        self.gram, self.linear, self.yy = gram, linear, yy
        self.penalty, self.alphas, self.positive = penalty, alphas, penalty.nonnegative
        self.diagonal = gram.diagonal()[: linear.size].copy()
        self.everything = np.flatnonzero(usable)
        self.listed = ~usable  # columns that do not wait to join
        self.order = np.empty(0, np.int64)  # the working set, in the order in which they joined
        self.block: np.ndarray | None = np.empty((0, 0))  # None once G itself is used
        self.gathered = 0  # rows and columns of it that are there
        self.compiled = linear.size >= COMPILED_FROM
        self.has_l2 = bool(penalty.l2.any())
        self.l1_everywhere = not self.has_l2 and bool((penalty.l1 > 0.0).all())
        if not self.compiled:
            self.order, self.block = self.everything, None
            self.listed[:] = True
        self.factor: Factor = factor or factor_for(linear.size, compiled=self.compiled)
        if factor is not None:
            self.block = None
        self.active_set: ActiveSet | None = None
        if not self.compiled and bool((penalty.l1[usable] > 0.0).all()) and alphas[-1] > 0.0:
            own = np.ascontiguousarray(gram[: linear.size, : linear.size])
            self.active_set = ActiveSet(own, linear, penalty, usable, yy, 0.5 * tol)

    def ahead(self, k: int, line: _Line) -> list[Reached]:
        """Solve at alpha number k and after it as far as the active set is easily found."""
        if self.active_set is None:
            return []
        found = self.active_set.solve(self.alphas[k:], line.u)
        for u, q, _ in found[-2:]:
            line.last = (line.u, line.q) if k else None
            line.u, line.q, k = u, q, k + 1
        return found

    def solve(self, k: int, line: _Line, tol: float, max_passes: int) -> Reached:
        """Solve at alpha number k, from where ``line`` is; it is there afterwards."""
        alphas, positive = self.alphas, self.positive
        a, b = alphas[k] * self.penalty.l1, alphas[k] * self.penalty.l2
        whole = Subproblem(
            self.gram, self.linear, self.diagonal, a, b, self.everything, self.yy, positive,
            self.compiled, self.l1_everywhere and alphas[k] > 0.0,
        )  # fmt: skip
        complete = self._select(k, a, line)
        if k > 0:
            ahead = 0.0
            if k > 1 and alphas[k - 2] > alphas[k - 1]:
                ahead = (alphas[k - 1] - alphas[k]) / (alphas[k - 2] - alphas[k - 1])
            line.go_on(whole, ahead)
        best = _NOWHERE
        least, goal, patience = np.inf, 0.5 * tol, 0
        gap = 0.0 if complete else whole.gap(line.u, line.q)
        # the factor's b is of alphas before: where there is one, faces are solved inexactly
        settled, passes = k > 0 and not (self.has_l2 and alphas[k] > 0.0), 0
        while True:
            aim = goal if complete else max(goal, INCOMPLETE_GAP * gap)
            passes += self._descend(whole, line, aim, max_passes - passes, settled=settled)
            # afresh: what was taken from q one step at a time has drifted
            used = line.u.nonzero()[0]
            line.q = self.linear - whole.times(used, line.u[used])
            gap = whole.gap(line.u, line.q)
            if gap < least:
                patience = 0 if gap < 0.5 * least else patience
                least, best = gap, Reached(line.u, line.q, passes)
            if gap <= tol or passes >= max_passes or patience == ROUNDS_WITHOUT_HALVING:
                break
            if best.u is line.u:
                line.u, line.q = line.u.copy(), line.q.copy()
            before = self.order.size
            if self.order is not self.everything:
                complete = self._enlist(_size(line.q, positive) - a)
            if self.order.size == before:
                goal *= 0.1
                patience += 1
        if best is _NOWHERE:
            best = Reached(np.zeros(a.size), np.full(a.size, np.nan), passes)
        line.u, line.q = best.u, best.q
        return best._replace(passes=passes)

    def _select(self, k: int, a: np.ndarray, line: _Line) -> bool:
        """Enlist what may matter at alpha number k: whether all of it has joined."""
        if self.order is self.everything:
            return True
        alphas = self.alphas
        # the strong rule: |q_j| > 2 a_j − a_j at the alpha before, or at the largest that matters
        excess = _size(line.q, self.positive) - a
        reach = 0.0
        if k > 0:
            reach = float(alphas[k - 1] / alphas[k] - 1.0) if alphas[k] > 0.0 else 0.0
        else:
            penalised = self.everything[a[self.everything] > 0.0]
            reach = float(np.max(excess[penalised] / a[penalised], initial=0.0))
        self._join(np.flatnonzero(~self.listed & ((a == 0.0) | (line.u != 0.0))))
        return self._enlist(excess + reach * a)

    def _enlist(self, excess: np.ndarray) -> bool:
        """Add the columns of positive excess to the working set: whether all joined.

        Where they are more than are there, those of small excess wait: a poor start must not bring
        all.
        """
        joining = np.flatnonzero(~self.listed & (excess > 0.0))
        most, bar = max(MIN_JOINING, self.order.size), 0.0
        if joining.size > most:
            size = excess[joining]
            top = float(size.max())
            while np.count_nonzero(size > bar) > most and 2.0 * bar < 1.999 * top:
                bar = 0.5 * (bar + top)
            joining = joining[size > bar]
        self._join(joining)
        return bar == 0.0

    def _join(self, columns: np.ndarray) -> None:
        if columns.size:
            self.order = np.concatenate([self.order, columns])
            self.listed[columns] = True

    def _descend(
        self, whole: Subproblem, line: _Line, aim: float, max_passes: int, *, settled: bool
    ) -> int:
        """Minimise over the working set: passes it took."""
        work, d = self.order, self.linear.size
        if work is self.everything:
            return descend(whole, self.factor, aim, max_passes, line.u, line.q, settled=settled)
        if self.block is not None and 2 * work.size <= d:
            block = self._gather()
            part = Subproblem(
                block, self.linear[work], self.diagonal[work], whole.a[work], whole.b[work],
                np.arange(work.size), self.yy, whole.positive, self.compiled,
            )  # fmt: skip
            u, q = line.u[work], line.q[work]
            passes = descend(part, self.factor, aim, max_passes, u, q, settled=settled)
            line.u[work] = u
            return passes
        if self.block is not None:
            self.factor.renumber(work[: self.gathered], d)
            self.block = None  # it is needed no more
        part = Subproblem(
            self.gram, self.linear, self.diagonal, whole.a, whole.b, work, self.yy,
            whole.positive, self.compiled,
        )  # fmt: skip
        return descend(part, self.factor, aim, max_passes, line.u, line.q, settled=settled)

    def _gather(self) -> np.ndarray:
        """A block whose leading part is ``G[order, order]``."""
        assert self.block is not None
        old, n, order = self.gathered, self.order.size, self.order
        if n > len(self.block):
            larger = np.empty((n + n // 2,) * 2)
            larger[:old, :old] = self.block[:old, :old]
            self.block = larger
        if n > old:
            across = self.gram[np.ix_(order[old:], order)]
            self.block[old:n, :n] = across
            self.block[:old, old:n] = across[:, :old].T
            self.gathered = n
        return self.block


def _size(q: np.ndarray, positive: bool) -> np.ndarray:
    """What is compared with a penalty: ``|q|``, or q where signs are held."""
    return q if positive else np.abs(q)
