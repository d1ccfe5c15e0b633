"""Parquet: a file, or all the files of a folder (also ``key=value`` partitions) or pattern."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dasklasso.dataset.sources.base import (
    Column,
    SourceDefaults,
    one_line,
    refuse_duplicates,
    refuse_too_many,
    resolve_column,
)
from dasklasso.dataset.sources.parquet_wide import (
    RowFeed,
    Scratch,
    WideBatch,
    column_groups,
    reader_bytes,
    reader_bytes_at_most,
    spool_dtype,
)
from dasklasso.dataset.sources.table import TableBatch, column_of, sliced
from dasklasso.errors import SourceError

_READER_MEMORY_PARTS = 4  # of the memory: the Parquet reader may take one


class ParquetSource(SourceDefaults):
    """Files with the same columns, one after the other; footers are read at once."""

    format = "parquet"

    def __init__(
        self,
        path: str,
        files: Sequence[Path],
        *,
        memory: int = 1 << 30,
        scratch: str | None = None,
        as_is: Sequence[str] = (),
    ) -> None:
        self.path = path
        self._as_is = frozenset(as_is)
        self._memory = memory
        self._scratch = scratch
        self._bounds: dict[str, tuple[int, int]] | None = None
        self._files = [str(file) for file in files]
        self._constants = [_partition(file, path) for file in files]
        self.n_rows = 0
        self._rows: list[int] = []
        columns: tuple[Column, ...] | None = None
        for file, constants in zip(self._files, self._constants, strict=True):
            with _open(file) as opened:
                found = _columns(file, opened.schema_arrow, constants)
                self._rows.append(opened.metadata.num_rows)
            columns = found if columns is None else self._agree(columns, found, file)
        assert columns is not None
        self.columns = columns
        self.n_rows = sum(self._rows)

    def _agree(
        self, columns: tuple[Column, ...], found: tuple[Column, ...], file: str
    ) -> tuple[Column, ...]:
        """Columns of a further file must be those of the first, of the same kind."""
        import numpy as np

        by_name = {column.name: column for column in found}
        merged = []
        for column in columns:
            other = by_name.pop(column.name, None)
            if other is None:
                raise SourceError(
                    f"{file}: has no column {column.name!r}, which {self._files[0]} has."
                )
            if other.kind != column.kind:
                raise SourceError(
                    f"{file}: column {column.name} is {other.type_name}, expected "
                    f"{column.type_name} as in {self._files[0]}."
                )
            dtype = column.dtype
            if column.kind == "number":
                dtype = np.result_type(column.dtype, other.dtype)
            merged.append(Column(column.name, column.kind, dtype, column.type_name))
        if by_name:
            raise SourceError(
                f"{file}: has a column {next(iter(by_name))!r}, which {self._files[0]} has not."
            )
        return tuple(merged)

    def resolve(self, name: str) -> tuple[str, ...]:
        return resolve_column(self.columns, name)

    def batches(self, names: Sequence[str], rows: int) -> Iterator[TableBatch | WideBatch]:
        for file, constants, n in zip(self._files, self._constants, self._rows, strict=True):
            stored = [name for name in names if name not in constants]
            here = {name: constants[name] for name in names if name in constants}
            if not stored:  # no column to read: partition keys are known for every row
                for start in range(0, n, rows):
                    m = min(rows, n - start)
                    columns = {name: pa.repeat(value, m) for name, value in here.items()}
                    yield TableBatch(file, start, m, columns)
                continue
            try:
                with _open(file) as opened:
                    yield from self._file_batches(file, opened, stored, here, rows)
            except (pa.ArrowException, OSError) as error:
                raise SourceError(f"{file}: cannot be read: {_line(error)}") from error

    def _file_batches(
        self, file: str, opened: Any, stored: list[str], here: dict[str, Any], rows: int
    ) -> Iterator[TableBatch | WideBatch]:
        asked = set(stored) - self._as_is
        numbers = [c for c in self.columns if c.name in asked and c.kind == "number"]
        # taken once: pyarrow builds the schema of all the columns anew at every look
        schema, metadata = opened.schema_arrow, opened.metadata
        place = {name: position for position, name in enumerate(schema.names)}
        positions = [place[column.name] for column in numbers]
        flat = metadata.num_columns == len(place)
        budget = self._memory // _READER_MEMORY_PARTS
        needed = 0
        # columns are looked at only where that matters: pyarrow ends the process where what a
        # damaged footer says of one cannot be read
        if flat and numbers and reader_bytes_at_most(metadata, len(numbers)) > budget:
            needed = reader_bytes(metadata, positions)
        if needed <= budget:
            first = 0
            # threads cost more than they gain here: a batch has few values of each column
            for part in opened.iter_batches(batch_size=rows, columns=stored, use_threads=False):
                yield from sliced(file, first, part, here, rows)
                first += part.num_rows
            return
        groups = column_groups(len(numbers), needed, budget)
        dtype = spool_dtype(metadata, numbers, positions)
        names = [column.name for column in numbers]
        with Scratch(self._scratch, names, groups, dtype) as scratch:
            yield from self._wide_batches(file, opened, stored, here, rows, names, scratch)

    def _wide_batches(
        self,
        file: str,
        opened: Any,
        stored: list[str],
        here: dict[str, Any],
        rows: int,
        names: list[str],
        scratch: Scratch,
    ) -> Iterator[WideBatch]:
        wide = {name: position for position, name in enumerate(names)}
        texts = [name for name in stored if name not in wide]
        first = 0
        for group in range(opened.metadata.num_row_groups):
            n = opened.metadata.row_group(group).num_rows
            scratch.fill(opened, group)
            pa.default_memory_pool().release_unused()
            feed = RowFeed(opened, group, texts, rows)
            for block in scratch.rows(n, rows):
                columns = feed.take(len(block))
                columns |= {key: pa.repeat(value, len(block)) for key, value in here.items()}
                others = TableBatch(file, first, len(block), columns)
                yield WideBatch(file, first, len(block), block, wide, others)
                first += len(block)

    def integer_bounds(self, name: str) -> tuple[int, int] | None:
        """From the row groups' statistics, which most writers leave in the footer."""
        if self._bounds is None:
            self._bounds = self._read_bounds()
        return self._bounds.get(name)

    def _read_bounds(self) -> dict[str, tuple[int, int]]:
        """Bounds of every integer column that has them in every row group: one look per file."""
        found: dict[str, tuple[int, int]] = {}
        unknown: set[str] = set()
        for file, constants in zip(self._files, self._constants, strict=True):
            for name, value in constants.items():
                if isinstance(value, int):
                    _widen(found, name, value, value)
            with _open(file) as opened:
                metadata, names = opened.metadata, opened.schema_arrow.names
                if metadata.num_columns != len(names):
                    return {}  # nested columns: leaves are numbered otherwise
                integers = {c.name for c in self.columns if c.dtype.kind in "iu"}
                for group in range(metadata.num_row_groups):
                    row_group = metadata.row_group(group)
                    for position, name in enumerate(names):
                        if name not in integers or name in unknown:
                            continue
                        statistics = row_group.column(position).statistics
                        if statistics is None or not statistics.has_min_max:
                            unknown.add(name)
                        else:
                            _widen(found, name, int(statistics.min), int(statistics.max))
        return {name: bounds for name, bounds in found.items() if name not in unknown}


