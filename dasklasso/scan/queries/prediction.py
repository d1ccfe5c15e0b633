"""Predictions of rows at given coefficients."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from dasklasso.backend import backend_for, to_numpy
from dasklasso.scan.queries import kernels
from dasklasso.scan.queries.row_sums import row_sums
from dasklasso.scan.rows import Rows


@dataclass(frozen=True)
class Prediction:
    """Predictions of every row: not a sum over rows, so they are streamed, band by band.

    Attributes
    ----------
    intercepts : (n_targets,) added to every row
    device : as in :func:`dasklasso.backend.backend_for`
    row_by_row : bool
        Whether, on the host, a row's bits must not depend on the rows beside it. It costs about a
        nanosecond for each value in use.
    """

    intercepts: tuple[float, ...]
    device: str = "cpu"
    row_by_row: bool = False

    def of_rows(self, rows: Rows, coef: np.ndarray) -> np.ndarray:
        """``X w`` of some rows for coef (width, n_targets): (n_rows, n_targets) float64."""
        backend = backend_for(self.device)
        edges = np.cumsum([0, *(block.shape[1] for block in rows.blocks)]).tolist()
        if self.row_by_row and backend.on_host:
            return row_sums(rows.blocks, [coef[a:b] for a, b in itertools.pairwise(edges)])
        columns = [backend.asarray(coef[a:b]) for a, b in itertools.pairwise(edges)]
        shares = [
            to_numpy(kernels.predict(blocks, columns))
            for _, _, blocks in kernels.slabs(rows, None, np.float64, backend)
        ]
        return np.concatenate(shares)
