"""Criteria of a path on data wider than long: from second moments of the columns in use alone.

A criterion asks of a model its residuals and its degrees of freedom. Both are told by the columns
that some model of the path uses, which are few; that no other column should be in use is what the
certificate of the path says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from dasklasso.dataset.dataset import Dataset, from_arrays
from dasklasso.dataset.labels.offsets import less_offset
from dasklasso.dataset.row_folds import FoldScheme, assign_folds
from dasklasso.errors import MemoryLimitError, ValueFound
from dasklasso.fit.fit import fit_path
from dasklasso.moments.cross_moments import CrossMoments
from dasklasso.moments.gram_scan import scan_moments
from dasklasso.options import FitOptions, RunOptions
from dasklasso.problem.problem import penalty_factors
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.runners import InProcess
from dasklasso.selection.by_path import best_by_criterion
from dasklasso.selection.criteria import information_criteria
from dasklasso.selection.found import Found
from dasklasso.selection.options import SelectOptions
from dasklasso.solvers.base import ScanEvent
from dasklasso.solvers.cost import memory_limit
from dasklasso.storage.blocks import BlockSource
from dasklasso.storage.zarr_blocks import read_rows
from dasklasso.units import format_size

TOL_SHARE = 1e-2  # of tol: supports are compared, so a path is solved beyond it
LEAST_TOL = 1e-13


def select_on_columns_in_use(
    data: Dataset,
    options: FitOptions,
    selection: SelectOptions,
    run: RunOptions,
    *,
    progress: Callable[[ScanEvent], None] | None = None,
    announce: Callable[[str], None] | None = None,
) -> tuple[Found, float]:
    """Return the alpha with the smallest criterion, and the reads of X that it took.

    Raises
    ------
    MemoryLimitError
        The columns in use do not fit.
    ValueFound
        The noise variance cannot be estimated.
    """
    if selection.noise_variance == "estimated":
        raise ValueFound(
            f"noise_variance: {data.n_rows:,} rows and {data.n_features:,} features found, "
            "expected more rows than coefficients to estimate it; give its value"
        )
    exact = replace(options, tol=max(TOL_SHARE * options.tol, LEAST_TOL))
    path = fit_path(data, exact, run, progress=progress, announce=announce)
    path = replace(path, tol=options.tol)
    used = np.unique(path.coef_rows.indices[path.coef_rows.data != 0])
    used = used if used.size else np.zeros(1, dtype=used.dtype)
    moments, share, nbytes = _moments_of(less_offset(data), used, run)
    factor = penalty_factors(options.penalty_factor, data.n_features)
    criteria = information_criteria(
        moments,
        replace(options, penalty_factor=factor[used]).objective(),
        path.alphas,
        path.coef_rows[:, used].toarray(),
        noise_variance=selection.noise_variance,
        gamma=selection.ebic_gamma,
        n_candidates=_n_candidates(data, factor, options),
    )
    found = best_by_criterion(path, criteria, selection, path.bytes_read + nbytes)
    return found, path.scans + share


def _n_candidates(data: Dataset, factor: np.ndarray, options: FitOptions) -> int:
    """Count the features that may come in: those that matter, where that is known, and cost."""
    if data.statistics is None:
        return int(np.count_nonzero(factor > 0))
    matters = data.statistics.std > 0
    if not options.fit_intercept:  # a constant matters, unless it is 0
        matters = matters | (data.statistics.mean != 0)
    return int(np.count_nonzero((factor > 0) & matters))


def _moments_of(
    data: Dataset, columns: np.ndarray, run: RunOptions
) -> tuple[CrossMoments, float, int]:
    """Return moments of some columns, the share of X that was read for them, and its bytes."""
    need, limit = 8 * (data.n_rows * len(columns) + 2 * len(columns) ** 2), memory_limit(run)
    if need > limit:
        raise MemoryLimitError(
            f"memory: {limit:,} bytes, but the {len(columns):,} columns in use of "
            f"{data.n_rows:,} rows need {format_size(need)}; give more memory, or a larger eps"
        )
    X, n_read, nbytes = _columns(data.X, columns)
    assert data.y is not None
    y = read_rows(data.y, 0, data.n_rows)
    weight = data.sample_weight
    some = from_arrays(X, y, None if weight is None else read_rows(weight, 0, data.n_rows)[:, 0])
    grouped, _ = scan_moments(
        some, ScanEngine(some, InProcess(1)), assign_folds(FoldScheme(), some), in_float64=True
    )
    return grouped.total(), n_read / data.n_features, nbytes


def _columns(X: BlockSource, index: np.ndarray) -> tuple[np.ndarray, int, int]:
    """Read some columns: (n_rows, n_columns) float64, how many had to be read, and bytes."""
    found, n_read, nbytes = np.empty((X.shape[0], len(index))), 0, 0
    for j, (start, stop), places in _chunks(X, index):
        n_read += stop - start
        for i, (top, bottom) in enumerate(zip(X.row_bounds, X.row_bounds[1:], strict=False)):
            found[top:bottom, places] = X.block(i, j)[:, index[places] - start]
            nbytes += X.stored_bytes(i, j)
    return found, n_read, nbytes


def _chunks(X: BlockSource, index: np.ndarray) -> Iterator[tuple[int, tuple[int, int], np.ndarray]]:
    """Walk the column chunks that some columns lie in: number, bounds, places in ``index``."""
    for j, bounds in enumerate(zip(X.column_bounds, X.column_bounds[1:], strict=False)):
        places = np.flatnonzero((index >= bounds[0]) & (index < bounds[1]))
        if places.size:
            yield j, bounds, places
