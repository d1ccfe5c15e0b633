"""The first scans of a problem: for moments of columns unless they are known, then at zero.

That scan returns the gradient of the null model of every target (hence alpha_max), the cross
products of unpenalised columns, and the first round of the power iteration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from dasklasso.backend import to_numpy
from dasklasso.dataset.dataset import Dataset
from dasklasso.dataset.labels.class_weights import class_totals
from dasklasso.errors import ValueFound
from dasklasso.objective.loss_sums import LossSums
from dasklasso.objective.losses.base import Loss
from dasklasso.objective.objective import Objective
from dasklasso.objective.penalties.base import Penalty
from dasklasso.objective.square_units import unit_for
from dasklasso.problem.null_model import null_model
from dasklasso.problem.problem import Problem, gradient_query, make_problem, penalty_at
from dasklasso.problem.unpenalised import Unpenalised, check_unpenalised
from dasklasso.scan import summation_tree
from dasklasso.scan.bad_values import bad_value
from dasklasso.scan.engine import Request, ScanEngine
from dasklasso.scan.frame import Frame, PlacedFrame
from dasklasso.scan.gather import Answers, Coefficients, gather, in_parts
from dasklasso.scan.graph import BlockArray, map_blocks
from dasklasso.scan.queries.column_moments import (
    ColumnMoments,
    Moments,
    indicator_moments,
    merge_moments,
    target_moments,
)
from dasklasso.scan.reader import targets_only

LARGEST_WEIGHT = 1e30  # of all rows together: products with slopes are summed in float32


@dataclass(frozen=True)
class Look:
    """What every first scan shows.

    Attributes
    ----------
    alpha_max : (n_targets,), the smallest alpha at which only unpenalised columns are in use,
        for l1_ratio 1
    bytes_read : int
    free : Unpenalised or None
    """

    alpha_max: np.ndarray
    bytes_read: int
    free: Unpenalised | None


@dataclass(frozen=True)
class FirstLook(Look):
    """The results of the scan at zero.

    Attributes
    ----------
    points, gradient : (n_features, n_targets + n_free + 1)
        Zero for each target; unit vectors of unpenalised columns; the power iteration's start.
    power_norm : ‖Av‖ of the power iteration's first product
    sums : LossSums of the n_targets null models
    answers : to all that the scan was asked
    """

    points: Coefficients
    gradient: Coefficients
    power_norm: float
    sums: LossSums
    answers: Answers

    @property
    def slope(self) -> np.ndarray:
        """(n_targets,), of the mean loss in the intercept, at the null model."""
        slope: np.ndarray = self.sums.slope
        return slope


def column_moments(data: Dataset, engine: ScanEngine, device: str) -> tuple[Moments, int]:
    """Moments of X: from the manifest where they hold for this fit, else by a scan.

    Raises
    ------
    ValueFound
        When X has a NaN or an infinity: the message names the row and the column. When a column's
        standard deviation is beyond float64.
    """
    known = data.statistics
    if known is not None and data.sample_weight is None:
        # a spread of 0 where values differ is one that was squared as it was
        lost = (known.std == 0) & (known.minimum < known.maximum)
        if not lost.any() and np.isfinite(known.std).all():
            unit, none = unit_for(known.std), np.zeros(data.n_features)
            n = float(data.n_rows)
            squares = (known.std / unit) ** 2 * n
            return Moments(n, known.mean, squares, known.minimum, known.maximum, none, unit), 0
    parts, nbytes = engine.ask(ColumnMoments(device))
    moments = Moments(
        parts[0].weight,
        *(
            np.concatenate([to_numpy(getattr(part, name)) for part in parts])
            for name in ("mean", "squares", "minimum", "maximum", "bad", "unit")
        ),
    )
    if moments.bad.any() or not np.isfinite(moments.std).all():
        raise bad_value(data, engine)
    return moments, nbytes


def meet(
    data: Dataset,
    engine: ScanEngine,
    objective: Objective,
    device: str,
    *,
    unpenalised: bool = False,
) -> tuple[Problem, int]:
    """The problem that an objective is on some data, and the bytes of X read for its moments.

    Parameters
    ----------
    unpenalised : as for :func:`~dasklasso.problem.problem.make_problem`

    Raises
    ------
    ValueFound, OptionError
        As :func:`check_targets`, :func:`column_moments` and :func:`make_problem`.
    """
    loss = objective.loss
    targets = targets_met(data, engine, loss)
    if data.sample_weight is not None and not targets.weight <= LARGEST_WEIGHT:
        raise ValueFound(
            f"{data.location}: sample_weight sums to {float(targets.weight):.3g}, and sums of rows "
            f"can be held up to {LARGEST_WEIGHT:.0g}; divide all weights by one number, which "
            "changes no model"
        )
    null = null_model(engine, loss, targets, fit_intercept=objective.fit_intercept)
    columns, nbytes = column_moments(data, engine, device)
    problem = make_problem(objective, columns, targets, null=null, unpenalised=unpenalised)
    return problem, nbytes


def targets_met(data: Dataset, engine: ScanEngine, loss: Loss) -> Moments:
    """Moments of the targets, or of the indicators of their classes. Reads no X.

    Raises
    ------
    ValueFound
        As :func:`check_targets`.
    """
    if loss.n_outputs > 1:
        return indicator_moments(class_totals(data, 0, loss.n_outputs))
    targets = moments_of_targets(engine)
    check_targets(data, engine, targets, loss)
    return targets


def moments_of_targets(engine: ScanEngine) -> Moments:
    """Moments of y under the rows' weights. Reads y only."""
    n = len(engine.layout.row_bounds) - 1
    partials: summation_tree.Partials[Moments] = {}
    for i in range(n):
        rows = targets_only(engine.table, i)
        assert rows.y is not None
        summation_tree.add_leaf(partials, i, target_moments(rows.y, rows.weight), n, merge_moments)
    moments = summation_tree.root(partials, n)
    if not moments.weight > 0:
        raise ValueFound("sample_weight: all weights are zero, expected a positive sum")
    return moments


