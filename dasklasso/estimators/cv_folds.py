"""What users hand over as ``cv``, made into folds that a scan of the data keeps apart."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dasklasso.dataset.dataset import Dataset
from dasklasso.dataset.fingerprint import fingerprint_of
from dasklasso.dataset.labels.class_codes import name_of
from dasklasso.errors import DataWarning, OptionError
from dasklasso.estimators.parameters import integer
from dasklasso.options import CvOptions
from dasklasso.storage.blocks import MemoryBlocks, chunk_bounds
from dasklasso.storage.zarr_blocks import read_rows

_ROWS_IN_BLOCK = 1 << 20  # of the column of folds


@dataclass(frozen=True)
class RequestedFolds:
    """Folds that were asked for.

    Attributes
    ----------
    options : CvOptions
    splitter : object with ``split``, iterable of (train, test), or None
        Whose test sets are the folds, where it is there.
    groups : (n_rows,) array-like or None
        Rows of one group are to be in one fold.
    stratified : bool
        Whether random folds of data in memory are to have about the same labels each.
    """

    options: CvOptions
    splitter: Any = None
    groups: Any = None
    stratified: bool = False

    def of(self, data: Dataset) -> tuple[Dataset, CvOptions]:
        """Return the data with the column of folds that they need, and how to read it.

        Raises
        ------
        OptionError
            When groups do not fit the data, or a splitter's test sets are not folds of them.
        """
        groups = None if self.groups is None else _one_for_each_row(self.groups, data.n_rows)
        if self.splitter is not None:
            return _with_folds(data, _folds_of(self.splitter, data, groups)), self.options
        if self.stratified and isinstance(data.X, MemoryBlocks):
            numbers = _stratified(data, self.options.folds, self.options.seed)
            return _with_folds(data, numbers), replace(self.options, kind="column")
        if groups is None:
            return data, self.options
        _, numbers = np.unique(groups, return_inverse=True)
        return _with_folds(data, numbers), self.options


def requested_folds(
    cv: Any,
    groups: Any,
    *,
    random_state: Any,
    rule: Any,
    l1_ratios: tuple[float, ...],
    criterion: Any = "loss",
    stratified: bool = False,
) -> RequestedFolds:
    """Tell apart what ``cv`` can be; nothing of the data is needed.

    Parameters
    ----------
    cv : int, "column", splitter, iterable of (train, test), or CvOptions
    groups : (n_rows,) array-like or None
    random_state : int
    rule : {"min", "1se"}
    l1_ratios : to choose from
    criterion : {"loss", "auc", "accuracy"}
    stratified : whether folds of which cv is the number have about the same labels each

    Raises
    ------
    OptionError
        When one of them cannot be used, or they do not go together.
    """
    seed = integer("random_state", random_state)
    if seed < 0:
        raise OptionError(f"random_state: {seed} found, expected a number >= 0")
    if rule not in ("min", "1se"):
        raise OptionError(f"selection_rule: {rule!r} found, expected 'min' or '1se'")
    splitter, chosen = None, {"rule": rule, "l1_ratios": l1_ratios, "criterion": criterion}
    if isinstance(cv, CvOptions):
        if cv.l1_ratios is not None:
            raise OptionError("cv: l1_ratios found, but it is the model's l1_ratio that is used")
        if cv.criterion not in ("loss", criterion):
            raise OptionError(
                f"cv: criterion {cv.criterion!r} found, but it is the model's criterion, "
                f"{criterion!r}, that is used"
            )
        options = replace(cv, l1_ratios=l1_ratios, criterion=criterion)
    elif isinstance(cv, str):
        if cv != "column":
            raise _unknown(cv)
        options = CvOptions(kind="column", **chosen)
    elif hasattr(cv, "split") or isinstance(cv, Iterable):
        splitter = cv
        options = CvOptions(kind="column", **chosen)
    else:
        options = CvOptions(
            _number_of_folds(cv),
            "random" if groups is None else "groups",
            seed=seed,
            **chosen,
        )
    if groups is not None and splitter is None and options.kind != "groups":
        raise OptionError(f"groups: found, but folds of kind {options.kind!r} do not use them")
    dealt = stratified and splitter is None and not isinstance(cv, CvOptions | str)
    return RequestedFolds(options, splitter, groups, dealt and groups is None)


def _number_of_folds(cv: Any) -> int:
    try:
        found = integer("cv", cv)
    except OptionError:
        raise _unknown(cv) from None
    if found < 2:
        raise OptionError(f"cv: {found} found, expected at least 2 folds")
    return found


def _unknown(cv: Any) -> OptionError:
    return OptionError(
        f"cv: {cv!r} found, expected a number of folds, 'column', a splitter of scikit-learn, "
        "an iterable of (train, test), or CvOptions"
    )


def _one_for_each_row(groups: Any, n_rows: int) -> np.ndarray:
    found = np.asarray(groups)
    if found.shape != (n_rows,):
        raise OptionError(f"groups: shape {found.shape} found, expected ({n_rows},)")
    return found


def _with_folds(data: Dataset, fold_of: np.ndarray) -> Dataset:
    """Return the same rows in other folds.

    Statistics are kept by fingerprint, so it must tell these folds from the data's own.
    """
    n = len(fold_of)
    column = np.ascontiguousarray(fold_of.astype(np.int64).reshape(n, 1))
    fold = MemoryBlocks(column, chunk_bounds(n, _ROWS_IN_BLOCK))
    both = f"{data.fingerprint} {fingerprint_of({'fold': fold})}"
    fingerprint = "sha256:" + hashlib.sha256(both.encode()).hexdigest()
    return replace(data, fold=fold, fingerprint=fingerprint)


def _stratified(data: Dataset, n_folds: int, seed: int) -> np.ndarray:
    """(n_rows,) folds: rows in random order are sorted by their label, and dealt in turn.

    So folds differ by at most one row, and by at most one row of each label.

    Raises
    ------
    OptionError
        There are more folds than rows; or a label has one row, so that no model trained without
        that row's fold knows of it.

    Warns
    -----
    DataWarning
        A label has fewer rows than there are folds.
    """
    assert data.y is not None
    if n_folds > data.n_rows:
        raise OptionError(f"cv: {n_folds} folds found, expected at most the {data.n_rows} rows")
    y = read_rows(data.y, 0, data.n_rows)[:, 0]
    values, counts = np.unique(y, return_counts=True)
    rarest = int(counts.argmin())
    label, count = name_of(data, 0, float(values[rarest])), int(counts[rarest])
    if count == 1:
        raise OptionError(
            f"cv: label {label} has 1 row, expected at least 2 rows of every label: without the "
            "fold of that row no model can know it"
        )
    if count < n_folds:
        warnings.warn(
            f"cv: label {label} has {count} rows, fewer than the {n_folds} folds: some folds have "
            "none to be scored on; expected at most as many folds",
            DataWarning,
            stacklevel=5,
        )
    shuffled = np.random.default_rng(seed).permutation(data.n_rows)
    fold_of = np.empty(data.n_rows, dtype=np.int64)
    fold_of[shuffled[np.argsort(y[shuffled], kind="stable")]] = np.arange(data.n_rows) % n_folds
    return fold_of


def _folds_of(splitter: Any, data: Dataset, groups: np.ndarray | None) -> np.ndarray:
    """(n_rows,) number of the split whose test set a row is in."""
    n, found = data.n_rows, 0
    fold_of = np.full(n, -1)
    for k, split in enumerate(_splits(splitter, data, groups)):
        train, test = _rows_of(split, k, n)
        _check_complement(train, test, k, n)
        taken = test[fold_of[test] >= 0]
        if taken.size:
            raise OptionError(
                f"cv: row {taken[0]} is in test sets {fold_of[taken[0]]} and {k}, expected test "
                "sets that have no row in common"
            )
        fold_of[test] = k
        found += 1
    if found < 2:
        raise OptionError(f"cv: {found} test sets found, expected at least 2")
    left = np.flatnonzero(fold_of < 0)
    if left.size:
        raise OptionError(f"cv: row {left[0]} is in no test set, expected every row in one")
    return fold_of


def _splits(splitter: Any, data: Dataset, groups: np.ndarray | None) -> Iterator[Any]:
    """Pairs of a training and a test set, one at a time: each may be as long as the data."""
    if not hasattr(splitter, "split"):
        yield from splitter
        return
    n = data.n_rows
    assert data.y is not None
    y = read_rows(data.y, 0, n)
    # of a store there is no X in memory: most splitters look at its length only
    X = data.X.array if isinstance(data.X, MemoryBlocks) else np.broadcast_to(0.0, (n, 1))
    try:
        yield from splitter.split(X, y[:, 0] if data.y_is_vector else y, groups)
    except (TypeError, ValueError) as error:
        raise OptionError(f"cv: {error}") from error


def _rows_of(split: Any, k: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of a training and a test set."""
    try:
        train, test = (np.asarray(rows) for rows in split)
    except (TypeError, ValueError):
        raise OptionError(f"cv: split {k} is no pair (train, test) of row numbers") from None
    train, test = (np.flatnonzero(rows) if rows.dtype == bool else rows for rows in (train, test))
    for name, rows in (("training", train), ("test", test)):
        if rows.ndim != 1 or not rows.size or rows.dtype.kind not in "iu":
            raise OptionError(f"cv: the {name} set of split {k} is no list of row numbers")
        if rows.min() < 0 or rows.max() >= n:
            bad = rows.min() if rows.min() < 0 else rows.max()
            raise OptionError(
                f"cv: row {bad} found in the {name} set of split {k}, expected 0 to {n - 1}"
            )
    return train.astype(np.intp, copy=False), test.astype(np.intp, copy=False)


def _check_complement(train: np.ndarray, test: np.ndarray, k: int, n: int) -> None:
    """Refuse a split whose training rows are not all rows outside of the test set, once each."""
    times = np.bincount(train, minlength=n) + np.bincount(test, minlength=n)
    wrong = np.flatnonzero(times != 1)
    if wrong.size:
        raise OptionError(
            f"cv: row {wrong[0]} is {times[wrong[0]]} times in split {k}, expected every row "
            "once, either to train or to test"
        )
