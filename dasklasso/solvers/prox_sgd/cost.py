"""Memory that a fit by proximal stochastic gradient takes."""

from __future__ import annotations

from dasklasso.dataset.dataset import Dataset
from dasklasso.errors import OptionError
from dasklasso.options import FitOptions, RunOptions
from dasklasso.solvers.cost import (
    Memory,
    _layout,
    _reading_bytes,
    n_problems_of,
    workers_and_threads,
)


def sgd_memory(data: Dataset, options: FitOptions, run: RunOptions) -> Memory:
    """What ``solver="prox_sgd"`` needs.

    Raises
    ------
    OptionError
        When X is too wide for a band to hold all of its columns.
    """
    workers, threads = workers_and_threads(run)
    n_parts = len(_layout(data, run).parts)
    if n_parts > 1:
        raise OptionError(
            f"solver: prox_sgd needs rows whole, and {data.n_features:,} features are read in "
            f"{n_parts} parts: use solver fista, or ingest with smaller chunks"
        )
    # iterates and averages of all problems, which are certified together
    array = 8 * data.n_features * 2 * n_problems_of(data, options)
    # those, before and after a step, and what it makes on its way; only one thread takes steps
    once = 6 * array + 2 * run.band_bytes
    return Memory(once, 2 * array + _reading_bytes(data, run), workers, threads)
