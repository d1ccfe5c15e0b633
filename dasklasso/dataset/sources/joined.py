"""A source with columns of another table beside its own, joined row by row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dasklasso.dataset.sources.base import Batch, Column, Source
from dasklasso.dataset.sources.reading import Reading
from dasklasso.dataset.sources.table import TableBatch
from dasklasso.dataset.sources.wrapped import WrappedSource


class JoinedSource(WrappedSource):
    """The rows of a source that a table has a row for, with columns of that table.

    Parameters
    ----------
    base : Source
    table : Source
        Where the columns are from.
    columns : sequence of Column
        Of the table, in the order in which ``values`` has them.
    values : pyarrow.Table
        A row for each of the rows that are used.
    used : (rows of base,) bool, or None
        Which rows of ``base`` are used; None where it leaves out the others itself.
    id_column : str
        What rows were joined by: no feature.
    reading : Reading
        How texts are read.
    ids : sequence of str
        Of the rows that are used.
    """

    def __init__(
        self,
        base: Source,
        table: Source,
        columns: Sequence[Column],
        values: Any,
        used: np.ndarray | None,
        *,
        id_column: str,
        reading: Reading,
        ids: Sequence[str] = (),
    ) -> None:
        super().__init__(base)
        self._table = table
        self._joined = {column.name: column for column in columns}
        self._values = values.combine_chunks()
        self._used = used
        self.id_column = id_column
        self._reading = reading
        self.ids = ids
        self._file = f"{base.path} joined to {table.path}"  # rows are counted that are in both

    @property
    def n_rows(self) -> int:
        return int(self._values.num_rows)

    @property
    def columns(self) -> tuple[Column, ...]:
        return (*self.base.columns, *self._joined.values())

    @property
    def beside(self) -> tuple[str, ...]:
        return (*self.base.beside, self.id_column, *self._joined)

    @property
    def default_target(self) -> tuple[str, ...]:
        return tuple(self._joined)

    @property
    def used_reading(self) -> Reading:
        return self.base.used_reading or self._reading

    def line_of(self, file: str, row: int) -> int | None:
        return None  # rows are counted that are in both files

    def first_inexact(self, name: str) -> tuple[str, int, str] | None:
        """Return the first whole number of a column that float64 has no number for."""
        owner = self._table if name in self._joined else self.base
        return owner.first_inexact(name)

    def resolve(self, name: str) -> tuple[str, ...]:
        return (name,) if name in self._joined else self.base.resolve(name)

    def integer_bounds(self, name: str) -> tuple[int, int] | None:
        return None if name in self._joined else self.base.integer_bounds(name)

    def batches(self, names: Sequence[str], rows: int) -> Iterator[JoinedBatch]:
        own = [name for name in names if name in self._joined]
        rest = [name for name in names if name not in self._joined]
        values = self._values.select(own)
        first = seen = 0
        for batch in self.base.batches(rest or [self.id_column], rows):
            here = None
            if self._used is not None:
                here = np.flatnonzero(self._used[seen : seen + batch.n_rows])
            seen += batch.n_rows
            count = batch.n_rows if here is None else len(here)
            if not count:
                continue
            part = values.slice(first, count).combine_chunks()
            columns = {name: _whole(part[name]) for name in own}
            joined = TableBatch(self._file, first, count, columns)
            yield JoinedBatch(self._file, first, count, batch, here, joined)
            first += count


def _whole(column: Any) -> Any:
    """Return a chunked array of at most one chunk as an array."""
    import pyarrow as pa

    return column.chunk(0) if column.num_chunks else pa.array([], type=column.type)


@dataclass(frozen=True)
class JoinedBatch:
    """Rows of a batch (``here``; None: all), with the columns that were joined."""

    file: str
    first_row: int
    n_rows: int
    batch: Batch
    here: np.ndarray | None
    joined: TableBatch

    def numbers(self, names: Sequence[str]) -> np.ndarray:
        own = self.joined.columns
        if not own or own.keys().isdisjoint(names):
            block = self.batch.numbers(names)
            return block if self.here is None else block[self.here]
        return np.concatenate(
            [self.joined.numbers([n]) if n in own else self.numbers([n]) for n in names], axis=1
        )

    def texts(self, name: str) -> Any:
        if name in self.joined.columns:
            return self.joined.texts(name)
        return self._taken(self.batch.texts(name))

    def as_is(self, name: str) -> Any:
        if name in self.joined.columns:
            return self.joined.as_is(name)
        return self._taken(self.batch.as_is(name))

    def _taken(self, values: Any) -> Any:
        return values if self.here is None else values.take(self.here)
