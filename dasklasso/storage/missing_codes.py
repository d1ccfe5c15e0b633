"""Whole numbers among which one code stands for a missing value: a byte each, also on the way.

What a column has in the place of a missing value is known beside the codes, so that X is read as
it is stored and filled in while it is computed on. Queries that know of the code may fill in
other values: in cross-validation the means of the rows that train.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dasklasso.storage.blocks import BlockSource, Derived
from dasklasso.storage.side_by_side import SideBySide

FILLED_DTYPE = np.dtype(np.float32)  # of X once it is filled; so small numbers are exact in it


@dataclass(frozen=True, eq=False)
class MissingCode:
    """What stands for a missing value, and what takes its place.

    Attributes
    ----------
    code : int
        A value that no column has otherwise.
    fill : (n_columns,) float64
        For each column, a number that float32 holds.
    """

    code: int
    fill: np.ndarray

    @classmethod
    def of(cls, code: int, means: np.ndarray) -> MissingCode:
        """Return the code with means in its place, rounded as X is."""
        return cls(code, np.asarray(means).astype(FILLED_DTYPE).astype(np.float64))

    def __getitem__(self, columns: slice | np.ndarray) -> MissingCode:
        """Return the same code in some of the columns."""
        return MissingCode(self.code, self.fill[columns])

    def filled(
        self, values: np.ndarray, dtype: np.dtype = FILLED_DTYPE, out: np.ndarray | None = None
    ) -> np.ndarray:
        """Return stored values (n, n_columns) as numbers, with those that are missing filled in."""
        found = np.empty(values.shape, dtype) if out is None else out
        np.copyto(found, values, casting="unsafe")
        np.copyto(found, self.fill.astype(dtype, copy=False), where=values == self.code)
        return found


class FilledBlocks(Derived):
    """A block source of whole numbers and one code, seen as float32 with missing values filled in.

    Parameters
    ----------
    source : BlockSource
        As it is stored.
    missing : MissingCode
    """

    dtype: np.dtype = FILLED_DTYPE

    def __init__(self, source: BlockSource, missing: MissingCode) -> None:
        super().__init__(source)
        self.missing = missing

    def block(self, i: int, j: int) -> np.ndarray:
        columns = slice(*self.column_bounds[j : j + 2])
        return self.missing[columns].filled(self.source.block(i, j))


def as_stored(X: BlockSource) -> BlockSource:
    """Return a table as it is stored: with codes, where it has some."""
    if isinstance(X, SideBySide):
        return SideBySide(as_stored(X.left), X.right)
    return X.source if isinstance(X, FilledBlocks) else X


def stored_dtype(X: BlockSource) -> np.dtype:
    """Return the type that the columns of a table are stored in, but for covariates."""
    return stored_dtype(X.left) if isinstance(X, SideBySide) else as_stored(X).dtype


def missing_code_of(X: BlockSource) -> MissingCode | None:
    """Return what stands for missing values in a table as it is stored."""
    if isinstance(X, SideBySide):
        missing = missing_code_of(X.left)
        none = np.zeros(X.right.shape[1])  # of covariates no value is missing
        return missing and MissingCode(missing.code, np.concatenate([missing.fill, none]))
    return X.missing if isinstance(X, FilledBlocks) else None
