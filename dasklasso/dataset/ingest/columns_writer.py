"""Writes a store whose rows are all at hand: all rows of some neighbouring columns at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dasklasso.dataset.ingest.writer import StoreWriter
from dasklasso.dataset.row_ids import ROW_IDS


class ColumnsWriter(StoreWriter):
    """Writes a new store column by column; its chunks have all rows.

    What stands beside X is given first, then X, ``chunk_columns`` columns at a time from the
    first; rows are not written.

    Parameters
    ----------
    n_rows : int
    args, options : as of :class:`~dasklasso.dataset.ingest.writer.StoreWriter`
    """

    def __init__(self, *args: Any, n_rows: int, **options: Any) -> None:
        super().__init__(*args, n_rows=n_rows, chunk_rows=n_rows, **options)
        self.n_rows = n_rows
        self.n_columns = 0  # taken so far
        self._beside: dict[str, np.ndarray] = {}

    def write_beside(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take what stands beside X: for each name an array of finite numbers, a row for each."""
        self._beside = {
            name: values.reshape(self._shape(name, self.n_rows)) for name, values in arrays.items()
        }
        if self._row_ids is not None:
            self._beside[ROW_IDS] = self._row_ids
        if "y" in self._beside:
            self._target_moments.update(self._beside["y"].reshape(self.n_rows, -1))

    def write_columns(
        self, X: np.ndarray, values: np.ndarray, counts: np.ndarray, missing: np.ndarray
    ) -> None:
        """Write the next columns of X, which have few different values.

        Parameters
        ----------
        X : (n_rows, width), C-contiguous, of the store's dtype
        values : (n_values, width) float64
            What there is in each column, with what takes the place of a missing value.
        counts : (n_values, width) int
            How often.
        missing : (width,) int
            How many are missing.

        Raises
        ------
        StoreError
            The disk is full or cannot be written.
        """
        columns = slice(self.n_columns, self.n_columns + X.shape[1])
        if not self._arrays:
            self._begin(X)
        self._moments.take_counted(columns, values, counts)
        self._missing[columns] = missing
        with self._folder.guarded():
            self._fingerprint.add("X", X)
            self._arrays["X"][:, columns] = X
        self.n_columns = columns.stop

    def _begin(self, first: np.ndarray) -> None:
        """Make the arrays, and write those beside X."""
        self._create(first)
        rows = slice(0, self.n_rows)
        with self._folder.guarded():
            for name, array in self._arrays.items():
                array.resize((self.n_rows, *array.shape[1:]))
                if name != "X":
                    self._write_chunk(name, self._beside[name], rows)
