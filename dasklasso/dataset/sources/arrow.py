"""An Arrow table in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from dasklasso.dataset.sources.base import SourceDefaults, refuse_duplicates, resolve_column
from dasklasso.dataset.sources.table import TableBatch, column_of, sliced


class ArrowSource(SourceDefaults):
    """The columns of an Arrow table; messages call it ``path``."""

    format = "arrow"

    def __init__(self, table: Any, path: str) -> None:
        refuse_duplicates(table.column_names, path)
        self.path = path
        self.n_rows: int = table.num_rows
        self.columns = tuple(column_of(field.name, field.type) for field in table.schema)
        self._table = table

    def resolve(self, name: str) -> tuple[str, ...]:
        return resolve_column(self.columns, name)

    def batches(self, names: Sequence[str], rows: int) -> Iterator[TableBatch]:
        first = 0
        for part in self._table.select(list(names)).combine_chunks().to_batches(rows):
            yield from sliced(self.path, first, part, {}, rows)
            first += part.num_rows
