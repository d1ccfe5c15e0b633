"""Room for columns that are called in: those that no problem needs leave."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dasklasso.errors import MemoryLimitError
from dasklasso.solvers.working_set.cost import Limits
from dasklasso.solvers.working_set.held import HeldColumns
from dasklasso.solvers.working_set.problems import Problems
from dasklasso.solvers.working_set.series import Series
from dasklasso.units import format_size


def with_room(
    held: HeldColumns,
    series: Sequence[Series],
    problems: Sequence[Problems],
    scores: np.ndarray,
    limits: Limits,
) -> tuple[HeldColumns, int]:
    """Drop columns that no point needs, where those called in would be more than usual.

    Parameters
    ----------
    problems : of each series
    scores : (n_held,), how near each is to come into use: the farthest go first

    Returns
    -------
    The columns held, and how many more there is room for.

    Raises
    ------
    MemoryLimitError
        When the columns that are needed are all that fit.
    """
    if len(held) + limits.wanted <= limits.columns or len(held) == series[0].problem.n_features:
        return held, max(0, limits.columns - len(held))
    needed = [one.problem.unpenalised for one in series]
    needed += [] if held.dense is None else [held.dense.index]
    for one in problems:
        needed += [point.index for point in one.trials]
        if one.waiting.size:
            needed += [point.index for _, point in one.behind(int(one.waiting[0]))]
    stays = np.isin(held.index, np.unique(np.concatenate(needed)))
    n_needed = int(np.count_nonzero(stays))
    if n_needed >= limits.most:
        row_bytes = held.values.shape[1] * held.values.itemsize
        alpha = min(one.alphas[one.waiting[0]] for one in problems if one.waiting.size)
        raise MemoryLimitError(
            f"memory: at alpha {alpha:.6g} {n_needed:,} features are in use, "
            f"{format_size(n_needed * row_bytes)}, and working_set may hold "
            f"{limits.most:,}; give more memory, or end the path at a larger alpha"
        )
    # folds and targets have columns in use of their own: together more than is usual
    space = min(max(limits.columns, n_needed + limits.wanted), limits.most)
    excess = len(held) + limits.wanted - space
    if excess <= 0:
        return held, space - len(held)
    idle = np.flatnonzero(~stays)
    stays[idle[np.argsort(scores[idle], kind="stable")[excess:]]] = True
    held = held.only(np.flatnonzero(stays), space)
    return held, space - len(held)
