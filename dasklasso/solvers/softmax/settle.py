"""What a pass over rows shows of the trial points of softmax problems."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dasklasso.problem.folds import scores_of
from dasklasso.problem.problem import Problem
from dasklasso.solvers.certificate_scan import certificate_here
from dasklasso.solvers.newton.iterate import Iterate
from dasklasso.solvers.newton.step import Point
from dasklasso.solvers.softmax.rows import Seen

OBJECTIVE_ROUNDING = {"float32": 2e-7, "float64": 1e-13}  # of an objective


def settle(
    problem: Problem,
    alphas: np.ndarray,
    iterates: Sequence[Iterate],
    seen: Seen,
    dtype: str,
    *,
    exact: bool,
) -> None:
    """Settle the trials of iterates that are trained on the same rows.

    Parameters
    ----------
    problem : of these rows
    alphas : (n_alphas,) of the fit
    seen : of the trials, in the order of the iterates
    exact : whether they were evaluated on all rows by a scan in float64
    """
    c = problem.n_targets
    u = np.concatenate([iterate.trial[0] for iterate in iterates], axis=1)
    b = np.concatenate([iterate.trial[1] for iterate in iterates])
    gradient = np.where(problem.frame.matters[:, None], seen.gradient, 0.0)
    certificate = certificate_here(
        problem,
        u,
        gradient,
        seen.sums,
        np.tile(np.arange(c), len(iterates)),
        np.repeat([alphas[iterate.index] for iterate in iterates], c),
        b if problem.steps_intercept else None,
    )
    relative = certificate.gap / float(problem.null_loss[0])
    for k, iterate in enumerate(iterates):
        own, first = slice(k * c, (k + 1) * c), k * c
        found = Point(
            *iterate.trial,
            float(seen.sums.loss[first]),
            np.ascontiguousarray(gradient[:, own]),
            seen.sums.slope[own],
        )
        primal = float(certificate.primal[first])
        noise = OBJECTIVE_ROUNDING[dtype] * abs(primal)
        scores = scores_of(seen.scores, k)
        iterate.take(found, primal, float(relative[first]), noise, scores, exact=exact)
        iterate.secants = []  # Hessians are taken anew instead of being corrected
