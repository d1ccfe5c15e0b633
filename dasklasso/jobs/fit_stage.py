"""The stages of a job that fit: fit, path, cv. Each is a value that holds its options.

The options have the command line's names, with underscores. The command line and TOML jobs both
make these values, so an option means the same in both.
"""

from __future__ import annotations

import itertools
import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from dasklasso.choices import (
    Criterion,
    FoldKind,
)
from dasklasso.errors import ConvergenceWarning, OptionError
from dasklasso.files.places import is_url
from dasklasso.jobs.base import Announce, ClusterStage
from dasklasso.units import parse_size

if TYPE_CHECKING:
    from dasklasso.dataset.dataset import Dataset
    from dasklasso.dataset.labels.class_weights import ClassWeight
    from dasklasso.model.path import FittedPath
    from dasklasso.options import CvOptions, FitOptions, RunOptions
    from dasklasso.solvers.base import ScanEvent


Rule = Literal["min", "1se"]


@dataclass(frozen=True, kw_only=True)
class SolveStage(ClusterStage, ABC):
    """Options that ``dasklasso fit``, ``path``, ``cv`` and ``select`` share."""

    _reads = ("store", "penalty_factor", "covariates")
    _writes: ClassVar[tuple[str, ...]] = ("out", "checkpoint", "stats")

    loss: str = "squared"
    huber_delta: str = "auto"
    l1_ratio: float = 1.0
    solver: str = "auto"
    tol: float = 1e-6
    max_scans: int = 10_000
    standardize: bool = False
    no_intercept: bool = False
    positive: bool = False
    grouped: bool = False
    penalty: str | None = None
    penalty_factor: str | None = None
    covariates: str | None = None
    id: str | None = None
    class_weight: str | None = None
    checkpoint: str | None = None
    checkpoint_seconds: float = 30.0
    resume: bool = False
    stats: str | None = None
    no_stats: bool = False
    epochs: int = 20
    batch_size: int = 256
    seed: int = 0

    def check(self) -> None:
        """Validate the options before any work."""
        from dasklasso.model.store import check_free

        if self.memory is not None:
            parse_size(self.memory)
        if self.id is not None and self.covariates is None:
            raise OptionError(
                f"--id {self.id}: is of a table of covariates, expected --covariates."
            )
        if self.resume and self.checkpoint is None:
            raise OptionError("--resume needs --checkpoint DIR: the folder to resume from.")
        self._fit_options()  # checked as they are made
        self._solve_options()
        if not self.out:
            raise OptionError("out: empty, expected the folder that the model is saved to.")
        self.check_places()
        check_free(Path(self.out), overwrite=self.overwrite)

    def outputs(self) -> dict[str, str]:
        """Return what is written: of folders that may hold other things too, what is put there."""
        from dasklasso.fit.history import RUNS
        from dasklasso.moments.store import SUFFIX
        from dasklasso.solvers.checkpoint import STATE, STATISTICS

        found = super().outputs()
        folder = found.pop("checkpoint", None)
        if folder is not None:
            found["checkpoint"] = os.path.join(folder, STATE)
            found["statistics of the checkpoint"] = os.path.join(folder, STATISTICS)
        stats = found.pop("stats", None)
        if not self.no_stats:
            if stats is None and not is_url(self.store):
                stats = os.path.realpath(self.store) + SUFFIX
            if stats is not None:
                found["stats"] = os.path.join(stats, RUNS)
        return found

    def run(
        self,
        *,
        progress: Callable[[ScanEvent], None] | None = None,
        announce: Announce | None = None,
    ) -> FittedPath:
        """Fit and save; whether it converged is in the path that is returned.

        What is written is this process's own from the start, so that a place where nothing can be
        written is refused before any work. The checkpoint of a complete fit is removed last.
        """
        from dasklasso.solvers.checkpoint import remove_checkpoint

        self.check()
        with self.results_claimed():
            data = self.open_data()
            with warnings.catch_warnings():
                # the caller is told by path.converged, and says so in its own way
                warnings.simplefilter("ignore", ConvergenceWarning)
                path = self._fit(data, progress=progress, announce=announce)
            self._write(path)
        if self.checkpoint is not None and path.converged:
            remove_checkpoint(Path(self.checkpoint), data.identity)
        return path

    def open_data(self) -> Dataset:
        """Open the store, with covariates beside its features where some are named."""
        from dasklasso.dataset.dataset import open_dataset

        data = open_dataset(self.store, empty_chunks=self.empty_chunks)
        if self.covariates is None:
            return data
        from dasklasso.dataset.covariates import with_covariates

        return with_covariates(data, self.covariates, id_column=self.id)

    def _write(self, path: FittedPath) -> None:
        """Write what was asked for."""
        path.save(self.out, overwrite=self.overwrite)

    def kept_statistics(self) -> Iterator[Path]:
        """Return the documents of all second moments that there are where a fit keeps its own."""
        from dasklasso.moments.store import SUFFIX

        folders = [] if self.checkpoint is None else [Path(self.checkpoint) / "statistics"]
        if not self.no_stats:
            beside = None if is_url(self.store) else os.path.realpath(self.store) + SUFFIX
            folders += [Path(place) for place in (self.stats or beside,) if place is not None]
        return itertools.chain.from_iterable(folder.glob("*/zarr.json") for folder in folders)

    def _fit(self, data: Dataset, **watch: Any) -> FittedPath:
        from dasklasso.fit import fit_path

        return fit_path(data, self._fit_options(data), self._solve_options(), **watch)

    def _solve_options(self) -> RunOptions:
        return self._run_options(
            checkpoint=self.checkpoint,
            checkpoint_seconds=self.checkpoint_seconds,
            resume=self.resume,
            overwrite=self.overwrite,
            keep_checkpoint=True,
            stats=self.stats,
            keep_statistics=not self.no_stats,
        )

    @abstractmethod
    def _grid(self) -> dict[str, Any]:
        """Return the alphas, as options of a fit."""

    def _fit_options(self, data: Dataset | None = None) -> FitOptions:
        """Return the options, as far as they are known without data."""
        from dasklasso.files.penalty_factors import read_penalty_factor
        from dasklasso.objective.losses.huber import parse_huber_delta
        from dasklasso.options import FitOptions

        factor = None
        if self.penalty_factor is not None and data is not None:
            names, n = data.feature_names, data.n_covariates
            factor = read_penalty_factor(self.penalty_factor, names, n)
        return FitOptions(
            loss=self.loss,
            huber_delta=parse_huber_delta(self.huber_delta),
            l1_ratio=self.l1_ratio,
            fit_intercept=not self.no_intercept,
            standardize=self.standardize,
            positive=self.positive,
            grouped=self.grouped,
            penalty=self.penalty,
            penalty_factor=factor,
            solver=self.solver,
            tol=self.tol,
            max_scans=self.max_scans,
            class_weight=self._class_weight(),
            epochs=self.epochs,
            batch_size=self.batch_size,
            seed=self.seed,
            **self._grid(),
        )

    def _class_weight(self) -> ClassWeight | None:
        from dasklasso.dataset.labels.class_weights import parse_class_weight

        return None if self.class_weight is None else parse_class_weight(self.class_weight)


