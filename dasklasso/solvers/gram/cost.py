"""Memory and scans that a fit on second moments takes."""

from __future__ import annotations

import math

import numpy as np

from dasklasso.dataset.dataset import Dataset
from dasklasso.dataset.row_folds import FoldScheme
from dasklasso.moments.gram_scan import default_blocks, in_tiles
from dasklasso.options import FitOptions, RunOptions
from dasklasso.solvers.certificate_scan import POINT_BYTES, points_at_once
from dasklasso.solvers.cost import (
    Memory,
    n_problems_of,
    path_bytes,
    product_dtype,
    reading_bytes,
    workers_and_threads,
)
from dasklasso.solvers.entry import ScanCost

REFINEMENTS = 2  # scans beyond the first certificate, at most as a rule
BANDS_IN_FLIGHT = 4  # of a thread that takes moments by tiles: rows read, and written down


def gram_memory(data: Dataset, options: FitOptions, run: RunOptions, n_folds: int = 1) -> Memory:
    """Estimate the memory of ``solver="gram"``."""
    workers, threads = workers_and_threads(run)
    width = data.n_features + data.n_targets + 1  # of [X, y, 1]
    matrix = 8 * width**2  # the second moments of some rows, float64
    folds = FoldScheme("random" if n_folds > 1 else "none", n_folds)
    # a path's coefficients, and what certifies them
    once = path_bytes(data, options)
    once += certified_at_once(data, options) * POINT_BYTES * data.n_features
    if in_tiles(width - 1, folds, n_folds):
        # one for each fold, the tiles of one half that it is put together from, and the
        # standardised one; then the total of the folds, and one that is being added
        once += n_folds * matrix * 3 // 2 + matrix + (2 * matrix if n_folds > 1 else 0)
        # of every band and fold: means, shifts, squares, and products with targets
        bands = -(-data.n_rows * data.n_features * data.X.dtype.itemsize // run.band_bytes)
        once += bands * n_folds * 8 * width * (3 + data.n_targets)
        per_thread = BANDS_IN_FLIGHT * run.band_bytes
        if n_folds > 1:
            per_thread = max(per_thread, 2 * matrix)  # all rows but one fold's, standardised
    else:
        n_blocks = default_blocks(data.n_rows, width - 1, folds, n_folds)
        # one for each fold and block of rows; their total, its standardised copy, one in transfer
        once += n_folds * n_blocks * matrix + 3 * matrix
        # sums of each fold, a product to add, and a copy that leaves; in a cross-validation the
        # last two are then all rows but one fold's, and their standardised copy
        per_thread = (n_folds + 2) * matrix + reading_bytes(data, run)
    if n_folds > 1:
        once += math.ceil(math.log2(n_folds)) * matrix  # unions of folds, by halves
    return Memory(once, per_thread, workers, threads)


def certified_at_once(data: Dataset, options: FitOptions) -> int:
    """Problems that gram certifies in one scan, as its solver decides."""
    return min(points_at_once(data.n_features), n_problems_of(data, options))


def gram_scans(
    data: Dataset, options: FitOptions, run: RunOptions, n_folds: int, has_statistics: bool
) -> list[ScanCost]:
    """Estimate the scans: one for the moments, unless they are stored, and the certificates."""
    n, d = data.X.shape
    problems, at_once = n_problems_of(data, options), certified_at_once(data, options)
    certificates = math.ceil(problems / at_once)
    certify = 4.0 * n * d * at_once
    # a gap that float32 products leave above tol takes another
    found = [ScanCost(certificates, certify, np.dtype(np.float64), most=certificates + REFINEMENTS)]
    if not has_statistics:
        width = d + data.n_targets + 1
        # symmetric: half of 2nD²
        found.insert(0, ScanCost(1, 1.0 * n * width**2, product_dtype(data)))
    return found
