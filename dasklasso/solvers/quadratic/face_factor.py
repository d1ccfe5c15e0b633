"""A Cholesky factor of a face's matrix in single precision: a preconditioner of large faces.

With ``LLᵀ = S(G + diag(b))S`` over some columns, S their inverse roots of curvature, columns that
come into use are appended to L. Columns that have left stay in it, and are held at zero exactly:
where E picks them and ``Z = L⁻¹E``, the inverse over the others is ``L⁻ᵀ(I − Z(ZᵀZ)⁻¹Zᵀ)L⁻¹``. Once
they are many, L is made afresh.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.linalg.lapack import spotrf, strtrs

from dasklasso.kernels import kernel
from dasklasso.solvers.quadratic.growing_factor import FACTOR_SPEED
from dasklasso.solvers.quadratic.lazy_pages import lazy_square
from dasklasso.solvers.quadratic.subproblem import Subproblem

LARGE = 512  # columns of a matrix from which on it is worth its calls
BLOCK = 256  # columns that are appended, or solved for, at a time
STALE_PARTS, FEW_STALE = 16, 32  # it is made afresh where more than one in so many has left
RIDGE = 3e-6  # of the diagonal, added: single precision leaves no less
MOST_RIDGE = 1e-2  # where rounding makes it indefinite the ridge is raised, up to this
SPACE_ADDED = 1.3  # times the rows needed, that there is address space for
FRESH_FROM = 32  # columns: for fewer no factor is made


class FaceFactor:
    """``(G + diag(b))⁻¹`` over the columns in use, nearly.

    As a preconditioner it need not be of the present matrix: each column missing costs an iteration
    or two, not correctness.

    Parameters
    ----------
    n_columns : of the matrix
    """

    def __init__(self, n_columns: int) -> None:
        self.members = np.empty(0, np.int64)
        self.credit = 0.0  # multiplications spent, against which it may grow
        self._n_columns = n_columns
        self._scale = np.empty(0, np.float32)
        self._lower = np.empty((0, 0), np.float32)
        self._gone = np.empty(0, np.int64)  # places of the members that have left
        self._left = np.empty((0, 0), np.float32)  # (m, s) Z of them
        self._inner: tuple[np.ndarray, bool] | None = None  # ZᵀZ as scipy factors it
        self._ridge = RIDGE

    def grow(self, problem: Subproblem, face: np.ndarray, u: np.ndarray) -> None:
        """Append the columns in use, if as much work has been spent without them.

        Parameters
        ----------
        face : (n,) int64, columns in use
        u : (d,) zero in all others
        """
        m = self.members.size
        known = np.zeros(self._n_columns, bool)
        known[self.members] = True
        missing, gone = face[~known[face]], np.flatnonzero(u[self.members] == 0.0)
        if not missing.size and np.array_equal(gone, self._gone):
            return
        afresh = gone.size > max(FEW_STALE, m // STALE_PARTS) or m + missing.size > len(self._lower)
        n = face.size
        cost = n**3 / 6.0 if afresh else (missing.size + gone.size) * m**2 / 2.0
        if (m == 0 and n < FRESH_FROM) or cost / FACTOR_SPEED > self.credit:
            return
        self.credit -= cost / FACTOR_SPEED
        done = not afresh and (not missing.size or self._append(problem, missing))
        if not (done and self._hold(gone)):
            self._make(problem, face)

    def apply(self, face: np.ndarray, slope: np.ndarray, curvatures: np.ndarray) -> np.ndarray:
        """Return what is nearly the inverse of a face's matrix, times its slopes: (n,)."""
        whole, m = np.zeros(self._n_columns), self.members.size
        if not m:
            return slope / curvatures
        whole[face] = slope
        inside = (whole[self.members] * self._scale).astype(np.float32)
        whole[face] = slope / curvatures
        forward_kernel(self._lower, inside)
        if self._inner is not None:
            inside -= self._left @ cho_solve(self._inner, inside @ self._left, check_finite=False)
        backward_kernel(self._lower, inside)
        whole[self.members] = inside * self._scale
        found: np.ndarray = whole[face]
        return found

    def widen(self, n_columns: int) -> None:
        """Go on with a matrix that has columns more, after those there were."""
        self._n_columns = n_columns

    def renumber(self, names: np.ndarray, n_columns: int) -> None:
        """Let columns go by other numbers, ``names`` of the present ones, among ``n_columns``."""
        self.members, self._n_columns = names[self.members], n_columns

    def _make(self, problem: Subproblem, face: np.ndarray) -> None:
        """Make the factor of a face afresh."""
        self._forget()
        if face.size > len(self._lower):
            space = min(int(SPACE_ADDED * face.size) + BLOCK, self._n_columns)
            self._lower = np.empty((0, 0), np.float32)  # before there is a larger one
            self._lower = lazy_square(space, np.dtype(np.float32))
        while not self._append(problem, face) and self._ridge <= MOST_RIDGE:
            self._ridge *= 10.0

    def _forget(self) -> None:
        self.members, self._scale = np.empty(0, np.int64), np.empty(0, np.float32)
        self._gone, self._left = np.empty(0, np.int64), np.empty((0, 0), np.float32)
        self._inner = None

    def _append(self, problem: Subproblem, columns: np.ndarray) -> bool:
        """Append columns: whether rounding left the matrix definite. If not, there is no factor."""
        matrix, lower = problem.matrix, self._lower
        for start in range(0, columns.size, BLOCK):
            some = columns[start : start + BLOCK]
            m, stop = self.members.size, self.members.size + some.size
            scale = (1.0 / np.sqrt(problem.curvature[some])).astype(np.float32)
            own = matrix[np.ix_(some, some)].astype(np.float32)
            own.flat[:: some.size + 1] += problem.b[some].astype(np.float32)
            own *= np.outer(scale, scale)
            own.flat[:: some.size + 1] += np.float32(self._ridge)
            if m:
                across = matrix[np.ix_(some, self.members)].astype(np.float32)
                across *= np.outer(scale, self._scale)
                below = np.ascontiguousarray(across.T)
                _solve_lower(lower, below)
                lower[m:stop, :m] = below.T
                own -= lower[m:stop, :m] @ below
            factor, failed = spotrf(own.T, lower=0, clean=1)
            if failed:
                self._forget()
                return False
            lower[m:stop, m:stop] = factor.T
            self.members = np.concatenate([self.members, some])
            self._scale = np.concatenate([self._scale, scale])
        return True

    def _hold(self, gone: np.ndarray) -> bool:
        """Hold some members at zero, by their places, ascending: whether rounding allows it."""
        m, lower = self.members.size, self._lower
        known, old = np.isin(self._gone, gone), len(self._left)
        left = np.zeros((m, gone.size), np.float32)
        there = np.isin(gone, self._gone)
        if there.any():
            left[:old, there] = self._left[:, known]
            if m > old:  # columns were appended: their rows of Z
                more = -lower[old:m, :old] @ left[:old, there]
                _solve_lower(lower[old:, old:], more)
                left[old:, there] = more
        fresh = np.flatnonzero(~there)
        if fresh.size:
            first = int(gone[fresh[0]])
            basis = np.zeros((m - first, fresh.size), np.float32)
            basis[gone[fresh] - first, np.arange(fresh.size)] = 1.0
            _solve_lower(lower[first:, first:], basis)
            left[first:, fresh] = basis
        self._gone, self._left, self._inner = gone, left, None
        if gone.size:
            try:
                self._inner = cho_factor(left.T @ left, overwrite_a=True, check_finite=False)
            except np.linalg.LinAlgError:
                return False
        return True


def _solve_lower(lower: np.ndarray, right: np.ndarray) -> None:
    """``right ← L⁻¹ right`` for the leading rows of L, block by block: (m, k)."""
    m = len(right)
    for a in range(0, m, BLOCK):
        b = min(a + BLOCK, m)
        if a:
            right[a:b] -= lower[a:b, :a] @ right[:a]
        right[a:b] = strtrs(lower[a:b, a:b].T, right[a:b], lower=0, trans=1)[0]


@kernel("void(float32[:, ::1], float32[::1])", reorders_sums=True)
def forward_kernel(lower, x):  # type: ignore[no-untyped-def]
    """``x ← L⁻¹x``."""
    for r in range(x.size):
        along = x[r]
        for i in range(r):
            along -= lower[r, i] * x[i]
        x[r] = along / lower[r, r]


@kernel("void(float32[:, ::1], float32[::1])", reorders_sums=True)
def backward_kernel(lower, x):  # type: ignore[no-untyped-def]
    """``x ← L⁻ᵀx``."""
    for r in range(x.size - 1, -1, -1):
        x[r] /= lower[r, r]
        along = x[r]
        for i in range(r):
            x[i] -= lower[r, i] * along
