"""Which features, which alpha: from the second moments of one scan, or of none where kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from dasklasso.backend import backend_for
from dasklasso.dataset.dataset import Dataset
from dasklasso.dataset.labels.offsets import less_offset
from dasklasso.dataset.row_folds import FoldAssignment, FoldScheme, assign_folds
from dasklasso.errors import MemoryLimitError, OptionError
from dasklasso.fit.assemble import warn_of_nothing_left
from dasklasso.fit.choose import choose_solver
from dasklasso.fit.moments_session import Session, open_session
from dasklasso.fit.peak_memory import PeakMemory
from dasklasso.fit.plan import plan_fit
from dasklasso.fit.session import open_engine
from dasklasso.fit.statistics import are_stored
from dasklasso.fit.targets import check_numbers, with_free_covariates
from dasklasso.options import FitOptions, RunOptions
from dasklasso.selection.by_path import select_adaptive, select_by_criterion, select_relaxed
from dasklasso.selection.by_stability import scheme_of_parts, select_stable
from dasklasso.selection.columns_in_use import select_on_columns_in_use
from dasklasso.selection.found import Found, Selected
from dasklasso.selection.options import SelectOptions
from dasklasso.selection.stability_in_memory import select_stable_in_memory
from dasklasso.solvers.base import ScanEvent
from dasklasso.solvers.cost import memory_limit
from dasklasso.solvers.gram.cost import gram_memory
from dasklasso.units import format_size

__all__ = ["Selected", "select_features"]


def select_features(
    data: Dataset,
    options: FitOptions,
    selection: SelectOptions,
    run: RunOptions | None = None,
    *,
    progress: Callable[[ScanEvent], None] | None = None,
    announce: Callable[[str], None] | None = None,
) -> Selected:
    """Select features, and an alpha, from the second moments of the rows.

    ``selection.by``:

    - "aic", "bic", "ebic": the model of the path with the smallest criterion.
    - "relaxed": the lasso moved towards least squares on its support, by a share that folds
      choose together with alpha; gaps are those of the lasso.
    - "adaptive": a lasso that penalises a feature the less the larger a first estimate has it.
      Alpha is chosen by folds, and the factors of each fold come from its own training rows.
    - "stability": the features that enough half-samples of the rows select, with a bound on how
      many of them are noise. There is no model, so there is nothing to certify.

    Moments cost one read of X, or none where an earlier fit kept them; the certificate of a whole
    path, which all but "stability" have, costs one more. On data wider than long, criteria and
    "stability" do without them: a path is solved by ``working_set`` and judged on the columns in
    use, and half-samples are solved on rows that are held in memory.

    Parameters
    ----------
    data : Dataset
        With one target.
    options : FitOptions
        Of squared loss; ``solver`` must be "auto" or "gram", of criteria and "stability"
        also "working_set".
    selection : SelectOptions
    progress : called after every scan
    announce : called with a line about the dashboard once there is one

    Raises
    ------
    DasklassoError
        :class:`~dasklasso.errors.OptionError` for options that cannot be used, or that allow
        nothing to be selected; :class:`~dasklasso.errors.MemoryLimitError` where second moments
        do not fit the memory.
    """
    run = run or RunOptions()
    _check_options(options, selection)
    backend_for(run.device)
    if data.y is None:
        raise OptionError(f"{data.location}: has no target y, and a selection needs one")
    if data.n_targets != 1:
        raise OptionError(
            f"{data.location}: {data.n_targets} targets found, expected one: features are "
            "selected for a single target"
        )
    check_numbers(data, options.loss)
    options = with_free_covariates(options, data)
    if _is_wide(data, options, selection, run):
        return _selected_without_moments(data, options, selection, run, progress, announce)
    options = replace(options, solver="gram")
    given, data = data, less_offset(data)
    assignment, plan = _prepared(data, options, selection, run)
    needed = 0 if plan is None else plan["memory_per_worker"]
    began = time.monotonic()
    with (
        data.unchanged(),
        open_engine(data, run, announce, needed) as (engine, peak),
        open_session(
            data, engine, options, run, assignment, plan=plan, progress=progress, announce=announce
        ) as session,
    ):
        found = _found(session, selection, assignment.scheme)
    seconds = time.monotonic() - began
    path = found.path
    if path is not None:
        path = replace(
            path,
            seconds=seconds,
            peak_memory_bytes=peak.nbytes,
            fingerprint=given.fingerprint,
            has_offset=given.offset is not None or None,
        )
        warn_of_nothing_left(path, options)
    return Selected(
        by=selection.by,
        path=path,
        features=found.features,
        chosen=found.chosen,
        table=found.table,
        scans=engine.scans,
        bytes_read=found.bytes_read,
        seconds=seconds,
        peak_memory_bytes=peak.nbytes,
    )


def _check_options(options: FitOptions, selection: SelectOptions) -> None:
    """Refuse a loss or a solver that cannot, and a path that ends early."""
    if options.loss != "squared":
        raise OptionError(f"loss: {options.loss} cannot select features, squared can")
    either = selection.is_criterion or selection.by == "stability"
    able = ("gram", "working_set") if either else ("gram",)
    if options.solver not in ("auto", *able):
        raise OptionError(
            f"solver: {options.solver} cannot select features by {selection.by}, "
            f"{' and '.join(able)} can"
        )
    if options.stop_saturated:
        raise OptionError("stop_saturated: a selection judges the whole grid; give a larger eps")


def _is_wide(data: Dataset, options: FitOptions, selection: SelectOptions, run: RunOptions) -> bool:
    """Whether a criterion or stability does without second moments of all columns."""
    if not (selection.is_criterion or selection.by == "stability"):
        return False
    if options.solver == "auto" and selection.by == "stability":
        return data.n_features > data.n_rows
    kept = are_stored(data, FoldScheme(), run)
    return choose_solver(data, options, run, statistics_kept=kept).solver == "working_set"


def _selected_without_moments(
    data: Dataset,
    options: FitOptions,
    selection: SelectOptions,
    run: RunOptions,
    progress: Callable[[ScanEvent], None] | None,
    announce: Callable[[str], None] | None,
) -> Selected:
    began = time.monotonic()
    options = replace(options, solver="working_set")
    with data.unchanged(), PeakMemory() as peak:
        if selection.by == "stability":
            found, scans = select_stable_in_memory(data, options, selection, run, progress=progress)
        else:
            found, scans = select_on_columns_in_use(
                data, options, selection, run, progress=progress, announce=announce
            )
    seconds, path = time.monotonic() - began, found.path
    return Selected(
        by=selection.by,
        path=None if path is None else replace(path, seconds=seconds),
        features=found.features,
        chosen=found.chosen,
        table=found.table,
        scans=scans,
        bytes_read=found.bytes_read,
        seconds=seconds,
        peak_memory_bytes=peak.nbytes,
        solver=options.solver,
    )


def _prepared(
    data: Dataset, options: FitOptions, selection: SelectOptions, run: RunOptions
) -> tuple[FoldAssignment, dict[str, Any] | None]:
    """Tell how rows are grouped, and the plan where there is a path.

    Raises
    ------
    MemoryLimitError, OptionError
        Before anything is read.
    """
    if selection.by == "stability":
        return assign_folds(scheme_of_parts(data, options, run, selection), data), None
    assignment = FoldAssignment(FoldScheme())
    if selection.is_cross_validated:
        assignment = selection.cv.assignment(data)
    _check_memory(data, options, selection, run, assignment.n_folds)
    kept = are_stored(data, assignment.scheme, run)
    plan = plan_fit(data, options, run, n_folds=assignment.n_folds, statistics_kept=kept)
    return assignment, plan.to_json()


def _check_memory(
    data: Dataset, options: FitOptions, selection: SelectOptions, run: RunOptions, n_folds: int
) -> None:
    """Refuse a limit that second moments exceed: no other solver selects features without them."""
    need, limit = gram_memory(data, options, run, n_folds).total, memory_limit(run)
    if need > limit:
        fewer = ", or ask for fewer folds" if n_folds > 1 else ""
        if data.n_features > data.n_rows:
            fewer += "; aic, bic, ebic and stability do without moments of all features"
        raise MemoryLimitError(
            f"memory: {limit:,} bytes, but a selection by {selection.by} needs "
            f"{format_size(need)} for {data.n_features:,} features; give more memory{fewer}"
        )


def _found(session: Session, selection: SelectOptions, scheme: FoldScheme) -> Found:
    if selection.by == "stability":
        return select_stable(session, selection, scheme)
    if selection.by == "relaxed":
        return select_relaxed(session, selection)
    if selection.by == "adaptive":
        return select_adaptive(session, selection)
    return select_by_criterion(session, selection)
