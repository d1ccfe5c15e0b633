"""A look at a table before it is encoded: what each column would become, told by a sample."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from dasklasso.dataset.ingest.columns import (
    Roles,
    assign_roles,
    check_columns_said,
    nameless_columns,
    unusable_types,
)
from dasklasso.dataset.ingest.encoder import batch_rows
from dasklasso.dataset.ingest.precision import Rounding
from dasklasso.dataset.ingest.table_schema import UNDECIDED, PlannedColumn, TableSchema
from dasklasso.dataset.ingest.text_looks import Texts
from dasklasso.dataset.sources import open_source
from dasklasso.dataset.sources.base import Batch, Column, Expected, Source
from dasklasso.dataset.sources.missing_values import MissingValues
from dasklasso.dataset.sources.reading import Reading
from dasklasso.errors import SourceError, ValueFound

_SAMPLE_ROWS = 10_000
_SAMPLE_VALUES = 4_000_000  # of wide tables fewer rows are looked at
_LEAST_ROWS = 20
_LEVELS_NAMED = 4
_SMALL = ("uint8", "int8", "uint16", "int16", "uint32", "int32")


@dataclass(frozen=True)
class InspectedColumn:
    """A column as a sample has it.

    Attributes
    ----------
    name, role, type : str
        As :class:`~dasklasso.dataset.ingest.table_schema.PlannedColumn` has them.
    becomes : str
        What it would be in a store: levels, or the range of its numbers.
    missing : int
        How many values of the sample are missing.
    precision : str
        The type that holds its numbers.
    why : str
        Why it cannot be used as it is, with the options that help; empty where it can.
    """

    name: str
    role: str
    type: str
    becomes: str
    missing: int = 0
    precision: str = ""
    why: str = ""


@dataclass(frozen=True)
class Inspection:
    """What a dry run found.

    Attributes
    ----------
    path, format, dialect : str
    n_sampled : int
        Rows that were looked at.
    n_rows : int or None
        In all; None where only reading would tell.
    columns : list of InspectedColumn
        In the table's order.
    schema : TableSchema
        The same, to be edited.
    """

    path: str
    format: str
    dialect: str
    n_sampled: int
    n_rows: int | None
    columns: list[InspectedColumn]
    schema: TableSchema = field(repr=False)


def inspect_table(
    source: str | os.PathLike[str],
    *,
    target: str | Sequence[str] | None = None,
    weight: str | None = None,
    fold: str | None = None,
    offset: str | None = None,
    drop: Iterable[str] = (),
    memory: int = 1 << 30,
    missing_values: Sequence[str | float] = (),
    dataset_path: str | None = None,
    reading: Reading | None = None,
    plan: TableSchema | None = None,
) -> Inspection:
    """Tell what :func:`~dasklasso.dataset.ingest.ingest.ingest` would make of each column.

    Looks at the first rows: 10,000, or as many as have four million values.

    Parameters are those of ingest; no target need be named.

    Raises
    ------
    OptionError, SourceError, ValueFound
        The table cannot be read, or an option cannot be used.
    """
    if plan is not None:
        target, drop = plan.names("target"), plan.names("drop")
        weight, fold, offset = (plan.only(role) for role in ("weight", "fold", "offset"))
        reading = plan.reading()
    reading = reading or Reading()
    codes = MissingValues.named(missing_values)
    opened = open_source(
        source,
        dataset=dataset_path,
        memory=memory,
        expected=Expected(absent=codes.words, reading=reading),
    )
    if plan is not None:
        plan.check_columns(opened)
    check_columns_said(opened, reading)
    roles = assign_roles(
        opened, target=target, weight=weight, fold=fold, drop=drop, offset=offset,
        is_complete=False,
    )  # fmt: skip
    sample = _Sample(opened, roles, reading, codes)
    sample.read(memory)
    if not sample.n_rows:
        raise SourceError(f"{opened.path}: has no rows, expected at least one.")
    columns = sample.columns()
    return Inspection(
        path=opened.path,
        format=opened.format,
        dialect=opened.dialect,
        n_sampled=sample.n_rows,
        n_rows=opened.n_rows,
        columns=columns,
        schema=_schema(columns, reading),
    )


class _Sample:
    """What is gathered of the first rows."""

    def __init__(
        self, source: Source, roles: Roles, reading: Reading, codes: MissingValues
    ) -> None:
        self._source = source
        self._reading = reading
        self._codes = codes
        self._roles = dict.fromkeys((column.name for column in source.columns), "drop")
        self._roles |= {column.name: role for role, column in _of_roles(roles)}
        others = (*nameless_columns(roles), *unusable_types(roles))
        self._why = {one.column: one.why for one in others}
        used = [column for column in source.columns if self._roles[column.name] != "drop"]
        self._numbers = [c.name for c in used if c.kind == "number"]
        self._place = {name: j for j, name in enumerate(self._numbers)}
        texts = [column.name for column in used if column.kind == "text"]
        self._texts = {name: Texts(decimal=reading.decimal) for name in texts}
        d = len(self._numbers)
        self._low, self._high = np.full(d, np.inf), np.full(d, -np.inf)
        self._absent = np.zeros(d, dtype=np.int64)
        self._fractional = np.zeros(d, dtype=bool)
        self._moments = np.zeros((2, d))
        self._first = np.zeros(d)
        self._rounding = Rounding(d)
        self.n_rows = 0

    def read(self, memory: int) -> None:
        """Look at rows until there are enough."""
        names = [*self._numbers, *self._texts]
        wide = max(1, len(names))
        enough = min(_SAMPLE_ROWS, max(_LEAST_ROWS, _SAMPLE_VALUES // wide))
        if not names:
            return
        for batch in self._source.batches(names, min(enough, batch_rows(wide, memory))):
            try:
                self._add(batch)
            except ValueFound as fault:  # a text among numbers, say: the others are told of still
                self._add_one_by_one(batch, fault)
            self.n_rows += batch.n_rows
            if self.n_rows >= enough:
                break

    def _add(self, batch: Batch) -> None:
        if self._numbers:
            self._add_numbers(batch.numbers(self._numbers))
        for name, found in self._texts.items():
            texts = batch.texts(name)
            found.add(batch, name, self._codes.as_null(texts) if self._is_feature(name) else texts)

    def _add_one_by_one(self, batch: Batch, fault: ValueFound) -> None:
        """Leave out the columns that cannot be read as they were said to be."""
        for name in list(self._numbers):
            try:
                batch.numbers([name])
            except ValueFound as why:
                self._why.setdefault(name, f"cannot be read: {why}")
        good = [name for name in self._numbers if name not in self._why]
        if len(good) == len(self._numbers):
            raise fault
        block = np.full((batch.n_rows, len(self._numbers)), np.nan)
        if good:
            block[:, [self._place[name] for name in good]] = batch.numbers(good)
        self._add_numbers(block)

    def _is_feature(self, name: str) -> bool:
        return self._roles[name] == "feature"

    def _add_numbers(self, block: np.ndarray) -> None:
        values = np.asarray(self._codes.as_nan(block), dtype=np.float64)
        there = ~np.isnan(values)
        self._absent += len(values) - there.sum(axis=0)
        if not self.n_rows:
            self._first = np.where(there[0], values[0], 0.0)
        self._low = np.fmin(self._low, np.where(there, values, np.inf).min(axis=0))
        self._high = np.fmax(self._high, np.where(there, values, -np.inf).max(axis=0))
        with np.errstate(invalid="ignore", over="ignore"):
            filled = np.where(there, values, self._first)
            self._fractional |= (filled != np.floor(filled)).any(axis=0)
            shifted = filled - self._first
            self._moments += shifted.sum(axis=0), (shifted**2).sum(axis=0)
            self._rounding.add(filled, filled.astype(np.float32))

    # -- what was found -----------------------------------------------------------------------

    def columns(self) -> list[InspectedColumn]:
        """Return every column of the table, in order."""
        n = max(1, self.n_rows)
        with np.errstate(invalid="ignore", over="ignore"):
            mean = self._moments[0] / n
            std = np.sqrt(np.maximum(self._moments[1] / n - mean**2, 0.0))
            self._harmed = self._rounding.harmed(std)
        return [self._column(column) for column in self._source.columns]

    def _column(self, column: Column) -> InspectedColumn:
        name, role = column.name, self._roles[column.name]
        if role == "drop":
            return InspectedColumn(name, role, "", column.type_name)
        if column.name in self._why:
            return InspectedColumn(
                name, role, UNDECIDED, column.type_name, why=self._why[column.name]
            )
        if column.kind == "text":
            return self._text(column, role)
        if column.kind == "other":
            why = f"is {column.type_name}, expected numbers or text"
            return InspectedColumn(name, role, UNDECIDED, column.type_name, why=why)
        j = self._place[name]
        absent = int(self._absent[j])
        kind = "date" if name in self._reading.dates else "number"
        unit = f", {self._reading.dates[name].meaning}" if kind == "date" else ""
        if absent == self.n_rows:
            return InspectedColumn(
                name, role, kind, "nothing: all values of the sample are missing", absent
            )
        becomes = f"{self._low[j]:.10g} to {self._high[j]:.10g}{unit}"
        return InspectedColumn(name, role, kind, becomes, absent, self._precision(j, absent))

    def _precision(self, j: int, absent: int) -> str:
        """Name the smallest type that holds a column's numbers."""
        if not np.isfinite([self._low[j], self._high[j]]).all():
            return "infinite"
        if not self._fractional[j] and not absent:
            for name in _SMALL:
                limits = np.iinfo(name)
                if limits.min <= self._low[j] and self._high[j] <= limits.max:
                    return name
        return "float64" if self._harmed[j] else "float32"

    def _text(self, column: Column, role: str) -> InspectedColumn:
        name, found = column.name, self._texts[column.name]
        levels = sorted(found.counts)
        some = ", ".join(map(repr, levels[:_LEVELS_NAMED]))
        more = ", ..." if len(levels) > _LEVELS_NAMED else ""
        what = "classes" if role == "target" else "levels"
        what += " (ranges of numbers)" if found.bins else ""
        becomes = f"{len(levels):,} {what}: {some}{more}" if levels else "nothing"
        why = None
        if role in ("weight", "offset"):
            how = found.why_no_numbers(self._source, name)
            why = f"is {column.type_name}, expected numbers: {how}"
        elif name not in self._reading.categories and role != "fold":
            declared = column.type_name.startswith("dictionary")
            why = found.why_numbers(self._source, name, is_declared=declared)
            if why is None and role == "feature":
                why = found.why_id(self._source, name)
        kind = "category" if why is None else UNDECIDED
        return InspectedColumn(name, role, kind, becomes, found.missing, why=why or "")


def _of_roles(roles: Roles) -> list[tuple[str, Column]]:
    """(role, column) of every column that was given one."""
    found = [("feature", column) for column in roles.features]
    found += [("target", column) for column in roles.targets]
    for role in ("weight", "fold", "offset"):
        if (column := getattr(roles, role)) is not None:
            found.append((role, column))
    return found


def _schema(columns: Sequence[InspectedColumn], reading: Reading) -> TableSchema:
    """Return what was found as a schema to edit."""
    said = reading.to_json()
    read = {key: value for key, value in said.items() if key not in ("date", "category", "number")}
    planned = []
    for column in columns:
        rule = reading.dates.get(column.name)
        found = column.becomes
        if column.missing:
            found += f"; {column.missing:,} missing"
        if column.precision:
            found += f"; {column.precision}"
        planned.append(
            PlannedColumn(
                column.name,
                column.role,
                column.type,
                unit=rule.unit if rule is not None else "",
                format=rule.format if rule is not None else "",
                found=column.why or found,
            )
        )
    return TableSchema(tuple(planned), read)
