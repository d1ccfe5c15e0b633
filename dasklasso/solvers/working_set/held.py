"""Columns of X that are held in memory, as they are stored, and what is computed from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dasklasso.scan.frame import Frame
from dasklasso.scan.threads import in_parts, slices

COLUMNS_AT_ONCE = 256  # that are standardised at a time, for products with residuals
ROWS_OF_PARTS = 4096  # of a Gram matrix, between which its parts wait for each other
ROWS_AT_ONCE = 512  # of columns of a Gram matrix, standardised
GRAM_COLUMNS_AT_ONCE = 512  # of them: what a thread works on stays in its cache


@dataclass
class _Buffer:
    """An array whose first rows are in use. Others cost nothing until they are written."""

    array: np.ndarray
    used: int


@dataclass(frozen=True, eq=False)
class DenseColumns:
    """Columns that are held from the first, float64 whatever the type of the others: covariates.

    Attributes
    ----------
    first : index of the first of them, the last columns of X
    values : (n_columns, n_rows) float64
    """

    first: int
    values: np.ndarray

    @property
    def index(self) -> np.ndarray:
        return np.arange(self.first, self.first + len(self.values))


@dataclass(frozen=True, eq=False)
class HeldColumns:
    """Some columns of X with all of their rows.

    A column's place is its number among those held; its index is its number in X. What is held is
    a value: those with more columns share the memory of those before.

    Attributes
    ----------
    index : (n_held,) int64, in the order in which they were called in
    code : what stands for a missing value, if any does
    dense : columns that are held too, whose values are there; None without any
    """

    index: np.ndarray
    _buffer: _Buffer
    code: int | None = None
    dense: DenseColumns | None = None

    @classmethod
    def none(
        cls, n_rows: int, dtype: np.dtype, capacity: int, code: int | None = None
    ) -> HeldColumns:
        """Return no columns, with address space for so many."""
        return cls(np.zeros(0, np.int64), _Buffer(np.empty((capacity, n_rows), dtype), 0), code)

    @classmethod
    def of(cls, index: np.ndarray, values: np.ndarray, code: int | None = None) -> HeldColumns:
        """Return these columns, which have values (n_held, n_rows)."""
        return cls(index, _Buffer(values, len(values)), code)

    def __len__(self) -> int:
        return len(self.index)

    @property
    def values(self) -> np.ndarray:
        """(n_held, n_rows), each row a column of X as it is stored."""
        return self._buffer.array[: len(self)]

    def with_more(
        self, pieces: Sequence[tuple[np.ndarray, np.ndarray]], capacity: int = 0
    ) -> HeldColumns:
        """Return these and others, which are not held yet.

        Parameters
        ----------
        pieces : of indices and values, each as for :meth:`of`
        capacity : columns that new memory, where it is needed, has address space for
        """
        n = sum(len(index) for index, _ in pieces)
        if not n:
            return self
        old, buffer = len(self), self._buffer
        if buffer.used != old or old + n > len(buffer.array):
            # others were added to these before, or there is no space
            space = max(capacity, old + n)
            larger = np.empty((space, self.values.shape[1]), self.values.dtype)
            larger[:old] = self.values
            buffer = _Buffer(larger, old)
        start = old
        for index, values in pieces:
            buffer.array[start : start + len(index)] = values
            start += len(index)
        buffer.used = start
        index = np.concatenate([self.index, *(index for index, _ in pieces)])
        return HeldColumns(index, buffer, self.code, self.dense)

    def with_dense(self, dense: DenseColumns | None) -> HeldColumns:
        """Return these and columns that are held densely; their places here have no values."""
        found = replace(self, dense=dense)
        if dense is None or np.isin(dense.index, self.index).all():
            return found
        nothing = np.zeros((len(dense.values), self.values.shape[1]), self.values.dtype)
        return found.with_more([(dense.index, nothing)])

    def only(self, places: np.ndarray, capacity: int) -> HeldColumns:
        """Return copies of some of the columns, with address space for so many."""
        array = np.empty((max(capacity, places.size), self.values.shape[1]), self.values.dtype)
        np.take(self.values, places, axis=0, out=array[: places.size])
        return HeldColumns(self.index[places], _Buffer(array, places.size), self.code, self.dense)

    def places(self, index: np.ndarray) -> np.ndarray:
        """Find the places of some columns, all of which are held."""
        order = np.argsort(self.index, kind="stable")
        return order[np.searchsorted(self.index[order], index)]

    # -- products, of columns as a frame standardises them ------------------------------------

    def products(
        self, frame: Frame, residuals: np.ndarray, places: np.ndarray | None = None
    ) -> np.ndarray:
        """``X̃ᵀ R`` of the columns in some places, or all, for R (n_rows, K): (n_places, K)."""
        places = np.arange(len(self)) if places is None else places
        found = np.empty((places.size, residuals.shape[1]))

        def part(some: slice) -> None:
            found[some] = self.standardised(frame, places[some]) @ residuals

        in_parts(part, slices(places.size, COLUMNS_AT_ONCE))
        return found

    def predictions(self, frame: Frame, places: np.ndarray, coef: np.ndarray) -> np.ndarray:
        """``X̃ W`` of the columns in some places, for W (n_places, K): (n_rows, K)."""
        found = np.zeros((self.values.shape[1], coef.shape[1]))
        for start in range(0, places.size, COLUMNS_AT_ONCE):
            some = slice(start, start + COLUMNS_AT_ONCE)
            found += self.standardised(frame, places[some]).T @ coef[some]
        return found

    def gram(
        self, frame: Frame, places: np.ndarray, weight: np.ndarray, among: np.ndarray | None = None
    ) -> np.ndarray:
        """``X̃_AᵀPX̃_B`` for places A and B, P of the rows' weights: (n_A, n_B).

        Parameters
        ----------
        places : A
        weight : (n_rows,)
        among : B, by default A
        """
        both = places if among is None else among
        found = np.zeros((places.size, both.size))
        root = np.sqrt(weight)
        parts = slices(both.size, GRAM_COLUMNS_AT_ONCE)
        for block in slices(weight.size, ROWS_OF_PARTS):
            left = self.standardised(frame, places, block)
            left *= root[block]

            def part(columns: slice, block: slice = block, left: np.ndarray = left) -> None:
                own = found[:, columns]
                if among is None and len(parts) == 1:
                    own += left @ left.T  # by itself: half of the products are the other half
                    return
                for some in slices(block.stop - block.start, ROWS_AT_ONCE):
                    rows = slice(block.start + some.start, block.start + some.stop)
                    right = self.standardised(frame, both[columns], rows)
                    right *= root[rows]
                    own += left[:, some] @ right.T

            in_parts(part, parts)
        return found

    def standardised(
        self, frame: Frame, places: np.ndarray, rows: slice = slice(None)
    ) -> np.ndarray:
        """Some rows of some columns, (n_places, n_rows) float64."""
        columns = self.index[places]
        stored = self.values[places, rows]
        values = stored.astype(np.float64)
        if self.code is not None:
            assert frame.fill is not None
            np.copyto(values, np.asarray(frame.fill)[columns, None], where=stored == self.code)
        if self.dense is not None:
            dense = columns >= self.dense.first
            if dense.any():
                values[dense] = self.dense.values[columns[dense] - self.dense.first, rows]
        values -= np.asarray(frame.centre)[columns, None]
        values *= np.asarray(frame.inverse_scale)[columns, None]
        return values
