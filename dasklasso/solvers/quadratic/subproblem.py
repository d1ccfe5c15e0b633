"""A penalised quadratic on some of its columns, and what is computed of a point."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dasklasso.kernels import kernel


@dataclass(eq=False)  # made for every alpha: to freeze it takes as long as a product with G
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
    l1_everywhere : bool
        Whether it is known that all a are positive and all b zero, which then is not looked for.
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
    l1_everywhere: bool = False

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
    def has_l2(self) -> bool:
        """Whether any column has a penalty with a quadratic part."""
        return not self.l1_everywhere and bool(self.b.any())

    @cached_property
    def _inverses(self) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        """What a gap divides by, and the columns in ``order`` without a penalty.

        Returns
        -------
        inverse_l1 : (n,) 1/a where the penalty has no quadratic part, else 0
        inverse_l2 : (n,) 1/b where it has one, else 0; None where none has
        free : (n_free,); None where there are none
        """
        a = self.a[self._within]
        if self.l1_everywhere:
            return 1.0 / a, None, None
        b = self.b[self._within]
        linear_only = (a > 0.0) & (b == 0.0)
        inverse_l1 = np.where(linear_only, 1.0, 0.0) / np.where(linear_only, a, 1.0)
        inverse_l2 = np.where(b > 0.0, 1.0, 0.0) / np.where(b > 0.0, b, 1.0)
        free = self.order[(a == 0.0) & (b == 0.0)]
        return inverse_l1, inverse_l2 if b.any() else None, free if free.size else None

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
        if self.compiled:
            return self.gap_and_value(u, q)[1]
        fitted, penalty = self._fitted_and_penalty(u, q)
        return _value(fitted, penalty)

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
        fitted, penalty = self._fitted_and_penalty(u, q)
        inverse_l1, inverse_l2, columns = self._inverses
        product, within = float(u @ q), q[self._within]
        size = within if self.positive else np.abs(within)
        ratio = max(float(np.maximum.reduce(size * inverse_l1)), 0.0) if size.size else 0.0
        conjugate = free = 0.0
        if inverse_l2 is not None:
            excess = np.maximum(size - self.a[self._within], 0.0)
            conjugate = float(0.5 * (excess @ (excess * inverse_l2)))
        if columns is not None:
            if self.positive:
                columns = columns[(q[columns] > 0.0) | (u[columns] > 0.0)]
            slope = q[columns]
            free = float(slope @ (slope / self.diagonal[columns]))
            product -= float(u[columns] @ slope)
        return fitted, penalty, product, ratio, conjugate, free, inverse_l2 is not None

    def _fitted_and_penalty(self, u: np.ndarray, q: np.ndarray) -> tuple[float, float]:
        """uᵀ(c + q), and the penalty, in NumPy."""
        penalty = float(self.a @ np.abs(u))
        if self.has_l2:
            penalty += float(0.5 * (u @ (self.b * u)))
        return float(u @ (self.linear + q)), penalty


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
    return max(gap, 0.0) + free, _value(fitted, penalty)


def _value(fitted: float, penalty: float) -> float:
    """The objective less ½yy, for uᵀGu = uᵀ(c − q)."""
    return penalty - 0.5 * fitted


def times(
    matrix: np.ndarray, d: int, index: np.ndarray, values: np.ndarray, *, compiled: bool
) -> np.ndarray:
    """``G[:, index] values`` of a symmetric G, the leading d rows and columns of a matrix: (d,)."""
    if compiled:
        total = np.zeros(d)
        times_kernel(matrix, index, values, total)
        return total
    rows = matrix.take(index, axis=0)
    return values @ (rows if d == len(matrix) else rows[:, :d])


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
