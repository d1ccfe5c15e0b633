"""Problems on the same rows lend each other their points: the loss is the same for all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dasklasso.problem.problem import Problem
from dasklasso.scan.queries.kernels import L1, L2
from dasklasso.solvers.newton.iterate import Track

BORROWED = 1e-3  # of an objective: so much better must another's point be


def share(
    tracks: Sequence[Track], problem: Problem, alphas: np.ndarray, *, exact_only: bool
) -> None:
    """Let each problem go on from the best point of any on the same rows.

    Parameters
    ----------
    alphas : (n_alphas,)
    exact_only : whether losses of float32 count for nothing
    """
    ratio, l1, l2 = problem.objective.l1_ratio, problem.frame[:, L1], problem.frame[:, L2]
    teams: dict[tuple[int, int], list[Track]] = {}
    for track in tracks:
        teams.setdefault((track.target, track.fold), []).append(track)
    for team in teams.values():
        known = [(t.point, t.noise) for t in team if t.known and (t.exact or not exact_only)]
        if not known:
            continue
        points = np.stack([point.u for point, _ in known], axis=1)
        loss = np.array([point.loss for point, _ in known])
        costs = ratio * (l1 @ np.abs(points)) + 0.5 * (1.0 - ratio) * (l2 @ points**2)
        for track in team:
            objectives = loss + alphas[track.index] * costs
            best = int(np.argmin(objectives))
            margin = BORROWED * abs(track.objective) if np.isfinite(track.objective) else 0.0
            if objectives[best] < track.objective - margin and not track.certified:
                track.borrow(*known[best], float(objectives[best]))
