"""Columns without a penalty, and the certificate.

A dual point must be orthogonal to every unpenalised column, which a residual is only at the very
optimum. So the dual direction is the residual less its projection on those columns: θ = r − X_F c
with ``(X_FᵀPX_F) c = X_FᵀPr``. Its products with all columns need only ``C = XᵀPX_F``, brought
home once, as curvature products at unit vectors.
"""

from __future__ import annotations

from dataclasses import dataclass

import dask.array as da
import numpy as np

from dasklasso.backend import Array, backend_for, namespace, to_numpy
from dasklasso.objective.penalties.base import Penalty
from dasklasso.scan.frame import Frame

MOST = 256  # unpenalised columns: each is one more column in the first scan, and d numbers


@dataclass(frozen=True)
class Unpenalised:
    """The unpenalised columns F of a problem.

    Attributes
    ----------
    index : (n_free,) int
    cross : da.Array (n_features, n_free)
        ``X̃ᵀPX̃_F``.
    gram : (n_free, n_free)
        The rows F of it.
    start : (n_free, n_targets)
        ``X̃_FᵀPy``.
    """

    index: np.ndarray
    cross: da.Array
    gram: np.ndarray
    start: np.ndarray

    def rows(self, array: da.Array) -> da.Array:
        """The rows F of an array of coefficients, on the host, in one chunk."""
        # Dask cannot take rows by number from blocks that are not NumPy's
        here = da.map_blocks(to_numpy, array, dtype=array.dtype, meta=np.empty((0, 0)))
        return here[self.index].rechunk((-1, -1))

    def coefficients(
        self, points: da.Array, gradient: da.Array, k: int, penalty: Penalty
    ) -> da.Array:
        """c of each of the first k points: (n_free, k), lazily."""
        rows = [self.rows(array[:, :k]) for array in (points, gradient)]
        return da.map_blocks(
            project, *rows, gram=self.gram, penalty=penalty, dtype=float, meta=np.empty((0, 0))
        )

    def projection(self, c: da.Array, device: str) -> da.Array:
        """``XᵀPX_F c`` for all columns: (n_features, k), lazily."""
        return da.map_blocks(
            _product,
            self.cross,
            c,
            device=device,
            dtype=float,
            meta=np.empty((0, 0)),
            chunks=(self.cross.chunks[0], c.chunks[1]),
        )

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

    With a sign constraint only columns that are in use, or want to be, must be orthogonal.
    """
    u, v = to_numpy(points), -to_numpy(gradient)
    if not penalty.nonnegative:  # all problems at once
        return np.linalg.lstsq(gram, v, rcond=None)[0]
    c, binding = np.zeros_like(v), penalty.binding(u, v)
    for k in range(v.shape[1]):
        bound = np.flatnonzero(binding[:, k])
        if bound.size:
            c[bound, k] = np.linalg.lstsq(gram[np.ix_(bound, bound)], v[bound, k], rcond=None)[0]
    return c


def dual_direction(
    u: Array, grad_u: Array, frame: Frame, projection: Array | None, penalty: Penalty
) -> Array | None:
    """``XᵀPθ`` of the dual direction θ, when unpenalised columns have been projected off it."""
    if projection is None:
        return None
    xp = namespace(u)
    free = frame.unpenalised[:, None]
    # by construction zero where projected: rounding must not count as infeasible
    gone = free & penalty.binding(u, -grad_u)
    return xp.where(gone, xp.zeros_like(u), -grad_u - projection)


def _product(cross: Array, c: Array, device: str) -> Array:
    backend = backend_for(device)
    return backend.asarray(cross) @ backend.asarray(c)
