"""Memory and scans that a fit by FISTA takes."""

from __future__ import annotations

import math

import numpy as np

from dasklasso.dataset.dataset import Dataset
from dasklasso.options import FitOptions, RunOptions
from dasklasso.solvers.cost import (
    Memory,
    n_problems_of,
    product_dtype,
    reading_bytes,
    workers_and_threads,
)
from dasklasso.solvers.entry import ScanCost

FEWEST_SCANS, USUAL_SCANS, MOST_SCANS = 15, 60, 600  # of each batch of problems


def fista_memory(data: Dataset, options: FitOptions, run: RunOptions, n_folds: int = 1) -> Memory:
    """Estimate the memory of ``solver="fista"``, without the cache of decoded blocks."""
    workers, threads = workers_and_threads(run)
    n_in_flight, problems = n_jobs_in_flight(data, options), n_problems_of(data, options)
    # two columns for each problem in flight, its iterate and its extrapolated point, or one for
    # each of those that are certified together
    array = 8 * data.n_features * max(2 * n_in_flight, min(4 * n_in_flight, problems))
    once = 4 * array  # points and gradients, the last and the next; what is found is sparse
    # a thread's sum of gradients, and one to add to it
    return Memory(once, 2 * array + reading_bytes(data, run), workers, threads)


def n_jobs_in_flight(data: Dataset, options: FitOptions) -> int:
    """Return how many jobs share each scan, as the solver decides."""
    n_problems, n_outputs = n_problems_of(data, options), max(1, options.loss_value.n_outputs)
    return jobs_at_once(data.n_rows, data.n_features, n_problems, n_outputs)


def fista_scans(
    data: Dataset, options: FitOptions, run: RunOptions, n_folds: int, has_statistics: bool
) -> list[ScanCost]:
    """Estimate the scans of all batches: after a warm start some need 20, some hundreds."""
    n, d = data.X.shape
    n_in_flight = n_jobs_in_flight(data, options)
    batches = math.ceil(n_problems_of(data, options) / n_in_flight)
    least, times, most = (
        min(batches * scans, options.max_scans) for scans in (FEWEST_SCANS, USUAL_SCANS, MOST_SCANS)
    )
    # iterate and extrapolated point of each problem: their predictions, then gradients
    return [
        ScanCost(times, 4.0 * n * d * 2 * n_in_flight, product_dtype(data), least=least, most=most)
    ]


def jobs_at_once(n_rows: int, n_features: int, n_jobs: int, n_outputs: int = 1) -> int:
    """Return how many jobs share each scan: more, until their columns cost more than the read.

    The jobs of a problem with several outputs are never parted.
    """
    worthwhile = int(np.clip(2.5e8 / (n_rows * n_features), 16, 128))
    fits = max(1, (64 << 20) // (16 * n_features))
    most = min(worthwhile, fits, n_jobs)
    return max(1, most // n_outputs) * n_outputs
