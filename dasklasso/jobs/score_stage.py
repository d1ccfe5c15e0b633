"""The step ``dasklasso score``: how well a model predicts a store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dasklasso.errors import OptionError
from dasklasso.jobs.base import ClusterStage
from dasklasso.model.path import check_features
from dasklasso.units import parse_size

if TYPE_CHECKING:
    from dasklasso.scoring.report import Scored


@dataclass(frozen=True, kw_only=True)
class ScoreStage(ClusterStage):
    """``dasklasso score``: metrics of a model on the rows of a store, out of core.

    ``out`` is empty: what is found is printed, and written to ``table`` where that is given.
    """

    model: str
    out: str = ""
    alpha: float | None = None
    all_alphas: bool = False
    bins: int = 10
    table: str | None = None

    def check(self) -> None:
        """Refuse, before any work, what would be refused after it."""
        from dasklasso.files.tables import check_table_file

        if self.memory is not None:
            parse_size(self.memory)
        if self.out:
            raise OptionError("out: a score has none. The key table takes the metrics.")
        if self.all_alphas and self.alpha is not None:
            raise OptionError("--alpha and --all-alphas: give one of them.")
        if self.bins < 1:
            raise OptionError(f"bins: {self.bins} found, expected at least 1")
        if self.table is not None:
            check_table_file(self.table, overwrite=self.overwrite)

    def run(self) -> Scored:
        """Score, and write the table that was asked for."""
        from dasklasso.dataset.dataset import open_dataset
        from dasklasso.files.tables import write_table
        from dasklasso.model.path import load_model
        from dasklasso.scoring.score import score_store

        self.check()
        path = load_model(self.model)
        data = open_dataset(self.store, empty_chunks=self.empty_chunks, require_target=False)
        check_features(path, data.feature_names, self.store)
        found = score_store(
            data,
            path,
            alpha=self.alpha,
            all_alphas=self.all_alphas,
            bins=self.bins,
            run=self._run_options(),
        )
        if self.table is not None:
            write_table(found.table(), self.table, overwrite=self.overwrite)
        return found
