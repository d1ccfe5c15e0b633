"""The first read: the null models' gradient, and the columns that it is largest for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dasklasso.problem.constant_columns import warn_of_constant_columns
from dasklasso.problem.folds import Folds
from dasklasso.problem.unpenalised import check_unpenalised
from dasklasso.problem.zero_scan import Look
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.queries.coded_folds import FoldTotals
from dasklasso.scan.queries.column_moments import Moments, side_by_side
from dasklasso.scan.queries.folds import FoldMoments
from dasklasso.scan.strips import ask_strips, strips_of
from dasklasso.solvers.base import Setup
from dasklasso.solvers.certificate_scan import check_finite
from dasklasso.solvers.working_set.all_series import rows_of, series_of
from dasklasso.solvers.working_set.calls import Fetch, NullCalls
from dasklasso.solvers.working_set.cost import Limits, limits_of
from dasklasso.solvers.working_set.held import DenseColumns, HeldColumns
from dasklasso.solvers.working_set.judge import taken
from dasklasso.solvers.working_set.series import Series
from dasklasso.solvers.working_set.windows import null_pulls
from dasklasso.storage.blocks import BlockSource
from dasklasso.storage.missing_codes import MissingCode, as_stored, missing_code_of, stored_dtype
from dasklasso.storage.side_by_side import SideBySide
from dasklasso.storage.zarr_blocks import read_rows


@dataclass(frozen=True)
class WideLook(Look):
    """What the first read shows.

    Attributes
    ----------
    held : columns that it called in, and those without a penalty
    series : of the fit
    limits : Limits
    """

    held: HeldColumns
    series: tuple[Series, ...]
    limits: Limits


def wide_look(setup: Setup) -> Setup:
    """Run the first read; a fit of no folds that is resumed needs none of it.

    Raises
    ------
    OptionError
        When more columns are unpenalised than the certificate can handle.
    ValueFound
        When X holds values that are not finite numbers, or the rows outside a fold make no
        problem.
    """
    engine, folds = setup.engine, setup.folds
    X, rows, strips = as_stored(engine.table.X), rows_of(engine), strips_of(engine.table.X)
    missing = missing_code_of(engine.table.X)
    problem = setup.problem
    if missing is not None:
        problem = replace(problem, frame=replace(problem.frame, fill=missing.fill))
    n_folds = 1 if folds is None else len(folds.weights)
    limits = limits_of(setup.data, setup.options, setup.run, n_folds)
    code = None if missing is None else missing.code
    # these stay as long as the fit, and have no more space than they need
    wanted = -(-limits.wanted // 2)
    dense = dense_columns(engine.table.X)
    free = problem.unpenalised
    check_unpenalised(free)
    capacity = wanted + free.size + (0 if dense is None else len(dense.values))
    held = HeldColumns.none(X.shape[0], stored_dtype(X), capacity, code).with_dense(dense)
    whole = series_of(problem, rows, None)
    if setup.resumed and folds is None:  # the state has the alphas, and the columns held
        known = WideLook(np.zeros(problem.n_targets), 0, None, held, tuple(whole), limits)
        return replace(setup, first=known)
    held, nbytes = fetched(engine, held, np.setdiff1d(free, held.index))
    weighted = np.column_stack([null_pulls(one, held) for one in whole])
    moments = None
    if folds is not None:
        moments = FoldMoments(folds.assignment, folds.n_rows)
    query = NullCalls(problem.objective.l1_penalty, wanted, X.shape[1], moments)
    is_held = np.zeros(X.shape[1], bool)
    is_held[held.index] = True
    weight = None if engine.table.weight is None else rows.weight[:, None]
    answers, more = ask_strips(engine, query, (problem.frame, weighted, is_held, weight), strips)
    nbytes += more
    check_finite(np.array([one.finite for one in answers]))
    offered = [one.offered for one in answers]
    score = np.concatenate([one.scores.max(axis=1) for one in offered])
    best = np.sort(np.argsort(-score, kind="stable")[:wanted])
    held = taken(held, offered, best)
    series = list(whole)
    folds = _with_moments(folds, [one.moments for one in answers], missing)
    if folds is not None:
        if problem.objective.standardize:
            warn_of_constant_columns(folds, problem, setup.data)
        series = series_of(problem, rows, folds)
        # what standardize takes the penalty of outside a fold only
        free = np.unique(np.concatenate([one.problem.unpenalised for one in series]))
        check_unpenalised(free)
        held, more = fetched(engine, held, np.setdiff1d(free, held.index))
        nbytes += more
    alpha_max = np.max([one.alpha_max for one in answers], axis=0)
    first = WideLook(alpha_max, nbytes, None, held, tuple(series), limits)
    return replace(setup, first=first, folds=folds)


def dense_columns(X: BlockSource) -> DenseColumns | None:
    """Return the covariates that stand beside a table, None without any."""
    if not isinstance(X, SideBySide):
        return None
    values = read_rows(X.right, 0, X.shape[0]).astype(np.float64)
    return DenseColumns(X.left.shape[1], np.ascontiguousarray(values.T))


def fetched(engine: ScanEngine, held: HeldColumns, index: np.ndarray) -> tuple[HeldColumns, int]:
    """Hold some columns more, from a read of the strips that they lie in; bytes read."""
    if not index.size:
        return held, 0
    strips = [
        strip
        for strip in strips_of(engine.table.X)
        if np.any((index >= strip.start) & (index < strip.stop))
    ]
    pieces, nbytes = ask_strips(engine, Fetch(), index, strips)
    return held.with_more(pieces), nbytes


def _with_moments(
    folds: Folds | None,
    answers: Sequence[list[Moments | None] | FoldTotals | None],
    missing: MissingCode | None,
) -> Folds | None:
    """Return folds with the moments of the columns over the rows of each, strip by strip."""
    if folds is None:
        return None
    of_folds = []
    for fold in range(len(folds.weights)):
        parts = [one[fold] for one in answers if isinstance(one, list)]
        known = [part for part in parts if part is not None]
        of_folds.append(side_by_side(known) if known else None)
    if missing is None:
        return folds.with_moments(of_folds)
    totals = FoldTotals.side_by_side([one for one in answers if isinstance(one, FoldTotals)])
    return folds.with_totals(totals, missing.fill, of_folds)
