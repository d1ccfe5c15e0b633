"""One fit from end to end: choose a solver, open a runner, solve, certify, hand over a path."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from dasklasso.backend import backend_for
from dasklasso.cross_validation.record import CvRecord
from dasklasso.dataset.dataset import Dataset
from dasklasso.dataset.labels.class_codes import Labelled
from dasklasso.dataset.row_folds import FoldAssignment, FoldScheme
from dasklasso.errors import DataWarning, OptionError
from dasklasso.fit.assemble import as_path, warn_of_nothing_left
from dasklasso.fit.history import case_of_run, keep_run, with_history
from dasklasso.fit.machine import Machine, machine_for
from dasklasso.fit.plan import plan_fit
from dasklasso.fit.session import checkpoint_claimed, open_engine
from dasklasso.fit.statistics import are_stored
from dasklasso.fit.targets import (
    labelled,
    warn_of_classes,
    warn_of_small_delta,
    with_classes,
    with_delta,
    with_free_covariates,
)
from dasklasso.model.path import FittedPath
from dasklasso.options import CvOptions, FitOptions, RunOptions
from dasklasso.solvers.base import ScanEvent
from dasklasso.solvers.checkpoint import remove_checkpoint
from dasklasso.solvers.registry import solver_entry

GAP_ROUNDING = 1e-10  # of gaps: what is below it is not worth a word
MEASURED_BYTES = 8 << 30  # of X: a plan of less has no time in it


def fit_path(
    data: Dataset,
    options: FitOptions,
    run: RunOptions | None = None,
    *,
    progress: Callable[[ScanEvent], None] | None = None,
    announce: Callable[[str], None] | None = None,
) -> FittedPath:
    """Solve for every alpha, each certified by a duality gap.

    Parameters
    ----------
    data : Dataset
        With a target.
    progress : called after every scan
    announce : called with a line about the dashboard once there is one

    Returns
    -------
    FittedPath
        A gap above ``tol`` is possible where ``max_scans`` ran out: see ``converged``.

    Raises
    ------
    DasklassoError
    """
    return _fit(data, options, run or RunOptions(), None, progress, announce)


def fit_cv(
    data: Dataset,
    options: FitOptions,
    cv: CvOptions,
    run: RunOptions | None = None,
    *,
    progress: Callable[[ScanEvent], None] | None = None,
    announce: Callable[[str], None] | None = None,
) -> FittedPath:
    """Cross-validate a path, and solve it on all rows, each alpha certified by a duality gap.

    Folds cost no read of their own: the scan that takes the second moments of the data keeps them
    apart by fold.

    Parameters
    ----------
    data, progress, announce :
        As for :func:`fit_path`.

    Returns
    -------
    FittedPath
        With ``cross_validation`` and the alpha that it selects.

    Raises
    ------
    DasklassoError
        :class:`~dasklasso.errors.OptionError` for folds that cannot be made;
        :class:`~dasklasso.errors.ValueFound` for a fold of one class where areas under curves
        choose, or outside of which there is one class only;
        :class:`~dasklasso.errors.MemoryLimitError` where second moments do not fit the memory.
    """
    return _fit(data, options, run or RunOptions(), cv, progress, announce)


def _fit(
    data: Dataset,
    options: FitOptions,
    run: RunOptions,
    cv: CvOptions | None,
    progress: Callable[[ScanEvent], None] | None,
    announce: Callable[[str], None] | None,
) -> FittedPath:
    """Fit where the checkpoint is this process's own; a fit that is complete needs it no more."""
    with checkpoint_claimed(run):
        path = _fitted(data, options, run, cv, progress, announce)
    if run.checkpoint is not None and path.converged and not run.keep_checkpoint:
        remove_checkpoint(Path(run.checkpoint), data.identity)
    return path