@dataclass(frozen=True, kw_only=True)
class FitStage(SolveStage):
    """``dasklasso fit``: chosen alphas."""

    alpha: tuple[float, ...]

    def _grid(self) -> dict[str, Any]:
        return {"alphas": tuple(sorted(set(self.alpha), reverse=True))}


@dataclass(frozen=True, kw_only=True)
class PathStage(SolveStage):
    """``dasklasso path``: a grid of alphas from the data."""

    _writes = (*SolveStage._writes, "table")

    n_alphas: int = 100
    eps: float | None = None
    stop_saturated: bool = False
    table: str | None = None

    def check(self) -> None:
        """Validate the options before any work."""
        from dasklasso.files.tables import check_table_file

        super().check()
        if self.table is not None:
            check_table_file(self.table, overwrite=self.overwrite)

    def _write(self, path: FittedPath) -> None:
        """Write the model, and the table that was asked for."""
        from dasklasso.files.tables import write_table

        super()._write(path)
        if self.table is not None:
            write_table(path.table(), self.table, overwrite=self.overwrite)

    def _grid(self) -> dict[str, Any]:
        return {
            "n_alphas": self.n_alphas,
            "eps": self.eps,
            "stop_saturated": self.stop_saturated,
        }


@dataclass(frozen=True, kw_only=True)
class CvStage(PathStage):
    """``dasklasso cv``: a grid of alphas, and the one that predicts best."""

    alpha: tuple[float, ...] = ()
    l1_ratios: tuple[float, ...] = ()
    folds: int = 5
    fold_kind: FoldKind = "random"
    seed: int = 0
    rule: Rule = "min"
    criterion: Criterion = "loss"

    def check(self) -> None:
        """Validate the options before any work."""
        super().check()
        self._cv_options()  # checked as they are made

    def _grid(self) -> dict[str, Any]:
        chosen = tuple(sorted(set(self.alpha), reverse=True))
        return super()._grid() | ({"alphas": chosen} if chosen else {})

    def _cv_options(self) -> CvOptions:
        from dasklasso.options import CvOptions

        ratios = self.l1_ratios or None
        return CvOptions(self.folds, self.fold_kind, self.seed, self.rule, ratios, self.criterion)

    def _fit(self, data: Dataset, **watch: Any) -> FittedPath:
        from dasklasso.fit import fit_cv

        options, run = self._fit_options(data), self._solve_options()
        return fit_cv(data, options, self._cv_options(), run, **watch)
