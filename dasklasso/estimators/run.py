"""Running a fit for an estimator: where it runs, what it says, what it warns of."""

from __future__ import annotations

import sys
import time
import warnings

import numpy as np
import sklearn.exceptions

from dasklasso import errors
from dasklasso.dataset.dataset import Dataset
from dasklasso.estimators.inputs import reachable_by_workers
from dasklasso.fit import fit_cv, fit_path
from dasklasso.fit.targets import labelled, with_classes
from dasklasso.model.path import FittedPath
from dasklasso.options import CvOptions, FitOptions, RunOptions
from dasklasso.problem.null_model import null_model
from dasklasso.problem.zero_scan import targets_met
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.runners import InProcess, existing_client
from dasklasso.solvers.base import ScanEvent

PRINT_SECONDS = 1.0  # between two lines of a verbose fit


class ConvergenceWarning(sklearn.exceptions.ConvergenceWarning, errors.ConvergenceWarning):
    """A fit stopped above its tolerance; caught under scikit-learn's name and under ours."""


class Watch:
    """Prints how a fit goes on standard error, about a line a second and always the last."""

    def __init__(self) -> None:
        self._next = 0.0
        self._unseen: ScanEvent | None = None

    def __call__(self, event: ScanEvent) -> None:
        if time.monotonic() < self._next:
            self._unseen = event
        else:
            self._show(event)

    def close(self) -> None:
        """Print what was held back."""
        if self._unseen is not None:
            self._show(self._unseen)

    def announce(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    def _show(self, event: ScanEvent) -> None:
        self._unseen = None
        self._next = time.monotonic() + PRINT_SECONDS
        self.announce(
            f"scan {event.scan}: {event.n_done} of {event.n_alphas} problems done, "
            f"gap {event.worst_gap:.1e}, {event.n_nonzero:,} nonzero, {event.seconds:.1f} s"
        )


def solve(
    data: Dataset,
    options: FitOptions,
    run: RunOptions,
    cv: CvOptions | None,
    *,
    verbose: bool,
    stacklevel: int,
) -> FittedPath:
    """Fit; data in memory go where the workers can read them, if a cluster is to.

    Parameters
    ----------
    cv : CvOptions or None
        How the path is cross-validated, if it is.
    stacklevel : int
        Of the warning: 1 is the caller of this function.

    Warns
    -----
    ConvergenceWarning
        When a gap is above ``options.tol``.
    """
    if run.workers is not None or run.scheduler is not None or existing_client() is not None:
        data = reachable_by_workers(data)
    watch = Watch() if verbose else None
    announce = None if watch is None else watch.announce
    try:
        if cv is None:
            path = fit_path(data, options, run, progress=watch, announce=announce)
        else:
            path = fit_cv(data, options, cv, run, progress=watch, announce=announce)
    finally:
        if watch is not None:
            watch.close()
    if not path.converged:
        warnings.warn(
            f"the relative dual gap is {path.dual_gaps.max():.2e} after {path.scans:g} scans, "
            f"above tol={path.tol:g}: the solution is valid to that gap. "
            "Increase max_iter, or tol.",
            ConvergenceWarning,
            stacklevel=stacklevel + 1,
        )
    return path


def null_loss(data: Dataset, options: FitOptions) -> np.ndarray:
    """(n_problems,) loss of the model without features, in which relative gaps are counted."""
    coded = labelled(data, options)
    objective = with_classes(options, coded).objective()
    engine, loss = ScanEngine(coded.data, InProcess(1)), objective.loss
    targets = targets_met(coded.data, engine, loss)
    null = null_model(engine, loss, targets, fit_intercept=objective.fit_intercept)
    return null[1][:: loss.n_outputs]
