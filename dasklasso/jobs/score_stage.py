"""The stage of a job that scores: how well a model predicts a store or a table."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dasklasso.choices import Missing, Unseen
from dasklasso.errors import OptionError
from dasklasso.jobs.base import ClusterStage
from dasklasso.jobs.covariates import check_covariates, open_for_model
from dasklasso.jobs.predict_stage import refuse_table_options
from dasklasso.units import parse_size

if TYPE_CHECKING:
    from dasklasso.model.path import FittedPath
    from dasklasso.scoring.report import Scored


@dataclass(frozen=True, kw_only=True)
class ScoreStage(ClusterStage):
    """``dasklasso score``: metrics of a model on the rows of a store or a table, out of core.

    ``out`` is empty: what is found is printed, and written to ``table`` where that is given.
    ``target``, ``weight``, ``offset``, ``missing`` and ``dataset`` are of tables.
    """

    _reads = ("store", "model", "covariates")
    _writes = ("table",)

    model: str
    out: str = ""
    alpha: str | float | None = None
    all_alphas: bool = False
    bins: int = 10
    table: str | None = None
    target: tuple[str, ...] = ()
    weight: str | None = None
    offset: str | None = None
    missing: Missing | None = None
    unseen: Unseen = "error"
    dataset: str | None = None
    covariates: str | None = None

    def check(self) -> None:
        """Validate the options before any work."""
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
            self.check_places()
            check_table_file(self.table, overwrite=self.overwrite)

    def inputs(self) -> dict[str, str]:
        """Return what is read, by the option's name."""
        return self._named_as_table(super().inputs())

    def run(self) -> Scored:
        """Score, and write the table that was asked for."""
        from dasklasso.dataset.sources import looks_like_table
        from dasklasso.files.tables import write_table
        from dasklasso.model.asked_alpha import asked_alpha
        from dasklasso.model.path import load_model
        from dasklasso.model.store_features import model_for
        from dasklasso.scoring.score import score_store

        self.check()
        path = load_model(self.model)
        alpha = asked_alpha(path, self.alpha)
        with self.results_claimed(), ExitStack() as stack:
            check_covariates(path, self.covariates, of=self.model)
            store, notes = self.store, list[str]()
            if looks_like_table(store):
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="dasklasso-"))
                store = str(Path(folder) / "table.zarr")
                notes = self._encode(path, store)
            else:
                refuse_table_options(
                    store,
                    target=self.target,
                    weight=self.weight,
                    offset=self.offset,
                    missing=self.missing,
                    dataset=self.dataset,
                )
            data = open_for_model(
                path,
                store,
                self.covariates,
                called=self.store,
                of=self.model,
                unseen=self.unseen,
                empty_chunks=self.empty_chunks,
            )
            path, more = model_for(path, data, of=self.model, unseen=self.unseen)
            notes += more
            with data.unchanged():
                found = score_store(
                    data,
                    path,
                    alpha=alpha,
                    all_alphas=self.all_alphas,
                    bins=self.bins,
                    run=self._run_options(),
                )
            if self.table is not None:
                write_table(found.table(), self.table, overwrite=self.overwrite)
        return replace(found, notes=tuple(notes))

    def _encode(self, path: FittedPath, store: str) -> list[str]:
        """Encode a table by the model's schema to a store that is gone after the score."""
        from dasklasso.dataset.ingest.align import Asked
        from dasklasso.dataset.ingest.by_schema import ingest_by_schema
        from dasklasso.scoring.predict_table import DEFAULT_MEMORY, schema_of

        schema = schema_of(path, self.model)
        report = ingest_by_schema(
            self.store,
            store,
            schema,
            of=self.model,
            asked=Asked(
                needs={
                    "target": "required",
                    "weight": "no" if schema.weight is None and not self.weight else "required",
                    "offset": "required" if path.has_offset else "no",
                },
                target=self.target or None,
                weight=self.weight,
                offset=self.offset,
            ),
            missing=self.missing,
            unseen=self.unseen,
            memory=DEFAULT_MEMORY if self.memory is None else parse_size(self.memory),
            array=self.dataset,
            codec="none",
            id_column=None if self.covariates is None else schema.id,
        )
        return report.notes
