"""Rows weighted by the class of their label."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from dasklasso.dataset.dataset import Dataset
from dasklasso.dataset.zarrblocks import read_rows


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
