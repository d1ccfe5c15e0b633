"""Paths of ``½uᵀGu − cᵀu + Σ a_j|u_j| + ½ b_j u_j²`` by coordinate descent, compiled.

The gradient ``q = c − Gu`` is kept up to date instead of being computed: a coordinate that does not
move costs a comparison, one that moves a row of G. After a sweep that changes no sign, signs are
held and conjugate gradients minimise over the face they span, as far as a coefficient reaches zero
(Moré and Toraldo, 1991, On the solution of large quadratic programming problems with bound
constraints, section 3). A Cholesky factor that grows with the columns in use preconditions them.

Only columns that can matter are worked on: those in use, those that the sequential strong rule
keeps (Tibshirani et al., 2012, Strong rules for discarding predictors in lasso-type problems,
eq. 22), and those found to violate the optimality conditions afterwards. Their part of G is
gathered into a block of its own, which stays in the cache, while they are less than half of all;
beyond that the rows of G itself are used, and nothing is copied.

No kernel holds the interpreter's lock, so threads may solve paths side by side. They are all in
this file because numba's cache on disk knows of changes to the file of the caller only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numba
import numpy as np

TOGETHER = 4  # rows taken from q in one pass over it
NO_GAIN = 1e-30  # of yy, per coordinate: what a sweep gains where rounding is all that is left
SINGULAR = 1e-11  # share of a column's square, not explained by the others, that is rounding
FLAT = 1e-14  # share of a direction's squares that is no curvature
NOISE = 1e-20  # squared cosine to the steepest direction at which a flat one gains nothing
WORSE = 1e-13  # of yy and the squares of u: a rise of the objective that is more than rounding
NEGATIVE = 1e-6  # of yy: a loss below zero that is more than rounding
MOST_ROWS = 4096  # of the factor
AT_LEAST = 64  # columns that may join the working set at once; beyond, as many as are in it
LOOSE = 1e-2  # of the gap: how far a working set that is known to be incomplete is solved
PATIENCE = 3  # rounds without halving the gap
SIZE, CREDIT = 0, 1  # of a factor's tally
OUT, IN, REFUSED = 0, 1, 2  # states of a factor's columns


class Part(NamedTuple):
    """The problem on some columns: ``order`` are those worked on, the rest have u = 0."""

    matrix: np.ndarray  # its leading rows and columns are as many as the vectors have entries
    linear: np.ndarray
    diagonal: np.ndarray
    a: np.ndarray
    b: np.ndarray
    order: np.ndarray
    yy: float
    positive: bool


class Factor(NamedTuple):
    """``LLᵀ = G + diag(b)`` over ``members``, row after row of the lower triangle.

    Rows are appended as columns come into use; those of columns that have left stay until they are
    many. As a preconditioner it need not be of the present matrix: each column too many or too few
    costs an iteration or two, not correctness.
    """

    rows: np.ndarray
    members: np.ndarray
    state: np.ndarray  # of every column: OUT, IN, or REFUSED because others explain it
    tally: np.ndarray  # rows there are; multiplications spent, against which it may grow


def compiled(function: Callable[..., Any]) -> Any:
    """Compile on first use; sums may be reordered, infinities and NaN keep their meaning."""
    options: dict[str, Any] = {
        "nogil": True,
        "error_model": "numpy",
        "fastmath": {"contract", "reassoc", "nsz"},
    }
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # numba found no folder that it may write its cache to
        return numba.njit(**options)(function)


@compiled
def put(source: np.ndarray, target: np.ndarray) -> None:
    """``target ← source``; a slice's assignment would take seconds to compile."""
    for i in range(source.size):
        target[i] = source[i]


@compiled
def take_rows(
    matrix: np.ndarray, rows: np.ndarray, steps: np.ndarray, n: int, q: np.ndarray
) -> None:
    """``q −= Σ steps_m · row_m`` for the first n ≤ 4 rows, in one pass over q."""
    if n == TOGETHER:
        r0, r1, r2, r3 = rows[0], rows[1], rows[2], rows[3]
        s0, s1, s2, s3 = steps[0], steps[1], steps[2], steps[3]
        for i in range(q.size):
            first = s0 * matrix[r0, i] + s1 * matrix[r1, i]
            q[i] -= first + s2 * matrix[r2, i] + s3 * matrix[r3, i]
    else:
        for m in range(n):
            row, step = rows[m], steps[m]
            for i in range(q.size):
                q[i] -= step * matrix[row, i]


