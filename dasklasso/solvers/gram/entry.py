"""The Gram solver in the registry."""

from __future__ import annotations

from dasklasso.dataset.dataset import Dataset
from dasklasso.options import FitOptions
from dasklasso.solvers.entry import Requirements, SolverEntry
from dasklasso.solvers.gram.cost import gram_memory, gram_scans


def _doubt(data: Dataset, options: FitOptions) -> str:
    return "gram needs two scans" if options.max_scans < 2 else ""


ENTRY = SolverEntry(
    name="gram",
    requires=Requirements(quadratic_loss=True, separable=True, folds="quadratic"),
    memory=gram_memory,
    scans=gram_scans,
    make=None,
    automatic="quadratic",
    because="squared loss, and the Gram matrix fits in memory",
    too_large="the Gram matrix does not fit in memory",
    doubt=_doubt,
    comparable=True,
)
