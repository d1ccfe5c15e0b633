"""The share of the deviance that each model of a path explains."""

from __future__ import annotations

import numpy as np

from dasklasso.fit.session import Solved
from dasklasso.problem.problem import penalty_at


def deviance_explained(solved: Solved) -> list[list[float | None]]:
    """``1 − loss / loss of the model without features``: by alpha and problem, None if unknown.

    Losses are those of saturated models or more, so this is one less the ratio of deviances
    (Hastie, Tibshirani and Wainwright, 2015, Statistical Learning with Sparsity, section 5.4.2);
    of squared loss it is R². Loss is what an objective leaves beside its penalty.
    """
    problem, jobs = solved.problem, solved.jobs
    objective, together = problem.objective, jobs.n_outputs
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
            objective.l1_ratio,
            objective.positive,
            objective.n_together,
        )
        cost = float(np.sum(penalty.value(points))) if rows.size else 0.0
        loss = several[0].objective - cost
        found[k] = 1.0 - loss / problem.null_loss[first % jobs.n_targets]
    known = [float(value) if np.isfinite(value) else None for value in found]
    width = jobs.n_targets // together
    return [known[i : i + width] for i in range(0, len(known), width)]
