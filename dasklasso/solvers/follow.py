"""Along the alphas of a path with a working set of columns, compiled.

Only columns that can matter are worked on: those in use, those that the sequential strong rule
keeps (Tibshirani et al., 2012, Strong rules for discarding predictors in lasso-type problems,
eq. 22), and those found to violate the optimality conditions afterwards. Their part of G is
gathered into a matrix of its own, which stays in the cache, while they are less than half of all;
beyond that the rows of G itself are used, and nothing is copied.
"""

from __future__ import annotations

import numpy as np

from dasklasso.solvers.compiling import Matrix, Vector, compiled
from dasklasso.solvers.descent import descend, gap_of, take_product
from dasklasso.solvers.factor import IN, OUT, SIZE

AT_LEAST = 64  # columns that may join the working set at once; beyond, as many as there are
LOOSE = 1e-2  # of the gap: how far a working set that is known to be incomplete is solved
MOST = 4096  # rows of the factor
PATIENCE = 3  # rounds without halving the gap: rounding is all there is left


@compiled
def enlist(excess: Vector, above: float, order: Vector, n: int, listed: Vector) -> tuple[int, bool]:
    """Add the columns whose excess is above a bound to ``order``: (how many, whether all are in).

    At most as many join as are there, those of largest excess, so that a poor start does not bring
    all columns.
    """
    new = np.flatnonzero((excess > above) & ~listed)
    most = max(AT_LEAST, n)
    complete = new.size <= most
    if not complete:
        new = new[np.argsort(-excess[new])[:most]]
    for j in new:
        order[n] = j
        listed[j] = True
        n += 1
    return n, complete