@compiled
def take_product(matrix: np.ndarray, order: np.ndarray, p: np.ndarray, q: np.ndarray) -> None:
    """``q −= G p``, from the rows in ``order`` where p is not zero."""
    rows, steps, n = np.empty(TOGETHER, np.int64), np.empty(TOGETHER), 0
    for j in order:
        if p[j] != 0.0:
            rows[n], steps[n] = j, p[j]
            n += 1
            if n == TOGETHER:
                take_rows(matrix, rows, steps, n, q)
                n = 0
    take_rows(matrix, rows, steps, n, q)


@compiled
def minimiser(z: float, curvature: float, a: float, b: float, positive: bool) -> float:
    """``argmin_u ½ curvature u² − z u + a|u| + ½ b u²``, u ≥ 0 if positive."""
    if z > a:
        return (z - a) / (curvature + b)
    if z < -a and not positive:
        return (z + a) / (curvature + b)
    return 0.0


@compiled
def sweep(part: Part, u: np.ndarray, q: np.ndarray) -> tuple[float, bool]:
    """Minimise over each coordinate in turn: (gain, whether all signs are as before)."""
    matrix, diagonal, a, b, positive = part.matrix, part.diagonal, part.a, part.b, part.positive
    rows, steps, n = np.empty(TOGETHER, np.int64), np.empty(TOGETHER), 0
    gain, same = 0.0, True
    for j in part.order:
        z = q[j]
        for m in range(n):  # steps that q does not know of yet
            z -= steps[m] * matrix[rows[m], j]
        old = u[j]
        new = minimiser(z + diagonal[j] * old, diagonal[j], a[j], b[j], positive)
        if new == old:
            continue
        same &= old * new > 0.0
        gain += 0.5 * (diagonal[j] + b[j]) * (new - old) ** 2
        u[j] = new
        rows[n], steps[n] = j, new - old
        n += 1
        if n == TOGETHER:
            take_rows(matrix, rows, steps, n, q)
            n = 0
    take_rows(matrix, rows, steps, n, q)
    return gain, same


@compiled
def gap_of(part: Part, u: np.ndarray, q: np.ndarray) -> float:
    """Duality gap over the columns, as in :mod:`dasklasso.objective.duality`.

    Columns without a penalty count by what a step along each would gain, instead of being
    projected out: good enough to stop by, and never reported.
    """
    squares, penalty, product, ratio, conjugate, free = part.yy, 0.0, 0.0, 0.0, 0.0, 0.0
    quadratic = False
    for j in part.order:
        a, b = part.a[j], part.b[j]
        squares -= u[j] * (part.linear[j] + q[j])
        penalty += a * abs(u[j]) + 0.5 * b * u[j] * u[j]
        product += u[j] * q[j]
        size = q[j] if part.positive else abs(q[j])
        if b > 0.0:
            quadratic = True
            if size > a:
                conjugate += 0.5 * (size - a) ** 2 / b
        elif a > 0.0:
            ratio = max(ratio, size / a)
        elif size > 0.0 or u[j] > 0.0:
            free += q[j] * q[j] / part.diagonal[j]
            product -= u[j] * q[j]
    squares = max(squares, 0.0)
    s = (squares + product - conjugate) / squares if squares > 0.0 else 1.0
    if ratio * s > 1.0:
        s = 1.0 / ratio
    s = max(min(s, 1.0) if quadratic else s, 0.0)
    gap = 0.5 * squares * (1.0 - s) ** 2 + penalty + s * (conjugate - product)
    return max(gap, 0.0) + free


@compiled
def value_of(part: Part, u: np.ndarray, q: np.ndarray) -> float:
    """Objective less ½yy: ``uᵀGu = uᵀ(c − q)``."""
    total = 0.0
    for j in part.order:
        smooth = part.b[j] * u[j] - part.linear[j] - q[j]
        total += part.a[j] * abs(u[j]) + 0.5 * u[j] * smooth
    return total


@compiled
def solve_lower(packed: np.ndarray, m: int, x: np.ndarray) -> None:
    """``x ← L⁻¹ x`` for the leading m rows."""
    start = 0
    for r in range(m):
        row, total = packed[start : start + r + 1], 0.0  # only indexed from zero is it vectorised
        for i in range(r):
            total += row[i] * x[i]
        x[r] = (x[r] - total) / row[r]
        start += r + 1


