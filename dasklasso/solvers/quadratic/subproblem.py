"""A penalised quadratic on some of its columns, and what is computed of a point."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dasklasso.kernels import kernel


@dataclass(frozen=True)
class Subproblem:
    """``½uᵀGu − cᵀu + ½yy + Σ a_j|u_j| + ½ b_j u_j²`` over some columns, the others held at zero.

    Attributes
    ----------
    matrix : (≥ d, ≥ d) float64, C-contiguous
        Its leading d rows and columns are G.
    linear, diagonal, a, b : (d,) float64
        c, the diagonal of G, and the penalties.
    order : (n,) int64
        Columns that may be in use; ascending. u is zero in the others.
    yy : float
    positive : bool
        Whether u is held non-negative.
    compiled : bool
        Whether loops are to be compiled.
    """

    matrix: np.ndarray
    linear: np.ndarray
    diagonal: np.ndarray
    a: np.ndarray
    b: np.ndarray
    order: np.ndarray
    yy: float
    positive: bool
    compiled: bool

    @cached_property
    def bounded(self) -> np.ndarray:
        """(d,) bool, columns that are held non-negative: all or none."""
        return np.full(self.linear.size, self.positive)

    @cached_property
    def curvature(self) -> np.ndarray:
        """(d,) of the smooth part along each coordinate."""
        return self.diagonal + self.b

    @cached_property
    def _within(self) -> np.ndarray | slice:
        """``order``, or a slice that takes all where that is the same, for it copies nothing."""
        return slice(None) if self.order.size == self.linear.size else self.order

    @cached_property
    def _free(self) -> np.ndarray:
        """Columns in ``order`` that have no penalty."""
        return self.order[(self.a[self.order] == 0.0) & (self.b[self.order] == 0.0)]

    @cached_property
    def _inverse_l1(self) -> np.ndarray:
        """(n,) 1/a where the penalty has no quadratic part, else 0."""
        a, b = self.a[self._within], self.b[self._within]
        linear_only = (a > 0.0) & (b == 0.0)
        return np.where(linear_only, 1.0, 0.0) / np.where(linear_only, a, 1.0)

    @cached_property
    def _inverse_l2(self) -> np.ndarray | None:
        """(n,) 1/b where the penalty has a quadratic part, else 0; None where none has."""
        b = self.b[self._within]
        if not b.any():
            return None
        return np.where(b > 0.0, 1.0, 0.0) / np.where(b > 0.0, b, 1.0)

    def times(self, index: np.ndarray, values: np.ndarray) -> np.ndarray:
        """``G[:, index] values`` (d,)."""
        d = self.linear.size
        return times(self.matrix, d, index, values, compiled=self.compiled)

    def gap(self, u: np.ndarray, q: np.ndarray) -> float:
        """Duality gap over the columns, as in :mod:`dasklasso.objective.duality`.

        Columns without a penalty count by what a step along each would gain, instead of being
        projected out: good enough to stop by, and never reported.
        """
        return self.gap_and_value(u, q)[0]

    def value(self, u: np.ndarray, q: np.ndarray) -> float:
        """Objective less ½yy."""
        return self.gap_and_value(u, q)[1]

    def gap_and_value(self, u: np.ndarray, q: np.ndarray) -> tuple[float, float]:
        """Both, since they are made of the same sums."""
        if self.compiled:
            sums = gap_sums(
                self.linear, self.diagonal, self.a, self.b, self.positive, self.order, u, q
            )
        else:
            sums = self._gap_sums(u, q)
        return _gap_and_value(self.yy, *sums)

    def _gap_sums(
        self, u: np.ndarray, q: np.ndarray
    ) -> tuple[float, float, float, float, float, float, bool]:
        """As :func:`gap_sums`, in NumPy."""
        fitted, penalty, product = u @ (self.linear + q), self.a @ np.abs(u), u @ q
        within = q[self._within]
        size = within if self.positive else np.abs(within)
        ratio = (size * self._inverse_l1).max(initial=0.0)
        conjugate = free = 0.0
        if self._inverse_l2 is not None:
            penalty += 0.5 * (u @ (self.b * u))
            excess = np.maximum(size - self.a[self._within], 0.0)
            conjugate = 0.5 * (excess @ (excess * self._inverse_l2))
        if self._free.size:
            columns = self._free
            if self.positive:
                columns = columns[(q[columns] > 0.0) | (u[columns] > 0.0)]
            slope = q[columns]
            free = slope @ (slope / self.diagonal[columns])
            product -= u[columns] @ slope
        return fitted, penalty, product, ratio, conjugate, free, self._inverse_l2 is not None


@kernel(
    "Tuple((float64, float64, float64, float64, float64, float64, boolean))(float64[::1], "
    "float64[::1], float64[::1], float64[::1], boolean, int64[::1], float64[::1], float64[::1])",
    reorders_sums=True,
)
def gap_sums(linear, diagonal, a, b, positive, order, u, q):  # type: ignore[no-untyped-def]
    """What the gap is made of: uᵀ(c + q); the penalty; uᵀq without free columns; the largest
    |q_j|/a_j of columns with b_j = 0; the conjugate of the others' penalty; what free columns would
    gain; whether there are any with b_j > 0."""
    fitted, penalty, product, ratio, conjugate, free = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    quadratic = False
    for i in range(order.size):
        j = order[i]
        at, slope, l1, l2 = u[j], q[j], a[j], b[j]
        size = slope
        if not positive and slope < 0.0:
            size = -slope
        along = at * slope
        if at != 0.0:
            fitted += at * linear[j] + along
            penalty += (l1 * at if at > 0.0 else -l1 * at) + 0.5 * l2 * at * at
        if l2 > 0.0:
            quadratic = True
            if size > l1:
                conjugate += 0.5 * (size - l1) * (size - l1) / l2
        elif l1 > 0.0:
            if size > ratio * l1:
                ratio = size / l1
        elif size > 0.0 or at > 0.0:
            free += slope * slope / diagonal[j]
            along = 0.0
        product += along
    return fitted, penalty, product, ratio, conjugate, free, quadratic


def _gap_and_value(
    yy: float,
    fitted: float,
    penalty: float,
    product: float,
    ratio: float,
    conjugate: float,
    free: float,
    quadratic: bool,
) -> tuple[float, float]:
    """The gap of the best multiple s of the residual, and the objective, from :func:`gap_sums`."""
    squares = max(yy - fitted, 0.0)
    s = (squares + product - conjugate) / squares if squares > 0.0 else 1.0
    if ratio * s > 1.0:
        s = 1.0 / ratio
    s = max(min(s, 1.0) if quadratic else s, 0.0)
    gap = 0.5 * squares * (1.0 - s) ** 2 + penalty + s * (conjugate - product)
    # uᵀGu = uᵀ(c − q)
    return float(max(gap, 0.0) + free), float(penalty - 0.5 * fitted)


def times(
    matrix: np.ndarray, d: int, index: np.ndarray, values: np.ndarray, *, compiled: bool
) -> np.ndarray:
    """``G[:, index] values`` of a symmetric G, the leading d rows and columns of a matrix: (d,)."""
    if compiled:
        total = np.zeros(d)
        times_kernel(matrix, index, values, total)
        return total
    return values @ matrix[index, :d]


@kernel("void(float64[:, ::1], int64[::1], float64[::1], float64[::1])", reorders_sums=True)
def times_kernel(matrix, index, values, total):  # type: ignore[no-untyped-def]
    """``total += G[:, index] values``, four rows in one pass over the total."""
    n = index.size
    for i in range(0, n - n % 4, 4):
        r0, r1, r2, r3 = index[i], index[i + 1], index[i + 2], index[i + 3]
        s0, s1, s2, s3 = values[i], values[i + 1], values[i + 2], values[i + 3]
        for k in range(total.size):
            first = s0 * matrix[r0, k] + s1 * matrix[r1, k]
            total[k] += first + (s2 * matrix[r2, k] + s3 * matrix[r3, k])
    for i in range(n - n % 4, n):
        r0, s0 = index[i], values[i]
        for k in range(total.size):
            total[k] += s0 * matrix[r0, k]
