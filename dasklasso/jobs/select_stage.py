"""The stage of a job that selects: which features, which alpha."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from dasklasso.choices import FoldKind
from dasklasso.errors import ConvergenceWarning, OptionError
from dasklasso.jobs.base import Announce
from dasklasso.jobs.fit_stage import Rule, SolveStage
from dasklasso.units import parse_size

if TYPE_CHECKING:
    from dasklasso.selection.found import Selected
    from dasklasso.selection.options import SelectOptions
    from dasklasso.solvers.base import ScanEvent

By = Literal["aic", "bic", "ebic", "relaxed", "adaptive", "stability"]
Initial = Literal["least_squares", "ridge", "lasso"]
Bound = Literal["unimodal", "r-concave", "meinshausen_buhlmann"]


@dataclass(frozen=True, kw_only=True)
class SelectStage(SolveStage):
    """``dasklasso select``: features by a criterion, a refit, or stability.

    ``out`` is empty for stability selection, which has no model.
    """

    _writes = (*SolveStage._writes, "table")

    by: By
    out: str = ""
    table: str | None = None
    n_alphas: int = 100
    eps: float | None = None
    folds: int = 5
    fold_kind: FoldKind = "random"
    seed: int = 0
    rule: Rule = "min"
    noise_variance: str | None = None
    ebic_gamma: float = 1.0
    gammas: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    initial: Initial = "least_squares"
    initial_alpha: float | None = None
    power: float = 1.0
    threshold: float = 0.75
    false: float = 1.0
    bound: Bound = "unimodal"
    half_samples: int = 100

    def check(self) -> None:
        """Validate the options before any work."""
        from dasklasso.files.tables import check_table_file

        self._selection()  # checked as it is made
        if self.by != "stability":
            if not self.out:
                raise OptionError(f"--out MODEL is needed: {self.by} has a model to save.")
            super().check()
        elif self.out:
            raise OptionError("--out: stability has no model. --table FILE takes what it found.")
        elif self.memory is not None:
            parse_size(self.memory)
        self.check_places()
        if self.table is not None:
            check_table_file(self.table, overwrite=self.overwrite)

    def run(  # type: ignore[override]  # what is selected may have no path
        self,
        *,
        progress: Callable[[ScanEvent], None] | None = None,
        announce: Announce | None = None,
    ) -> Selected:
        """Select, and write the model and the table that were asked for."""
        from dasklasso.files.tables import write_table
        from dasklasso.selection.select import select_features

        self.check()
        with self.results_claimed():
            data = self.open_data()
            options, run = self._fit_options(data), self._solve_options()
            with warnings.catch_warnings():
                # the caller is told by ``converged``, and says so in its own way
                warnings.simplefilter("ignore", ConvergenceWarning)
                found = select_features(
                    data, options, self._selection(), run, progress=progress, announce=announce
                )
            if found.path is not None:
                found.path.save(self.out, overwrite=self.overwrite)
            if self.table is not None:
                write_table(found.table, self.table, overwrite=self.overwrite)
        return found

    def _grid(self) -> dict[str, Any]:
        return {"n_alphas": self.n_alphas, "eps": self.eps}

    def _selection(self) -> SelectOptions:
        from dasklasso.options import CvOptions
        from dasklasso.selection.options import SelectOptions

        return SelectOptions(
            by=self.by,
            cv=CvOptions(self.folds, self.fold_kind, self.seed, self.rule),
            noise_variance=_variance(self.noise_variance),
            ebic_gamma=self.ebic_gamma,
            gammas=self.gammas,
            initial=self.initial,
            initial_alpha=self.initial_alpha,
            power=self.power,
            threshold=self.threshold,
            bound=self.bound,
            expected_false=self.false,
            half_samples=self.half_samples,
        )


def _variance(text: str | None) -> float | Literal["estimated"] | None:
    """Return a noise variance as it is written on a command line.

    Raises
    ------
    OptionError
    """
    if text is None or text == "estimated":
        return text  # type: ignore[return-value]  # mypy does not narrow str to a literal
    try:
        return float(text)
    except ValueError:
        raise OptionError(
            f"noise_variance: {text!r} found, expected a positive number or 'estimated'"
        ) from None