@compiled
def gather(gram: Matrix, order: Vector, old: int, n: int, block: Matrix) -> Matrix:
    """``G[order, order]`` in the leading n × n part of a block; old × old of it is there."""
    if n > block.shape[0]:
        larger = np.empty((n + n // 2, n + n // 2))
        larger[:old, :old] = block[:old, :old]
        block = larger
    for r in range(n):
        row, start = gram[order[r]], old if r < old else 0
        for s in range(start, n):
            block[r, s] = row[order[s]]
    return block


@compiled
def excess_of(q: Vector, a: Vector, usable: Vector, positive: bool, out: Vector) -> None:
    """How far each ``|q_j|`` is above ``a_j``; −inf for columns without variance."""
    for j in range(q.size):
        out[j] = (q[j] if positive else abs(q[j])) - a[j] if usable[j] else -np.inf


@compiled
def objective_of(linear: Vector, a: Vector, b: Vector, u: Vector, q: Vector) -> float:
    """Loss less ½yy, plus penalty: ``uᵀGu = uᵀ(c − q)``."""
    total = 0.0
    for j in range(u.size):
        total += a[j] * abs(u[j]) + 0.5 * u[j] * (b[j] * u[j] - linear[j] - q[j])
    return total


@compiled
def extrapolate(
    gram: Matrix,
    linear: Vector,
    a: Vector,
    b: Vector,
    ahead: float,
    u: Vector,
    q: Vector,
    u_before: Vector,
    q_before: Vector,
) -> None:
    """Go on along the line through the last two solutions, if that lowers the objective.

    Paths are piecewise linear in alpha, or nearly so; q is affine in u, so that it costs nothing
    but where a coefficient would change its sign and is held at zero instead.
    """
    there, q_there = u + ahead * (u - u_before), q + ahead * (q - q_before)
    held = np.zeros(u.size)
    for j in range(u.size):
        if there[j] != 0.0 and there[j] * u[j] <= 0.0:
            held[j], there[j] = -there[j], 0.0
    take_product(gram, u.size, np.flatnonzero(held), held, q_there)
    if objective_of(linear, a, b, there, q_there) < objective_of(linear, a, b, u, q):
        u[:] = there
        q[:] = q_there


@compiled
def follow(
    gram: Matrix,
    linear: Vector,
    yy: float,
    alphas: Vector,
    l1: Vector,
    l2: Vector,
    positive: bool,
    tol: float,
    max_sweeps: int,
    u: Vector,
    coef: Matrix,
) -> int:
    """Solve at every alpha in turn.

    Parameters
    ----------
    gram, linear, yy : the quadratic
    alphas : (n_alphas,)
    l1, l2 : (n_features,), times alpha the penalty ``a|u| + ½ b u²``
    tol : duality gap to stop at
    max_sweeps : for each alpha
    u : (n_features,), where to start; zero for columns without variance
    coef : (n_alphas, n_features), filled

    Returns
    -------
    Passes over the working set.
    """
    d = linear.size
    diagonal = np.empty(d)
    for j in range(d):
        diagonal[j] = gram[j, j]
    usable = diagonal > 0.0
    everything = np.flatnonzero(usable)
    listed, order, n = np.zeros(d, np.bool_), np.empty(d, np.int64), 0
    block, gathered = np.empty((0, 0)), 0
    q, excess = linear.copy(), np.empty(d)
    take_product(gram, d, everything, u, q)
    u_before, q_before = u.copy(), q.copy()
    most = min(everything.size, MOST)
    factor, members = np.empty(most * (most + 1) // 2), np.empty(most, np.int64)
    state, tally = np.zeros(d, np.int64), np.zeros(2, np.int64)
    total = 0
    for k in range(alphas.size):
        a, b = alphas[k] * l1, alphas[k] * l2
        excess_of(q, a, usable, positive, excess)
        if k == 0:
            reach = 0.0
            for i in everything:
                if a[i] > 0.0:
                    reach = max(reach, excess[i] / a[i])
        else:
            reach = alphas[k - 1] / alphas[k] - 1.0 if alphas[k] > 0.0 else np.inf
        excess += reach * a  # the strong rule: |q_j| > 2 a_j − a_j at the alpha before
        excess[usable & ((a == 0.0) | (u != 0.0))] = np.inf
        n, complete = enlist(excess, 0.0, order, n, listed)
        if k > 1 and alphas[k - 2] > alphas[k - 1]:
            ahead = (alphas[k - 1] - alphas[k]) / (alphas[k - 2] - alphas[k - 1])
            u_now, q_now = u.copy(), q.copy()
            extrapolate(gram, linear, a, b, ahead, u, q, u_before, q_before)
            u_before, q_before = u_now, q_now
        elif k == 1:
            u_before, q_before = u.copy(), q.copy()
        gap = gap_of(everything, linear, yy, a, b, positive, diagonal, u, q)
        best, goal, patience, passes = np.inf, 0.5 * tol, PATIENCE, 0
        while True:
            work = order[:n]
            aim = goal if complete else max(goal, LOOSE * gap)
            if 2 * n <= d:
                block = gather(gram, order, gathered, n, block)
                gathered = n
                u_work, q_work = u[work], q[work]
                passes += descend(
                    block, n, np.arange(n), diagonal[work], linear[work], yy, a[work], b[work],
                    positive, aim, max_sweeps - passes, u_work, q_work,
                    factor, members, state, tally,
                )  # fmt: skip
                u[work] = u_work
            else:
                if gathered > 0:  # the factor's columns by their numbers in G from here on
                    state[:] = OUT
                    for r in range(tally[SIZE]):
                        members[r] = order[members[r]]
                        state[members[r]] = IN
                    gathered = 0
                passes += descend(
                    gram, d, work, diagonal, linear, yy, a, b,
                    positive, aim, max_sweeps - passes, u, q, factor, members, state, tally,
                )  # fmt: skip
            q[:] = linear  # afresh: what was taken from q one step at a time has drifted
            take_product(gram, d, work, u, q)
            gap = gap_of(everything, linear, yy, a, b, positive, diagonal, u, q)
            if gap < best:
                patience = PATIENCE if gap < 0.5 * best else patience
                best = gap
                coef[k] = u
            if gap <= tol or passes >= max_sweeps or patience == 0:
                break
            excess_of(q, a, usable, positive, excess)
            before = n
            n, complete = enlist(excess, 0.0, order, n, listed)
            if n == before:
                goal *= 0.1
                patience -= 1
        u[:] = coef[k]
        total += passes
    return total
