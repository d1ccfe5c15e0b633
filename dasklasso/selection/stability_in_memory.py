"""Stability selection on data wider than long: half-samples are solved on their rows, in memory.

Second moments of so many features would not fit; the rows do, and each half-sample is a path on
half of them, solved by working sets. Missing values are the means of all rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from dasklasso.dataset.dataset import Dataset, from_arrays
from dasklasso.dataset.labels.offsets import less_offset
from dasklasso.errors import MemoryLimitError
from dasklasso.fit.fit import fit_path
from dasklasso.options import FitOptions, RunOptions
from dasklasso.problem.problem import penalty_factors
from dasklasso.selection.by_stability import found_of, most_selected
from dasklasso.selection.columns_in_use import LEAST_TOL, TOL_SHARE
from dasklasso.selection.found import Found
from dasklasso.selection.options import SelectOptions
from dasklasso.selection.stability import half_samples, shares_of
from dasklasso.solvers.base import ScanEvent
from dasklasso.solvers.cost import PROCESS_BYTES, memory_limit
from dasklasso.storage.zarr_blocks import read_rows
from dasklasso.units import format_size

FIRST_ALPHAS = 8  # of the grid that are looked at first: most of it is often of no use
_SHARE_AT_WORK = 2.5  # of X: itself, a half of it, and what a path on that half holds


def select_stable_in_memory(
    data: Dataset,
    options: FitOptions,
    selection: SelectOptions,
    run: RunOptions,
    *,
    progress: Callable[[ScanEvent], None] | None = None,
) -> tuple[Found, float]:
    """Return the features that enough half-samples select, and the reads of X that it took.

    Parameters
    ----------
    progress : called after each half-sample

    Raises
    ------
    MemoryLimitError
        The rows do not fit.
    OptionError
        There are too few rows for so many half-samples.
    """
    began = time.monotonic()
    _check_memory(data, run)
    data = less_offset(data)
    assert data.y is not None
    X, y = read_rows(data.X, 0, data.n_rows), read_rows(data.y, 0, data.n_rows)
    weight = np.ones(data.n_rows)
    if data.sample_weight is not None:
        weight = read_rows(data.sample_weight, 0, data.n_rows)[:, 0]
    there = np.flatnonzero(weight > 0)
    exact = replace(
        options, solver="working_set", tol=max(TOL_SHARE * options.tol, LEAST_TOL), alphas=None
    )
    alone = RunOptions(in_process=True, keep_statistics=False, memory=run.memory)

    def supports(rows: np.ndarray, alphas: np.ndarray) -> np.ndarray:
        """(n_alphas, n_features) bool: what a path on some rows uses."""
        some = from_arrays(X[rows], y[rows], weight[rows])
        path = fit_path(some, replace(exact, alphas=tuple(alphas.tolist())), alone)
        return path.coef_rows.toarray() != 0

    penalised = penalty_factors(options.penalty_factor, data.n_features) > 0
    halves = half_samples(len(there), selection.n_pairs, selection.cv.seed)
    alphas = _grid(data, options, exact, X, y, weight, alone)
    if selection.expected_false is not None:
        most = most_selected(selection, penalised)
        alphas = _worthwhile(alphas, most, lambda some: supports(there, some)[:, penalised])
    nbytes = sum(
        data.X.stored_bytes(i, j)
        for i in range(len(data.X.row_bounds) - 1)
        for j in range(len(data.X.column_bounds) - 1)
    )

    def of_halves() -> Iterator[np.ndarray]:
        for done, half in enumerate(halves, start=1):
            support = supports(there[half], alphas)
            yield support
            if progress is not None:
                seconds, used = time.monotonic() - began, int(support[-1].sum())
                progress(ScanEvent(1, done, len(halves), 0.0, used, nbytes, seconds))

    found = shares_of(of_halves(), alphas, penalised, selection.n_pairs)
    return found_of(found, selection, data.feature_names, len(there), nbytes), 1.0


def _check_memory(data: Dataset, run: RunOptions) -> None:
    nbytes = data.n_rows * data.n_features * data.X.dtype.itemsize
    need, limit = PROCESS_BYTES + int(_SHARE_AT_WORK * nbytes), memory_limit(run)
    if need > limit:
        raise MemoryLimitError(
            f"memory: {limit:,} bytes, but stability selection needs {format_size(need)} for "
            f"{data.n_features:,} features of {data.n_rows:,} rows in memory; give more memory"
        )


def _grid(
    data: Dataset,
    options: FitOptions,
    exact: FitOptions,
    X: np.ndarray,
    y: np.ndarray,
    weight: np.ndarray,
    run: RunOptions,
) -> np.ndarray:
    """(n_alphas,) the user's own, or a grid that begins where the first feature comes in."""
    if options.alphas is None:
        first = fit_path(from_arrays(X, y, weight), replace(exact, n_alphas=1), run)
        alpha_max = first.alphas[:1] * options.l1_ratio
    else:
        alpha_max = np.ones(1)
    return np.asarray(options.grid(data, alpha_max, options.l1_ratio))


def _worthwhile(
    alphas: np.ndarray, most: float, supports: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """The alphas, without those so small that half-samples select far too many features there.

    Where all rows select twice what the bound allows, halves, which are noisier, select more than
    that too.
    """
    n = min(FIRST_ALPHAS, len(alphas))
    while True:
        entered = np.logical_or.accumulate(supports(alphas[:n]), axis=0)
        kept = int(np.count_nonzero(np.count_nonzero(entered, axis=1) <= 2.0 * most))
        if kept < n or n == len(alphas):
            return alphas[: max(1, kept)]
        n = min(2 * n, len(alphas))