def _fitted(
    data: Dataset,
    options: FitOptions,
    run: RunOptions,
    cv: CvOptions | None,
    progress: Callable[[ScanEvent], None] | None,
    announce: Callable[[str], None] | None,
) -> FittedPath:
    """Open, choose, drive, assemble."""
    backend_for(run.device)
    if data.y is None:
        raise OptionError(f"{data.location}: has no target y, and a fit needs one")
    coded = labelled(data, options)
    warn_of_small_delta(coded.data, options)
    warn_of_classes(data, options)
    options = with_delta(with_classes(options, coded), coded.data)
    options = with_free_covariates(options, data)
    if cv is not None and cv.l1_ratios and len(cv.l1_ratios) == 1:
        options = replace(options, l1_ratio=cv.l1_ratios[0])
    assignment = FoldAssignment(FoldScheme()) if cv is None else cv.assignment(data)
    if cv is not None:
        check_folds(coded, options, cv, assignment)
    if data.n_covariates and options.fit_intercept:  # which stands for what is constant
        from dasklasso.problem.constant_columns import warn_of_constant_covariates

        warn_of_constant_covariates(coded.data, assignment)
    kept = are_stored(coded.data, assignment.scheme, run)
    n_ratios = 1 if cv is None else len(cv.l1_ratios or (0,))
    plan = plan_fit(
        data,
        options,
        run,
        n_folds=assignment.n_folds,
        n_ratios=n_ratios,
        statistics_kept=kept,
        machine=_measured(data, run),
    )
    case = case_of_run(plan, options, run, statistics_kept=kept, n_ratios=n_ratios)
    plan = with_history(plan, data, run, case)
    entry = solver_entry(plan.solver)
    if cv is not None and entry.make is not None:
        _check_checkpoint(options, run, cv)
    _check_standing(coded.data, options, run, cv)
    began = time.monotonic()
    with (
        data.unchanged(),
        open_engine(coded.data, run, announce, plan.memory_per_worker) as (engine, peak),
    ):
        # what a fit does not need is not imported: of small data that takes longer than the fit
        if entry.make is None:
            from dasklasso.fit.gram import solve_by_gram

            solved = solve_by_gram(
                coded.data, engine, options, run, cv, assignment, progress, announce
            )
        else:
            from dasklasso.fit.by_scans import solve_by_scans

            solved = solve_by_scans(
                entry, coded.data, engine, options, run, cv, assignment, progress
            )
        if entry.fallback and solved.worst_gap > options.tol and solved.scans < options.max_scans:
            from dasklasso.fit.by_scans import checkpoints_of
            from dasklasso.fit.fallback import finish_by_fista, fista_can_finish

            folder = None if run.checkpoint is None else Path(run.checkpoint)
            checkpoints = checkpoints_of(coded.data, options, run, cv, folder)
            if fista_can_finish(solved):
                solved = finish_by_fista(
                    coded.data, engine, solved, options, run, progress, checkpoints
                )
    if solved.cross_validation is not None:
        _warn_of_gaps(solved.cross_validation, options.tol)
    seconds = time.monotonic() - began
    if solved.worst_gap <= options.tol and not run.resume:
        keep_run(data, run, case, solved.scans, seconds)
    path = as_path(
        data,
        solved,
        options,
        seconds=seconds,
        peak=peak.nbytes,
        plan=plan.to_json(),
        classes=coded.classes,
    )
    warn_of_nothing_left(path, options)
    return path


def check_folds(
    coded: Labelled, options: FitOptions, cv: CvOptions, assignment: FoldAssignment
) -> None:
    """Refuse folds that the criterion, or the classes of a loss, cannot have."""
    from dasklasso.cross_validation.fold_classes import (
        check_fold_classes,
        check_training_classes,
    )

    loss = options.loss_value
    if cv.criterion != "loss" and not loss.gives_probabilities:
        raise OptionError(f"criterion: {cv.criterion} found, but loss {options.loss} has no labels")
    if loss.most_classes == 2:
        check_fold_classes(coded, assignment, ranked=cv.criterion == "auc")
    if loss.n_outputs > 1:
        if cv.criterion == "auc":
            raise OptionError(
                "criterion: auc found, an area under the curve of two classes, and loss softmax "
                f"has {loss.n_outputs}: take accuracy or loss"
            )
        check_training_classes(coded, assignment, options)


def _check_checkpoint(options: FitOptions, run: RunOptions, cv: CvOptions) -> None:
    """Refuse a checkpoint of several paths."""
    ratios = cv.l1_ratios or ()
    if len(ratios) > 1 and run.checkpoint is not None:
        raise OptionError(
            f"checkpoint: a choice among {len(ratios)} l1_ratios of loss {options.loss} "
            "keeps none; expected one l1_ratio, or no checkpoint"
        )


def _check_standing(
    data: Dataset, options: FitOptions, run: RunOptions, cv: CvOptions | None
) -> None:
    """Refuse, before X is read, to lose the checkpoint of another fit, or of this one."""
    if run.checkpoint is None:
        return
    from dasklasso.fit.by_scans import problem_key
    from dasklasso.solvers.checkpoint import refuse_standing

    refuse_standing(
        Path(run.checkpoint),
        problem_key(data, options, run, cv),
        resume=run.resume,
        overwrite=run.overwrite,
    )


def _warn_of_gaps(record: CvRecord, tol: float) -> None:
    """Say where curves are less exact than they look."""
    if record.worst_gap > max(tol, GAP_ROUNDING):
        warnings.warn(
            f"folds: models trained without one of them have gaps of up to {record.worst_gap:.2g}, "
            f"above {tol:.2g}: their errors are not those of the optimum",
            DataWarning,
            stacklevel=4,
        )


def _measured(data: Dataset, run: RunOptions) -> Machine | None:
    """This machine's rates, where measuring them is short against the fit and says something."""
    nbytes = data.n_rows * data.n_features * data.X.dtype.itemsize
    return None if nbytes < MEASURED_BYTES else machine_for(data, run, seconds=0.1)
