"""The stage of a job that ingests: a table becomes a store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dasklasso.choices import (
    Codec,
    Dtype,
    Missing,
    Unseen,
)
from dasklasso.errors import OptionError
from dasklasso.jobs.base import PlacedStage
from dasklasso.units import parse_size

if TYPE_CHECKING:
    from dasklasso.dataset.ingest.ingest import IngestReport
    from dasklasso.dataset.ingest.inspect_table import Inspection
    from dasklasso.dataset.ingest.table_schema import TableSchema
    from dasklasso.dataset.sources.reading import Reading


# how texts are read
_OF_COLUMNS = ("target", "weight", "fold", "offset", "drop")
_OF_TEXTS = ("decimal", "thousands", "strip", "null", "date", "category", "number", "separator",
             "encoding", "quote")  # fmt: skip
IngestProgress = Callable[[int, "int | None"], None]


@dataclass(frozen=True, kw_only=True)
class IngestStage(PlacedStage):
    """``dasklasso ingest``: a table becomes a store.

    With ``schema``, a model or a store, the features are those: rows to predict for, or to score.
    Where it is a TOML or JSON file, the columns become what that says.
    """

    _reads = ("source", "schema", "targets")
    _writes = ("store",)

    source: str
    store: str
    target: tuple[str, ...] = ()
    weight: str | None = None
    fold: str | None = None
    offset: str | None = None
    drop: tuple[str, ...] = ()
    dtype: Dtype = "auto"
    memory: str = "1GiB"
    missing: Missing | None = None
    missing_value: tuple[str, ...] = ()
    decimal: str | None = None
    thousands: str | None = None
    strip: tuple[str, ...] = ()
    null: tuple[str, ...] = ()
    date: tuple[str, ...] = ()
    category: tuple[str, ...] = ()
    number: tuple[str, ...] = ()
    separator: str | None = None
    encoding: str | None = None
    quote: str | None = None
    dataset: str | None = None
    targets: str | None = None
    id: str | None = None
    min_maf: float | None = None
    max_missing: float | None = None
    codec: Codec = "auto"
    schema: str | None = None
    unseen: Unseen = "error"
    overwrite: bool = False

    def check(self) -> None:
        """Validate the options before any work."""
        parse_size(self.memory)
        self._refuse_unseen()
        self.check_places()
        self._reading()
        self._plan()
        if Path(self.store).exists() and not self.overwrite:
            raise OptionError(
                f"{self.store} exists already. Give another name, or overwrite it knowingly."
            )

    def run(self, *, progress: IngestProgress | None = None) -> IngestReport:
        """Make the store."""
        self._refuse_unseen()
        self.check_places()
        plan = self._plan()
        if self.schema is not None and plan is None:
            return self._by_schema(self.schema, progress)
        from dasklasso.dataset.ingest.ingest import ingest

        return ingest(
            self.source,
            self.store,
            **self._columns(),
            dtype=self.dtype,
            missing=self.missing or "error",
            overwrite=self.overwrite,
            codec=self.codec,
            targets=self.targets,
            id_column=self.id,
            min_maf=self.min_maf,
            max_missing=self.max_missing,
            plan=plan,
            progress=progress,
        )

    def inspect(self) -> Inspection:
        """Tell what each column of the source would become; nothing is written."""
        from dasklasso.dataset.ingest.inspect_table import inspect_table

        self._refuse_unseen()
        plan = self._plan()
        if self.schema is not None and plan is None:
            raise OptionError("--dry-run is of tables: expected no --schema of a model or a store.")
        for option in ("targets", "min_maf", "max_missing"):
            if getattr(self, option) is not None:
                raise OptionError(
                    f"--dry-run looks at SOURCE alone, expected no --{option.replace('_', '-')}."
                )
        return inspect_table(self.source, **self._columns(), plan=plan)

    def _columns(self) -> dict[str, Any]:
        """Return what was said of the table's columns."""
        return {
            "target": self.target or None,
            "weight": self.weight,
            "fold": self.fold,
            "offset": self.offset,
            "drop": self.drop,
            "memory": parse_size(self.memory),
            "missing_values": self.missing_value,
            "dataset_path": self.dataset,
            "reading": self._reading(),
        }

    def _plan(self) -> TableSchema | None:
        """Return the schema that a person edited; None where there is none."""
        from dasklasso.dataset.ingest.table_schema import TableSchema, is_schema_file

        if self.schema is None or not is_schema_file(self.schema):
            return None
        given = next((n for n in (*_OF_COLUMNS, *_OF_TEXTS) if getattr(self, n)), None)
        if given is not None:
            raise OptionError(f"--{given}: {self.schema} says what the columns are, expected none.")
        return TableSchema.load(self.schema)

    def _reading(self) -> Reading:
        """Return what was said of the table's texts, checked."""
        from dasklasso.dataset.sources.reading import Reading

        return Reading.of(**{name: getattr(self, name) for name in _OF_TEXTS})

    def _refuse_unseen(self) -> None:
        from dasklasso.dataset.ingest.table_schema import is_schema_file

        if (self.schema is None or is_schema_file(self.schema)) and self.unseen != "error":
            raise OptionError(
                "--unseen is of rows that are encoded by a model's or a store's --schema."
            )
        if self.schema is not None and is_schema_file(self.schema):
            return
        if self.schema is not None and self.missing_value:
            raise OptionError("--missing-value: those of the --schema hold, expected none.")
        for option in ("min_maf", "max_missing"):
            if self.schema is not None and getattr(self, option) is not None:
                raise OptionError(
                    f"--{option.replace('_', '-')}: the features are those of the --schema, "
                    "expected none."
                )
        given = next((name for name in _OF_TEXTS if getattr(self, name)), None)
        if self.schema is not None and given is not None:
            raise OptionError(f"--{given}: texts are read as the --schema has them, expected none.")

    def _by_schema(self, of: str, progress: IngestProgress | None) -> IngestReport:
        from dasklasso.dataset.ingest.align import Asked, Need
        from dasklasso.dataset.ingest.by_schema import ingest_by_schema
        from dasklasso.jobs.schema_source import schema_at

        roles = {"target": self.target, "weight": self.weight, "fold": self.fold,
                 "offset": self.offset}  # fmt: skip
        needs: dict[str, Need] = {
            role: "required" if name else "optional" for role, name in roles.items()
        }
        return ingest_by_schema(
            self.source,
            self.store,
            schema_at(of),
            of=of,
            asked=Asked(
                needs=needs,
                target=self.target or None,
                weight=self.weight,
                fold=self.fold,
                offset=self.offset,
                drop=self.drop,
            ),
            missing=self.missing,
            unseen=self.unseen,
            memory=parse_size(self.memory),
            array=self.dataset,
            overwrite=self.overwrite,
            codec=self.codec,
            targets=self.targets,
            id_column=self.id,
            progress=progress,
        )
