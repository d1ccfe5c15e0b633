"""Memory that a fit by FISTA takes."""

from __future__ import annotations

from dasklasso.dataset.dataset import Dataset
from dasklasso.options import FitOptions, RunOptions
from dasklasso.solvers.cost import (
    Memory,
    _reading_bytes,
    n_problems_of,
    workers_and_threads,
)
from dasklasso.solvers.fista.slots import slots_for


def fista_memory(data: Dataset, options: FitOptions, run: RunOptions) -> Memory:
    """What ``solver="fista"`` needs, without the blocks it keeps decoded where there is room."""
    workers, threads = workers_and_threads(run)
    slots, problems = slots_in_flight(data, options), n_problems_of(data, options)
    # two columns for each problem in flight, its iterate and its extrapolated point, or one for
    # each of those that are certified together
    array = 8 * data.n_features * max(2 * slots, min(4 * slots, problems))
    once = 4 * array  # points and gradients, the last and the next; what is found is sparse
    # a thread's sum of gradients, and one to add to it
    return Memory(once, 2 * array + _reading_bytes(data, run), workers, threads)


def slots_in_flight(data: Dataset, options: FitOptions) -> int:
    """Problems that share each scan of fista, as its ``Drive`` decides."""
    n_problems, n_outputs = n_problems_of(data, options), max(1, options.loss_value.n_outputs)
    return slots_for(data.n_rows, data.n_features, n_problems, n_outputs)
