"""Coded column blocks: whole numbers as they are stored, among which a code is a missing value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np

from dasklasso.backend import Array, Backend
from dasklasso.scan.columns.base import ColumnBlock
from dasklasso.scan.columns.dense import Buffers, DenseBlock
from dasklasso.storage.missing_codes import MissingCode


class CodedBlock(ColumnBlock):
    """A block of a store that has a code for missing values, on the host.

    All that is computed is computed of the values filled in; slabs are dense.

    Parameters
    ----------
    values : (n_rows, width) integers, as they are stored
    missing : MissingCode, of these columns
    """

    __slots__ = ("missing", "values")

    def __init__(self, values: np.ndarray, missing: MissingCode) -> None:
        self.values = values
        self.missing = missing

    def __reduce__(self) -> tuple[type[CodedBlock], tuple[np.ndarray, MissingCode]]:
        return CodedBlock, (self.values, self.missing)

    @property
    def shape(self) -> tuple[int, int]:
        shape: tuple[int, int] = self.values.shape
        return shape

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(np.float64)

    def holes(self) -> Any:
        """Return where values are missing: (width, n_rows), 1.0 in each of these places, sparse."""
        from scipy.sparse import csr_array

        rows, columns = np.nonzero(self.values == self.missing.code)
        return csr_array((np.ones(len(rows)), (columns, rows)), shape=self.values.shape[::-1])

    # -- taking apart and putting together ----------------------------------------------------

    def take_rows(self, rows: slice | np.ndarray) -> CodedBlock:
        return CodedBlock(self.values[rows], self.missing)

    def take_columns(self, columns: np.ndarray) -> CodedBlock:
        return CodedBlock(self.values[:, columns], self.missing[columns])

    @classmethod
    def stacked(cls, blocks: Sequence[Self]) -> Self:
        return cls(np.concatenate([block.values for block in blocks]), blocks[0].missing)

    def as_stored(self) -> np.ndarray:
        return self.values

    def dense(self) -> np.ndarray:
        return self.missing.filled(self.values, self.dtype)

    def slabs(
        self, height: int, dtype: np.dtype, backend: Backend, shift: Array | None = None
    ) -> Iterator[ColumnBlock]:
        if not backend.on_host:
            yield from self._filled.slabs(height, dtype, backend, shift)
            return
        buffers = Buffers()  # of this walk only: several threads may walk one block
        for start in range(0, len(self.values), height):
            stored = self.values[start : start + height]
            out = buffers.array("slab", stored.shape, np.dtype(dtype))
            self.missing.filled(stored, np.dtype(dtype), out)
            if shift is not None:
                out -= shift
            yield DenseBlock(out, buffers)

    def standardised(self, centre: Array, inverse_scale: Array) -> DenseBlock:
        return self._filled.standardised(centre, inverse_scale)

    # -- algebra ------------------------------------------------------------------------------

    @property
    def _filled(self) -> DenseBlock:
        return DenseBlock(self.dense())

    def times(self, coef: Array) -> Array:
        return self._filled.times(coef)

    def transposed_times(self, residual: Array) -> Array:
        return self._filled.transposed_times(residual)

    def sums(self, weight: Array | None) -> Array:
        return self._filled.sums(weight)

    def squares(self, weight: Array | None, centre: Array, unit: Array) -> Array:
        return self._filled.squares(weight, centre, unit)

    def row_squares(self) -> Array:
        return self._filled.row_squares()

    def extremes(self) -> tuple[Array, Array]:
        return self._filled.extremes()

    # -- values that are not finite numbers ---------------------------------------------------

    def finite(self) -> tuple[DenseBlock, Array]:
        return self._filled.finite()

    def first_bad(self) -> None:
        return None  # whole numbers all are finite
