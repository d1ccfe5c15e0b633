"""A Cholesky factor that follows the columns in use, to precondition conjugate gradients.

Rows are appended as columns come into use, one triangular solve each; columns that have left stay
until they are many. Within conjugate gradients a factor need not be of the present matrix: each
column that it has too many or too few costs an iteration or two, not correctness. It is stored
packed, row after row of the lower triangle.
"""

from __future__ import annotations

import numpy as np

from dasklasso.solvers.compiling import Matrix, Vector, compiled

SINGULAR = 1e-11  # share of a column's square, not explained by the others, that is rounding
SIZE, CREDIT = 0, 1  # of the tally
OUT, IN, REFUSED = 0, 1, 2  # states of a column


@compiled
def solve_lower(factor: Vector, m: int, x: Vector) -> None:
    """``x ← L⁻¹ x`` for the leading m rows."""
    start = 0
    for r in range(m):
        total = 0.0
        for i in range(r):
            total += factor[start + i] * x[i]
        x[r] = (x[r] - total) / factor[start + r]
        start += r + 1


@compiled
def solve_upper(factor: Vector, m: int, x: Vector) -> None:
    """``x ← L⁻ᵀ x`` for the leading m rows."""
    for r in range(m - 1, -1, -1):
        start = r * (r + 1) // 2
        value = x[r] / factor[start + r]
        x[r] = value
        for i in range(r):
            x[i] -= value * factor[start + i]


@compiled
def append(
    matrix: Matrix, j: int, curvature: float, factor: Vector, members: Vector, m: int, row: Vector
) -> bool:
    """Make column j row m of the factor, unless those there explain it up to rounding."""
    for i in range(m):
        row[i] = matrix[j, members[i]]
    solve_lower(factor, m, row)
    rest, start = curvature, m * (m + 1) // 2
    for i in range(m):
        rest -= row[i] * row[i]
        factor[start + i] = row[i]
    if rest <= SINGULAR * curvature:
        return False
    factor[start + m] = np.sqrt(rest)
    members[m] = j
    return True


@compiled
def bring_up_to_date(
    matrix: Matrix,
    face: Vector,
    diagonal: Vector,
    b: Vector,
    u: Vector,
    factor: Vector,
    members: Vector,
    state: Vector,
    tally: Vector,
) -> int:
    """Append the columns of ``face`` if enough work has been spent without them.

    Returns the number of rows, 0 where conjugate gradients go better without a factor.
    """
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
    room = members.size - m
    cost = missing * (m + missing) ** 2 // 2
    if cost <= tally[CREDIT] and missing <= room:
        tally[CREDIT] -= cost
        row = np.empty(m + missing)
        for j in face:
            if state[j] == OUT:
                if append(matrix, j, diagonal[j] + b[j], factor, members, m, row):
                    state[j] = IN
                    m += 1
                else:
                    state[j] = REFUSED
    tally[SIZE] = m
    return m


@compiled
def precondition(
    face: Vector,
    diagonal: Vector,
    b: Vector,
    u: Vector,
    factor: Vector,
    members: Vector,
    state: Vector,
    m: int,
    slope: Vector,
    z: Vector,
    x: Vector,
) -> None:
    """``z ← M⁻¹ slope`` on the face: by the factor where it has the column, else the diagonal."""
    for i in range(m):
        x[i] = slope[members[i]] if u[members[i]] != 0.0 else 0.0
    solve_lower(factor, m, x)
    solve_upper(factor, m, x)
    for j in face:
        z[j] = slope[j] / (diagonal[j] + b[j])
    for i in range(m):
        if u[members[i]] != 0.0:
            z[members[i]] = x[i]