@compiled
def solve_upper(packed: np.ndarray, m: int, x: np.ndarray) -> None:
    """``x ← L⁻ᵀ x`` for the leading m rows."""
    for r in range(m - 1, -1, -1):
        start = r * (r + 1) // 2
        row = packed[start : start + r + 1]
        value = x[r] / row[r]
        x[r] = value
        for i in range(r):
            x[i] -= value * row[i]


@compiled
def grow(part: Part, face: np.ndarray, u: np.ndarray, factor: Factor) -> int:
    """Append the face's columns, if as much work has been spent without them: rows there are."""
    members, state, tally = factor.members, factor.state, factor.tally
    m = tally[SIZE]
    stale, first = 0, m
    for i in range(m - 1, -1, -1):
        if u[members[i]] == 0.0:
            stale, first = stale + 1, i
    if 8 * stale > m:  # keep the rows before the first that has left, append the others again
        for i in range(first, m):
            state[members[i]] = OUT
        for j in face:
            if state[j] == REFUSED:
                state[j] = OUT
        m = first
    missing = 0
    for j in face:
        missing += state[j] == OUT
    cost = missing * (m + missing) ** 2 // 2
    if cost <= tally[CREDIT] and m + missing <= members.size:
        tally[CREDIT] -= cost
        row = np.empty(m + missing)
        for j in face:
            if state[j] != OUT:
                continue
            for i in range(m):
                row[i] = part.matrix[j, members[i]]
            solve_lower(factor.rows, m, row)
            curvature, start = part.diagonal[j] + part.b[j], m * (m + 1) // 2
            rest = curvature
            for i in range(m):
                rest -= row[i] * row[i]
                factor.rows[start + i] = row[i]
            state[j] = IN if rest > SINGULAR * curvature else REFUSED
            if state[j] == IN:
                factor.rows[start + m] = np.sqrt(rest)
                members[m] = j
                m += 1
    tally[SIZE] = m
    return m


@compiled
def renumber(factor: Factor, order: np.ndarray) -> None:
    """Let the factor's columns go by their numbers in G, no longer by those in a block of it."""
    factor.state[:] = OUT
    for i in range(factor.tally[SIZE]):
        factor.members[i] = order[factor.members[i]]
        factor.state[factor.members[i]] = IN


@compiled
def over_face(
    part: Part, factor: Factor, tol: float, most: int, u: np.ndarray, q: np.ndarray
) -> int:
    """Preconditioned conjugate gradients over the nonzero coordinates, signs held.

    A coordinate that reaches zero leaves the face; conjugate gradients begin again without it.
    Ends where the gap is within tol or nothing is gained. Returns the number of iterations.
    """
    matrix, diagonal, a, b = part.matrix, part.diagonal, part.a, part.b
    face, sign = part.order[u[part.order] != 0.0], np.sign(u)
    m = grow(part, face, u, factor)
    members = factor.members[:m]
    p, z, slope = np.zeros(u.size), np.empty(u.size), np.empty(u.size)
    change, x = np.empty(u.size), np.empty(factor.members.size)
    before = 0.0
    for iteration in range(most):
        for j in face:
            slope[j] = q[j] - a[j] * sign[j] - b[j] * u[j]
            z[j] = slope[j] / (diagonal[j] + b[j])
        for i in range(m):
            x[i] = slope[members[i]] if sign[members[i]] != 0.0 else 0.0
        solve_lower(factor.rows, m, x)
        solve_upper(factor.rows, m, x)
        for i in range(m):
            z[members[i]] = x[i]
        rho = 0.0
        for j in face:
            rho += slope[j] * z[j]
        if 0.5 * rho <= NO_GAIN * part.yy:
            return iteration
        beta = rho / before if before > 0.0 else 0.0
        before = rho
        for j in face:
            p[j] = z[j] + beta * p[j]
        change[:] = 0.0
        take_product(matrix, face, p, change)
        factor.tally[CREDIT] += face.size * u.size
        curvature, size, ahead, steepest, hit, nearest = 0.0, 0.0, 0.0, 0.0, -1, np.inf
        for j in face:
            curvature += p[j] * (b[j] * p[j] - change[j])
            size += p[j] * p[j] * (diagonal[j] + b[j])
            ahead += p[j] * slope[j]
            steepest += slope[j] * slope[j] / (diagonal[j] + b[j])
            bound = a[j] > 0.0 or part.positive
            if bound and p[j] * sign[j] < 0.0 and -u[j] / p[j] < nearest:
                hit, nearest = j, -u[j] / p[j]
        # along duplicates there is no curvature: rounding must not make a huge step of it
        flat = curvature <= FLAT * size
        step = np.inf if flat else ahead / curvature
        noise = flat and ahead * ahead <= NOISE * size * steepest
        if ahead <= 0.0 or noise or min(step, nearest) == np.inf:
            return iteration + 1
        step, hit = (step, -1) if step < nearest else (nearest, hit)
        for j in face:
            u[j] += step * p[j]
        for i in range(q.size):
            q[i] += step * change[i]
        if hit >= 0:
            for j in face:  # duplicates reach zero together, but for rounding
                if j == hit or (u[j] * sign[j] <= 0.0 and (a[j] > 0.0 or part.positive)):
                    u[j], sign[j] = 0.0, 0.0
            before = 0.0
            face = face[sign[face] != 0.0]
            m = grow(part, face, u, factor)
            members = factor.members[:m]
        if gap_of(part, u, q) <= tol:
            return iteration + 1
    return most