def check_targets(data: Dataset, engine: ScanEngine, targets: Moments, loss: Loss) -> None:
    """Refuse targets that the loss is not defined for. Reads y only, and only to name the row.

    Raises
    ------
    ValueFound
        Names the first row with such a target, and the value.
    """
    least, greatest = loss.target_range
    if np.all((targets.minimum >= least) & (targets.maximum <= greatest)):
        return
    for i in range(len(engine.layout.row_bounds) - 1):
        rows = targets_only(engine.table, i)
        assert rows.y is not None
        y = np.asarray(rows.y)
        outside = np.argwhere((y < least) | (y > greatest))
        if outside.size:
            row, target = (int(place) for place in outside[0])
            expected = f"numbers from {least:g} to {greatest:g}"
            if np.isinf(greatest):
                expected = f"numbers >= {least:g}"
            if loss.most_classes:
                expected += ", or two different labels"
            raise ValueFound(
                f"{data.location}: target {data.target_names[target]} is {y[row, target]:g} at "
                f"row {rows.start + row:,}; loss {loss.name} expects {expected}"
            )


def look(
    engine: ScanEngine,
    problem: Problem,
    frame: PlacedFrame,
    device: str,
    also: Sequence[Request] = (),
) -> FirstLook:
    """Run the scan at zero.

    It runs in float64: alpha_max and the cross products are taken for exact.

    Parameters
    ----------
    also : what else the scan is asked, where a band holds all columns

    Raises
    ------
    OptionError
        When more columns are unpenalised than the certificate can handle.
    """
    index = problem.unpenalised
    check_unpenalised(index)
    n_targets = problem.n_targets
    points = _first_points(engine, n_targets, index)
    null = problem.null_intercept if problem.steps_intercept else None
    query = gradient_query(problem, range(n_targets), "float64", device, null)
    found = gather(engine, points, engine.gradient(query, points, frame, also))
    gradient = in_parts(engine, found.gradient)
    free = None
    projected: tuple[BlockArray, ...] = ()
    if index.size:
        cross = gradient.columns(n_targets, n_targets + index.size)
        rows = to_numpy(engine.runner.compute(gradient.rows(index))[0])
        free = Unpenalised(
            index, cross, rows[:, n_targets : n_targets + index.size], -rows[:, :n_targets]
        )
        projected = _projections(free, n_targets)
    sizes = map_blocks(
        "extremes",
        partial(_extremes, n_targets=n_targets, penalty=problem.objective.l1_penalty),
        gradient,
        frame,
        *projected,
        width=n_targets + 1,
        heights=(1,) * len(engine.column_chunks),
    )
    extremes = engine.runner.compute(sizes)[0]
    return FirstLook(
        alpha_max=extremes[:, :n_targets].max(axis=0),
        bytes_read=found.bytes_read,
        free=free,
        points=found.points,
        gradient=found.gradient,
        power_norm=float(np.sqrt(extremes[:, -1].sum())),
        sums=found.sums[:n_targets],
        answers=found,
    )


def _projections(free: Unpenalised, n_targets: int) -> tuple[BlockArray, ...]:
    # the null model has the unpenalised columns fitted: their share leaves the gradient
    start = np.linalg.lstsq(free.gram, free.start, rcond=None)[0]
    return (map_blocks("null", partial(_times, start), free.cross, width=n_targets),)


def _times(start: np.ndarray, cross: np.ndarray) -> np.ndarray:
    return to_numpy(cross) @ start


def _extremes(
    gradient: np.ndarray,
    frame: Frame,
    projection: np.ndarray | None = None,
    *,
    n_targets: int,
    penalty: Penalty,
) -> np.ndarray:
    dense = to_numpy(gradient)
    v = -dense[:, :n_targets]
    if projection is not None:
        v = v - to_numpy(projection)
    alpha_max = penalty_at(frame, 1.0, penalty).alpha_max(v)
    return np.append(alpha_max, np.sum(dense[:, -1] ** 2))[None, :]


def _first_points(engine: ScanEngine, n_targets: int, index: np.ndarray) -> BlockArray:
    n_features = sum(engine.column_chunks)
    function = partial(_first_block, n_features=n_features, n_targets=n_targets, index=index)
    return engine.from_parts("first-points", function, n_targets + index.size + 1)


def _first_block(
    start: int, stop: int, *, n_features: int, n_targets: int, index: np.ndarray
) -> np.ndarray:
    width = stop - start
    block = np.zeros((width, n_targets + index.size + 1))
    for k, column in enumerate(index):
        if start <= column < stop:
            block[column - start, n_targets + k] = 1.0
    # signs at random, of norm 1 over all blocks
    signs = np.random.default_rng(start).integers(0, 2, width) * 2.0 - 1.0
    block[:, -1] = signs / np.sqrt(n_features)
    return block
