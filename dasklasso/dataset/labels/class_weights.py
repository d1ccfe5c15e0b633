"""Rows weighted by the class of their label; what the store holds stays as it is."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from itertools import pairwise
from typing import Literal

import numpy as np

from dasklasso.dataset.dataset import Dataset
from dasklasso.dataset.labels.class_codes import Classes, Label, derived_fingerprint
from dasklasso.errors import OptionError
from dasklasso.storage.blocks import BlockSource, Derived
from dasklasso.storage.zarr_blocks import read_rows

ClassWeight = Literal["balanced"] | tuple[tuple[Label, float], ...]
"""Weights that even classes out, or pairs of a label and its weight; other labels weigh 1."""


def parse_class_weight(text: str) -> ClassWeight:
    """``balanced``, or ``LABEL=W,LABEL=W``.

    Raises
    ------
    OptionError
    """
    if text == "balanced":
        return "balanced"
    pairs: list[tuple[Label, float]] = []
    # at the commas after weights: labels may have some
    for part in re.sub(r"(=[^=,]*),", "\\1\n", text).split("\n"):
        label, equals, weight = part.rpartition("=")
        try:
            pairs.append((label.strip(), float(weight)))
        except ValueError:
            equals = ""
        if not equals or not label.strip():
            raise OptionError(
                f"class_weight: {part!r} found, expected 'balanced' or LABEL=WEIGHT,LABEL=WEIGHT"
            )
    return checked_class_weight(pairs)


def checked_class_weight(pairs: list[tuple[Label, float]]) -> ClassWeight:
    """Return the weights given to labels.

    Raises
    ------
    OptionError
        A weight is no positive number, or a label occurs twice.
    """
    labels = [label for label, _ in pairs]
    for label, weight in pairs:
        if not (math.isfinite(weight) and weight > 0):
            raise OptionError(
                f"class_weight: {weight} found for {label}, expected a positive number"
            )
        if labels.count(label) > 1:
            raise OptionError(f"class_weight: {label} occurs twice, expected once")
    return tuple(pairs)


def class_totals(data: Dataset, target: int, n_classes: int) -> np.ndarray:
    """(n_classes,) sums of the weights of each class's rows, 1 for a row where none are given.

    Parameters
    ----------
    data : Dataset
        Whose target is coded. Its y and its weights are read.
    """
    assert data.y is not None
    totals = np.zeros(n_classes)
    for start, stop in pairwise(data.y.row_bounds):
        codes = read_rows(data.y, start, stop)[:, target].astype(np.intp)
        weight = None
        if data.sample_weight is not None:
            weight = read_rows(data.sample_weight, start, stop)[:, 0]
        totals += np.bincount(codes, weight, minlength=n_classes)
    return totals


def class_factors(asked: ClassWeight, classes: Classes, totals: np.ndarray) -> np.ndarray:
    """(n_classes,) what the weights of each class's rows are multiplied by.

    Balanced: Σ s / (C · Σ s of the class), as scikit-learn's ``compute_class_weight`` has it
    (King and Zeng, 2001, Logistic regression in rare events data), so that the sum of all weights
    does not change.

    Parameters
    ----------
    totals : (n_classes,)
        As :func:`class_totals`.

    Raises
    ------
    OptionError
        A label is none of the classes.
    """
    if asked == "balanced":
        there = totals > 0
        even = totals.sum() / (np.count_nonzero(there) * np.where(there, totals, 1.0))
        return np.where(there, even, 1.0)
    factors = np.ones(len(classes))
    for label, weight in asked:
        places = [k for k, known in enumerate(classes) if _same(label, known)]
        if not places:
            some = ", ".join(str(known) for known in classes[:8])
            more = ", ..." if len(classes) > 8 else ""
            raise OptionError(f"class_weight: {label} is none of the classes: {some}{more}")
        factors[places] = weight
    return factors


def _same(label: Label, known: Label) -> bool:
    if isinstance(label, str) and not isinstance(known, str):
        try:
            return float(label) == known
        except ValueError:
            return False
    return label == known


def weighted_by_class(data: Dataset, factors: np.ndarray) -> Dataset:
    """Return the data with the weights of each class's rows multiplied by its factor.

    Parameters
    ----------
    data : Dataset
        With one target, coded.
    factors : (n_classes,)
    """
    assert data.y is not None
    return replace(
        data,
        sample_weight=ClassWeighted(data.y, data.sample_weight, factors),
        fingerprint=derived_fingerprint(data, "class weights", factors.tolist()),
    )


class ClassWeighted(Derived):
    """Row weights, (n_rows, 1) float64, times the factor of each row's class. Pickles small.

    Parameters
    ----------
    codes : BlockSource, (n_rows, 1)
    weight : BlockSource or None, (n_rows, 1)
    factors : (n_classes,) float64
    """

    def __init__(self, codes: BlockSource, weight: BlockSource | None, factors: np.ndarray) -> None:
        super().__init__(codes)
        self.weight, self.factors = weight, factors

    def block(self, i: int, j: int) -> np.ndarray:
        """Block (i, j) of the weights."""
        factors = self.factors[self.source.block(i, j).astype(np.intp)]
        if self.weight is None:
            return factors
        return factors * read_rows(self.weight, self.row_bounds[i], self.row_bounds[i + 1])
