"""The stage of a job that predicts: a model and a store, or a table, become predictions."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dasklasso.choices import Missing, Unseen
from dasklasso.errors import OptionError
from dasklasso.jobs.base import ClusterStage
from dasklasso.jobs.covariates import check_covariates, open_for_model
from dasklasso.units import parse_size

if TYPE_CHECKING:
    from dasklasso.model.path import FittedPath


@dataclass(frozen=True)
class Predicted:
    """The number of rows that were predicted, and notes on them."""

    n_rows: int
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class PredictStage(ClusterStage):
    """``dasklasso predict``: a model applied to a store or a table, out of core.

    ``id``, ``offset``, ``missing`` and ``dataset`` are of tables.
    """

    _reads = ("store", "model", "covariates")
    _writes = ("out",)

    model: str
    alpha: str | float | None = None
    proba: bool = False
    id: tuple[str, ...] = ()
    offset: str | None = None
    missing: Missing | None = None
    unseen: Unseen = "error"
    dataset: str | None = None
    covariates: str | None = None

    def check(self) -> None:
        """Validate the options before any work."""
        from dasklasso.files.predictions import check_prediction_file

        if self.memory is not None:
            parse_size(self.memory)
        self.check_places()
        check_prediction_file(self.out, overwrite=self.overwrite, beside=self.id)

    def inputs(self) -> dict[str, str]:
        """Return what is read, by the option's name."""
        return self._named_as_table(super().inputs())

    def run(self) -> Predicted:
        """Predict and write."""
        from dasklasso.dataset.sources import looks_like_table
        from dasklasso.model.asked_alpha import asked_alpha
        from dasklasso.model.path import load_model

        self.check()
        path = load_model(self.model)
        if self.proba:
            path.loss_of_probabilities()
        alpha = path.resolve_alpha(asked_alpha(path, self.alpha))
        path.coefficients_at(alpha)  # an alpha that is not there is said before any work
        check_covariates(path, self.covariates, of=self.model)
        if not looks_like_table(self.store):
            refuse_table_options(
                self.store,
                id=self.id,
                offset=self.offset,
                missing=self.missing,
                dataset=self.dataset,
            )
            return self._run_on_store(path, alpha, self.store)
        if path.covariates is None:
            return self._run_on_table(path, alpha)
        return self._run_beside_covariates(path, alpha)

    def _run_on_table(self, path: FittedPath, alpha: float) -> Predicted:
        from dasklasso.scoring.predict_table import TablePredictor

        refuse_cluster_options(
            self.store,
            scheduler=self.scheduler,
            workers=self.workers,
            device=None if self.device == "cpu" else self.device,
            dashboard=self.dashboard,
        )
        predictor = TablePredictor(
            path,
            self.store,
            of=self.model,
            ids=self.id,
            offset=self.offset,
            missing=self.missing,
            unseen=self.unseen,
            memory=None if self.memory is None else parse_size(self.memory),
            array=self.dataset,
        )
        n_rows = 0

        def counted() -> Any:
            nonlocal n_rows
            for block in predictor.predictions(alpha, proba=self.proba):
                yield block
                n_rows = block[1]

        self._write(path, counted(), predictor.n_rows, alpha)
        return Predicted(n_rows, predictor.table.notes())

    def _run_beside_covariates(self, path: FittedPath, alpha: float) -> Predicted:
        """Predict for a table by way of a store, whose rows have ids to join covariates by."""
        from dasklasso.dataset.ingest.align import Asked
        from dasklasso.dataset.ingest.by_schema import ingest_by_schema
        from dasklasso.scoring.predict_table import DEFAULT_MEMORY, schema_of

        if self.covariates is None:
            names = ", ".join(path.feature_names[-path.n_covariates :])
            raise OptionError(
                f"{self.store}: {self.model} has covariates ({names}), expected a table or a store "
                "of them: --covariates."
            )
        if self.id:
            raise OptionError(
                f"--id {self.id[0]}: no columns are copied where covariates are joined; the "
                "predictions are in the order of the rows."
            )
        schema = schema_of(path, self.model)
        with tempfile.TemporaryDirectory(prefix="dasklasso-") as folder:
            store = str(Path(folder) / "table.zarr")
            report = ingest_by_schema(
                self.store,
                store,
                schema,
                of=self.model,
                asked=Asked(
                    needs={"offset": "required" if path.has_offset else "no"}, offset=self.offset
                ),
                missing=self.missing,
                unseen=self.unseen,
                memory=DEFAULT_MEMORY if self.memory is None else parse_size(self.memory),
                array=self.dataset,
                codec="none",
                id_column=schema.id,
            )
            found = self._run_on_store(path, alpha, store)
        return Predicted(found.n_rows, report.notes + found.notes)

    def _run_on_store(self, path: FittedPath, alpha: float, store: str) -> Predicted:
        from dasklasso.model.store_features import model_for
        from dasklasso.scoring.predict import predict_store

        data = open_for_model(
            path,
            store,
            self.covariates,
            called=self.store,
            of=self.model,
            unseen=self.unseen,
            empty_chunks=self.empty_chunks,
            all_rows=True,
        )
        path, notes = model_for(path, data, of=self.model, unseen=self.unseen)
        found = predict_store(data, path, alpha=alpha, proba=self.proba, run=self._run_options())

        def blocks() -> Iterator[Any]:
            with data.unchanged():  # before the last of them is written, and renamed
                for start, stop, values in found:
                    yield start, stop, values, ()

        self._write(path, blocks(), data.n_rows, alpha, data_fingerprint=data.fingerprint)
        return Predicted(data.n_rows, notes)

    def _write(
        self, path: FittedPath, blocks: Any, n_rows: int | None, alpha: float, **attributes: str
    ) -> None:
        from dasklasso.files.predictions import write_predictions

        labels = path.labels if path.predicts_classes and not self.proba else None
        write_predictions(
            self.out,
            blocks,
            n_rows=n_rows,
            target_names=None if path.y_is_vector or labels is not None else path.target_names,
            labels=labels,
            beside=self.id,
            attributes={
                "alpha": alpha,
                "model_fingerprint": path.fingerprint,
                **attributes,
                **({"proba": True} if self.proba else {}),
                **({"classes": path.classes} if self.proba or labels is not None else {}),
            },
            overwrite=self.overwrite,
        )


def refuse_cluster_options(table: str, **options: Any) -> None:
    """Refuse options of a cluster for a table, whose rows are encoded one after another here.

    Raises
    ------
    OptionError
    """
    given = next((name for name, value in options.items() if value), None)
    if given is not None:
        raise OptionError(
            f"--{given}: {table} is a table, which is predicted in this process as it is read; "
            f"--{given} is of stores. Make one: dasklasso ingest --schema MODEL."
        )


def refuse_table_options(store: str, **options: Any) -> None:
    """Refuse options of tables for a store, whose rows are encoded already.

    Raises
    ------
    OptionError
    """
    given = next((name for name, value in options.items() if value), None)
    if given is not None:
        raise OptionError(
            f"--{given}: {store} is a store, and --{given} is of tables: its rows are encoded "
            "already, and have no other columns."
        )
