"""Stored statistics follow their data: appended rows are added to them, without a scan."""

from __future__ import annotations

import dataclasses
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from dasklasso.dataset.ingest.append import UpdateReport, append_rows
from dasklasso.dataset.manifest import Manifest
from dasklasso.dataset.row_folds import FoldScheme, random_folds
from dasklasso.errors import DataWarning, StoreError
from dasklasso.files.places import input_place
from dasklasso.moments.cross_moments import CrossMoments, cross_moments
from dasklasso.moments.grouped import GroupedMoments
from dasklasso.moments.store import (
    Key,
    drop_all_but,
    load_moments,
    save_moments,
    statistics_folder,
    stored_keys,
)

FoldRule = tuple[str, int, int]
"""How rows get their fold: ``folds``, ``n_folds`` and ``seed`` of a scheme."""


class StatisticsUpdate:
    """Updates stored moments with new rows (a :class:`~dasklasso.dataset.ingest.append.Follower`).

    The moments of the new rows are taken in float64 and merged into those of their folds, so
    the statistics are those of all the rows, to rounding. They are saved under the new
    fingerprint before the store is swapped: wherever the update is interrupted, no statistics
    are of other rows than their fingerprint says.

    Where rows are in blocks, the new ones join the last block while that has fewer rows than
    the first one; else they are one more block. Blocks then are of unequal length, and still runs
    of rows.

    Statistics that cannot be updated are left out, to be computed again when they are
    needed: contiguous folds, whose edges move when rows are appended, and folds by groups that
    are not in the store; those that exceed the memory, and those that are damaged.

    Parameters
    ----------
    folder : Path or None
        What :func:`~dasklasso.moments.store.statistics_folder` gave.
    memory : int
        Bytes that the statistics under one scheme may take.
    drop_old : bool
        Whether to delete those of the old rows when the store no longer has them.

    Attributes
    ----------
    updated, not_updated : list of FoldScheme
        Under which statistics hold the new rows, and under which they do not.
    """

    def __init__(self, folder: Path | None, *, memory: int = 1 << 30, drop_old: bool) -> None:
        self.updated: list[FoldScheme] = []
        self.not_updated: list[FoldScheme] = []
        self._folder = folder
        self._memory = memory
        self._drop_old = drop_old
        self._after: Manifest | None = None
        self._keys: list[Key] = []
        self._new: dict[FoldRule, dict[int, CrossMoments]] = {}

    def begin(self, before: Manifest) -> None:
        if self._folder is None:
            return
        n = before.n_features + len(before.target_names)
        for key, n_groups in stored_keys(self._folder, before.identity):
            fits = (n_groups + 1) * n * n * 8 <= self._memory
            if fits and key.scheme.folds in _FOLDS_OF_ROWS:
                self._keys.append(key)
                self._new[_folds(key.scheme)] = {}
            else:
                self.not_updated.append(key.scheme)

    def rows(
        self,
        first_row: int,
        X: np.ndarray,
        y: np.ndarray,
        sample_weight: np.ndarray | None,
        fold: np.ndarray | None,
    ) -> None:
        for folds, found in self._new.items():
            fold_of = _FOLDS_OF_ROWS[folds[0]](folds, first_row, len(X), fold)
            for number in np.unique(fold_of).tolist():
                at = fold_of == number
                weight = None if sample_weight is None else sample_weight[at]
                part = cross_moments(X[at], y[at], weight)
                found[number] = found[number].merged(part) if number in found else part

    def before_swap(self, after: Manifest) -> None:
        self._after = after
        assert self._folder is not None or not self._keys
        for key in self._keys:
            assert self._folder is not None
            grouped = load_moments(self._folder, key)
            if grouped is None:
                self.not_updated.append(key.scheme)
                continue
            more = with_rows(grouped, self._new[_folds(key.scheme)])
            try:
                save_moments(self._folder, more, Key(after.identity, more.scheme))
            except StoreError as error:  # the rows are what matters
                warnings.warn(f"statistics were not kept: {error}", DataWarning, stacklevel=2)
                self.not_updated.append(key.scheme)
            else:
                self.updated.append(more.scheme)

    def after_swap(self) -> None:
        # also statistics of the old rows with other targets or folds than the store's own
        if self._folder is not None and self._drop_old and self._after is not None:
            drop_all_but(self._folder, self._after.identity)


def with_rows(grouped: GroupedMoments, new: dict[int, CrossMoments]) -> GroupedMoments:
    """Return grouped moments with rows appended after all of theirs.

    Parameters
    ----------
    grouped : GroupedMoments
        Whose blocks, if there are several, are runs of rows.
    new : dict of fold to CrossMoments
        The new rows of each fold.
    """
    scheme = grouped.scheme
    counts = np.array([moments.count for moments in grouped.moments])
    last = scheme.n_blocks - 1
    lengths = np.bincount(grouped.block, weights=counts, minlength=scheme.n_blocks)
    block = last if last == 0 or lengths[last] < lengths[0] else last + 1
    places = {
        (int(fold), int(number)): moments
        for fold, number, moments in zip(grouped.fold, grouped.block, grouped.moments, strict=True)
    }
    for fold, part in new.items():
        before = places.get((fold, block))
        places[fold, block] = part if before is None else before.merged(part)
    order = sorted(places)
    return GroupedMoments(
        dataclasses.replace(scheme, n_blocks=block + 1),
        np.array([fold for fold, _ in order]),
        np.array([number for _, number in order]),
        tuple(places[place] for place in order),
    )


def update_store(
    store: str | os.PathLike[str],
    source: str | os.PathLike[str],
    *,
    stats: str | os.PathLike[str] | None = None,
    memory: int = 1 << 30,
    **options: Any,
) -> tuple[UpdateReport, StatisticsUpdate]:
    """Append rows to a store, and add them to its stored statistics.

    Parameters
    ----------
    stats : path, optional
        Where statistics are stored, if not next to the store. Those of the old rows stay there.
    store, source, memory, **options :
        As for :func:`~dasklasso.dataset.ingest.append.append_rows`.
    """
    location = input_place(store, "store")
    statistics = StatisticsUpdate(
        statistics_folder(location, stats), memory=memory, drop_old=stats is None
    )
    report = append_rows(store, source, memory=memory, followers=[statistics], **options)
    return report, statistics


def _folds(scheme: FoldScheme) -> FoldRule:
    return (scheme.folds, scheme.n_folds, scheme.seed)


def _no_folds(folds: FoldRule, first: int, n: int, column: np.ndarray | None) -> np.ndarray:
    return np.zeros(n, dtype=np.int64)


def _by_column(folds: FoldRule, first: int, n: int, column: np.ndarray | None) -> np.ndarray:
    assert column is not None
    return column.astype(np.int64)


def _at_random(folds: FoldRule, first: int, n: int, column: np.ndarray | None) -> np.ndarray:
    _, n_folds, seed = folds
    return random_folds(n_folds, seed, first, first + n)


_FOLDS_OF_ROWS = {"none": _no_folds, "column": _by_column, "random": _at_random}
