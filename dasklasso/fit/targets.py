"""Data as a loss takes them: labels as codes, rows weighted by class, targets less offsets."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace

import numpy as np

from dasklasso.dataset.covariates import factors_with
from dasklasso.dataset.dataset import Dataset
from dasklasso.dataset.labels.class_codes import Labelled, binary_labels, class_labels
from dasklasso.dataset.labels.class_weights import class_factors, class_totals, weighted_by_class
from dasklasso.dataset.labels.offsets import less_offset
from dasklasso.errors import DataWarning, OptionError, ValueFound
from dasklasso.objective.losses.huber import AUTO_DELTA, HUBER_DELTA, Huber
from dasklasso.options import FitOptions
from dasklasso.storage.blocks import BlockSource
from dasklasso.storage.zarr_blocks import read_rows

FAR_BELOW = 1e-3  # of the spread of the target: a huber_delta that makes the loss hard
SPREAD_ROWS = 1 << 20  # of which the spread is taken
SPREAD_RUNS = 32  # of rows: those of a file may be in some order
NORMAL_MEDIAN = 0.6744897501960817  # of the size of a standard normal variable
EFFICIENT_DELTA = 1.345


def labelled(data: Dataset, options: FitOptions) -> Labelled:
    """The data that a fit is made on, and the labels that the codes of its targets stand for.

    Reads y and the weights, and those only for losses of labels.

    Offsets go with predictions, but where the loss is a quadratic: there they come off y.

    Class weights multiply those of the rows, and so do not change what a model is of: a fit
    with them is one with ``sample_weight``.

    Raises
    ------
    ValueFound
        Targets cannot be taken as labels; or all rows that have weight are of one class.
    OptionError
        There are several targets, and the loss is of one; or class weights are asked for where
        there is not one target of labels, or of other labels.
    """
    loss = options.loss_value
    most = loss.most_classes
    if not most:
        check_numbers(data, options.loss)
        taken = less_offset(data) if loss.quadratic else data
        return Labelled(taken, (None,) * data.n_targets)
    if most > 2 and data.n_targets != 1:
        raise OptionError(
            f"loss: {options.loss} found for {data.n_targets} targets, expected one, the class"
        )
    if most > 2 and data.offset is not None:
        raise OptionError(
            f"offset: {data.location} has one, and loss {options.loss} takes none: what is added "
            "to every class alike changes nothing"
        )
    found = binary_labels(data) if most == 2 else class_labels(data)
    asked = options.class_weight
    if asked is not None and (data.n_targets > 1 or found.classes[0] is None):
        what = f"{data.n_targets} targets" if data.n_targets > 1 else "probabilities as targets"
        raise OptionError(f"class_weight: {what} found, expected one target of labels")
    for target, classes in enumerate(found.classes):
        known = data.sample_weight is None and asked is None
        if classes is None or (known and len(classes) > 1):
            continue
        totals = class_totals(found.data, target, len(classes))
        if np.count_nonzero(totals) < 2:
            raise ValueFound(
                f"{data.location}: target {data.target_names[target]} is of one class, "
                f"{classes[int(totals.argmax())]}, in every row of positive sample_weight; "
                "expected at least two classes."
            )
        if asked is not None:
            factors = class_factors(asked, classes, totals)
            found = replace(found, data=weighted_by_class(found.data, factors))
    return found


def with_free_covariates(options: FitOptions, data: Dataset) -> FitOptions:
    """Return options in which covariates have no penalty, unless there are factors for them."""
    if not data.n_covariates or options.penalty_factor is not None:
        return options
    return replace(options, penalty_factor=factors_with(data))


def check_numbers(data: Dataset, loss: str) -> None:
    """Refuse text of several values for a loss of numbers: codes of classes have no order.

    Text of two values is 0 and 1.

    Raises
    ------
    OptionError
    """
    for name, classes in zip(data.target_names, data.target_classes or (), strict=False):
        if classes is not None and len(classes) > 2:
            raise OptionError(
                f"loss: {loss} found, and target {name} of {data.location} is text of "
                f"{len(classes)} values; expected numbers. Loss softmax takes classes."
            )


@dataclass(frozen=True)
class TargetSample:
    """Targets less offsets, of runs of rows from all over the data, or of all rows.

    Attributes
    ----------
    y : (n_rows, n_targets) float64
    weight : (n_rows,) float64
    """

    y: np.ndarray
    weight: np.ndarray

    def spread(self, *, fit_intercept: bool) -> np.ndarray:
        """(n_targets,) of residuals around the best constant, as if these were normal.

        The median absolute deviation, over what it is of a standard normal variable (Huber and
        Ronchetti, 2009, Robust Statistics, section 5.1); without an intercept around 0. Where half
        of the targets and more are the same, so that it is 0, the standard deviation.
        """
        found = []
        for y in self.y.T:
            centre = weighted_median(y, self.weight) if fit_intercept else 0.0
            one = weighted_median(np.abs(y - centre), self.weight) / NORMAL_MEDIAN
            if not one > 0.0:
                one = math.sqrt(float(np.average((y - centre) ** 2, weights=self.weight)))
            found.append(one)
        return np.array(found)


def weighted_median(x: np.ndarray, weight: np.ndarray) -> float:
    """The least x such that those up to it have half of the weight."""
    order = np.argsort(x, kind="stable")
    total = np.cumsum(weight[order])
    return float(x[order[min(int(np.searchsorted(total, 0.5 * total[-1])), len(x) - 1)]])


def sampled_targets(data: Dataset) -> TargetSample:
    """Read the targets of some rows: all, or as many as a robust spread needs."""
    assert data.y is not None
    n, runs = data.n_rows, SPREAD_RUNS
    if n <= SPREAD_ROWS:
        bounds = [(0, n)]
    else:
        starts = np.linspace(0, n - SPREAD_ROWS // runs, runs).astype(int).tolist()
        bounds = [(start, start + SPREAD_ROWS // runs) for start in starts]

    def read(array: BlockSource | None) -> np.ndarray | None:
        if array is None:
            return None
        return np.concatenate([read_rows(array, *run) for run in bounds]).astype(np.float64)

    y, offset, weight = read(data.y), read(data.offset), read(data.sample_weight)
    assert y is not None
    if weight is None or not weight.any():
        weight = np.ones((len(y), 1))
    return TargetSample(y if offset is None else y - offset, weight[:, 0])


def with_delta(options: FitOptions, data: Dataset) -> FitOptions:
    """Return the options of a fit, with a number where ``huber_delta`` is "auto".

    That is 1.345 of the spread of the targets' residuals around the best constant: 95 % as
    efficient as least squares where these are normal (Huber and Ronchetti, 2009, section 4.5).
    Of several targets the largest counts, for the loss is one.
    """
    if options.loss != Huber.name or options.huber_delta != AUTO_DELTA:
        return options
    spread = float(sampled_targets(data).spread(fit_intercept=options.fit_intercept).max())
    delta = EFFICIENT_DELTA * spread
    return replace(options, huber_delta=delta if 0.0 < delta < np.inf else HUBER_DELTA)


def warn_of_small_delta(data: Dataset, options: FitOptions) -> None:
    """Say where ``huber_delta`` is far below the spread of a target. Reads some rows of y."""
    if options.loss != Huber.name or isinstance(options.huber_delta, str):
        return
    spread = float(sampled_targets(data).spread(fit_intercept=options.fit_intercept).max())
    if options.huber_delta < FAR_BELOW * spread < np.inf:
        warnings.warn(
            f"huber_delta: {options.huber_delta:g} found, far below the spread of the target, "
            f"{spread:.3g}: next to all residuals count by their size alone, and scans may be "
            f"many; auto is {EFFICIENT_DELTA} of the spread, {EFFICIENT_DELTA * spread:.3g}",
            DataWarning,
            stacklevel=5,
        )


def warn_of_classes(data: Dataset, options: FitOptions) -> None:
    """Say where the target of a loss of numbers is text: its two classes are 0 and 1."""
    if options.loss_value.most_classes:
        return
    for name, classes in zip(data.target_names, data.target_classes or (), strict=False):
        if classes is not None:
            codes = " and ".join(f"{label} as {code}" for code, label in enumerate(classes))
            warnings.warn(
                f"loss: {options.loss} takes the classes of target {name}, which is text, for "
                f"numbers: {codes}. Loss logistic takes classes",
                DataWarning,
                stacklevel=5,
            )


def with_classes(options: FitOptions, coded: Labelled) -> FitOptions:
    """Return the options of a fit, with the number of classes where the loss needs to know it."""
    [classes, *_] = coded.classes
    joint = options.loss_value.n_outputs != 1 and classes is not None
    return replace(options, n_classes=len(classes or ())) if joint else options
