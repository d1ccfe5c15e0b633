"""Folds that classes are dealt to: what an area under the curve and intercepts need of them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from dasklasso.dataset.classes import Labelled
from dasklasso.dataset.zarrblocks import read_rows
from dasklasso.errors import ValueFound
from dasklasso.fit_options import FitOptions
from dasklasso.scan.labels import RowLabels
from dasklasso.solvers.folds import weights_by_class


def check_fold_classes(coded: Labelled, labels: RowLabels) -> None:
    """Refuse folds that have no area under the curve. Reads y, the weights and the fold column.

    Rows of weight 0 count for nothing, and a target that is a probability y for y of each class.

    Parameters
    ----------
    coded : Labelled
        Whose targets have two classes, or are probabilities.
    labels : RowLabels
        The folds.

    Raises
    ------
    ValueFound
        All rows of a fold are of one class: names the first such fold.
    """
    data = coded.data
    positive = _sums_by_fold(coded, labels)
    rows, ones = positive[..., 0], positive[..., 1]
    one_class = (rows > 0) & ((ones == 0) | (ones == rows))
    if not one_class.any():
        return
    fold, target = np.argwhere(one_class)[0].tolist()
    count = int(rows[fold, target])
    code = int(ones[fold, target] > 0)
    classes = coded.classes[target] or (0, 1)
    found = "1 row" if count == 1 else f"{count:,} rows"
    raise ValueFound(
        f"{data.location}: fold {fold} has {found} with target {data.target_names[target]} "
        f"{classes[code]} and none with {classes[1 - code]}; expected both in every fold, for an "
        "area under the curve (criterion auc). Take fewer folds, stratified ones (as a fold "
        "column), or criterion loss."
    )


def check_training_classes(coded: Labelled, labels: RowLabels, options: FitOptions) -> None:
    """Refuse folds that have all rows of a class, where each class has an intercept.

    Without that fold, the best intercept of the class would be minus infinity.

    Parameters
    ----------
    coded : Labelled
        Whose target is one of several classes.
    labels : RowLabels
        The folds.

    Raises
    ------
    ValueFound
        Names the fold and the class.
    """
    data, [classes] = coded.data, coded.classes
    assert classes is not None
    there = weights_by_class(data, labels, len(classes)) > 0
    alone = np.argwhere(there & (there.sum(axis=0) == 1))
    if not options.fit_intercept or not len(alone):
        return
    fold, code = alone[0].tolist()
    raise ValueFound(
        f"{data.location}: fold {fold} has all rows with target {data.target_names[0]} "
        f"{classes[code]}, and a model trained without it could not know that class; expected "
        "rows of every class outside every fold. Take other folds, stratified ones (as a fold "
        "column), or leave that class out."
    )


def _sums_by_fold(coded: Labelled, labels: RowLabels) -> np.ndarray:
    """(n_folds, n_targets, 2): number of rows that have weight, and the sum of their y."""
    data = coded.data
    assert data.y is not None
    sums = np.zeros((labels.n_labels, data.n_targets, 2))
    for start, stop in pairwise(data.y.row_bounds):
        y = np.asarray(read_rows(data.y, start, stop), dtype=np.float64)
        fold = labels.folds_of_rows(start, stop, data.n_rows)
        if data.sample_weight is not None:
            weighs = read_rows(data.sample_weight, start, stop)[:, 0] > 0
            y, fold = y[weighs], fold[weighs]
        for target, column in enumerate(y.T):
            sums[:, target, 0] += np.bincount(fold, minlength=labels.n_labels)
            sums[:, target, 1] += np.bincount(fold, column, minlength=labels.n_labels)
    return sums
