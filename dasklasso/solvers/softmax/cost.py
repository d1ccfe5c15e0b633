"""Memory that a softmax fit by proximal Newton takes, and what it is limited to."""

from __future__ import annotations

import math

from dasklasso.dataset.dataset import Dataset
from dasklasso.options import FitOptions, RunOptions
from dasklasso.solvers.cost import (
    Memory,
    n_problems_of,
    path_bytes,
    reading_bytes,
    workers_and_threads,
)
from dasklasso.solvers.softmax.dtype import in_double

HELD_BYTES = 256 << 20  # of rows held in memory for a softmax loss


HELD_ROWS = 20  # of a sample, for each column and class: with fewer, steps are too long


SOFTMAX_COORDINATES = 8192  # of a softmax loss's Hessian; in float64 fewer, of as many bytes


SOFTMAX_CLASSES = 30  # each pair of classes is a Gram matrix of its own


def held_step(data: Dataset) -> int:
    """One of how many rows ``solver="newton"`` holds in memory for a softmax loss; 1 for all."""
    nbytes = data.n_rows * data.n_features * data.X.dtype.itemsize
    return max(1, math.ceil(nbytes / HELD_BYTES))


def softmax_coordinates(data: Dataset, options: FitOptions) -> int:
    """Most coordinates of a Hessian of a softmax loss."""
    double = in_double(data.X.dtype, options.tol)
    most = int(SOFTMAX_COORDINATES / math.sqrt(2)) if double else SOFTMAX_COORDINATES
    return min(most, (data.n_features + 1) * options.loss_value.n_outputs)


def softmax_unfit(data: Dataset, options: FitOptions) -> str:
    """Why ``solver="newton"`` would be a poor choice for a softmax loss; "" where it is a good one.

    It works whatever the data are, but by more scans than fista where a Hessian has few of the
    coordinates in use, or comes from too few rows.
    """
    d, n_outputs = data.n_features, options.loss_value.n_outputs
    most = softmax_coordinates(data, options)
    if (d + 1) * n_outputs > 2 * most:
        return f"{d:,} features in {n_outputs} classes are too many for a Hessian of {most:,}"
    every = held_step(data)
    rows, wanted = data.n_rows // every, HELD_ROWS * d * n_outputs
    if every > 1 and rows < wanted:
        return f"{rows:,} rows fit in memory, and a sample should have {wanted:,}"
    return ""


def softmax_memory(data: Dataset, options: FitOptions, run: RunOptions, n_folds: int) -> Memory:
    """Return what ``solver="newton"`` needs for a softmax loss."""
    workers, threads = workers_and_threads(run)
    problems, n_outputs = n_problems_of(data, options), options.loss_value.n_outputs
    size = 8 if in_double(data.X.dtype, options.tol) else 4
    rows = data.n_rows // held_step(data)
    # folds' problems beside those of all rows
    array = 8 * data.n_features * problems * (n_folds + 1 if n_folds > 1 else 1)
    hessian = size * softmax_coordinates(data, options) ** 2
    grams = 3 * size * (data.n_features + 1) ** 2  # a thread's sum, a product, and one that waits
    # rows as they are put together, and probabilities; points, gradients and trials; a Hessian,
    # the part of it that a step takes, and that step's factor
    once = 2 * rows * data.n_features * data.X.dtype.itemsize + 2 * size * rows * n_outputs
    once += path_bytes(data, options) + 4 * array + 3 * hessian + threads * grams
    return Memory(once, 2 * array + reading_bytes(data, run), workers, threads)
