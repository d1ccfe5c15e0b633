"""What a fit is asked: the options of the model, and where and how it runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dasklasso.backend import backend_named
from dasklasso.choices import SOLVERS, Criterion, FoldKind, Rule, check_word
from dasklasso.dataset.dataset import Dataset
from dasklasso.dataset.labels.class_weights import ClassWeight
from dasklasso.dataset.row_folds import FoldAssignment, FoldScheme, assign_folds
from dasklasso.errors import OptionError
from dasklasso.files.own_folders import own_folder
from dasklasso.objective.alpha_grid import (
    SMALLEST_L1_RATIO,
    alpha_grid,
    check_grid,
    given_alphas,
)
from dasklasso.objective.losses.base import Loss
from dasklasso.objective.losses.huber import HUBER_DELTA, HuberDelta, parse_huber_delta
from dasklasso.objective.losses.registry import loss_named
from dasklasso.objective.objective import Objective, check_l1_ratio
from dasklasso.objective.penalties.base import Penalty
from dasklasso.objective.penalties.elastic_net import elastic_net
from dasklasso.objective.penalties.group import GroupElasticNet
from dasklasso.objective.penalties.registry import penalty_named
from dasklasso.scan.layout import BAND_BYTES


@dataclass(frozen=True)
class FitOptions:
    """What is fitted.

    Attributes
    ----------
    loss : name of a registered loss (:data:`dasklasso.objective.losses.registry.LOSSES`)
    alphas : the user's own alphas, or None for a grid
    n_alphas, eps : of the grid, as in :func:`dasklasso.objective.alpha_grid.alpha_grid`
    l1_ratio, fit_intercept, standardize, penalty_factor :
        As in :class:`dasklasso.objective.objective.Objective`.
    positive : whether coefficients must not be negative
    grouped : whether a feature is in or out for all classes together; by loss "softmax" only
    solver : "auto", or the name of a registered solver (:mod:`dasklasso.solvers.registry`)
    tol : relative dual gap: gap / loss of the null model
    max_scans : most reads of X
    stop_saturated : whether a path ends where it explains nothing more; by solver "gram" only
    class_weight : "balanced", pairs of a label and its weight, or None; for losses of labels only
    epochs, batch_size, seed : of solver "prox_sgd": most scans of steps, rows of a step, and what
        the order of rows follows from
    huber_delta : of loss "huber": the residual up to which it is squared, in units of the target;
        "auto" is 1.345 of the spread of the target, which a fit finds and fills in
    n_classes : of a target that is a class: a fit finds and fills it in
    penalty : name of a registered penalty
        (:data:`dasklasso.objective.penalties.registry.PENALTIES`); by default the elastic net that
        ``positive`` and ``grouped`` describe

    Raises
    ------
    OptionError
        Names the option that has a value that cannot be used, when options are made.
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
    stop_saturated: bool = False
    class_weight: ClassWeight | None = None
    epochs: int = 20
    batch_size: int = 256
    seed: int = 0
    grouped: bool = False
    huber_delta: HuberDelta = "auto"
    n_classes: int = 0
    penalty: str | None = None

    def __post_init__(self) -> None:
        loss = self.objective().loss  # which checks itself
        if self.solver not in ("auto", *SOLVERS):
            known = ", ".join(("auto", *SOLVERS))
            raise OptionError(f"solver: {self.solver!r} is none of {known}")
        if not 0 < self.tol < np.inf:
            raise OptionError(f"tol: {self.tol} found, expected a positive number")
        if self.stop_saturated and self.solver not in ("auto", "gram"):
            raise OptionError(f"stop_saturated: needs solver='gram', and solver is {self.solver!r}")
        if self.stop_saturated and self.loss != "squared":
            raise OptionError(f"stop_saturated: needs loss='squared', and loss is {self.loss!r}")
        if self.class_weight is not None and not loss.most_classes:
            raise OptionError(
                f"class_weight: loss {self.loss} has no classes: logistic and softmax have"
            )
        if self.alphas is None:
            check_grid(self.n_alphas, self.eps)
        else:
            given_alphas(self.alphas)
        if self.max_scans < 1:
            raise OptionError(f"max_scans: {self.max_scans} found, expected at least 1")
        for name, least in (("epochs", 1), ("batch_size", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise OptionError(f"{name}: {getattr(self, name)} found, expected at least {least}")

    @property
    def loss_value(self) -> Loss:
        """The loss that is meant."""
        delta = parse_huber_delta(self.huber_delta)
        number = HUBER_DELTA if isinstance(delta, str) else delta  # the spread is not known yet
        return loss_named(self.loss, self.n_classes, number)

    @property
    def penalty_type(self) -> type[Penalty]:
        """The class of the penalty that is meant."""
        if self.penalty is not None:
            for name in ("positive", "grouped"):
                if getattr(self, name):
                    raise OptionError(f"{name}: cannot be together with penalty {self.penalty!r}")
            return penalty_named(self.penalty)
        if self.positive and self.grouped:
            raise OptionError("grouped: cannot be together with positive")
        if self.grouped:
            return GroupElasticNet
        return elastic_net(nonnegative=self.positive)

    def objective(self) -> Objective:
        """Return the objective these options describe."""
        return Objective(
            self.l1_ratio,
            self.fit_intercept,
            self.standardize,
            self.penalty_factor,
            self.loss_value,
            self.penalty_type,
        )

    def grid(self, data: Dataset, alpha_max: np.ndarray, l1_ratio: float) -> np.ndarray:
        """(n_alphas,) the user's own alphas, or a grid from where the first feature comes in.

        Parameters
        ----------
        alpha_max : (n_targets,)
            Smallest alpha at which only unpenalised columns are in use, at l1_ratio 1.

        Raises
        ------
        OptionError, ValueFound
            As :func:`~dasklasso.objective.alpha_grid.alpha_grid` and
            :func:`~dasklasso.objective.alpha_grid.given_alphas`.
        """
        if self.alphas is not None:
            return given_alphas(self.alphas)
        return alpha_grid(
            float(alpha_max.max()) / max(l1_ratio, SMALLEST_L1_RATIO),
            n_alphas=self.n_alphas,
            eps=self.eps,
            n_rows=data.n_rows,
            n_features=data.n_features,
        )


@dataclass(frozen=True)
class CvOptions:
    """How a path is cross-validated.

    Attributes
    ----------
    folds : int
        Number of folds; not used where the column of folds says.
    kind : {"random", "contiguous", "groups", "column"}
        Rows are dealt to folds at random; in runs, for time series; with all rows of a group (the
        data's fold column) in one fold; or as the fold column says.
    seed : int
        Of random folds.
    rule : {"min", "1se"}
        The alpha with the smallest mean error, or the largest within a standard error of it.
    l1_ratios : tuple of float or None
        To choose from; None for the options' own.
    criterion : {"loss", "auc", "accuracy"}
        What a rule compares: the mean loss of rows left out (of squared loss their mean squared
        error), or of labels how well they are ranked or told apart.

    Raises
    ------
    OptionError
        Names the option that has a value that cannot be used, when options are made.
    """

    folds: int = 5
    kind: FoldKind = "random"
    seed: int = 0
    rule: Rule = "min"
    l1_ratios: tuple[float, ...] | None = None
    criterion: Criterion = "loss"

    def __post_init__(self) -> None:
        check_word("folds", self.kind, FoldKind)
        check_word("criterion", self.criterion, Criterion)
        check_word("rule", self.rule, Rule)
        if self.kind != "column" and self.folds < 2:
            raise OptionError(f"folds: {self.folds} found, expected at least 2")
        if self.seed < 0:
            raise OptionError(f"seed: {self.seed} found, expected a number >= 0")
        for ratio in self.l1_ratios or ():
            check_l1_ratio(ratio)

    def scheme(self) -> FoldScheme:
        """Tell how rows are put into folds."""
        if self.kind == "column":
            return FoldScheme("column")
        return FoldScheme(self.kind, self.folds, self.seed if self.kind == "random" else 0)

    def assignment(self, data: Dataset) -> FoldAssignment:
        """The folds of some data's rows, from one look at their fold column if that is needed.

        Raises
        ------
        OptionError
            When the data have no fold column and need one, or too few numbers or rows.
        """
        return assign_folds(self.scheme(), data)


@dataclass(frozen=True)
class RunOptions:
    """Where and how it runs.

    Attributes
    ----------
    memory : bytes for the whole process tree, or None
    workers : number of worker processes, or None for threads in this process
    scheduler : address of a running scheduler, or None
    device : {"cpu", "cuda"}
    dashboard : whether the embedded cluster serves one; None: where there is such a cluster.
        True starts one also for data that are small enough to do without
    checkpoint : folder, or None
    checkpoint_seconds : least time between checkpoints
    resume : go on from the checkpoint if there is one
    overwrite : whether a checkpoint that is there, and is not resumed, may be replaced
    keep_checkpoint : whether the checkpoint of a fit that is complete stays, for who saves the
        model to remove it then
    band_bytes : decoded bytes of a band; it fixes the order of summation
    in_process : bare threads instead of an embedded cluster; None: for data that are in memory or
        small, where nothing above asks for a cluster
    stats : folder in which second moments are kept, or None for one beside the store
    keep_statistics : whether they are kept and, where there are some, used

    Raises
    ------
    OptionError
        Names the option that has a value that cannot be used, when options are made.
    """

    memory: int | None = None
    workers: int | None = None
    scheduler: str | None = None
    device: str = "cpu"
    dashboard: bool | None = None
    checkpoint: str | None = None
    checkpoint_seconds: float = 30.0
    resume: bool = False
    overwrite: bool = False
    keep_checkpoint: bool = False
    band_bytes: int = BAND_BYTES
    in_process: bool | None = None
    stats: str | None = None
    keep_statistics: bool = True

    def __post_init__(self) -> None:
        backend_named(self.device)
        for name in ("memory", "band_bytes"):
            found = getattr(self, name)
            if found is not None and found < 1:
                raise OptionError(f"{name}: {found} found, expected at least 1")
        if self.workers is not None:
            from dasklasso.scan.runners import check_workers

            check_workers(self.workers)
        if not self.checkpoint_seconds >= 0:
            raise OptionError(
                f"checkpoint_seconds: {self.checkpoint_seconds} found, expected a number >= 0"
            )
        if self.resume and self.checkpoint is None:
            raise OptionError("resume: needs a checkpoint folder")
        if self.checkpoint is not None:
            own_folder(self.checkpoint, "checkpoint")
        if self.stats is not None and self.keep_statistics:
            own_folder(self.stats, "stats")
