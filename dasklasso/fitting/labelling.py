"""Data as a loss takes them: labels as codes, rows weighted by class."""

from __future__ import annotations

import numpy as np

from dasklasso.dataset.class_weights import class_totals
from dasklasso.dataset.classes import Labelled, binary_labels, class_labels
from dasklasso.dataset.dataset import Dataset
from dasklasso.errors import ValueFound
from dasklasso.fit_options import FitOptions
from dasklasso.objective.losses import loss_named


def labelled(data: Dataset, options: FitOptions) -> Labelled:
    """The data that a fit is made on, and the labels that the codes of its targets stand for.

    Reads y and the weights, and those only for losses of labels.

    Raises
    ------
    ValueFound
        Targets cannot be taken as labels; or all rows that have weight are of one class.
    """
    most = loss_named(options.loss).most_classes
    if not most:
        return Labelled(data, (None,) * data.n_targets)
    found = binary_labels(data) if most == 2 else class_labels(data)
    for target, classes in enumerate(found.classes):
        if classes is None or (data.sample_weight is None and len(classes) > 1):
            continue
        totals = class_totals(found.data, target, len(classes))
        if np.count_nonzero(totals) < 2:
            raise ValueFound(
                f"{data.location}: target {data.target_names[target]} is of one class, "
                f"{classes[int(totals.argmax())]}, in every row of positive sample_weight; "
                "expected at least two classes."
            )
    return found
