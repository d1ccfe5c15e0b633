"""The problem in standardised coordinates, where gradient steps are well scaled.

Coefficients w of stored columns become ``u = scale · w`` of the columns ``(x − centre) / scale``,
each of unit spread. With an intercept, centring removes it from the problem exactly; the penalty
follows: ``α f (ρ|w| + (1−ρ)/2 w²) = α (ρ l1|u| + (1−ρ)/2 l2 u²)``. So a column's unit of
measurement changes nothing, and X is never copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dasklasso.backend import Array
from dasklasso.errors import OptionError, ValueFound
from dasklasso.objective.losses.base import Loss
from dasklasso.objective.losses.squared import SQUARED
from dasklasso.objective.objective import Objective
from dasklasso.objective.penalties.base import Penalty
from dasklasso.scan.frame import Frame
from dasklasso.scan.queries.column_moments import Moments
from dasklasso.scan.queries.gradient import Gradient
from dasklasso.scan.queries.hessian import WeightedGrams

LARGEST_SCALE = 1e180  # of a column that is not standardised: beyond it no penalty counts
SHIFT_BEYOND = 32.0  # |mean| / std from which float32 products would lose too many digits


@dataclass(frozen=True)
class Problem:
    """An objective met with data: everything about rows reduced to numbers.

    Where the loss has several outputs, these are the targets here: columns of one problem.

    Attributes
    ----------
    objective : Objective
    frame : Frame
        How stored columns become standardised ones, and what these cost.
    y_mean : (n_targets,)
        What targets are centred at: the mean of y where the loss is a quadratic and there is an
        intercept, else 0.
    null_loss : (n_targets,)
        Loss of the model without features, which gaps are relative to; where a constant fits a
        target exactly, a positive unit in the place of 0 (:func:`unit_loss`).
    null_intercept : (n_targets,)
        Prediction of that model, less ``y_mean``.
    total_weight : sum of the rows' weights
    widest : float
        What the squares of a standardised column sum to, at most, under weights that sum to one:
        more than 1 where columns are centred and scaled over other rows too.
    """

    objective: Objective
    frame: Frame
    y_mean: np.ndarray
    null_loss: np.ndarray
    null_intercept: np.ndarray
    total_weight: float
    widest: float = 1.0

    @property
    def loss(self) -> Loss:
        return self.objective.loss

    @property
    def steps_intercept(self) -> bool:
        """Whether the intercept is a coordinate that is solved for: centring does not remove it."""
        return self.objective.fit_intercept and not self.loss.quadratic

    @property
    def frequency(self) -> np.ndarray | None:
        """(n_targets,) of classes, where slopes must sum to zero in each; None for other losses."""
        joint = self.loss.n_outputs > 1 and self.steps_intercept
        return self.loss.mean(self.null_intercept) if joint else None

    @property
    def n_features(self) -> int:
        return len(self.frame)

    @property
    def n_targets(self) -> int:
        return self.y_mean.shape[0]

    @property
    def centre(self) -> np.ndarray:
        """What columns are centred at: their means, or zeros without an intercept."""
        return self.frame.centre

    @property
    def unpenalised(self) -> np.ndarray:
        """Columns that can matter and cost nothing: their indices."""
        return np.flatnonzero(self.frame.unpenalised)

    @property
    def trace(self) -> float:
        """Trace of the standardised Gram matrix: a bound on its largest eigenvalue."""
        return float(np.count_nonzero(self.frame.inverse_scale))


def make_problem(
    objective: Objective,
    columns: Moments,
    targets: Moments,
    *,
    null: tuple[np.ndarray, np.ndarray] | None = None,
    unpenalised: bool = False,
) -> Problem:
    """Meet an objective with the moments of X's columns and of the targets.

    Parameters
    ----------
    null : prediction and loss, each (n_targets,), of the model without features
        By default what the moments of the targets tell.
    unpenalised : whether columns may have no penalty, beside a loss that is no quadratic

    Raises
    ------
    OptionError
        When penalty factors do not fit the columns.
    ValueFound
        When a target's squares, or what a column has to be multiplied by, are beyond float64. When
        a column's values are so large that its penalty is lost in rounding. When
        a column is constant where rows have weight, and would have no penalty, where it may not.
    """
    mean, n_features = columns.mean, columns.mean.shape[0]
    std = standard_deviations(columns)
    scale = std if objective.fit_intercept else np.hypot(std, mean)
    centre = mean if objective.fit_intercept else np.zeros(n_features)
    useful = scale > 0
    factor = penalty_factors(objective.penalty_factor, n_features)
    with np.errstate(divide="ignore", invalid="ignore"):
        unit = std if objective.standardize else np.ones(n_features)
        ratio = np.where(useful, unit / scale, 0.0)
        inverse = np.where(useful, 1.0 / scale, 0.0)
    far = np.abs(mean) > SHIFT_BEYOND * std
    with np.errstate(over="ignore"):
        exact = mean.astype(np.float32).astype(np.float64)
    # means that float32 does not reach are of columns that only meet float64
    exact = np.where(np.isfinite(exact) & (exact != 0), exact, mean)
    frame = Frame(
        shift=np.where(far & useful, exact, 0.0),
        centre=centre,
        inverse_scale=inverse,
        l1_factor=factor * ratio,
        l2_factor=_quadratic_factors(factor, ratio, objective.l1_ratio),
    )
    beyond = np.flatnonzero(~np.isfinite(inverse))
    if beyond.size:
        raise ValueFound(
            f"feature {beyond[0]} has standard deviation {std[beyond[0]]:g}, whose reciprocal is "
            "beyond float64; scale the column"
        )
    lost = np.flatnonzero((factor > 0) & (scale > LARGEST_SCALE))
    if lost.size and not objective.standardize:
        raise ValueFound(
            f"feature {lost[0]} has standard deviation {std[lost[0]]:g}, beside which no penalty "
            "on its coefficient counts: expected values whose squares are finite. Scale the "
            "columns, or standardize"
        )
    loss = objective.loss
    free = np.flatnonzero(useful & (std == 0)) if objective.standardize else np.zeros(0, int)
    if free.size and not loss.quadratic and not unpenalised:
        raise ValueFound(
            f"feature {free[0]} is {mean[free[0]]:g} in every row of positive sample_weight: "
            "standardize penalises it by its standard deviation, which is 0, and beside "
            f"loss {loss.name} only solver working_set has unpenalised features; leave it out, or "
            "fit an intercept"
        )
    variance = targets.variance
    if null is None:
        null = loss.null_model(targets.mean, variance, fit_intercept=objective.fit_intercept)
    assert null is not None
    constant, least = null
    least = unit_loss(least, targets)
    y_mean = constant if loss.quadratic else np.zeros_like(constant)
    missing = np.flatnonzero(targets.mean == 0) if loss.n_outputs > 1 else np.zeros(0, int)
    if missing.size and objective.fit_intercept:
        raise ValueFound(
            f"class {missing[0]} (of 0 to {loss.n_outputs - 1}) has no row of positive "
            "sample_weight: its intercept has no finite best value"
        )
    return Problem(objective, frame, y_mean, least, constant - y_mean, columns.weight)


def standard_deviations(columns: Moments) -> np.ndarray:
    """(n_features,) of some columns; 0 for one that has the same value in every row with weight."""
    std = columns.std
    # where every row of positive weight has the same value, spread is rounding
    varies = (columns.minimum < columns.maximum) & (std > 1e-14 * np.abs(columns.mean))
    return np.where(varies, std, 0.0)


def unit_loss(null: np.ndarray, targets: Moments) -> np.ndarray:
    """Return what gaps are relative to: losses of the model without features, each above 0.

    A target that a constant fits exactly has no such loss. Its unit is half its mean square, what
    squared loss would be without an intercept; 1 for a target of zeros.

    Parameters
    ----------
    null : (n_targets,)

    Raises
    ------
    ValueFound
        When a target varies, or is not 0, and its squares are beyond float64.
    """
    with np.errstate(over="ignore"):
        half = 0.5 * (targets.variance + targets.mean**2)
    lost = (targets.std > 0) & (targets.variance == 0) | ((half == 0) & (targets.mean != 0))
    beyond = np.flatnonzero(lost | ~np.isfinite(null) | ~np.isfinite(half))
    if beyond.size:
        k = beyond[0]
        size = max(abs(float(targets.mean[k])), float(targets.std[k]))
        raise ValueFound(
            f"target {k} has values of about {size:.1g}, whose squares are beyond float64; scale it"
        )
    return np.where(null > 0, null, np.where(half > 0, half, 1.0))


def _quadratic_factors(factor: np.ndarray, ratio: np.ndarray, l1_ratio: float) -> np.ndarray:
    """(n_features,) l2 factors, refused where they matter and are beyond float64.

    Raises
    ------
    ValueFound
    """
    with np.errstate(over="ignore"):
        l2 = factor * ratio**2
    beyond = np.flatnonzero(~np.isfinite(l2))
    if beyond.size and l1_ratio < 1.0:
        raise ValueFound(
            f"feature {beyond[0]} has standard deviation {1.0 / ratio[beyond[0]]:.1g}, and "
            "l1_ratio < 1 penalises squares of coefficients, which are beyond float64; scale the "
            "column, or standardize"
        )
    l2[beyond] = np.finfo(np.float64).max  # not used: its share is 0
    return l2


def null_loss(mean: np.ndarray, variance: np.ndarray, *, fit_intercept: bool) -> np.ndarray:
    """Squared loss of the model without features.

    Parameters
    ----------
    mean, variance : (n_targets,)
        Of the targets, under the rows' weights.
    """
    return SQUARED.null_model(mean, variance, fit_intercept=fit_intercept)[1]


def penalty_factors(given: np.ndarray | None, n_features: int) -> np.ndarray:
    """(n_features,) penalty factors, ones where none are given.

    Raises
    ------
    OptionError
        When they are not one number >= 0 for each feature.
    """
    if given is None:
        return np.ones(n_features)
    factor = np.asarray(given, dtype=np.float64)
    if factor.shape != (n_features,):
        raise OptionError(
            f"penalty_factor: {factor.size} numbers found, expected one for each of the "
            f"{n_features} features"
        )
    bad = np.flatnonzero(~np.isfinite(factor) | (factor < 0))
    if bad.size:
        raise OptionError(
            f"penalty_factor: {factor[bad[0]]} found for feature {bad[0]}, expected a number >= 0"
        )
    return factor


def penalty_at(frame: Frame, alpha: Array, penalty: Penalty) -> Penalty:
    """Return the penalty of some columns at several alphas (1, n_problems), from their frame.

    Parameters
    ----------
    penalty : of an objective
    """
    return penalty.at(alpha, frame.l1_factor[:, None], frame.l2_factor[:, None])


def gradient_query(
    problem: Problem,
    targets: Sequence[int],
    dtype: str,
    device: str,
    intercepts: np.ndarray | None = None,
) -> Gradient:
    """The gradient query of a problem, for points of these targets (and with these intercepts)."""
    return Gradient(
        targets=tuple(int(t) for t in targets),
        # codes are one column, however many classes there are
        y_shift=tuple(problem.y_mean.tolist()) if problem.loss.n_outputs == 1 else (0.0,),
        total_weight=problem.total_weight,
        dtype=dtype,
        device=device,
        loss=problem.objective.loss,
        intercepts=() if intercepts is None else tuple(intercepts.tolist()),
    )


def hessian_query(
    problem: Problem,
    targets: Sequence[int],
    intercepts: Sequence[float],
    columns: Sequence[np.ndarray],
    dtype: str,
    device: str,
    dampings: Sequence[float] = (),
) -> WeightedGrams:
    """The query for a problem's Hessians, at points of these targets and over these columns."""
    return WeightedGrams(
        targets=tuple(targets),
        y_shift=tuple(problem.y_mean.tolist()),
        total_weight=problem.total_weight,
        intercepts=tuple(float(b) for b in intercepts),
        columns=tuple(columns),
        loss=problem.loss,
        dtype=dtype,
        device=device,
        dampings=tuple(dampings),
    )


def stored_values(
    nonzeros: tuple[np.ndarray, np.ndarray], frame: Frame
) -> tuple[np.ndarray, np.ndarray]:
    """Nonzero coefficients of stored columns from those of standardised ones."""
    rows, u = nonzeros
    return rows, u * frame.inverse_scale[rows]
