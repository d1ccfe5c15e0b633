"""One sweep of coordinate descent over a quadratic with a penalty, compiled or not.

    minimise over u_j in turn   ½ h_j u_j² − (q_j + h_j u_j) u_j + a_j |u_j| + ½ b_j u_j²

(Friedman, Hastie and Tibshirani, 2010, Regularization paths for generalized linear models via
coordinate descent, section 2). The negative gradient ``q = c − Gu`` is kept up to date instead of
being computed: a coordinate that does not move costs a comparison, one that moves a row of G.

Both forms do the same operations in the same order, so their results are the same bit for bit. The
compiled one saves a microsecond or two for each coordinate that moves; to have it takes about a
second the first time, and half of one in every process after that. So a process goes over to it
once it has spent about as long without it, which changes nothing but the time.
"""

from __future__ import annotations

import numpy as np

from dasklasso.kernels import kernel

COMPILED_FROM = 256  # columns of a matrix for which the kernel is worth loading at once
PLAIN_VISITS = 100_000  # coordinates that a process visits before the kernel is worth loading


class _Spent:
    """What this process has done without the kernel; a visit that threads miss does not matter."""

    visits = 0


def sweep(
    matrix: np.ndarray,
    diagonal: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    bounded: np.ndarray,
    order: np.ndarray,
    u: np.ndarray,
    q: np.ndarray,
    *,
    least: float = 0.0,
    compiled: bool,
) -> tuple[float, int]:
    """Minimise over each coordinate in turn; u and q are changed in place.

    Parameters
    ----------
    matrix : (≥ d, ≥ d) float32 or float64, its rows contiguous; its leading rows and columns are G
    diagonal : (d,) h, the curvature that a step is computed with
    a, b : (d,) penalties a|u| + ½ b u²
    bounded : (d,) bool, coordinates that are held non-negative
    order : (n,) int64, coordinates to visit
    u, q : (d,)
    least : a coordinate stays where moving it would gain no more, and not change its sign
    compiled : whether the kernel is to be used, however little has been done without it

    Returns
    -------
    gain : what the objective lost, if G has this diagonal
    crossings : coordinates that came into use, went out of it, or changed their sign
    """
    plain = not compiled and _Spent.visits < PLAIN_VISITS
    if plain:
        _Spent.visits += order.size
    form = sweep_plainly if plain else sweep_kernel
    return form(matrix, diagonal, a, b, bounded, order, u, q, least)


# the soft threshold is written out, as numba's cache does not see changes to other files; a test
# holds it to the proximal operator of :mod:`dasklasso.objective.penalties`
@kernel(
    *(
        f"Tuple((float64, int64))({dtype}[:, ::1], float64[::1], float64[::1], float64[::1], "
        "boolean[::1], int64[::1], float64[::1], float64[::1], float64)"
        for dtype in ("float64", "float32")
    )
)
def sweep_kernel(matrix, diagonal, a, b, bounded, order, u, q, least):  # type: ignore[no-untyped-def]
    """As :func:`sweep`."""
    gain, crossings = 0.0, 0
    for i in range(order.size):
        j = order[i]
        old, h = u[j], diagonal[j]
        z, new = q[j] + h * old, 0.0
        if z > a[j]:
            new = (z - a[j]) / (h + b[j])
        elif z < -a[j] and not bounded[j]:
            new = (z + a[j]) / (h + b[j])
        step = new - old
        here = 0.5 * (h + b[j]) * step * step
        stays = old * new > 0.0
        if step == 0.0 or (stays and here <= least):
            continue
        if not stays:
            crossings += 1
        gain += here
        u[j] = new
        for k in range(q.size):
            q[k] -= step * matrix[j, k]
    return gain, crossings


def sweep_plainly(
    matrix: np.ndarray,
    diagonal: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    bounded: np.ndarray,
    order: np.ndarray,
    u: np.ndarray,
    q: np.ndarray,
    least: float,
) -> tuple[float, int]:
    """As :func:`sweep`, in plain Python but for whole rows."""
    gain, crossings, n = 0.0, 0, u.size
    at, h, l1, l2, held = u.tolist(), diagonal.tolist(), a.tolist(), b.tolist(), bounded.tolist()
    change = np.empty(n)
    for j in order.tolist():
        old, z, new = at[j], q.item(j) + h[j] * at[j], 0.0
        if z > l1[j]:
            new = (z - l1[j]) / (h[j] + l2[j])
        elif z < -l1[j] and not held[j]:
            new = (z + l1[j]) / (h[j] + l2[j])
        step = new - old
        here = 0.5 * (h[j] + l2[j]) * step * step
        stays = old * new > 0.0
        if step == 0.0 or (stays and here <= least):
            continue
        crossings += not stays
        gain += here
        at[j] = new
        np.multiply(matrix[j, :n], step, out=change, dtype=np.float64)
        q -= change
    u[:] = at
    return gain, crossings
