"""Check that every training set has all classes and every ranked fold has both."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from dasklasso.dataset.labels.class_codes import Labelled
from dasklasso.dataset.row_folds import FoldAssignment
from dasklasso.errors import ValueFound
from dasklasso.options import FitOptions
from dasklasso.problem.folds import weights_by_class
from dasklasso.storage.zarr_blocks import read_rows


def check_fold_classes(coded: Labelled, assignment: FoldAssignment, *, ranked: bool) -> None:
    """Refuse folds of one class where two are needed. Reads y, the weights and the fold column.

    Rows of weight 0 count for nothing, and a target that is a probability y for y of each class.

    Parameters
    ----------
    coded : Labelled
        Whose targets have two classes, or are probabilities.
    assignment : FoldAssignment
        The folds.
    ranked : bool
        Whether folds are compared by areas under curves, which need both classes in each.

    Raises
    ------
    ValueFound
        All rows of a fold, or all others, are of one class: names the first such fold.
    """
    own = _sums_by_fold(coded, assignment)
    found = _one_class(own.sum(axis=0) - own)
    if found is not None:
        fold, target, code = found
        label, needed = _described(coded, target, code)
        raise ValueFound(f"{label} in every row outside fold {fold}, {needed}")
    found = _one_class(own) if ranked else None
    if found is not None:
        fold, target, code = found
        label, needed = _described(coded, target, code)
        raise ValueFound(
            f"{label} in every row of fold {fold} ({int(own[fold, target, 0]):,}), {needed}, for "
            "an area under the curve (criterion auc). Take fewer folds, stratified ones (as a fold "
            "column), or criterion loss."
        )


def check_training_classes(
    coded: Labelled, assignment: FoldAssignment, options: FitOptions
) -> None:
    """Refuse folds that have all rows of a class, where each class has an intercept.

    Without that fold, the best intercept of the class would be minus infinity.

    Parameters
    ----------
    coded : Labelled
        Whose target is one of several classes.
    assignment : FoldAssignment
        The folds.

    Raises
    ------
    ValueFound
        Names the fold and the class.
    """
    data, [classes] = coded.data, coded.classes
    assert classes is not None
    there = weights_by_class(data, assignment, len(classes)) > 0
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


def _one_class(sums: np.ndarray) -> tuple[int, int, int] | None:
    """Return the first fold and target whose rows are of one class, and that class.

    Parameters
    ----------
    sums : (n_folds, n_targets, 2)
        Number of rows, and the sum of their y.
    """
    rows, ones = sums[..., 0], sums[..., 1]
    places = np.argwhere((rows > 0) & ((ones == 0) | (ones == rows))).tolist()
    if not places:
        return None
    [fold, target], *_ = places
    return fold, target, int(ones[fold, target] > 0)


def _described(coded: Labelled, target: int, code: int) -> tuple[str, str]:
    """Say what a target is in every row, and what rows are expected beside."""
    data, classes = coded.data, coded.classes[target] or (0, 1)
    name = data.target_names[target]
    return (
        f"{data.location}: target {name} is {classes[code]}",
        f"expected rows with {classes[1 - code]} too",
    )


def _sums_by_fold(coded: Labelled, assignment: FoldAssignment) -> np.ndarray:
    """(n_folds, n_targets, 2): number of rows that have weight, and the sum of their y."""
    data = coded.data
    assert data.y is not None
    sums = np.zeros((assignment.n_folds, data.n_targets, 2))
    for start, stop in pairwise(data.y.row_bounds):
        y = np.asarray(read_rows(data.y, start, stop), dtype=np.float64)
        fold = assignment.folds_of_rows(start, stop, data.n_rows)
        if data.sample_weight is not None:
            weighs = read_rows(data.sample_weight, start, stop)[:, 0] > 0
            y, fold = y[weighs], fold[weighs]
        for target, column in enumerate(y.T):
            sums[:, target, 0] += np.bincount(fold, minlength=assignment.n_folds)
            sums[:, target, 1] += np.bincount(fold, column, minlength=assignment.n_folds)
    return sums