@compiled
def least_gain(part: Part, tol: float, u: np.ndarray) -> float:
    """What a sweep may seem to gain by rounding: q has the rounding of the sums Σ G_jk u_k.

    Never more than a millionth of tol, unless that is less than the rounding of yy.
    """
    squares, n = 0.0, part.order.size
    for j in part.order:
        squares += part.diagonal[j] * u[j] * u[j]
    return max(NO_GAIN * n * part.yy, min(NO_GAIN * n * n * squares, 1e-6 * tol))


@compiled
def descend(
    part: Part, factor: Factor, tol: float, max_sweeps: int, u: np.ndarray, q: np.ndarray
) -> int:
    """Minimise over the columns of ``part``, u and q in place: passes over the matrix it took."""
    passes = 0
    while passes < max_sweeps:
        gain, same = sweep(part, u, q)
        passes += 1
        factor.tally[CREDIT] += part.order.size * u.size
        if gap_of(part, u, q) <= tol or gain <= least_gain(part, tol, u):
            break
        if same:
            value, u_safe, q_safe = value_of(part, u, q), u.copy(), q.copy()
            most = min(max_sweeps - passes, 10 + part.order.size)
            passes += over_face(part, factor, tol, most, u, q)
            reached = value_of(part, u, q)
            slack = WORSE * (part.yy + np.sum(part.diagonal * u_safe**2))
            if not -(0.5 + NEGATIVE) * part.yy <= reached <= value + slack:
                put(u_safe, u)  # columns so nearly dependent that rounding led astray
                put(q_safe, q)
            if gap_of(part, u, q) <= tol:
                break
    return passes


@compiled
def enlist(excess: np.ndarray, order: np.ndarray, n: int, listed: np.ndarray) -> tuple[int, bool]:
    """Add the columns of positive excess to ``order``: (how many it has, whether all joined).

    Where they are more than are there, those of small excess wait: a poor start must not bring all.
    """
    most, bar, joining = max(AT_LEAST, n), 0.0, excess[~listed]
    top, count = (joining.max() if joining.size else 0.0), np.sum(joining > 0.0)
    while count > most and 2.0 * bar < 1.999 * top:
        bar = 0.5 * (bar + top)
        count = np.sum(joining > bar)
    for j in range(excess.size):
        if excess[j] > bar and not listed[j]:
            order[n] = j
            listed[j] = True
            n += 1
    return n, bar == 0.0


