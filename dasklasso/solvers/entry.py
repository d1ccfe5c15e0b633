"""What the registry knows of a solver: what it can be asked, what it needs, how it is made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dasklasso.dataset.dataset import Dataset
from dasklasso.objective.losses.base import Loss
from dasklasso.objective.penalties.base import Penalty
from dasklasso.objective.penalties.group import GroupElasticNet
from dasklasso.options import FitOptions, RunOptions
from dasklasso.scan.engine import Request
from dasklasso.solvers.cost import Memory, layout_for

if TYPE_CHECKING:
    from dasklasso.solvers.base import Setup, Solver


@dataclass(frozen=True)
class Case:
    """A fit as far as it decides which solvers can do it.

    Attributes
    ----------
    loss : Loss
    penalty : its class
    unpenalised : the first feature whose penalty factor is 0, or None
    n_folds : of a cross-validation; 1 for a fit without one
    n_parts : column parts that X is read in
    n_features : int
    checkpoint : whether one is to be written
    """

    loss: Loss
    penalty: type[Penalty]
    unpenalised: int | None
    n_folds: int
    n_parts: int
    n_features: int
    checkpoint: bool


def case_of(data: Dataset, options: FitOptions, run: RunOptions, n_folds: int) -> Case:
    """Return the case that some options are on some data."""
    factor = options.penalty_factor
    free = np.flatnonzero(np.asarray(1.0 if factor is None else factor) == 0)
    return Case(
        options.loss_value,
        options.penalty_type,
        int(free[0]) if free.size else None,
        n_folds,
        len(layout_for(data, run).parts),
        data.n_features,
        run.checkpoint is not None,
    )


@dataclass(frozen=True)
class Requirements:
    """What a solver requires. What it cannot do is refused by name, here and nowhere else.

    Attributes
    ----------
    quadratic_loss : the loss must be a quadratic
    bounded_curvature : the loss must have a largest curvature
    most_outputs : predictions of a row that a loss may have at most
    penalised : every feature must have a penalty
    penalised_unless_quadratic : every feature must, beside a loss that is no quadratic
    separable : the penalty must be one of single coefficients
    groups_of_outputs : but may be the elastic net on the outputs of a loss
    whole_rows : a band must hold all columns
    folds : the losses that it cross-validates: "none", "quadratic" ones, "other" ones, or "any"
    checkpoints : whether it keeps checkpoints
    """

    quadratic_loss: bool = False
    bounded_curvature: bool = False
    most_outputs: int | None = None
    penalised: bool = False
    penalised_unless_quadratic: bool = False
    separable: bool = False
    groups_of_outputs: bool = False
    whole_rows: bool = False
    folds: Literal["none", "quadratic", "other", "any"] = "none"
    checkpoints: bool = True

    def has_folds_of(self, loss: Loss) -> bool:
        """Tell whether it cross-validates fits of a loss."""
        return self.folds in ("any", "quadratic" if loss.quadratic else "other")

    def has_unpenalised(self, loss: Loss) -> bool:
        """Tell whether it has features without a penalty beside a loss."""
        return not (self.penalised or (self.penalised_unless_quadratic and not loss.quadratic))

    def refusal(self, name: str, case: Case, instead: str) -> str:
        """Say why a solver of this name cannot do a case, as a whole message; "" where it can.

        Parameters
        ----------
        instead : the solver that can, or "" where none does
        """
        loss, can = case.loss, f"; {instead} can" if instead else ", and no other solver can"
        if self.quadratic_loss and not loss.quadratic:
            return f"loss: {loss.name} found, but {name} needs squared"
        if case.n_folds > 1 and not self.has_folds_of(loss):
            return f"solver: {name} cannot cross-validate, {instead or 'no other'} can"
        if self.most_outputs == 1 and loss.n_outputs > 1:
            return (
                f"loss: {loss.name} found, but {name} needs one with a single prediction of a row"
            )
        if self.most_outputs is not None and loss.n_outputs > self.most_outputs:
            return (
                f"solver: {name} has at most {self.most_outputs} classes, and there are "
                f"{loss.n_outputs:,}{can}"
            )
        if self.bounded_curvature and loss.unbounded:
            return f"loss: {loss.name} found, but {name} needs one with a bounded curvature"
        if case.unpenalised is not None and not self.has_unpenalised(loss):
            beside = "" if self.penalised else f" beside loss {loss.name}"
            return (
                f"penalty_factor: 0 found for feature {case.unpenalised}, but {name} has no "
                f"unpenalised features{beside}{can}"
            )
        joint = self.groups_of_outputs and loss.n_outputs > 1 and case.penalty is GroupElasticNet
        if self.separable and not case.penalty.separable and not joint:
            return f"penalty: {case.penalty.name} found, but {name} needs elastic_net{can}"
        if self.whole_rows and case.n_parts > 1:
            return (
                f"solver: {name} needs rows whole, and {case.n_features:,} features are read in "
                f"{case.n_parts} parts: use solver fista, or ingest with smaller chunks"
            )
        if case.checkpoint and not self.checkpoints:
            return f"checkpoint: solver {name} keeps none, use solver fista"
        return ""


@dataclass(frozen=True)
class ScanCost:
    """Some equal scans of a plan.

    Attributes
    ----------
    times : how many are expected
    flops : additions and multiplications of each
    dtype : precision of its products
    threads : share of the machine's threads that compute
    least, most : how many there may be; None for exactly ``times``
    """

    times: int
    flops: float
    dtype: np.dtype
    threads: float = 1.0
    least: int | None = None
    most: int | None = None


# of a plan whose solver goes on until gaps are small
UNKNOWN_SCANS = "the number of scans is a guess: it depends on how correlated columns are"

MemoryOf = Callable[[Dataset, FitOptions, RunOptions, int], Memory]
ScansOf = Callable[[Dataset, FitOptions, RunOptions, int, bool], Sequence[ScanCost]]


def at_use(name: str) -> Callable[..., Any]:
    """Name a function, as ``module.function``, whose module is imported when it is first called.

    A fit asks what some solvers cost, and the modules of the others are many.
    """
    module, function = name.rsplit(".", 1)

    def call(*arguments: Any) -> Any:
        return getattr(import_module(module), function)(*arguments)

    return call


def no_doubt(data: Dataset, options: FitOptions) -> str:
    """Raise no objection to a solver."""
    return ""


def no_requests(setup: Setup) -> Sequence[Request]:
    """Ask nothing of the scan at zero but the gradient."""
    return ()


@dataclass(frozen=True)
class SolverEntry:
    """A solver in the registry.

    Attributes
    ----------
    name : what options and models call it
    requires : Requirements
    memory : what it needs, of data, options, run and the number of folds
    scans : what it reads, of these and of whether statistics are stored
    make : the solver of one problem; None for one whose scans are those of moments
    zero_requests : what the scan at zero is asked besides the gradient there
    look : makes the first scan, where that is one of its own: returns the setup with what it showed
    looks_when_resumed : whether a fit that is resumed needs the scan at zero too
    automatic : the losses for which "auto" may take it
    because : why "auto" takes it, half a sentence
    too_large : what does not fit where it does not, half a sentence
    doubt : why it is a poor choice on some data, though it can do them; "" where it is not
    note : what is uncertain about its plan
    fallback : whether fista goes on where it stops making progress
    continues : whether it is to come to a hard loss through easier ones
    comparable : whether its scans are known well enough for "auto" to compare their cost
    """

    name: str
    requires: Requirements
    memory: MemoryOf
    scans: ScansOf
    make: Callable[[Setup], Solver[Any]] | None
    zero_requests: Callable[[Setup], Sequence[Request]] = no_requests
    look: Callable[[Setup], Setup] | None = None
    looks_when_resumed: bool = False
    automatic: Literal["none", "quadratic", "other", "any"] = "none"
    because: str = ""
    too_large: str = ""
    doubt: Callable[[Dataset, FitOptions], str] = no_doubt
    note: str = ""
    fallback: bool = False
    continues: bool = False
    comparable: bool = False

    def is_automatic(self, loss: Loss) -> bool:
        """Tell whether "auto" may take it for a loss."""
        return self.automatic in ("any", "quadratic" if loss.quadratic else "other")
