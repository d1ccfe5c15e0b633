"""Proximal Newton in the registry: of one prediction a row, and of several classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dasklasso.dataset.dataset import Dataset
from dasklasso.options import FitOptions
from dasklasso.scan.engine import Request
from dasklasso.solvers.base import Setup, Solver
from dasklasso.solvers.entry import UNKNOWN_SCANS, Requirements, SolverEntry, at_use
from dasklasso.solvers.softmax.cost import SOFTMAX_CLASSES, softmax_unfit


def _doubt(data: Dataset, options: FitOptions) -> str:
    return softmax_unfit(data, options) if options.loss_value.n_outputs > 1 else ""


def _joint(setup: Setup) -> bool:
    """Tell whether a row has several predictions, so that they are one problem."""
    return setup.problem.loss.n_outputs > 1


def _zero_requests(setup: Setup) -> Sequence[Request]:
    from dasklasso.solvers.newton import beginning
    from dasklasso.solvers.softmax import solver as softmax

    return (softmax if _joint(setup) else beginning).zero_requests(setup)


def _make(setup: Setup) -> Solver[Any]:
    from dasklasso.solvers.newton.beginning import make_newton
    from dasklasso.solvers.softmax.solver import SoftmaxNewton

    return SoftmaxNewton(setup) if _joint(setup) else make_newton(setup)


ENTRY = SolverEntry(
    name="newton",
    requires=Requirements(
        penalised=True,
        separable=True,
        groups_of_outputs=True,
        whole_rows=True,
        most_outputs=SOFTMAX_CLASSES,
        folds="other",
    ),
    memory=at_use("dasklasso.solvers.newton.cost.newton_memory"),
    scans=at_use("dasklasso.solvers.newton.cost.newton_scans"),
    make=_make,
    zero_requests=_zero_requests,
    looks_when_resumed=True,
    automatic="other",
    because="loss {loss}",
    too_large="the Hessians do not fit in memory",
    doubt=_doubt,
    fallback=True,
    note=UNKNOWN_SCANS,
)
