"""Proximal Newton in the registry: of one prediction a row, and of several classes."""

from __future__ import annotations

from dasklasso.dataset.dataset import Dataset
from dasklasso.options import FitOptions
from dasklasso.solvers.entry import Requirements, SolverEntry
from dasklasso.solvers.newton.cost import newton_memory, newton_scans
from dasklasso.solvers.softmax.cost import SOFTMAX_CLASSES, softmax_unfit


def _doubt(data: Dataset, options: FitOptions) -> str:
    return softmax_unfit(data, options) if options.loss_value.n_outputs > 1 else ""


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
    memory=newton_memory,
    scans=newton_scans,
    make=None,
    automatic="other",
    because="loss {loss}",
    too_large="the Hessians do not fit in memory",
    doubt=_doubt,
    note="the number of scans is a guess: it depends on how correlated columns are",
)
