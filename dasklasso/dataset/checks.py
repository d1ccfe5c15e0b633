"""Targets, sample weights and folds: their form, and the checks made when a dataset is opened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np

from dasklasso.errors import StoreError, ValueFound
from dasklasso.storage.blocks import BlockSource, Derived

MAX_CLASSES = 10_000  # of a target


class NumberedNames(Sequence[str]):
    """Names of columns that have none: x0, x1, … without a string in memory for each."""

    def __init__(self, prefix: str, count: int) -> None:
        self.prefix = prefix
        self.length = count

    def __len__(self) -> int:
        return self.length

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...
    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        numbers = range(self.length)[index]
        if isinstance(numbers, range):
            return tuple(f"{self.prefix}{number}" for number in numbers)
        return f"{self.prefix}{numbers}"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, NumberedNames):
            return (self.prefix, self.length) == (other.prefix, other.length)
        return isinstance(other, tuple | list) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash((self.prefix, self.length))

    def __repr__(self) -> str:
        return f"NumberedNames({self.prefix!r}, {self.length})"


class Float64Blocks(Derived):
    """A block source read as float64 (targets and weights may be stored in another type)."""

    def block(self, i: int, j: int) -> np.ndarray:
        """Block (i, j) of the source, converted."""
        return self.source.block(i, j).astype(np.float64)


def as_float64(source: BlockSource) -> BlockSource:
    """Return the source itself where it is float64 already."""
    return source if source.dtype == np.float64 else Float64Blocks(source)


def check_length(name: str, source: BlockSource, n_rows: int, location: str) -> None:
    """Refuse an array that has not one row for each row of X."""
    if source.shape[0] != n_rows:
        raise StoreError(
            f"{location}: {name} has {source.shape[0]:,} rows and X has {n_rows:,}, expected the "
            "same number."
        )


def check_finite(y: BlockSource, names: Sequence[str], location: str) -> None:
    """Read all targets once: each value finite. A target may be the same in every row.

    Raises
    ------
    ValueFound
        Naming the row and the target.
    """
    for (i, j), values in _blocks(y):
        _refuse_nonfinite(y, i, j, values, names, location)


def check_weights(weight: BlockSource, location: str) -> None:
    """Sample weights: one column, finite, none negative, not all zero.

    Raises
    ------
    StoreError, ValueFound
    """
    _one_column("sample_weight", weight, location)
    total = 0.0
    for (i, j), values in _blocks(weight):
        _refuse_nonfinite(weight, i, j, values, ("sample_weight",), location)
        if (values < 0).any():
            at = int(np.argmax(values[:, 0] < 0))
            raise ValueFound(
                f"{location}: row {weight.row_bounds[i] + at:,}: sample_weight is "
                f"{values[at, 0]:g}, expected zero or more."
            )
        total += float(values.sum())
    if total == 0:
        raise ValueFound(
            f"{location}: sample_weight is zero in all {weight.shape[0]:,} rows, expected some "
            "that are positive."
        )


def check_offsets(offset: BlockSource, location: str) -> None:
    """Offsets: one column of finite numbers.

    Raises
    ------
    StoreError, ValueFound
    """
    _one_column("offset", offset, location)
    check_finite(offset, ("offset",), location)


def check_folds(fold: BlockSource, location: str) -> None:
    """Fold labels: one column of integers.

    Raises
    ------
    StoreError
    """
    _one_column("fold", fold, location)
    if fold.dtype.kind not in "biu":
        raise StoreError(f"{location}: fold has dtype {fold.dtype}, expected integers.")


def _one_column(name: str, source: BlockSource, location: str) -> None:
    if source.shape[1] != 1:
        raise StoreError(
            f"{location}: {name} has {source.shape[1]:,} columns, expected one value for each row."
        )


def _blocks(source: BlockSource) -> Iterator[tuple[tuple[int, int], np.ndarray]]:
    for i in range(len(source.row_bounds) - 1):
        for j in range(len(source.column_bounds) - 1):
            yield (i, j), source.block(i, j)


def _refuse_nonfinite(
    source: BlockSource,
    i: int,
    j: int,
    values: np.ndarray,
    names: Sequence[str],
    location: str,
) -> None:
    if values.dtype.kind != "f" or np.isfinite(values).all():
        return
    row, column = (int(place) for place in np.argwhere(~np.isfinite(values))[0])
    raise ValueFound(
        f"{location}: row {source.row_bounds[i] + row:,}, column "
        f"{names[source.column_bounds[j] + column]}: found {values[row, column]}, expected a "
        "finite number."
    )
