"""Cross-validation curves from problems that were each solved without a fold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dasklasso.cross_validation.error_curve import GREATER_IS_BETTER, CrossValidation
from dasklasso.cross_validation.record import over_targets
from dasklasso.options import CvOptions
from dasklasso.problem.folds import Folds
from dasklasso.problem.problem import Problem
from dasklasso.scan.queries.folds import ALL
from dasklasso.solvers.base import Jobs, LeftOut


def curve_of(
    problem: Problem, jobs: Jobs, left_out: Sequence[LeftOut], folds: Folds, cv: CvOptions
) -> CrossValidation:
    """Gather the curve of one l1_ratio: the scores of every problem on the rows it left out."""
    n_folds, loss = len(folds.weights), problem.loss
    criterion = "mse" if loss.quadratic else cv.criterion
    n_targets = jobs.n_targets // loss.n_outputs  # classes are one problem
    rest = [one for one in left_out if one.fold != ALL]
    names = [criterion] if loss.quadratic else ["loss"]
    if loss.gives_probabilities:
        names += ["accuracy", "auc"] if loss.n_outputs == 1 else ["accuracy"]
    curves = []
    for target in range(n_targets):
        own = [one for one in rest if one.target == target]
        scores = {name: _table(own, n_folds, name) for name in names}
        if "auc" in names and np.any((bound := _table(own, n_folds, "auc_bound")) > 0):
            scores["auc_bound"] = bound
        error = scores[criterion]
        error = -error if criterion in GREATER_IS_BETTER else error
        curves.append(
            (
                CrossValidation(
                    jobs.alphas,
                    problem.objective.l1_ratio,
                    error,
                    folds.weights,
                    np.reshape([one.gap for one in own], (n_folds, -1)).T,
                    criterion,
                    scores,
                ),
            )
        )
    null = np.ones(n_targets)
    if criterion in ("loss", "mse"):
        null = problem.null_loss[:: loss.n_outputs] * (2.0 if loss.quadratic else 1.0)
    return over_targets(curves, null)[0]


def _table(left_out: Sequence[LeftOut], n_folds: int, name: str) -> np.ndarray:
    """(n_alphas, n_folds) of one score; NaN for what no scan in float64 has seen."""
    found = [one.scores.get(name, np.nan) for one in left_out]
    return np.reshape(found, (n_folds, -1)).T
