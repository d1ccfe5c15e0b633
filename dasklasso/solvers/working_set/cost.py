"""Memory and scans that a fit by working sets takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dasklasso.dataset.dataset import Dataset
from dasklasso.options import FitOptions, RunOptions
from dasklasso.scan.runners import threads_each
from dasklasso.scan.strips import STRIP_COLUMNS, strip_bytes
from dasklasso.solvers.cost import (
    Memory,
    layout_for,
    memory_limit,
    n_alphas_of,
    n_problems_of,
    workers_and_threads,
)
from dasklasso.solvers.entry import ScanCost
from dasklasso.storage.missing_codes import as_stored, stored_dtype

QUOTA_SLACK = 1.25  # a strip offers so much more than its share of what is called in
CALLED_ROWS = 0.6  # of the rows: columns called in by a read
FEWEST_CALLED = 100
CALLED_SHARE = 0.2  # of the memory: columns on their way
HELD_ROWS = 1.8  # of the rows: columns held at most; a solution has no more than rows, as a rule
OF_FOLDS = 0.3  # of a fold's columns held: those that it alone needs
FEWEST_HELD = 400
IN_USE_ROWS = 1.0  # of the rows: columns whose Gram matrix is there
IN_USE_SPARE = 600  # columns more than that: those that turn out to have no coefficient
LEAST_L1_RATIO = 0.01  # below it no more columns are counted on
LEAST_IN_USE = 2_000  # columns in use that there must be memory for, if there are as many
GRAM_COPIES = 1.5  # of the Gram matrix: itself, its factor, and the block that is worked on
MODEL_COPIES = 4.0  # of a Newton model's matrix: its reference's, itself, the block, its factor
COLUMN_COPIES = 2.5  # in float64, of the columns that Newton steps are made on: a Gram scales them
GRAM_SHARE = 0.6  # of what is left of the memory: Gram matrices, before columns held
RESIDUAL_BYTES = 512 << 20  # of all problems that a read evaluates
RESIDUAL_COPIES = 3  # as they are, weighted, and those of one series or as dual points
FEWEST_SCANS, USUAL_SCANS, MOST_SCANS = 4, 8, 20
WINDOW_SHARE = 0.35  # of a path's alphas that a read evaluates


@dataclass(frozen=True)
class Limits:
    """What a fit may hold.

    Attributes
    ----------
    columns : that are held as a rule: those that no problem needs leave beyond it
    most : that may be held, where problems need so many
    in_use : of them, that have a coefficient in a window of a path, and a Gram matrix
    wanted : that a read calls in, as a rule
    problems : that a read evaluates
    """

    columns: int
    most: int
    in_use: int
    wanted: int
    problems: int


def limits_of(data: Dataset, options: FitOptions, run: RunOptions, n_folds: int) -> Limits:
    """Return what a fit may hold within its memory."""
    n, d = data.X.shape
    # targets call in columns of their own; folds mostly the same while coefficients are few
    more = 1.0 + 0.5 * (data.n_targets - 1) + (0.25 if n_folds > 1 else 0.0)
    series = max(1, data.n_targets) * (1.0 + (OF_FOLDS * n_folds if n_folds > 1 else 0.0))
    column_bytes = n * stored_dtype(data.X).itemsize
    on_their_way = CALLED_SHARE * memory_limit(run) / (QUOTA_SLACK * column_bytes)
    wanted = min(d, max(FEWEST_CALLED, int(min(CALLED_ROWS * n * more, on_their_way))))
    # with an l2 part more columns are in use than there are rows
    rows = n / max(options.l1_ratio, LEAST_L1_RATIO)
    columns = min(d, max(FEWEST_HELD, int(HELD_ROWS * rows * series)))
    most = max(1, RESIDUAL_BYTES // (8 * n))
    others = _memory(data, options, run, n_folds, Limits(0, 0, 0, wanted, most)).total
    left, at_once = max(0, memory_limit(run) - others), _grams_at_once(data, n_folds)
    most_in_use = _most_in_use(n, options, GRAM_SHARE * left / at_once)
    in_use = min(d, int(IN_USE_ROWS * rows) + IN_USE_SPARE)
    in_use = max(min(in_use, most_in_use), min(in_use, LEAST_IN_USE))
    left -= _in_use_bytes(n, options, in_use) * at_once
    fits = max(0, left) // column_bytes
    columns = max(min(columns, fits), min(d, FEWEST_HELD))
    return Limits(columns, max(columns, min(d, fits)), in_use, wanted, most)


def working_set_memory(
    data: Dataset, options: FitOptions, run: RunOptions, n_folds: int = 1
) -> Memory:
    """Estimate the memory of ``solver="working_set"``, without the cache of decoded blocks."""
    return _memory(data, options, run, n_folds, limits_of(data, options, run, n_folds))


def _memory(
    data: Dataset, options: FitOptions, run: RunOptions, n_folds: int, limits: Limits
) -> Memory:
    workers, threads = workers_and_threads(run)
    n, d = data.X.shape
    n_sets = 1 if n_folds == 1 else n_folds + 1
    series = n_sets * max(1, data.n_targets)
    evaluated = min(limits.problems, _evaluated(options, series))
    column_bytes = n * stored_dtype(data.X).itemsize
    once = limits.columns * column_bytes
    once += int(QUOTA_SLACK * limits.wanted) * column_bytes  # offered, on their way
    once += _in_use_bytes(n, options, limits.in_use) * _grams_at_once(data, n_folds)
    once += RESIDUAL_COPIES * 8 * n * evaluated
    once += n_sets * 6 * 8 * d  # frames
    once += 16 * min(n, d) * n_problems_of(data, options) * n_sets  # points
    strip = int(np.diff(data.X.column_bounds).max())
    width = min(strip, STRIP_COLUMNS) if as_stored(data.X).mapped else strip
    rows = int(np.diff(layout_for(data, run).row_bounds).max())
    per_thread = strip_bytes(data.X) + 8 * width * (min(n, 4096, rows) + 4 * evaluated)
    return Memory(once, per_thread, workers, threads)


def _copies(options: FitOptions) -> tuple[float, float]:
    """Return how often a series has the Gram matrix of columns in use, and these themselves."""
    return (GRAM_COPIES, 0.0) if options.loss_value.quadratic else (MODEL_COPIES, COLUMN_COPIES)


def _in_use_bytes(n: int, options: FitOptions, in_use: int) -> int:
    """Return what a series takes for columns in use."""
    matrices, columns = _copies(options)
    return int(8 * in_use * (matrices * in_use + columns * n))


def _most_in_use(n: int, options: FitOptions, nbytes: float) -> int:
    """Return how many columns in use a series may have in so many bytes."""
    matrices, columns = _copies(options)
    half = 0.5 * columns * n / matrices
    return int((half**2 + nbytes / (8 * matrices)) ** 0.5 - half)


def _grams_at_once(data: Dataset, n_folds: int) -> int:
    """Return how many series are solved side by side."""
    series = max(1, data.n_targets) * (1 if n_folds == 1 else n_folds + 1)
    return min(series, threads_each(None))


def _evaluated(options: FitOptions, series: int) -> int:
    """Return how many problems a read evaluates, as a rule."""
    return series * max(1, int(WINDOW_SHARE * n_alphas_of(options)))


def working_set_scans(
    data: Dataset, options: FitOptions, run: RunOptions, n_folds: int, has_statistics: bool
) -> list[ScanCost]:
    """Estimate the scans of a path: it falls by a factor of some five between two of them."""
    n, d = data.X.shape
    series = max(1, data.n_targets) * (1 if n_folds == 1 else n_folds + 1)
    flops = 2.0 * n * d * _evaluated(options, series)
    least, times, most = (
        min(scans, options.max_scans) for scans in (FEWEST_SCANS, USUAL_SCANS, MOST_SCANS)
    )
    return [ScanCost(times, flops, np.dtype(np.float64), least=least, most=most)]
