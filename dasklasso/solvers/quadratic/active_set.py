"""Solutions at alphas of a path whose active set is small, without a pass over coordinates.

Once the columns in use and their signs s are known, so is the solution: ``u_A = (G_AA + b)⁻¹
(c_A − a s)``. Where a coefficient then has another sign than it was given, or a column that is not
in use violates its condition ``|q_j| ≤ a_j``, the set is changed by all of these at once, and
solved for again (Hintermüller, Ito and Kunisch, 2003, The primal-dual active set strategy as a
semismooth Newton method, algorithm 1; along a path of the lasso: Fan, Jiao and Lu, 2014, A
primal dual active set with continuation algorithm for the l1-regularized optimization problem).
Between two alphas of a path the set changes little, so that this takes one or two rounds, and where
it does not change all alphas are solved at once: without l2, u and q are linear in alpha.

It need not arrive: what it has not solved is left to :mod:`dasklasso.solvers.quadratic.follow`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg.lapack import dposv

from dasklasso.objective.penalties.base import Penalty

MOST_ACTIVE = 256  # columns: a factor of more takes longer than what it saves
MOST_ROUNDS = 6  # for an alpha
MOST_FRUITLESS = 3  # times that nothing was solved, until it is not tried any more
NUMBERS_AT_ONCE = 1 << 12  # of the solutions that are looked at together
MATRIX_NUMBERS_AT_ONCE = 1 << 14  # of the matrices that are solved together, with l2
SLACK = 1e-12  # of a condition, that is rounding


class Reached(NamedTuple):
    """Where one alpha of a path ends.

    Attributes
    ----------
    u : (n_features,)
    q : (n_features,) c − G u, computed from u alone
    passes : over the working set, that it took
    """

    u: np.ndarray
    q: np.ndarray
    passes: int


class ActiveSet:
    """The columns in use along a path, and their signs.

    Parameters
    ----------
    gram, linear : as in :class:`dasklasso.solvers.quadratic.path.Quadratic`
    penalty : of alpha 1, separable; its weights are (d,), those of l1 positive
    usable : (d,) bool, columns that may be in use
    yy : as in :class:`dasklasso.solvers.quadratic.path.Quadratic`
    tol : duality gap that rounding may leave
    """

    def __init__(
        self,
        gram: np.ndarray,
        linear: np.ndarray,
        penalty: Penalty,
        usable: np.ndarray,
        yy: float,
        tol: float,
    ) -> None:
        self._gram, self._linear, self._yy, self._tol = gram, linear, yy, tol
        self._l1, self._positive = penalty.l1, penalty.nonnegative
        self._l2 = penalty.l2 if penalty.l2.any() else None
        # what is not usable is never found to violate a condition
        self._bound = np.where(usable, penalty.l1 * (1.0 + SLACK), np.inf)
        self._most = max(2, NUMBERS_AT_ONCE // max(linear.size, 1))
        self._fruitless = 0
        self._ahead = 4  # alphas that are solved together, with l2

    def solve(self, alphas: np.ndarray, u: np.ndarray) -> list[Reached]:
        """Solve at as many alphas as the active set can be found for, in their order.

        Parameters
        ----------
        alphas : (n_alphas,), decreasing
        u : (d,) the solution before, whose active set is where this one is begun

        Returns
        -------
        One for each alpha that was solved; those solved at once count as one pass.
        """
        active = u.nonzero()[0]
        signs = np.sign(u[active])
        found: list[Reached] = []
        k = rounds = 0
        if self._fruitless == MOST_FRUITLESS:
            return found
        while k < alphas.size and rounds < MOST_ROUNDS:
            some = self._at(alphas[k : k + self._most], active, signs)
            if some is None:
                break
            here, q = some
            own = alphas[k : k + len(q), None]
            # once scaled to be feasible, what q misses of a·s is a gap
            missed = q[:, active] - own * (self._l1[active] * signs)
            if self._l2 is not None:
                missed -= own * self._l2[active] * here
            a = own * self._l1[active]
            share = np.max(np.abs(missed) / a, axis=1, initial=0.0)
            cost = np.sum(a * np.abs(here), axis=1)
            with np.errstate(over="ignore"):  # then it is not
                sound = share * (2.0 * cost + 0.5 * self._yy * share) <= self._tol
            excess = (q if self._positive else np.abs(q)) - own * self._bound
            excess[:, active] = -1.0
            wrong = here * signs <= 0.0
            stays = sound & ~(wrong.any(axis=1) | (excess > 0.0).any(axis=1))
            n = len(stays) if stays.all() else int(stays.argmin())
            if n:
                full = np.zeros((n, u.size))
                full[:, active] = here[:n]
                passes = [rounds + 1, *[0] * (n - 1)]
                found += map(Reached, full, q, passes)
                k, rounds = k + n, 0
            self._ahead = 2 * self._ahead if n == len(stays) else max(n, 1)
            if n < len(stays):
                if not sound[n]:  # columns are so nearly dependent
                    break
                rounds += 1
                entering = (excess[n] > 0.0).nonzero()[0]
                left = ~wrong[n]
                active = np.concatenate([active[left], entering])
                signs = np.concatenate([signs[left], np.sign(q[n, entering])])
        self._fruitless = 0 if found else self._fruitless + 1
        return found

    def _at(
        self, alphas: np.ndarray, active: np.ndarray, signs: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Coefficients (n, n_active) and q (n, d) of the next alphas; None where G is singular."""
        c, l1 = self._linear[active], self._l1[active] * signs
        rows = self._gram.take(active, axis=0)
        matrix = rows[:, active]
        if self._l2 is None:
            if not active.size:
                return np.empty((alphas.size, 0)), np.tile(self._linear, (alphas.size, 1))
            _, solved, failed = dposv(matrix, np.stack([c, -l1], axis=1), lower=1)
            if failed:
                return None
            base, slope = solved.T @ rows
            here = solved[:, 0] + alphas[:, None] * solved[:, 1]
            return here, (self._linear - base) - alphas[:, None] * slope
        l2 = self._l2[active]
        most = min(self._ahead, MATRIX_NUMBERS_AT_ONCE // max(active.size, 1) ** 2 + 1)
        alphas = alphas[:most]
        wanted = c - alphas[:, None] * l1
        if alphas.size == 1:
            matrix.flat[:: active.size + 1] += alphas[0] * l2
            if not active.size:
                return wanted, self._linear[None, :].copy()
            _, solved, failed = dposv(matrix, wanted[0], lower=1, overwrite_a=1)
            if failed:
                return None
            here = solved[None, :]
        else:
            stack = np.repeat(matrix[None, :, :], alphas.size, axis=0)
            diagonal = np.einsum("kii->ki", stack)
            diagonal += alphas[:, None] * l2
            try:
                here = np.linalg.solve(stack, wanted[:, :, None])[:, :, 0]
            except np.linalg.LinAlgError:
                return None
        return here, self._linear - here @ rows
