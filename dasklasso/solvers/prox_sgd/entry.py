"""Proximal stochastic gradient in the registry."""

from __future__ import annotations

from typing import Any

from dasklasso.solvers.base import Setup, Solver
from dasklasso.solvers.entry import Requirements, SolverEntry, at_use


def _make(setup: Setup) -> Solver[Any]:
    from dasklasso.solvers.prox_sgd.solver import ProxSgd

    return ProxSgd(setup)


ENTRY = SolverEntry(
    name="prox_sgd",
    requires=Requirements(
        bounded_curvature=True,
        most_outputs=1,
        penalised_unless_quadratic=True,
        whole_rows=True,
        checkpoints=False,
    ),
    memory=at_use("dasklasso.solvers.prox_sgd.cost.sgd_memory"),
    scans=at_use("dasklasso.solvers.prox_sgd.cost.sgd_scans"),
    make=_make,
    note="epochs reach no small gap: each solution comes with the gap that it has",
)
