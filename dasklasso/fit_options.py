"""What a fit is asked: the options of the model, and where and how it runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dasklasso.errors import OptionError
from dasklasso.objective.losses import loss_named
from dasklasso.scan.bands import BAND_BYTES
from dasklasso.solvers.problem import Objective

SOLVERS = ("auto", "fista")


@dataclass(frozen=True)
class FitOptions:
    """What is fitted.

    Attributes
    ----------
    loss : {"squared"}
    alphas : the user's own alphas, or None for a grid
    n_alphas, eps : of the grid, as in :func:`dasklasso.selection.grid.alpha_grid`
    l1_ratio, fit_intercept, standardize, positive, penalty_factor :
        As in :class:`dasklasso.solvers.problem.Objective`.
    solver : {"auto", "fista"}
    tol : relative dual gap: gap / loss of the null model
    max_scans : most reads of X
    """

    loss: str = "squared"
    alphas: tuple[float, ...] | None = None
    n_alphas: int = 100
    eps: float | None = None
    l1_ratio: float = 1.0
    fit_intercept: bool = True
    standardize: bool = False
    positive: bool = False
    penalty_factor: np.ndarray | None = None
    solver: str = "auto"
    tol: float = 1e-6
    max_scans: int = 10_000

    def objective(self) -> Objective:
        """The objective these options describe.

        Raises
        ------
        OptionError
            When an option has a value that cannot be used.
        """
        loss_named(self.loss)
        if self.solver not in SOLVERS:
            raise OptionError(f"solver: {self.solver!r} is none of {', '.join(SOLVERS)}")
        if not self.tol > 0:
            raise OptionError(f"tol: {self.tol} found, expected a positive number")
        if self.max_scans < 1:
            raise OptionError(f"max_scans: {self.max_scans} found, expected at least 1")
        return Objective(
            self.l1_ratio,
            self.fit_intercept,
            self.standardize,
            self.positive,
            self.penalty_factor,
            self.loss,
        )


@dataclass(frozen=True)
class RunOptions:
    """Where and how it runs.

    Attributes
    ----------
    memory : bytes for the whole process tree, or None
    workers : number of worker processes, or None for threads in this process
    scheduler : address of a running scheduler, or None
    device : {"cpu", "cuda"}
    dashboard : whether the embedded cluster serves one
    checkpoint : folder, or None
    checkpoint_seconds : least time between checkpoints
    resume : go on from the checkpoint if there is one
    band_bytes : decoded bytes of a band; it fixes the order of summation
    in_process : bare threads instead of an embedded cluster, for data already in memory
    """

    memory: int | None = None
    workers: int | None = None
    scheduler: str | None = None
    device: str = "cpu"
    dashboard: bool = True
    checkpoint: str | None = None
    checkpoint_seconds: float = 30.0
    resume: bool = False
    band_bytes: int = BAND_BYTES
    in_process: bool = False
