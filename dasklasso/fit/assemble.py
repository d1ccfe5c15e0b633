"""From solutions in standardised coordinates to a fitted path in the units of the data."""

from __future__ import annotations

import platform
import warnings
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from dasklasso.dataset.dataset import Dataset
from dasklasso.dataset.labels.class_codes import Classes
from dasklasso.errors import DataWarning
from dasklasso.fit.session import Solved
from dasklasso.model.path import FittedPath
from dasklasso.model.record import PENALISED_COVARIATES
from dasklasso.options import FitOptions
from dasklasso.problem.problem import Problem, penalty_at, stored_values
from dasklasso.solvers.rounding import rounding_of_gap, summed_exactly

EXACT = 1e-8  # of the null model's loss: what is left of a target is rounding, or a tolerance


def as_path(
    data: Dataset,
    solved: Solved,
    options: FitOptions,
    *,
    seconds: float,
    peak: int,
    plan: dict[str, Any] | None = None,
    classes: Sequence[Classes | None] = (),
) -> FittedPath:
    """Return the path that is handed to the user.

    Parameters
    ----------
    seconds, peak : what the fit took, in seconds and bytes
    plan : what had been planned, in plain JSON types
    classes : for each target, the labels that its codes stand for
    """
    problem, jobs, record = solved.problem, solved.jobs, solved.cross_validation
    n_alphas, n_targets = len(jobs.alphas), jobs.n_targets
    indices, values, sizes = [], [], []
    intercepts, errors = np.zeros(len(jobs)), np.zeros(len(jobs))
    found = [solved.solutions[job] for job in range(len(jobs))]
    for job, one in enumerate(found):
        rows, w = stored_values(one.nonzeros, problem.frame)
        indices.append(rows)
        values.append(w)
        sizes.append(len(rows))
        if options.fit_intercept:
            terms = [one.intercept]
            if not problem.steps_intercept:
                terms = [float(problem.y_mean[job % n_targets]), -one.residual_mean]
            intercepts[job], errors[job] = summed_exactly(terms, problem.centre[rows], w)
    coef = csr_array(
        (
            np.concatenate(values),
            np.concatenate(indices),
            np.concatenate([[0], np.cumsum(sizes)]),
        ),
        shape=(len(jobs), data.n_features),
    )
    shape = (n_alphas, n_targets)
    # classes are one problem: what is known of it is in the column of each
    joint = jobs.n_outputs > 1
    solutions = found[:: jobs.n_outputs]
    target_names = data.target_names
    if joint:
        target_names = [str(label) for label in classes[0] or ()]
    return FittedPath(
        alphas=jobs.alphas,
        coef_rows=coef,
        intercepts=intercepts.reshape(shape),
        dual_gaps=_gaps(solved, errors, data.n_rows).reshape(n_alphas, -1),
        objectives=np.array([one.objective for one in solutions]).reshape(n_alphas, -1),
        y_is_vector=data.y_is_vector and not joint,
        feature_names=data.feature_names,
        target_names=target_names,
        loss=options.loss,
        l1_ratio=problem.objective.l1_ratio,
        penalty_options={
            "fit_intercept": options.fit_intercept,
            "standardize": options.standardize,
            "positive": options.positive,
            **({"grouped": options.grouped} if joint else {}),
            **({"penalty": options.penalty} if options.penalty is not None else {}),
            **problem.loss.parameters,
            "penalty_factor": options.penalty_factor is not None,
            **_of_covariates(data, options),
        },
        alpha_selected=_selected(solved),
        solver=solved.solver,
        tol=options.tol,
        scans=float(solved.scans),
        bytes_read=solved.bytes_read,
        seconds=seconds,
        peak_memory_bytes=peak,
        fingerprint=data.fingerprint,
        versions=dict(_versions()),
        cross_validation=record,
        explained=deviance_explained(solved),
        plan=plan,
        classes=tuple(classes) if any(classes) else None,
        has_offset=data.offset is not None or None,
        schema=data.schema,
        covariates=data.covariates,
        feature_scales=standard_deviations_of(problem),
    )


def warn_of_nothing_left(path: FittedPath, options: FitOptions) -> None:
    """Say that columns without a penalty explain a target: a grid then begins at rounding."""
    factor = options.penalty_factor
    if options.alphas is not None or factor is None or np.all(factor) or path.explained is None:
        return
    left = [1.0 - (0.0 if share is None else share) for share in path.explained[0]]
    if min(left) <= EXACT:
        names = path.target_names if len(left) == path.n_targets else ("the classes",)
        warnings.warn(
            f"columns without a penalty explain {names[int(np.argmin(left))]} exactly: nothing is "
            "left to others, and which of them come in is rounding; is the target among the "
            "covariates?",
            DataWarning,
            stacklevel=4,
        )


