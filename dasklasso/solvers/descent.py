"""Coordinate descent on ``½uᵀGu − cᵀu + Σ a_j|u_j| + ½ b_j u_j²``, compiled.

The gradient ``q = c − Gu`` is kept up to date instead of being computed: a coordinate that does not
move costs a comparison, one that moves a row of G. After a sweep that changes no sign, signs are
held and conjugate gradients minimise over the face they span, as far as a coefficient reaches zero
(Moré and Toraldo, 1991, On the solution of large quadratic programming problems with bound
constraints, section 3): ill-conditioned columns then cost the square root of the condition number.

Everything here runs without the interpreter's lock, so that threads may solve paths side by side.
"""

from __future__ import annotations

import numpy as np

from dasklasso.solvers.compiling import Matrix, Vector, compiled
from dasklasso.solvers.factor import CREDIT, bring_up_to_date, precondition

TOGETHER = 4  # rows taken from q in one pass over it
ROUNDING = 1e-30  # per coordinate: a gain, over yy, that is no gain


@compiled
def take_rows(matrix: Matrix, width: int, rows: Vector, steps: Vector, n: int, q: Vector) -> None:
    """``q −= Σ steps_m · row_m`` for the first n ≤ 4 rows, in one pass over q."""
    if n == TOGETHER:
        r0, r1, r2, r3 = rows[0], rows[1], rows[2], rows[3]
        s0, s1, s2, s3 = steps[0], steps[1], steps[2], steps[3]
        for i in range(width):
            q[i] -= (
                s0 * matrix[r0, i] + s1 * matrix[r1, i] + s2 * matrix[r2, i] + s3 * matrix[r3, i]
            )
    else:
        for m in range(n):
            row, step = rows[m], steps[m]
            for i in range(width):
                q[i] -= step * matrix[row, i]


@compiled
def take_product(matrix: Matrix, width: int, order: Vector, p: Vector, q: Vector) -> None:
    """``q −= G p``, from the rows where p is not zero."""
    rows, steps, n = np.empty(TOGETHER, np.int64), np.empty(TOGETHER), 0
    for j in order:
        if p[j] != 0.0:
            rows[n], steps[n] = j, p[j]
            n += 1
            if n == TOGETHER:
                take_rows(matrix, width, rows, steps, n, q)
                n = 0
    take_rows(matrix, width, rows, steps, n, q)


@compiled
def minimiser(z: float, curvature: float, a: float, b: float, positive: bool) -> float:
    """``argmin_u ½ curvature u² − z u + a|u| + ½ b u²``, u ≥ 0 if positive."""
    if z > a:
        return (z - a) / (curvature + b)
    if z < -a and not positive:
        return (z + a) / (curvature + b)
    return 0.0


@compiled
def sweep(
    matrix: Matrix,
    width: int,
    order: Vector,
    diagonal: Vector,
    a: Vector,
    b: Vector,
    positive: bool,
    u: Vector,
    q: Vector,
) -> tuple[float, bool]:
    """Minimise over each coordinate in turn: (gain, whether all signs are as before)."""
    rows, steps, n = np.empty(TOGETHER, np.int64), np.empty(TOGETHER), 0
    gain, same = 0.0, True
    for j in order:
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
            take_rows(matrix, width, rows, steps, n, q)
            n = 0
    take_rows(matrix, width, rows, steps, n, q)
    return gain, same


@compiled
def gap_of(
    order: Vector,
    linear: Vector,
    yy: float,
    a: Vector,
    b: Vector,
    positive: bool,
    diagonal: Vector,
    u: Vector,
    q: Vector,
) -> float:
    """Duality gap over some columns, as in :mod:`dasklasso.objective.certificate`.

    Columns without a penalty count by what a step along each would gain, instead of being
    projected out: good enough to stop by, and never reported.
    """
    squares, penalty, product, ratio, conjugate, free = yy, 0.0, 0.0, 0.0, 0.0, 0.0
    quadratic = False
    for j in order:
        squares -= u[j] * (linear[j] + q[j])
        penalty += a[j] * abs(u[j]) + 0.5 * b[j] * u[j] * u[j]
        product += u[j] * q[j]
        size = q[j] if positive else abs(q[j])
        if b[j] > 0.0:
            quadratic = True
            if size > a[j]:
                conjugate += 0.5 * (size - a[j]) ** 2 / b[j]
        elif a[j] > 0.0:
            ratio = max(ratio, size / a[j])
        elif size > 0.0 or u[j] > 0.0:
            free += q[j] * q[j] / diagonal[j]
            product -= u[j] * q[j]
    squares = max(squares, 0.0)
    s = (squares + product - conjugate) / squares if squares > 0.0 else 1.0
    if ratio * s > 1.0:
        s = 1.0 / ratio
    if quadratic:
        s = min(s, 1.0)
    s = max(s, 0.0)
    gap = 0.5 * squares * (1.0 - s) ** 2 + penalty + s * (conjugate - product)
    return max(gap, 0.0) + free


