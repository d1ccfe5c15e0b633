"""FISTA in the registry."""

from __future__ import annotations

from typing import Any

from dasklasso.solvers.base import Setup, Solver
from dasklasso.solvers.entry import UNKNOWN_SCANS, Requirements, SolverEntry, at_use


def _make(setup: Setup) -> Solver[Any]:
    from dasklasso.solvers.fista.solver import Fista

    return Fista(setup)


ENTRY = SolverEntry(
    name="fista",
    requires=Requirements(penalised_unless_quadratic=True),
    memory=at_use("dasklasso.solvers.fista.cost.fista_memory"),
    scans=at_use("dasklasso.solvers.fista.cost.fista_scans"),
    make=_make,
    automatic="any",
    note=UNKNOWN_SCANS,
    continues=True,
)
