"""Working sets in the registry: data wider than long, squared and smooth losses."""

from __future__ import annotations

from typing import Any

from dasklasso.dataset.dataset import Dataset
from dasklasso.options import FitOptions
from dasklasso.solvers.base import Setup, Solver
from dasklasso.solvers.entry import UNKNOWN_SCANS, Requirements, SolverEntry, at_use


def _look(setup: Setup) -> Setup:
    from dasklasso.solvers.working_set.look import wide_look

    return wide_look(setup)


def _make(setup: Setup) -> Solver[Any]:
    from dasklasso.solvers.working_set.solver import WorkingSet

    return WorkingSet(setup)


def _doubt(data: Dataset, options: FitOptions) -> str:
    if options.stop_saturated:
        return "only gram ends a path where it is saturated"
    if options.l1_ratio == 0.0:
        return "without an l1 penalty every feature is in use"
    return "" if data.n_features > data.n_rows else "X is not wider than long"


ENTRY = SolverEntry(
    name="working_set",
    requires=Requirements(most_outputs=1, separable=True, folds="any"),
    memory=at_use("dasklasso.solvers.working_set.cost.working_set_memory"),
    scans=at_use("dasklasso.solvers.working_set.cost.working_set_scans"),
    make=_make,
    look=_look,
    looks_when_resumed=True,
    automatic="any",
    because="X is wider than long, and the columns in use fit in memory",
    too_large="the columns in use do not fit in memory",
    note=UNKNOWN_SCANS,
    fallback=True,
    doubt=_doubt,
    comparable=True,
)