@compiled
def over_face(
    matrix: Matrix,
    width: int,
    order: Vector,
    diagonal: Vector,
    linear: Vector,
    yy: float,
    a: Vector,
    b: Vector,
    positive: bool,
    tol: float,
    most: int,
    u: Vector,
    q: Vector,
    factor: Vector,
    members: Vector,
    state: Vector,
    tally: Vector,
) -> int:
    """Preconditioned conjugate gradients over the nonzero coordinates, signs held.

    Ends where a coordinate reaches zero, the gap is within tol, or nothing is gained. Returns the
    number of iterations.
    """
    face = order[u[order] != 0.0]
    sign = np.sign(u)
    m = bring_up_to_date(matrix, face, diagonal, b, u, factor, members, state, tally)
    p, z, slope = np.zeros(width), np.empty(width), np.empty(width)
    change, x = np.empty(width), np.empty(m)
    before = 0.0
    for iteration in range(most):
        for j in face:
            slope[j] = q[j] - a[j] * sign[j] - b[j] * u[j]
        precondition(face, diagonal, b, u, factor, members, state, m, slope, z, x)
        rho = 0.0
        for j in face:
            rho += slope[j] * z[j]
        if 0.5 * rho <= ROUNDING * yy:
            return iteration
        beta = rho / before if before > 0.0 else 0.0
        before = rho
        for j in face:
            p[j] = z[j] + beta * p[j]
        change[:] = 0.0
        take_product(matrix, width, face, p, change)
        tally[CREDIT] += face.size * width
        curvature, ahead, hit, nearest = 0.0, 0.0, -1, np.inf
        for j in face:
            curvature += p[j] * (b[j] * p[j] - change[j])
            ahead += p[j] * slope[j]
            if p[j] * sign[j] < 0.0 and (a[j] > 0.0 or positive) and -u[j] / p[j] < nearest:
                hit, nearest = j, -u[j] / p[j]
        step = ahead / curvature if curvature > 0.0 else np.inf
        if ahead <= 0.0 or min(step, nearest) == np.inf:
            return iteration + 1
        step, hit = (step, -1) if step < nearest else (nearest, hit)
        for j in face:
            u[j] += step * p[j]
        if hit >= 0:
            u[hit] = 0.0
        for i in range(width):
            q[i] += step * change[i]
        if hit >= 0 or gap_of(order, linear, yy, a, b, positive, diagonal, u, q) <= tol:
            return iteration + 1
    return most


@compiled
def descend(
    matrix: Matrix,
    width: int,
    order: Vector,
    diagonal: Vector,
    linear: Vector,
    yy: float,
    a: Vector,
    b: Vector,
    positive: bool,
    tol: float,
    max_sweeps: int,
    u: Vector,
    q: Vector,
    factor: Vector,
    members: Vector,
    state: Vector,
    tally: Vector,
) -> int:
    """Minimise over the coordinates in ``order``; u and q in place.

    Returns the passes over the matrix that it took.
    """
    passes = 0
    while passes < max_sweeps:
        gain, same = sweep(matrix, width, order, diagonal, a, b, positive, u, q)
        passes += 1
        tally[CREDIT] += order.size * width
        if gap_of(order, linear, yy, a, b, positive, diagonal, u, q) <= tol:
            break
        if gain <= ROUNDING * yy * order.size:
            break
        if same:
            most = min(max_sweeps - passes, 10 + order.size)
            passes += over_face(
                matrix, width, order, diagonal, linear, yy, a, b, positive, tol, most, u, q,
                factor, members, state, tally,
            )  # fmt: skip
            if gap_of(order, linear, yy, a, b, positive, diagonal, u, q) <= tol:
                break
    return passes
