"""Dense column blocks: a matrix, of any type and on any device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np

from dasklasso.backend import Array, Backend, device_of, dtype_of, namespace
from dasklasso.scan.columns.base import ColumnBlock


class Buffers:
    """Arrays of the host that are written again and again: a new one is mapped page by page.

    A name has one array at a time. What was asked for under a name is overwritten when the same
    name is asked for again.
    """

    def __init__(self) -> None:
        self._flat: dict[str, np.ndarray] = {}

    def array(self, name: str, shape: tuple[int, int], dtype: np.dtype) -> np.ndarray:
        """Return an array with anything in it."""
        size = shape[0] * shape[1]
        flat = self._flat.get(name)
        if flat is None or flat.size < size or flat.dtype != dtype:
            flat = self._flat[name] = np.empty(size, dtype)
        return flat[:size].reshape(shape)


class DenseBlock(ColumnBlock):
    """A block that is an array.

    Parameters
    ----------
    values : (n_rows, width) array of any namespace
    buffers : for what is computed from it on the host, where that is done slab by slab
    """

    __slots__ = ("_buffers", "values")

    def __init__(self, values: Array, buffers: Buffers | None = None) -> None:
        self.values = values
        self._buffers = buffers

    def __reduce__(self) -> tuple[type[DenseBlock], tuple[Array]]:
        return DenseBlock, (self.values,)

    @property
    def shape(self) -> tuple[int, int]:
        shape: tuple[int, int] = self.values.shape
        return shape

    @property
    def dtype(self) -> np.dtype:
        dtype: np.dtype = self.values.dtype
        return dtype

    # -- taking apart and putting together ----------------------------------------------------

    def take_rows(self, rows: slice | np.ndarray) -> DenseBlock:
        return DenseBlock(self.values[rows], self._buffers)

    def take_columns(self, columns: np.ndarray) -> DenseBlock:
        xp = namespace(self.values)
        index = xp.asarray(columns, device=device_of(self.values))
        return DenseBlock(xp.take(self.values, index, axis=1), self._buffers)

    @classmethod
    def stacked(cls, blocks: Sequence[Self]) -> Self:
        return cls(np.concatenate([block.values for block in blocks]))

    def dense(self) -> Array:
        return self.values

    def write_rows(self, rows: slice | np.ndarray, out: np.ndarray) -> None:
        values = self.values
        plain = values.dtype == out.dtype and values.flags.c_contiguous
        if plain and not isinstance(rows, slice):
            np.take(values, rows, axis=0, out=out, mode="clip")  # "raise" goes by way of a copy
        else:
            out[...] = values[rows]

    def slabs(
        self, height: int, dtype: np.dtype, backend: Backend, shift: Array | None = None
    ) -> Iterator[DenseBlock]:
        values = self.values
        if not backend.on_host:
            for start in range(0, len(values), height):
                yield DenseBlock(_on_device(values[start : start + height], shift, dtype, backend))
            return
        # buffers are of this walk only: several threads may walk one block
        buffers = Buffers()
        as_it_is = shift is None and values.dtype == dtype
        for start in range(0, len(values), height):
            slab = values[start : start + height]
            if not as_it_is:
                out = buffers.array("slab", slab.shape, dtype)
                if shift is None:
                    np.copyto(out, slab, casting="unsafe")
                else:
                    np.subtract(slab, shift, out=out, casting="unsafe")
                slab = out
            yield DenseBlock(slab, buffers)

    def standardised(self, centre: Array, inverse_scale: Array) -> DenseBlock:
        if self._buffers is None:
            return DenseBlock((self.values - centre) * inverse_scale)
        z = self._buffers.array("standardised", self.values.shape, self.values.dtype)
        np.subtract(self.values, centre, out=z)
        z *= inverse_scale
        return DenseBlock(z, self._buffers)

    # -- algebra ------------------------------------------------------------------------------

    def times(self, coef: Array) -> Array:
        return self.values @ coef

    def transposed_times(self, residual: Array) -> Array:
        return (residual.T @ self.values).T  # the way round that BLAS is fastest

    @classmethod
    def gram(cls, blocks: Sequence[Self], root: Array) -> Array:
        xp, buffers = namespace(root), blocks[0]._buffers
        if buffers is None:
            weighted = xp.concat([block.values * root for block in blocks], axis=1)
            return weighted.T @ weighted
        width = sum(block.width for block in blocks)
        weighted = buffers.array("weighted", (root.shape[0], width), root.dtype)
        left = 0
        for block in blocks:
            right = left + block.width
            np.multiply(block.values, root, out=weighted[:, left:right])
            left = right
        # a matrix by itself: half of the products are the other half
        return weighted.T @ weighted

    def sums(self, weight: Array | None) -> Array:
        return _sums(self.values, weight)

    def squares(self, weight: Array | None, centre: Array, unit: Array) -> Array:
        deviation = self.values - centre
        if namespace(unit).any(unit != 1.0):
            deviation = deviation / unit
        return _sums(deviation * deviation, weight)

    def row_squares(self) -> Array:
        return namespace(self.values).sum(self.values**2, axis=1)

    def extremes(self) -> tuple[Array, Array]:
        xp = namespace(self.values)
        return xp.min(self.values, axis=0), xp.max(self.values, axis=0)

    # -- values that are not finite numbers ---------------------------------------------------

    def finite(self) -> tuple[DenseBlock, Array]:
        xp = namespace(self.values)
        finite = xp.isfinite(self.values)
        clean = xp.where(finite, self.values, xp.zeros_like(self.values))
        return DenseBlock(clean), xp.sum(1.0 - xp.astype(finite, xp.float64), axis=0)

    def first_bad(self) -> tuple[int, int, float] | None:
        bad = ~np.isfinite(self.values)
        if not bad.any():
            return None
        row, column = (int(i) for i in np.argwhere(bad)[0])
        return row, column, float(self.values[row, column])


def _sums(terms: Array, weight: Array | None) -> Array:
    return namespace(terms).sum(terms if weight is None else terms * weight, axis=0)


def _on_device(values: np.ndarray, shift: Array | None, dtype: Any, backend: Backend) -> Array:
    # small types travel as they are; the cast happens on the device
    native = values.astype(values.dtype.newbyteorder("="), copy=False)
    moved = backend.asarray(np.ascontiguousarray(native))
    xp = namespace(moved)
    moved = xp.astype(moved, dtype_of(xp, dtype))
    return moved if shift is None else moved - shift