@compiled
def gather(gram: np.ndarray, order: np.ndarray, old: int, n: int, block: np.ndarray) -> np.ndarray:
    """``G[order, order]`` as the leading n × n part of a block; old × old of it is there."""
    if n > block.shape[0]:
        larger = np.empty((n + n // 2, n + n // 2))
        for r in range(old):
            put(block[r, :old], larger[r])
        block = larger
    for r in range(n):
        for s in range(old if r < old else 0, n):
            block[r, s] = gram[order[r], order[s]]
    return block


@compiled
def extrapolate(
    part: Part, ahead: float, u: np.ndarray, q: np.ndarray, u_last: np.ndarray, q_last: np.ndarray
) -> None:
    """Go on along the line through the last two solutions, if that lowers the objective.

    Paths are piecewise linear in alpha, or nearly so; q is affine in u, so that it costs nothing
    but where a coefficient would change its sign and is held at zero instead.
    """
    there, q_there = u + ahead * (u - u_last), q + ahead * (q - q_last)
    held = np.zeros(u.size)
    for j in part.order:
        if there[j] * u[j] <= 0.0:
            held[j], there[j] = -there[j], 0.0
    take_product(part.matrix, part.order, held, q_there)
    better = value_of(part, there, q_there) < value_of(part, u, q)
    put(u, u_last)
    put(q, q_last)
    if better:
        put(there, u)
        put(q_there, q)


@compiled
def follow(
    gram: np.ndarray,
    linear: np.ndarray,
    yy: float,
    alphas: np.ndarray,
    l1: np.ndarray,
    l2: np.ndarray,
    positive: bool,
    tol: float,
    max_sweeps: int,
    usable: np.ndarray,
    u: np.ndarray,
    coef: np.ndarray,
    slope: np.ndarray,
) -> int:
    """Solve at every alpha in turn: passes over the working set it took, in all.

    Parameters
    ----------
    l1, l2 : (n_features,), times alpha the penalty ``a|u| + ½ b u²``
    tol : duality gap to stop at
    max_sweeps : for each alpha
    usable : (n_features,) bool, columns with variance that are worked on
    u : (n_features,), where to start; zero for the other columns
    coef : (n_alphas, n_features), filled
    slope : (n_alphas, n_features), filled with c − G u, computed from u alone
    """
    d = linear.size
    diagonal = np.array([gram[j, j] for j in range(d)])
    everything = np.flatnonzero(usable)
    listed, order, n = ~usable, np.empty(d, np.int64), 0
    block, gathered = np.empty((0, 0)), 0
    most = min(everything.size, MOST_ROWS)
    packed, members = np.empty(most * (most + 1) // 2), np.empty(most, np.int64)
    factor = Factor(packed, members, np.zeros(d, np.int64), np.zeros(2, np.int64))
    q = linear.copy()
    take_product(gram, everything, u, q)
    u_last, q_last = u.copy(), q.copy()
    total = 0
    for k in range(alphas.size):
        a, b = alphas[k] * l1, alphas[k] * l2
        whole = Part(gram, linear, diagonal, a, b, everything, yy, positive)
        # the strong rule: |q_j| > 2 a_j − a_j at the alpha before, or at the largest that matters
        excess = (q if positive else np.abs(q)) - a
        reach = alphas[k - 1] / alphas[k] - 1.0 if k > 0 and alphas[k] > 0.0 else 0.0
        if k == 0:
            for i in everything:
                reach = max(reach, excess[i] / a[i]) if a[i] > 0.0 else reach
        excess += reach * a
        for i in everything:
            if not listed[i] and (a[i] == 0.0 or u[i] != 0.0):
                order[n], listed[i] = i, True
                n += 1
        n, complete = enlist(excess, order, n, listed)
        ahead = 0.0
        if k > 1 and alphas[k - 2] > alphas[k - 1]:
            ahead = (alphas[k - 1] - alphas[k]) / (alphas[k - 2] - alphas[k - 1])
        if k > 0:
            extrapolate(whole, ahead, u, q, u_last, q_last)
        gap, best, goal, patience, passes = gap_of(whole, u, q), np.inf, 0.5 * tol, PATIENCE, 0
        while True:
            work, aim = order[:n], goal if complete else max(goal, LOOSE * gap)
            if 2 * n <= d:
                block = gather(gram, order, gathered, n, block)
                gathered = n
                part = Part(
                    block, linear[work], diagonal[work], a[work], b[work],
                    np.arange(n), yy, positive,
                )  # fmt: skip
                u_work, q_work = u[work], q[work]
                passes += descend(part, factor, aim, max_sweeps - passes, u_work, q_work)
                for r in range(n):
                    u[order[r]] = u_work[r]
            else:
                if gathered > 0:
                    renumber(factor, order)
                    block, gathered = np.empty((0, 0)), 0  # it is needed no more
                part = Part(gram, linear, diagonal, a, b, work, yy, positive)
                passes += descend(part, factor, aim, max_sweeps - passes, u, q)
            put(linear, q)  # afresh: what was taken from q one step at a time has drifted
            take_product(gram, work, u, q)
            gap = gap_of(whole, u, q)
            if gap < best:
                patience = PATIENCE if gap < 0.5 * best else patience
                best = gap
                put(u, coef[k])
                put(q, slope[k])
            if gap <= tol or passes >= max_sweeps or patience == 0:
                break
            before = n
            n, complete = enlist((q if positive else np.abs(q)) - a, order, n, listed)
            if n == before:
                goal *= 0.1
                patience -= 1
        put(coef[k], u)
        put(slope[k], q)
        total += passes
    return total
