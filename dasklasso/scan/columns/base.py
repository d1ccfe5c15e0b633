"""Column blocks: some rows of neighbouring columns of X, and what can be computed from them.

X is a sequence of blocks, each of one kind: how its values are encoded. Queries are written on the
operations here only, so that a kind that is added touches no query. What is computed is float32 or
float64, by the block's own type; :meth:`ColumnBlock.slabs` gives blocks of the type that is wanted.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any, Self

import numpy as np

from dasklasso.backend import Array, Backend, namespace, to_numpy


class ColumnBlock(ABC):
    """Some rows of neighbouring columns of X: an (n_rows, width) matrix of one kind.

    Below, X is that matrix. Blocks are values: no operation changes one.

    Attributes
    ----------
    shape : (n_rows, width)
    dtype : of the values
    """

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]: ...

    @property
    @abstractmethod
    def dtype(self) -> np.dtype: ...

    @property
    def width(self) -> int:
        return self.shape[1]

    # -- taking apart and putting together ----------------------------------------------------

    @abstractmethod
    def take_rows(self, rows: slice | np.ndarray) -> Self:
        """Some of the rows: by a slice, which copies nothing, by number or by a mask."""

    @abstractmethod
    def take_columns(self, columns: np.ndarray) -> Self:
        """Some of the columns, by number."""

    @classmethod
    @abstractmethod
    def stacked(cls, blocks: Sequence[Self]) -> Self:
        """Return the rows of several blocks of the same columns, one block after the other."""

    @abstractmethod
    def dense(self) -> Array:
        """X as an array."""

    def as_stored(self) -> np.ndarray:
        """X on the host as it is stored: where a kind has codes, those."""
        found: np.ndarray = to_numpy(self.dense())
        return found

    def write_rows(self, rows: slice | np.ndarray, out: np.ndarray) -> None:
        """Write some rows of X, by a slice or by number, into an array of the host."""
        out[...] = self.take_rows(rows).dense()

    @abstractmethod
    def slabs(
        self, height: int, dtype: np.dtype, backend: Backend, shift: Array | None = None
    ) -> Iterator[ColumnBlock]:
        """Walk the rows, ``height`` at a time, as blocks on which to compute.

        Each is of ``dtype`` and on ``backend``, and good until the next one is asked for.

        Parameters
        ----------
        shift : (width,) on ``backend``, of ``dtype``, or None
            What is taken off every row, before anything else and without cancellation.
        """

    @abstractmethod
    def standardised(self, centre: Array, inverse_scale: Array) -> ColumnBlock:
        """``(X − centre) · inverse_scale``; both are (width,), of the block's type and backend."""

    # -- algebra ------------------------------------------------------------------------------

    @abstractmethod
    def times(self, coef: Array) -> Array:
        """``X W`` for coef W (width, K): (n_rows, K)."""

    @abstractmethod
    def transposed_times(self, residual: Array) -> Array:
        """``Xᵀ R`` for residual R (n_rows, K): (width, K)."""

    def cross_products(self, other: ColumnBlock, root: Array) -> Array:
        """``Xᵀ S Z`` with another block Z of the same rows: (width, other.width).

        Parameters
        ----------
        root : (n_rows, 1), the square roots of the diagonal of S
        """
        return self.transposed_times(other.dense() * root**2)

    @classmethod
    def gram(cls, blocks: Sequence[Self], root: Array) -> Array:
        """``[X₁ X₂ …]ᵀ S [X₁ X₂ …]`` of blocks of this kind and of the same rows."""

        def tile(i: int, j: int) -> Array:
            return blocks[i].cross_products(blocks[j], root)

        return _symmetric(len(blocks), tile, namespace(root))

    @abstractmethod
    def sums(self, weight: Array | None) -> Array:
        """Σ s x of every column, for row weights s (n_rows, 1), or ones: (width,)."""

    @abstractmethod
    def squares(self, weight: Array | None, centre: Array, unit: Array) -> Array:
        """Σ s ((x − centre) / unit)² of every column: (width,).

        Parameters
        ----------
        weight : s (n_rows, 1), or None for ones
        centre : (width,)
        unit : (width,), for columns whose squares would be out of range; else ones
        """

    @abstractmethod
    def row_squares(self) -> Array:
        """Σ x² of every row: (n_rows,)."""

    @abstractmethod
    def extremes(self) -> tuple[Array, Array]:
        """Return the least and the greatest value of every column, each (width,)."""

    # -- values that are not finite numbers ---------------------------------------------------

    @abstractmethod
    def finite(self) -> tuple[ColumnBlock, Array]:
        """The block with zeros for NaN and infinities, and how many each column has (width,)."""

    @abstractmethod
    def first_bad(self) -> tuple[int, int, float] | None:
        """Row, column and value of the first NaN or infinity, row by row; None without one."""


def weighted_gram(blocks: Sequence[ColumnBlock], root: Array) -> Array:
    """``[X₁ X₂ …]ᵀ S [X₁ X₂ …]`` of neighbouring blocks of any kinds: (width, width) of them all.

    Parameters
    ----------
    blocks : of the same rows
    root : (n_rows, 1), the square roots of the diagonal of S
    """
    runs: list[tuple[type[ColumnBlock], list[ColumnBlock]]]
    runs = [(kind, list(run)) for kind, run in groupby(blocks, type)]
    if len(runs) == 1:
        return runs[0][0].gram(runs[0][1], root)
    xp = namespace(root)

    def tile(i: int, j: int) -> Array:
        if i == j:
            return runs[i][0].gram(runs[i][1], root)
        products = [[a.cross_products(b, root) for b in runs[j][1]] for a in runs[i][1]]
        return xp.concat([xp.concat(row, axis=1) for row in products], axis=0)

    return _symmetric(len(runs), tile, xp)


def _symmetric(n: int, tile: Callable[[int, int], Array], xp: Any) -> Array:
    """Return a symmetric matrix from its tiles (i, j) with i <= j."""
    upper = {(i, j): tile(i, j) for i in range(n) for j in range(i, n)}
    rows = [[upper[i, j] if i <= j else upper[j, i].T for j in range(n)] for i in range(n)]
    return xp.concat([xp.concat(row, axis=1) for row in rows], axis=0)
