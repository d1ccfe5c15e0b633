"""What a fit by proximal stochastic gradient takes: memory and scans."""

from __future__ import annotations

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
from dasklasso.solvers.prox_sgd.solver import CERTIFY_EVERY


def sgd_memory(data: Dataset, options: FitOptions, run: RunOptions, n_folds: int = 1) -> Memory:
    """Return what ``solver="prox_sgd"`` needs."""
    workers, threads = workers_and_threads(run)
    # iterates and averages of all problems, which are certified together
    array = 8 * data.n_features * 2 * n_problems_of(data, options)
    # those, before and after a step, and what it makes on its way; only one thread takes steps
    once = 6 * array + 2 * run.band_bytes
    return Memory(once, 2 * array + reading_bytes(data, run), workers, threads)


def sgd_scans(
    data: Dataset, options: FitOptions, run: RunOptions, n_folds: int, has_statistics: bool
) -> list[ScanCost]:
    """Epochs, the first look, and certificates of two points of every problem."""
    n, d = data.X.shape
    problems, exact = n_problems_of(data, options), np.dtype(np.float64)
    workers, threads = workers_and_threads(run)
    epochs = max(0, min(options.epochs, options.max_scans - 2))
    certificates = max(1, -(-epochs // CERTIFY_EVERY))
    # steps of one batch after the other, with a power iteration beside them
    alone = 1.0 / (threads * max(1, workers))
    return [
        ScanCost(epochs, 4.0 * n * d * (problems + 1), product_dtype(data), threads=alone),
        ScanCost(1, 4.0 * n * d * (data.n_targets + 1), exact),
        ScanCost(certificates, 4.0 * n * d * 2 * problems, exact),
    ]
