"""The inverse of a Cholesky factor that grows with the columns in use: a preconditioner.

With ``LLᵀ = G + diag(b)`` over some columns, ``W = L⁻¹`` is kept instead of L, since products with
it are NumPy's: they run in BLAS, and hold no lock of the interpreter.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dpstrf, dtrtri

from dasklasso.kernels import kernel
from dasklasso.solvers.quadratic.subproblem import Subproblem

MAX_ROWS = 4096  # of a factor
DEPENDENT = 1e-11  # share of a column's square, not explained by the others, that is rounding
STALE_PARTS = 64  # it is cut back where more than one row in so many is not in use
FACTOR_SPEED = 32.0  # multiplications of a factor in the time of one of a product with a vector
ONE_BY_ONE = 6  # columns: more are appended together
ALWAYS = 100  # columns of a factor that is never waited for


class GrowingFactor:
    """``WᵀW = (G + diag(b))⁻¹`` over ``members``, W lower triangular.

    Rows are appended as columns come into use; those of columns that have left stay until they are
    many. As a preconditioner it need not be of the present matrix: each column too many or too few
    costs an iteration or two, not correctness.

    Parameters
    ----------
    n_columns : of the matrix
    compiled : whether loops are to be compiled
    max_rows : columns that it takes at most
    """

    def __init__(self, n_columns: int, *, compiled: bool = False, max_rows: int = MAX_ROWS) -> None:
        self._members = np.empty(0, np.int64)
        self._inverse = np.empty((0, 0))
        self._max_rows, self._compiled = max_rows, compiled
        self._known = np.zeros(n_columns, bool)  # members, and columns that they explain
        self._dependent = np.zeros(n_columns, bool)  # the latter
        self.credit = 0.0  # multiplications spent, against which it may grow

    @property
    def members(self) -> np.ndarray:
        """(m,) int64, columns in the order of W's rows."""
        return self._members

    @property
    def inverse(self) -> np.ndarray:
        """(m, m) W."""
        m = self._members.size
        return self._inverse[:m, :m]

    def grow(self, problem: Subproblem, face: np.ndarray, u: np.ndarray) -> None:
        """Append the columns in use, if as much work has been spent without them.

        Parameters
        ----------
        face : (n,) int64, columns in use
        u : (d,) zero in all others
        """
        stale = u[self._members] == 0.0
        if STALE_PARTS * np.count_nonzero(stale) > stale.size:
            self._cut(int(np.argmax(stale)))
            again = face[self._dependent[face]]
            self._known[again] = self._dependent[again] = False
        missing = face[~self._known[face]]
        rows = self._members.size + missing.size
        if not missing.size or rows > self._max_rows:
            return
        cost = 0.0 if rows <= ALWAYS else missing.size * rows**2 / (2.0 * FACTOR_SPEED)
        if cost <= self.credit:
            self.credit -= cost
            self._append(problem, missing)

    def solve(self, x: np.ndarray) -> np.ndarray:
        """``WᵀW x`` (m,)."""
        if self._compiled:
            found = np.zeros(x.size)
            solve_kernel(self._inverse, x, found)
            return found
        return (self.inverse @ x) @ self.inverse

    def apply(self, face: np.ndarray, slope: np.ndarray, curvatures: np.ndarray) -> np.ndarray:
        """Return slopes over the members' matrix, or where there is none, their own curvature."""
        members, whole = self._members, np.zeros(self._known.size)
        if not members.size:
            return slope / curvatures
        whole[face] = slope
        inside = whole[members]
        if members.size < face.size:
            whole[face] = slope / curvatures
        whole[members] = self.solve(inside)
        found: np.ndarray = whole[face]
        return found

    def renumber(self, names: np.ndarray, n_columns: int) -> None:
        """Let columns go by other numbers, ``names`` of the present ones, among ``n_columns``."""
        self._members = names[self._members]
        self._known = np.zeros(n_columns, bool)
        self._known[self._members] = True
        self._dependent = np.zeros(n_columns, bool)

    def _cut(self, m: int) -> None:
        """Keep the first m rows."""
        self._known[self._members[m:]] = False
        self._members = self._members[:m]

    def _append(self, problem: Subproblem, columns: np.ndarray) -> None:
        """Append columns in an order that suits, less those that the others explain."""
        if columns.size <= ONE_BY_ONE:
            for column in columns:
                self._append_one(problem, column)
            return
        matrix, members, W = problem.matrix, self._members, self.inverse
        scale = np.sqrt(problem.curvature[columns])
        below = (matrix[np.ix_(columns, members)] / scale[:, None]) @ W.T
        rest = matrix[np.ix_(columns, columns)]
        rest.flat[:: columns.size + 1] += problem.b[columns]
        rest /= scale[:, None]
        rest /= scale
        rest -= below @ below.T
        factor, order, rank, _ = dpstrf(rest, tol=DEPENDENT, lower=True)
        if factor[0, 0] ** 2 <= DEPENDENT:  # LAPACK takes the first one as it is
            rank = 0
        order = order - 1
        self._known[columns] = True
        self._dependent[columns[order[rank:]]] = True
        if not rank:
            return
        own = order[:rank]
        corner = np.tril(dtrtri(factor[:rank, :rank], lower=True)[0])
        m = members.size
        self._make_space(m + rank)
        self._inverse[m : m + rank, m : m + rank] = corner / scale[own]
        if m:
            self._inverse[m : m + rank, :m] = -(corner @ below[own]) @ W
        self._inverse[:m, m : m + rank] = 0.0
        self._members = np.concatenate([members, columns[own]])

    def _append_one(self, problem: Subproblem, column: int) -> None:
        """Append a column, if the others do not explain it.

        Its row of L is ``(Wx)ᵀ, ρ`` with x its products with the others and ``ρ² = h − xᵀWᵀWx``, so
        that its row of W is ``−(WᵀWx)ᵀ / ρ, 1/ρ``.
        """
        members, curvature = self._members, problem.curvature[column]
        m = members.size
        x = problem.matrix[column, members]
        found = self.solve(x)
        rest = curvature - x @ found
        self._known[column] = True
        if rest <= DEPENDENT * curvature:
            self._dependent[column] = True
            return
        self._make_space(m + 1)
        root = np.sqrt(rest)
        np.divide(found, -root, out=self._inverse[m, :m])
        self._inverse[:m, m] = 0.0
        self._inverse[m, m] = 1.0 / root
        self._members = np.append(members, column)

    def _make_space(self, m: int) -> None:
        if m > len(self._inverse):
            larger = np.empty((min(2 * m, self._max_rows),) * 2)
            size = self._members.size
            larger[:size, :size] = self.inverse
            self._inverse = larger


@kernel("void(float64[:, ::1], float64[::1], float64[::1])", reorders_sums=True)
def solve_kernel(inverse, x, found):  # type: ignore[no-untyped-def]
    """``found += WᵀW x``, each row of W read once and only as far as the diagonal."""
    for r in range(x.size):
        along = 0.0
        for i in range(r + 1):
            along += inverse[r, i] * x[i]
        for i in range(r + 1):
            found[i] += along * inverse[r, i]
