"""Which fold a row is in: a function of the row alone, in whatever pieces rows are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from dasklasso.choices import FoldKind
from dasklasso.dataset.dataset import Dataset
from dasklasso.errors import OptionError
from dasklasso.storage.blocks import BlockSource
from dasklasso.storage.zarr_blocks import read_rows

_DRAWN_TOGETHER = 1024  # runs of n_folds rows whose folds come from one random generator
_ROWS_AT_ONCE = 1 << 20


def random_folds(n_folds: int, seed: int, start: int, stop: int) -> np.ndarray:
    """Folds of rows ``start`` to ``stop − 1``, drawn from the seed and the row's number.

    Each run of ``n_folds`` rows, counted from row 0, has one row in every fold, in random order.
    So folds differ by at most one row, and rows appended later change no other row's fold.

    Returns
    -------
    (stop − start,) int64
    """
    together = n_folds * _DRAWN_TOGETHER
    drawn = []
    for number in range(start // together, -(-stop // together)):
        rng = np.random.default_rng([seed, n_folds, number])
        orders = np.tile(np.arange(n_folds), (_DRAWN_TOGETHER, 1))
        drawn.append(rng.permuted(orders, axis=1).ravel())
    if not drawn:
        return np.zeros(0, dtype=np.int64)
    first = start // together * together
    return np.concatenate(drawn)[start - first : stop - first]


@dataclass(frozen=True, eq=False)
class FoldAssignment:
    """The fold of every row of some data under a scheme.

    Attributes
    ----------
    scheme : FoldScheme
    n_folds : int
        How many folds there are; those of a column are counted in the data.
    column : BlockSource or None
        (n_rows, 1) numbers of folds or groups; needed where folds come from them.
    groups, fold_of_group : (n_groups,) int or None
        The fold of each group, or of each number of a column of folds; groups are ascending.
    """

    scheme: FoldScheme
    n_folds: int = 1
    column: BlockSource | None = None
    groups: np.ndarray | None = None
    fold_of_group: np.ndarray | None = None

    def of_rows(self, start: int, stop: int) -> np.ndarray | None:
        """(stop − start,) int64, or None where all rows are in fold 0.

        Folds of a column have the column's own numbers here.
        """
        folds = self.scheme.folds
        if folds == "random":
            return random_folds(self.scheme.n_folds, self.scheme.seed, start, stop)
        if folds not in ("column", "groups"):
            return None
        assert self.column is not None
        found = read_rows(self.column, start, stop)[:, 0].astype(np.int64)
        if folds == "column":
            return found
        assert self.groups is not None
        assert self.fold_of_group is not None
        return self.fold_of_group[np.searchsorted(self.groups, found)]

    def folds_of_rows(self, start: int, stop: int, n_rows: int) -> np.ndarray:
        """(stop − start,) int64: the fold of each row, from 0 to n_folds − 1, of any scheme.

        Folds of a column are in the order of its numbers.

        Parameters
        ----------
        n_rows : of the data
        """
        if self.scheme.folds == "contiguous":
            edges = contiguous_edges(n_rows, self.scheme.n_folds)
            return np.searchsorted(edges, np.arange(start, stop), side="right") - 1
        found = self.of_rows(start, stop)
        if found is None:
            return np.zeros(stop - start, dtype=np.int64)
        if self.scheme.folds == "column":
            assert self.groups is not None
            return np.searchsorted(self.groups, found)
        return found


def contiguous_edges(n_rows: int, n_folds: int) -> list[int]:
    """First row of each contiguous fold, and the number of rows: those of scikit-learn's KFold."""
    return [i * (n_rows // n_folds) + min(i, n_rows % n_folds) for i in range(n_folds + 1)]


def assign_folds(scheme: FoldScheme, data: Dataset) -> FoldAssignment:
    """Put every row of some data in a fold, as a scheme says.

    Groups are dealt to folds as evenly as they allow: the largest first, each to the fold with
    the fewest rows so far, as scikit-learn's ``GroupKFold`` does.

    Raises
    ------
    OptionError
        When there are more folds than rows; when a column is needed and there is none, or it has
        fewer numbers than folds.
    """
    if scheme.n_folds > data.n_rows:
        raise OptionError(f"folds: {scheme.n_folds} found, expected at most the {data.n_rows} rows")
    if scheme.folds not in ("column", "groups"):
        return FoldAssignment(scheme, scheme.n_folds)
    column = data.fold
    if column is None:
        raise OptionError(
            f"folds: {scheme.folds!r} needs a column of folds, and {data.location} has none. "
            "Name one when the data are ingested: dasklasso ingest --fold NAME."
        )
    groups, sizes = _distinct(column)
    expected = 2 if scheme.folds == "column" else scheme.n_folds
    if len(groups) < expected:
        raise OptionError(
            f"folds: {len(groups)} different numbers found in the fold column of {data.location}, "
            f"expected at least {expected}"
        )
    if scheme.folds == "column":
        return FoldAssignment(scheme, len(groups), column, groups)
    fold_of_group = np.zeros(len(groups), dtype=np.int64)
    rows = np.zeros(scheme.n_folds, dtype=np.int64)
    for group in np.argsort(-sizes, kind="stable"):
        lightest = int(np.argmin(rows))
        fold_of_group[group] = lightest
        rows[lightest] += sizes[group]
    return FoldAssignment(scheme, scheme.n_folds, column, groups, fold_of_group)


def _distinct(column: BlockSource) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers in a column, ascending, and how many rows have each."""
    groups, sizes = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    n = column.shape[0]
    for start in range(0, n, _ROWS_AT_ONCE):
        rows = read_rows(column, start, min(start + _ROWS_AT_ONCE, n))[:, 0].astype(np.int64)
        more, counts = np.unique(rows, return_counts=True)
        groups, place = np.unique(np.concatenate([groups, more]), return_inverse=True)
        sizes = np.bincount(
            place, weights=np.concatenate([sizes, counts]), minlength=len(groups)
        ).astype(np.int64)
    return groups, sizes


@dataclass(frozen=True)
class FoldScheme:
    """How rows are put into folds, and into blocks.

    Attributes
    ----------
    folds : {"none", "random", "column", "groups", "contiguous"}
        Contiguous folds are runs of blocks, and need no number for each row.
    n_folds : int
    seed : int
        Of random folds.
    n_blocks : int
        Runs of rows.
    """

    folds: Literal["none"] | FoldKind = "none"
    n_folds: int = 1
    seed: int = 0
    n_blocks: int = 1
