"""Second moments of rows by fold and by block, so that one scan serves many questions.

A *block* is a run of rows, a *fold* whatever a scheme says. Every set of rows that is a union
of them has its moments without another look at the data: the whole, one fold, half of the blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from dasklasso.dataset.row_folds import FoldScheme
from dasklasso.errors import OptionError
from dasklasso.moments.cross_moments import CrossMoments, merge_all


@dataclass(frozen=True, eq=False)
class GroupedMoments:
    """The moments of every (fold, block) that has rows.

    Attributes
    ----------
    scheme : FoldScheme
    fold : (n_groups,) int
        Number of each fold: 0 where folds are "none" or "contiguous".
    block : (n_groups,) int
    moments : tuple of CrossMoments, length n_groups
    """

    scheme: FoldScheme
    fold: np.ndarray
    block: np.ndarray
    moments: tuple[CrossMoments, ...]

    def total(self) -> CrossMoments:
        """Return the moments of all rows."""
        return merge_all(self.moments)

    def by_fold(self) -> list[CrossMoments]:
        """Return the moments of each fold that has rows, in the order of their labels.

        Raises
        ------
        OptionError
            When there are fewer blocks than contiguous folds.
        """
        if self.scheme.folds != "contiguous":
            return self._apart(self.fold)
        blocks, n_folds = self.by_block(), self.scheme.n_folds
        if len(blocks) < n_folds:
            raise OptionError(
                f"folds: {n_folds} contiguous ones cannot be made of {len(blocks)} blocks of rows"
            )
        runs = _runs([block.count for block in blocks], n_folds)
        return [merge_all(blocks[first:stop]) for first, stop in runs]

    def by_block(self) -> list[CrossMoments]:
        """Return the moments of each block that has rows, in the order of the rows."""
        return self._apart(self.block)

    def _apart(self, numbers: np.ndarray) -> list[CrossMoments]:
        return [merge_all(self._at(numbers == number)) for number in np.unique(numbers)]

    def _at(self, chosen: np.ndarray) -> Iterable[CrossMoments]:
        return (self.moments[i] for i in np.flatnonzero(chosen))


def _runs(counts: Sequence[int], n_folds: int) -> list[tuple[int, int]]:
    """Cut blocks into as many runs, each of at least one block and of nearly equal rows."""
    edges, k = np.cumsum([0, *counts]), np.arange(n_folds + 1)
    wanted = edges[-1] * k / n_folds
    cuts = np.abs(edges[None, :] - wanted[:, None]).argmin(axis=1)
    cuts = np.minimum(np.maximum.accumulate(cuts - k), len(counts) - n_folds) + k
    return list(pairwise(cuts.tolist()))