def _of_covariates(data: Dataset, options: FitOptions) -> dict[str, Any]:
    """Say of a model that its covariates, or some, have a penalty, as they seldom have."""
    if not data.n_covariates or options.penalty_factor is None:
        return {}
    own = np.asarray(options.penalty_factor)[-data.n_covariates :]
    return {PENALISED_COVARIATES: True} if own.any() else {}


def standard_deviations_of(problem: Problem) -> np.ndarray | None:
    """(n_features,) of the stored columns, 0 for constant ones; None without an intercept.

    Without an intercept, columns are standardised by their root mean squares.
    """
    if not problem.objective.fit_intercept:
        return None
    inverse = problem.frame.inverse_scale
    return np.divide(1.0, inverse, out=np.zeros_like(inverse), where=inverse > 0)


def _gaps(solved: Solved, errors: np.ndarray, n_rows: int) -> np.ndarray:
    """(n_problems,) relative gaps of the models that are handed over, rounding and all.

    Parameters
    ----------
    errors : (n_jobs,) of intercepts
    """
    problem, jobs = solved.problem, solved.jobs
    together = jobs.n_outputs
    gaps = np.empty(len(jobs) // together)
    penalties = _penalties(solved)
    for k, first in enumerate(range(0, len(jobs), together)):
        some = [solved.solutions[first + i] for i in range(together)]
        target = first % jobs.n_targets
        added = rounding_of_gap(
            problem,
            [one.nonzeros for one in some],
            some[0].objective - penalties[k],
            penalties[k],
            [one.residual_mean for one in some],
            [one.intercept for one in some],
            errors[first : first + together].tolist(),
            n_rows,
            target,
        )
        known = np.isfinite(some[0].objective)
        gaps[k] = some[0].gap + (added / problem.null_loss[target] if known else 0.0)
    return gaps


def _selected(solved: Solved) -> float | None:
    if solved.cross_validation is not None:
        return solved.cross_validation.alpha
    alphas = solved.jobs.alphas
    return float(alphas[0]) if len(alphas) == 1 else None


@lru_cache(maxsize=1)  # to look them up takes milliseconds, and they stay
def _versions() -> dict[str, str]:
    named = ("dasklasso", "dask", "distributed", "numpy", "zarr")
    return {"python": platform.python_version(), **{name: version(name) for name in named}}


def deviance_explained(solved: Solved) -> list[list[float | None]]:
    """``1 − loss / loss of the model without features``: by alpha and problem, None if unknown.

    Losses are those of saturated models or more, so this is one less the ratio of deviances
    (Hastie, Tibshirani and Wainwright, 2015, Statistical Learning with Sparsity, section 5.4.2);
    of squared loss it is R². Loss is what an objective leaves beside its penalty.
    """
    problem, jobs = solved.problem, solved.jobs
    first = np.arange(0, len(jobs), jobs.n_outputs)
    objectives = np.array([solved.solutions[job].objective for job in first.tolist()])
    loss = objectives - _penalties(solved)
    found = 1.0 - loss / problem.null_loss[first % jobs.n_targets]
    known = [float(value) if np.isfinite(value) else None for value in found]
    width = jobs.n_targets // jobs.n_outputs
    return [known[i : i + width] for i in range(0, len(known), width)]


def _penalties(solved: Solved) -> np.ndarray:
    """(n_problems,) penalty at each solution, as its objective counts it."""
    problem, jobs = solved.problem, solved.jobs
    together = jobs.n_outputs
    found = np.empty(len(jobs) // together)
    for k, first in enumerate(range(0, len(jobs), together)):
        several = [solved.solutions[first + i] for i in range(together)]
        rows = np.unique(np.concatenate([one.nonzeros[0] for one in several]))
        points = np.zeros((rows.size, together))
        for column, one in enumerate(several):
            points[np.searchsorted(rows, one.nonzeros[0]), column] = one.nonzeros[1]
        penalty = penalty_at(
            problem.frame[rows],
            np.full((1, together), jobs.alphas[first // jobs.n_targets]),
            problem.objective.penalty,
        )
        found[k] = float(np.sum(penalty.value(points))) if rows.size else 0.0
    return found
