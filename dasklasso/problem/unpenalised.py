"""Columns without a penalty, and the certificate.

A dual point must be orthogonal to every unpenalised column, which a residual is only at the very
optimum. So the dual direction is the residual less its projection on those columns: θ = r − X_F c
with ``(X_FᵀPX_F) c = X_FᵀPr``. Its products with all columns need only ``C = XᵀPX_F``, taken
by one scan, as curvature products at unit vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from dasklasso.backend import Array, backend_for, namespace, to_numpy
from dasklasso.errors import OptionError
from dasklasso.objective.penalties.base import Penalty
from dasklasso.scan.frame import Frame
from dasklasso.scan.graph import BlockArray, map_blocks

REDUNDANT = 1e-13  # share of a column's square, not explained by the others, that is rounding
MOST_UNPENALISED = 256  # columns: each is one more in the first scan, and d numbers


def check_unpenalised(index: np.ndarray) -> None:
    """Refuse more unpenalised columns than the certificate can handle."""
    if index.size > MOST_UNPENALISED:
        raise OptionError(
            f"penalty_factor: {index.size} features have factor 0, "
            f"expected at most {MOST_UNPENALISED}"
        )


@dataclass(frozen=True)
class Unpenalised:
    """The unpenalised columns F of a problem.

    Attributes
    ----------
    index : (n_free,) int
    cross : (n_features, n_free)
        ``X̃ᵀPX̃_F``.
    gram : (n_free, n_free)
        The rows F of it.
    start : (n_free, n_targets)
        ``X̃_FᵀPy``.
    """

    index: np.ndarray
    cross: BlockArray
    gram: np.ndarray
    start: np.ndarray

    def rows(self, array: BlockArray) -> BlockArray:
        """Return the rows F of an array of coefficients, on the host, in one block."""
        return array.rows(self.index)

    def coefficients(
        self, points: BlockArray, gradient: BlockArray, k: int, penalty: Penalty
    ) -> BlockArray:
        """c of each of the first k points: (n_free, k), lazily."""
        rows = [self.rows(array.columns(0, k)) for array in (points, gradient)]
        found = partial(project, gram=self.gram, penalty=penalty)
        return map_blocks("project", found, *rows, width=k)

    def projection(self, c: BlockArray, device: str) -> BlockArray:
        """``XᵀPX_F c`` for all columns: (n_features, k), lazily."""
        product = partial(_product, device=device)
        heights = self.cross.heights
        return map_blocks("projection", product, self.cross, c, width=c.width, heights=heights)

    def corrected(
        self,
        squares: np.ndarray,
        product: np.ndarray,
        v: np.ndarray,
        c: np.ndarray,
        targets: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """‖θ‖² and yᵀPθ from ‖r‖², yᵀPr, v = X_FᵀPr and c."""
        return (
            squares - 2.0 * np.sum(v * c, axis=0) + np.sum(c * (self.gram @ c), axis=0),
            product - np.sum(self.start[:, targets] * c, axis=0),
        )


def project(points: Array, gradient: Array, gram: np.ndarray, penalty: Penalty) -> np.ndarray:
    """Coefficients of the projection of each residual: (n_free, k) float64.

    With a sign constraint only columns that are in use must be orthogonal, and those that want to
    be, or would once the others are: a product below zero will do for the rest.

    Parameters
    ----------
    points, gradient : (n_free, k)
        Of the unpenalised columns.
    gram : (n_free, n_free)
    penalty : says which signs are allowed
    """
    u, v = to_numpy(points), -to_numpy(gradient)
    if not penalty.nonnegative:  # all problems at once
        return _explained(gram, v)
    c = np.zeros(v.shape)
    for k, binding in enumerate(penalty.binding(u, v).T):
        bound = np.zeros(len(v), bool)
        more = binding
        while more.any():
            bound = bound | more
            index = np.flatnonzero(bound)
            c[index, k] = _explained(gram[np.ix_(index, index)], v[index, k])
            more = ~bound & (v[:, k] - gram @ c[:, k] > 0.0)
    return c


def _explained(gram: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return the c with ``gram c = v``, small where columns explain each other up to rounding."""
    scale = np.sqrt(np.diagonal(gram))
    inverse = 1.0 / np.where(scale > 0.0, scale, 1.0)
    correlation = gram * inverse[:, None] * inverse
    found = np.linalg.lstsq(correlation, (v.T * inverse).T, rcond=REDUNDANT)[0]
    return (found.T * inverse).T


def dual_direction(grad_u: Array, frame: Frame, projection: Array | None) -> Array | None:
    """``XᵀPθ`` of the dual direction θ, when unpenalised columns have been projected off it."""
    if projection is None:
        return None
    xp = namespace(grad_u)
    # by construction zero there, or allowed: rounding must not count as infeasible
    return xp.where(frame.unpenalised[:, None], xp.zeros_like(grad_u), -grad_u - projection)


def _product(cross: Array, c: Array, device: str) -> Array:
    backend = backend_for(device)
    return backend.asarray(cross) @ backend.asarray(c)
