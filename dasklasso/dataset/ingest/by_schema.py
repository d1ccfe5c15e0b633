"""A table encoded as another one was: by the schema of a store or of a model."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from dasklasso.choices import Missing, Unseen
from dasklasso.dataset.ingest.align import Asked, align
from dasklasso.dataset.ingest.by_rows import copy_rows
from dasklasso.dataset.ingest.columns import Roles
from dasklasso.dataset.ingest.encoder import Encoded, Encoder, Levels, batch_rows
from dasklasso.dataset.ingest.genotypes import genotypes_of, keep_phenotyped
from dasklasso.dataset.ingest.ingest import (
    IngestReport,
    Progress,
    origin_of,
    report_of,
)
from dasklasso.dataset.ingest.reserve import reserve
from dasklasso.dataset.ingest.stored_type import choose_type
from dasklasso.dataset.ingest.targets_table import join_targets, row_ids_of, targets_table
from dasklasso.dataset.ingest.writer import StoreWriter
from dasklasso.dataset.schema import Schema, TargetColumn
from dasklasso.dataset.sources import Source, open_source
from dasklasso.dataset.sources.base import Batch
from dasklasso.dataset.sources.declared import declared
from dasklasso.dataset.sources.joined import JoinedSource

_MOST_NAMED = 10  # ignored columns in a note
UNSEEN_REMEDY = "--unseen zero takes what was never met for none of them."


class PreparedTable:
    """A table whose rows are encoded by a schema, batch by batch, in bounded memory.

    Parameters
    ----------
    table : str, Path or Source
        Of any kind that :func:`~dasklasso.dataset.ingest.ingest.ingest` takes. Its columns are
        found by name, in any order; those that the schema does not know are ignored.
    schema : Schema
    of : str
        How messages name the schema's owner.
    asked : Asked
        Columns to read beside the features.
    missing : {"error", "mean"}, optional
        By default as the schema has it.
    unseen : {"error", "zero"}
        Texts that are not among a column's levels are refused, or are none of them: 0 in all the
        column's features.
    memory : int
        Bytes that may be used.
    array : str, optional
        HDF5, NPZ: the array that is X.
    scratch : str, optional
        Folder for a scratch file.
    for_store : bool
        Whether features that are whole numbers get the small type that holds them.
    remedy : str
        What messages say to do about a text that is refused.

    Attributes
    ----------
    source : Source
    roles : Roles
    dtype : numpy.dtype
        Of the features.
    encoder : Encoder

    Raises
    ------
    OptionError, SourceError
        The table cannot be read, or columns are missing or of another type.
    """

    def __init__(
        self,
        table: str | os.PathLike[str] | Source,
        schema: Schema,
        *,
        of: str,
        asked: Asked,
        missing: Missing | None = None,
        unseen: Unseen = "error",
        memory: int = 1 << 30,
        array: str | None = None,
        scratch: str | None = None,
        for_store: bool = False,
        remedy: str = UNSEEN_REMEDY,
    ) -> None:
        if isinstance(table, str | os.PathLike):
            table = open_source(
                table,
                dataset=array or schema.array_for(table),
                memory=memory,
                scratch=scratch,
                expected=schema.expected(asked.as_is),
            )
        elif not isinstance(table, JoinedSource):
            table = declared(table, schema.expected(asked.as_is))
        self.source: Source = table
        aligned = align(self.source, schema, asked, of=of, strict=False)
        self.roles = aligned.roles
        self._ignored = aligned.ignored
        self._memory = memory
        self._as_is = asked.as_is
        missing = missing or schema.missing
        self.dtype = np.dtype(schema.dtype)
        if self.dtype.kind != "f":
            # in training all were whole numbers, which are exact in float64; here others may be
            self.dtype = np.dtype(np.float64)
            if for_store and missing == "error":
                self.dtype = choose_type(self.source, self.roles, aligned.survey, "float64").dtype
        self.encoder = Encoder(
            self.source,
            aligned.roles,
            aligned.survey,
            dtype=self.dtype,
            missing=missing,
            known=Levels(of, unseen, remedy),
        )

    def batches(self) -> Iterator[tuple[Batch, Encoded]]:
        """Every row from the first, as it is and encoded.

        Raises
        ------
        SourceError, ValueFound
            A value cannot be used; the message names file, row and column.
        """
        read = {column.name: None for column in self.roles.used}
        names = list(read | dict.fromkeys(self._as_is))
        rows = batch_rows(max(len(names), len(self.encoder.feature_names)), self._memory)
        for batch in self.source.batches(names, rows):
            yield batch, self.encoder.encode(batch)

    def notes(self) -> list[str]:
        """Return what deserves to be said once, of columns and (when all was read) of levels."""
        found = []
        if self._ignored:
            n = len(self._ignored)
            some = ", ".join(self._ignored[:_MOST_NAMED]) + (", ..." if n > _MOST_NAMED else "")
            found.append(f"{self.source.path}: {_columns(n)} ignored, not in the model: {some}.")
        for name, n in self.encoder.unseen.items():
            found.append(
                f"{self.source.path}: column {name}: {n:,} {'value' if n == 1 else 'values'} never "
                "met in training, taken for none of its levels."
            )
        genotypes = genotypes_of(self.source)
        return found if genotypes is None else [*genotypes.notes, *found]


def ingest_by_schema(
    source: str | os.PathLike[str],
    store: str | os.PathLike[str],
    schema: Schema,
    *,
    of: str,
    asked: Asked,
    missing: Missing | None = None,
    unseen: Unseen = "error",
    memory: int = 1 << 30,
    array: str | None = None,
    overwrite: bool = False,
    codec: str = "auto",
    targets: str | os.PathLike[str] | None = None,
    id_column: str | None = None,
    progress: Progress | None = None,
) -> IngestReport:
    """Turn a table into a store with the features of another: for prediction, or for scoring.

    The store has a target where the table has one; it may be the same in every row. Parameters
    are those of :class:`PreparedTable` and of :func:`~dasklasso.dataset.ingest.ingest.ingest`.

    Raises
    ------
    OptionError, SourceError, ValueFound, StoreError
    """
    started = time.perf_counter()
    from_table = targets_table(targets, id_column)
    if id_column is not None:
        asked = replace(asked, as_is=(*asked.as_is, id_column))
    notes: list[str] = []
    with reserve(store, overwrite=overwrite, reading=source) as folder:
        opened: Source | None = None
        if from_table is not None:
            opened = open_source(
                source,
                dataset=array or schema.array_for(source),
                memory=memory,
                scratch=os.fspath(folder.partial),
                expected=schema.expected((from_table.id_column,)),
            )
            named = (asked.target,) if isinstance(asked.target, str) else asked.target
            opened, notes = join_targets(
                opened,
                from_table,
                target=named or [target.name for target in schema.targets],
                beside=[name for name in (asked.weight, asked.fold, asked.offset) if name],
                reading=schema.reading,
                memory=memory,
            )
        table = PreparedTable(
            opened or source,
            schema,
            of=of,
            asked=asked,
            missing=missing,
            unseen=unseen,
            memory=memory,
            array=array,
            scratch=os.fspath(folder.partial),
            for_store=True,
        )
        roles = table.roles
        if roles.targets:
            keep_phenotyped(table.source, [column.name for column in roles.targets])
        writer = StoreWriter(
            store,
            feature_names=table.encoder.feature_names,
            target_names=[column.name for column in roles.targets],
            dtype=table.dtype,
            with_weight=roles.weight is not None,
            with_fold=roles.fold is not None,
            with_offset=roles.offset is not None,
            codec=codec,
            memory=memory,
            n_rows=table.source.n_rows,
            folder=folder,
            label=table.source.path,
            row_ids=row_ids_of(table.source, id_column)[0],
            constant_targets=True,
        )
        copy_rows(table.source, roles, table.encoder, writer, memory, progress)
        kept = _with_targets(schema, roles)
        manifest = writer.finish(origin_of(table.source), lambda statistics: kept)
    return report_of(store, writer, manifest, table.source, started, [], notes + table.notes())


def _with_targets(schema: Schema, roles: Roles) -> Schema:
    """Return the schema, with the targets by the names that they have in this table."""
    if not roles.targets:
        return schema
    classes = [target.classes for target in schema.targets] or [None] * len(roles.targets)
    names = [column.name for column in roles.targets]
    return replace(
        schema, targets=tuple(TargetColumn(*one) for one in zip(names, classes, strict=True))
    )


def _columns(n: int) -> str:
    return "1 column is" if n == 1 else f"{n:,} columns are"
