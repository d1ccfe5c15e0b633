"""Predictions of rows at given coefficients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dasklasso.backend import backend_for, to_numpy
from dasklasso.scan.queries import kernels
from dasklasso.scan.queries.row_sums import row_sums
from dasklasso.scan.rows import Rows
from dasklasso.scan.slabs import slabs


@dataclass(frozen=True)
class Prediction:
    """Predictions of every row: not a sum over rows, so they are streamed, band by band.

    Attributes
    ----------
    intercepts : (n_targets,) added to every row
    device : as in :func:`dasklasso.backend.backend_for`
    row_by_row : bool
        Whether, on the host, a row's bits must not depend on the other rows. It costs about a
        nanosecond for each value in use.
    """

    intercepts: tuple[float, ...]
    device: str = "cpu"
    row_by_row: bool = False

    def of_rows(self, rows: Rows, coef: np.ndarray) -> np.ndarray:
        """``X w`` of some rows for coef (width, n_targets): (n_rows, n_targets) float64."""
        backend = backend_for(self.device)
        points = kernels.unscaled_points(coef, rows.widths, backend)
        if self.row_by_row and backend.on_host:
            return row_sums(rows.blocks, points.coef)
        shares = [
            to_numpy(kernels.predict(blocks, points))
            for _, _, blocks in slabs(rows, None, np.float64, backend)
        ]
        return np.concatenate(shares)
