"""What a fit by proximal Newton takes: memory, scans, and what it is limited to."""

from __future__ import annotations

import math

import numpy as np

from dasklasso.dataset.dataset import Dataset
from dasklasso.options import FitOptions, RunOptions
from dasklasso.problem.folds import RANKED_BYTES, RANKED_VALUES
from dasklasso.scan.queries.held_out import SCORE_SUMS
from dasklasso.solvers.cost import (
    Memory,
    layout_for,
    n_alphas_of,
    n_problems_of,
    n_trained_of,
    path_bytes,
    product_dtype,
    reading_bytes,
    workers_and_threads,
)
from dasklasso.solvers.entry import ScanCost
from dasklasso.solvers.newton.hessian_model import node_places
from dasklasso.solvers.newton.hessian_schedule import Limits
from dasklasso.solvers.softmax.cost import held_step, softmax_memory

NEWTON_SCANS = 6  # of all alphas, between the first and the one that certifies
FOLD_SCANS = 4  # of all alphas without each fold, before the one that certifies
REFINEMENTS = 2  # scans in float64 beyond the first, at most as a rule
NEWTON_COLUMNS = 4096  # of a Hessian
HESSIAN_BYTES = 512 << 20  # of all Hessians, and of their sums in every thread
SAMPLE_BYTES = 128 << 20  # of the sample's values, as they are stored
HELD_WHOLE_BYTES = 128 << 20  # of all rows in float64: up to so many they are held in memory
SAMPLE_ROWS = 64  # for each column: then its Hessian is within a quarter of that of all rows
SAMPLED_VALUES = 20_000_000  # of X: with fewer a scan costs no more than the sample's would


def newton_limits(data: Dataset, options: FitOptions, run: RunOptions) -> Limits:
    """Tell how many Hessians ``solver="newton"`` holds, and of how many columns."""
    columns = min(data.n_features, NEWTON_COLUMNS)
    _, threads = workers_and_threads(run)
    # held, and in every thread the sums of each that is taken; where runs are long these are many,
    # and may take as much again before there are fewer Hessians
    sums, few = 1 + _sums_of_a_thread(data, run) * threads, 1 + 2 * threads
    nbytes = HESSIAN_BYTES * min(2.0, sums / few)
    share = int(nbytes // (8 * (columns + 1) ** 2 * sums))
    # wherever alpha_max will be, there are as many nodes below it
    wanted = node_places(options.grid(data, np.ones(1), 1.0), n_alphas_of(options)).size
    return Limits(min(max(2, share // max(1, data.n_targets)), wanted), columns)


def _sums_of_a_thread(data: Dataset, run: RunOptions) -> int:
    """Sums that a thread holds of a run of bands: one a level of the tree, and the band's own."""
    workers, threads = workers_and_threads(run)
    bands = math.ceil(len(layout_for(data, run).bands) / (threads * max(1, workers)))
    return 2 + int(math.log2(bands))


def sample_step(data: Dataset) -> int:
    """Return one of how many rows ``solver="newton"`` holds in memory as a sample; 0 for none."""
    n, d = data.X.shape
    most = SAMPLE_BYTES // max(1, d * data.X.dtype.itemsize)
    rows = min(SAMPLE_ROWS * d, most, n // 4)
    worth_it = rows >= 8 * d and n * d >= SAMPLED_VALUES
    return max(4, n // rows) if worth_it else 0


def _ranked_bytes(data: Dataset, options: FitOptions, n_folds: int) -> tuple[int, int]:
    """What areas under curves take: once, for predictions to sort, and in a thread, for bins."""
    if n_folds <= 1 or not options.loss_value.gives_probabilities:
        return 0, 0
    models = n_problems_of(data, options)
    if data.n_rows * models <= RANKED_VALUES:
        return 3 * 8 * data.n_rows * models, 0
    return RANKED_BYTES, 8 * SCORE_SUMS * models * n_folds


def held_whole(data: Dataset) -> bool:
    """Whether all rows fit in memory, so that paths are solved there and scans only certify."""
    return 8 * data.n_rows * data.n_features <= HELD_WHOLE_BYTES


def newton_memory(data: Dataset, options: FitOptions, run: RunOptions, n_folds: int = 1) -> Memory:
    """Return what ``solver="newton"`` needs."""
    if options.loss_value.n_outputs > 1:
        return softmax_memory(data, options, run, n_folds)
    workers, threads = workers_and_threads(run)
    limits, problems = newton_limits(data, options, run), n_problems_of(data, options)
    hessians = 8 * (limits.columns + 1) ** 2 * limits.nodes * max(1, data.n_targets)
    # folds' problems beside those of all rows, and what rows left out are scored by
    trained = problems * (n_folds + 1 if n_folds > 1 else 1)
    array = 8 * data.n_features * trained
    predicted, scores = _ranked_bytes(data, options, n_folds)
    every = sample_step(data)
    sample = data.n_rows // every * data.n_features * data.X.dtype.itemsize if every else 0
    if held_whole(data):  # as they come, and standardised; in each thread a block of columns
        sample = (8 + data.X.dtype.itemsize) * data.n_rows * data.n_features
        sample += 2 * threads * 8 * data.n_rows * limits.columns
    # points, gradients and what secants remember; models being minimised
    once = path_bytes(data, options) + 8 * array + sample + 2 * hessians + predicted
    once += 3 * threads * 8 * (limits.columns + 1) ** 2
    sums = _sums_of_a_thread(data, run)
    per_thread = sums * (array + hessians + scores) + reading_bytes(data, run)
    return Memory(once, per_thread, workers, threads)


def newton_scans(
    data: Dataset, options: FitOptions, run: RunOptions, n_folds: int, has_statistics: bool
) -> list[ScanCost]:
    """Return the first scan, steps of all alphas and then of folds, and the scan that certifies."""
    n, d = data.X.shape
    n_outputs, exact = options.loss_value.n_outputs, np.dtype(np.float64)
    trained = n_trained_of(data, options, n_folds)
    first = ScanCost(1, 4.0 * n * d * (n_outputs if n_outputs > 1 else data.n_targets + 1), exact)
    last = ScanCost(1, 4.0 * n * d * trained, exact, most=1 + REFINEMENTS)
    if n_outputs > 1:
        sampled = held_step(data) > 1  # a sample is only where scans begin
        return [first, *(_steps(data, options, n_folds, 0.0) if sampled else []), last]
    if held_whole(data):
        return [first, last]
    limits = newton_limits(data, options, run)
    # those at large alphas have few columns
    hessians = 0.5 * n * (limits.columns + 1) ** 2 * limits.nodes * max(1, data.n_targets)
    return [first, *_steps(data, options, n_folds, hessians), last]


def _steps(data: Dataset, options: FitOptions, n_folds: int, hessians: float) -> list[ScanCost]:
    """Scans between the first and the last: all alphas, fewer and fewer of them."""
    n, d = data.X.shape
    problems, trained = n_problems_of(data, options), n_trained_of(data, options, n_folds)
    single, left = product_dtype(data), max(0, options.max_scans - 2)
    steps = min(NEWTON_SCANS, left)
    flops = 4.0 * n * d * problems + hessians / max(1, steps)
    found = [ScanCost(steps, flops, single, least=min(2, left), most=min(4 * NEWTON_SCANS, left))]
    if trained > problems:
        more = min(FOLD_SCANS, left - steps)
        most = min(4 * FOLD_SCANS, left)
        found.append(ScanCost(more, 4.0 * n * d * trained, single, least=min(1, more), most=most))
    return found
