"""Memory that a fit has, and what every solver takes of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import psutil

from dasklasso.dataset.dataset import Dataset
from dasklasso.options import FitOptions, RunOptions
from dasklasso.scan.layout import Layout, layout_of
from dasklasso.scan.runners import PROCESS_BYTES, threads_each
from dasklasso.scan.slabs import slab_rows


@dataclass(frozen=True)
class Memory:
    """Bytes that a fit needs, in all processes together.

    Attributes
    ----------
    once : what the process that drives the fit holds
    per_thread : what every thread that computes holds
    workers : worker processes, or 0 for threads in the process that drives
    threads : of each worker
    """

    once: int
    per_thread: int
    workers: int
    threads: int

    @property
    def total(self) -> int:
        """Bytes of all processes."""
        at_work = max(1, self.workers) * self.threads * self.per_thread
        return PROCESS_BYTES * (self.workers + 1) + self.once + at_work

    @property
    def per_worker(self) -> int:
        """Bytes of one process that computes."""
        if not self.workers:
            return self.total
        return PROCESS_BYTES + self.threads * self.per_thread


def memory_limit(run: RunOptions) -> int:
    """Bytes that a fit may take: what it was given, or half of what is available now."""
    return psutil.virtual_memory().available // 2 if run.memory is None else run.memory


def workers_and_threads(run: RunOptions) -> tuple[int, int]:
    """Worker processes (0: threads in this process), and threads of each, on this machine."""
    return run.workers or 0, threads_each(run.workers)


def reading_bytes(data: Dataset, run: RunOptions) -> int:
    """Bytes of a thread: a slab in float64; of decoded blocks the last, the next, and slack."""
    X, layout = data.X, layout_for(data, run)
    widest = int(np.diff(X.column_bounds).max())
    rows = min(slab_rows([widest], np.dtype(np.float64)), int(np.diff(layout.row_bounds).max()))
    slab = 8 * rows * max(layout.part_widths)
    return slab if X.mapped else slab + 3 * layout.block_bytes()


def layout_for(data: Dataset, run: RunOptions) -> Layout:
    """Return how X is cut, as the engine cuts it."""
    X = data.X
    return layout_of(
        X.row_bounds, X.column_bounds, X.dtype.itemsize, run.band_bytes, divisible=X.mapped
    )


def path_bytes(data: Dataset, options: FitOptions) -> int:
    """Bytes of a path's coefficients: as found, in the units of the data, and in the model."""
    return 3 * 8 * n_problems_of(data, options) * data.n_features


def n_alphas_of(options: FitOptions) -> int:
    """Alphas that a fit has, given or of its grid."""
    return max(1, options.n_alphas if options.alphas is None else len(options.alphas))


def n_problems_of(data: Dataset, options: FitOptions) -> int:
    """Problems that a fit solves: one for each alpha and target, and each output of the loss."""
    return n_alphas_of(options) * max(1, data.n_targets) * max(1, options.loss_value.n_outputs)


def n_trained_of(data: Dataset, options: FitOptions, n_folds: int) -> int:
    """Problems on all rows, and on those outside each fold."""
    return n_problems_of(data, options) * (1 if n_folds == 1 else n_folds + 1)


def product_dtype(data: Dataset) -> np.dtype:
    """Precision of products far from the solution: float32 where that holds every stored value."""
    return np.result_type(data.X.dtype, np.float32)