def _widen(found: dict[str, tuple[int, int]], name: str, low: int, high: int) -> None:
    least, most = found.get(name, (low, high))
    found[name] = (min(least, low), max(most, high))


def _open(file: str) -> Any:
    # buffered, not pre-buffered: a row group may be larger than memory
    try:
        return pq.ParquetFile(
            file, pre_buffer=False, buffer_size=1 << 16, page_checksum_verification=True
        )
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{file}: is not a readable Parquet file: {_line(error)}") from error


def _columns(file: str, schema: pa.Schema, constants: dict[str, Any]) -> tuple[Column, ...]:
    refuse_too_many(len(schema.names), file)
    refuse_duplicates([*schema.names, *constants], file)
    partitions = [column_of(name, pa.scalar(value).type) for name, value in constants.items()]
    # Parquet keeps integer categories of pandas as integers, and pandas' own note about them
    try:
        notes = (schema.pandas_metadata or {}).get("columns", [])
        categories = {note["name"] for note in notes if note["pandas_type"] == "categorical"}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SourceError(
            f"{file}: pandas' note about the columns is damaged: {one_line(error)}"
        ) from error
    columns = [
        column_of(field.name, pa.dictionary(pa.int32(), field.type))
        if field.name in categories and pa.types.is_integer(field.type)
        else column_of(field.name, field.type)
        for field in schema
    ]
    return (*columns, *partitions)


def _partition(file: Path, root: str) -> dict[str, Any]:
    """``key=value`` folders below the root as constant columns, as Hive and Spark write them."""
    folder = Path(root)
    if not folder.is_dir():
        return {}
    parts = [part for part in file.relative_to(folder).parts[:-1] if "=" in part]
    pairs = (part.split("=", 1) for part in parts)
    return {key: int(value) if value.isdigit() else value for key, value in pairs}


def _line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
