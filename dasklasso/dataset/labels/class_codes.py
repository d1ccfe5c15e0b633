"""Targets that are labels: their distinct values become class codes, while y stays as it is.

A look at the distinct values reads y only, a block at a time, and ends at the first row with one
value more than there may be. Codes are the places of values in ascending order, so of two labels
the greater is class 1.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from dasklasso.dataset.checks import MAX_CLASSES
from dasklasso.dataset.dataset import Dataset
from dasklasso.errors import ValueFound
from dasklasso.storage.blocks import BlockSource, Derived
from dasklasso.storage.zarr_blocks import read_rows

Label = int | float | str
Classes = tuple[Label, ...]


@dataclass(frozen=True)
class Labelled:
    """A dataset whose labels are codes.

    Attributes
    ----------
    data : Dataset
        With targets coded, and a fingerprint of its own where that changes any.
    classes : tuple of (tuple or None)
        For each target, its labels in the order of their codes; None where it is no label.
    """

    data: Dataset
    classes: tuple[Classes | None, ...]


@dataclass(frozen=True)
class Distinct:
    """The values that a target has.

    Attributes
    ----------
    values : (k,) float64
        Ascending; all of them, or the ``most`` first ones that were met where there are more.
    beyond : (row, value) or None
        The first row with one value more.
    """

    values: np.ndarray
    beyond: tuple[int, float] | None = None


def distinct_values(y: BlockSource, target: int, *, most: int) -> Distinct:
    """The distinct values of one column of y, in one pass over it that ends where there are more.

    Parameters
    ----------
    y : (n_rows, n_targets)
    target : int
        Which column.
    most : int
        At most so many values are held.
    """
    values = np.zeros(0)
    for start, stop in pairwise(y.row_bounds):
        column = np.asarray(read_rows(y, start, stop)[:, target], dtype=np.float64)
        found = np.union1d(values, column)
        if len(found) <= most:
            values = found
            continue
        new, first = np.unique(column, return_index=True)
        unknown = ~np.isin(new, values)
        order = np.argsort(first[unknown])
        n_new = most - len(values)
        at = int(first[unknown][order[n_new]])
        values = np.union1d(values, new[unknown][order[:n_new]])
        return Distinct(values, (start + at, float(column[at])))
    return Distinct(values)


class Coded(Derived):
    """Targets with labels as codes 0, 1, ...; other columns as they are. Pickles small.

    Parameters
    ----------
    source : BlockSource, (n_rows, n_targets) float64
    values : for each target its (n_classes,) ascending values, or None
    """

    def __init__(self, source: BlockSource, values: Sequence[np.ndarray | None]) -> None:
        super().__init__(source)
        self.values = tuple(values)

    def block(self, i: int, j: int) -> np.ndarray:
        """Block (i, j) of the source, coded."""
        coded = np.array(self.source.block(i, j), dtype=np.float64)
        first, stop = self.column_bounds[j], self.column_bounds[j + 1]
        for column, values in zip(coded.T, self.values[first:stop], strict=True):
            if values is not None:
                column[:] = np.searchsorted(values, column)
        return coded


def binary_labels(data: Dataset) -> Labelled:
    """Two values of a target become classes 0 and 1; probabilities, from 0 to 1, stay.

    Two values that both lie within 0 and 1, but are not 0 and 1, are probabilities.

    Raises
    ------
    ValueFound
        A target has a third value and some are outside 0 to 1: names the row.
    """
    assert data.y is not None
    values: list[np.ndarray | None] = []
    for target in range(data.n_targets):
        found = distinct_values(data.y, target, most=2)
        low, high = float(found.values[0]), float(found.values[-1])
        third = found.beyond
        if third is not None:
            if min(low, third[1]) < 0 or max(high, third[1]) > 1:
                names = [name_of(data, target, value) for value in (low, high, third[1])]
                raise ValueFound(
                    f"{data.location}: target {data.target_names[target]} is {names[2]} at row "
                    f"{third[0]:,}, a third value beside {names[0]} and {names[1]}; expected two "
                    "labels, or probabilities from 0 to 1. More than two classes: loss softmax."
                )
            values.append(None)
        else:
            is_label = low < 0 or high > 1 or (low, high) == (0, 1)
            values.append(found.values if is_label else None)
    return _coded(data, values)


def class_labels(data: Dataset) -> Labelled:
    """Every value of a target becomes a class.

    Raises
    ------
    ValueFound
        A target has more than 10,000 values, or more than two and not all of them whole numbers:
        names the row.
    """
    assert data.y is not None
    values: list[np.ndarray | None] = []
    for target in range(data.n_targets):
        found = distinct_values(data.y, target, most=MAX_CLASSES)
        if found.beyond is not None:
            row, value = found.beyond
            raise ValueFound(
                f"{data.location}: target {data.target_names[target]} is {value:g} at row "
                f"{row:,}, one value more than {MAX_CLASSES:,}; expected labels of classes"
            )
        fractions = found.values[found.values % 1 != 0]
        if len(found.values) > 2 and fractions.size:
            raise ValueFound(
                f"{data.location}: target {data.target_names[target]} is {fractions[0]:g} at row "
                f"{_row_of(data.y, target, fractions[0]):,}, one of {len(found.values):,} values; "
                "expected labels of classes: text or whole numbers"
            )
        values.append(found.values)
    return _coded(data, values)


def _row_of(y: BlockSource, target: int, value: float) -> int:
    """Return the first row that has a value."""
    for start, stop in pairwise(y.row_bounds):
        rows = np.flatnonzero(read_rows(y, start, stop)[:, target] == value)
        if rows.size:
            return start + int(rows[0])
    raise AssertionError("a value that was found is there")


def _coded(data: Dataset, values: Sequence[np.ndarray | None]) -> Labelled:
    assert data.y is not None
    classes = tuple(
        None if found is None else tuple(name_of(data, target, value) for value in found)
        for target, found in enumerate(values)
    )
    changed = [
        None if found is None or np.array_equal(found, np.arange(len(found))) else found
        for found in values
    ]
    if all(found is None for found in changed):
        return Labelled(data, classes)
    fingerprint = derived_fingerprint(
        data, "codes", [None if found is None else found.tolist() for found in changed]
    )
    coded = replace(data, y=Coded(data.y, changed), fingerprint=fingerprint)
    return Labelled(coded, classes)


def name_of(data: Dataset, target: int, value: float) -> Label:
    """Return what a target's value is called: a class's name where it was text, else the number."""
    names = data.target_classes[target] if data.target_classes else None
    whole = float(value).is_integer()
    if names is not None and whole and 0 <= value < len(names):
        return names[int(value)]
    return int(value) if whole else float(value)


def derived_fingerprint(data: Dataset, kind: str, what: object) -> str:
    """Return the fingerprint of data with targets or weights made of those that are stored.

    What is stored under a fingerprint (moments, checkpoints) is then never taken for that of the
    data as they are.
    """
    told = json.dumps([data.fingerprint, kind, what])
    return "sha256:" + hashlib.sha256(told.encode()).hexdigest()
