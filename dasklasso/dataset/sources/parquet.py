"""Parquet: a file, or all the files of a folder (also ``key=value`` partitions) or pattern."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dasklasso.dataset.sources.base import Column, refuse_duplicates, resolve_column
from dasklasso.dataset.sources.table import TableBatch, column_of, sliced
from dasklasso.errors import SourceError


class ParquetSource:
    """Files with the same columns, one after the other; footers are read at once."""

    format = "parquet"
    default_target: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()

    def __init__(self, path: str, files: Sequence[Path]) -> None:
        self.path = path
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

    def batches(self, names: Sequence[str], rows: int) -> Iterator[TableBatch]:
        for file, constants, n in zip(self._files, self._constants, self._rows, strict=True):
            stored = [name for name in names if name not in constants]
            here = {name: constants[name] for name in names if name in constants}
            with _open(file) as opened:
                first = 0
                if not stored:  # no column to read: partition keys are known for every row
                    for start in range(0, n, rows):
                        count = min(rows, n - start)
                        yield TableBatch(
                            file, start, count, {k: pa.repeat(v, count) for k, v in here.items()}
                        )
                    continue
                try:
                    for record_batch in opened.iter_batches(batch_size=rows, columns=stored):
                        yield from sliced(file, first, record_batch, here, rows)
                        first += record_batch.num_rows
                except (pa.ArrowException, OSError) as error:
                    raise SourceError(
                        f"{file}: cannot be read after row {first - 1}: {_line(error)}"
                    ) from error

    def integer_bounds(self, name: str) -> tuple[int, int] | None:
        """From the row groups' statistics, which most writers leave in the footer."""
        low: list[int] = []
        high: list[int] = []
        for file, constants in zip(self._files, self._constants, strict=True):
            if name in constants:
                low.append(constants[name])
                high.append(constants[name])
                continue
            with _open(file) as opened:
                metadata = opened.metadata
                position = opened.schema_arrow.get_field_index(name)
                if metadata.num_columns != len(opened.schema_arrow):
                    return None  # nested columns: leaves are numbered otherwise
                for group in range(metadata.num_row_groups):
                    statistics = metadata.row_group(group).column(position).statistics
                    if statistics is None or not statistics.has_min_max:
                        return None
                    low.append(int(statistics.min))
                    high.append(int(statistics.max))
        return (min(low), max(high)) if low else None


def _open(file: str) -> Any:
    # buffered, not pre-buffered: a row group may be larger than memory
    try:
        return pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 16)
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{file}: is not a readable Parquet file: {_line(error)}") from error


def _columns(file: str, schema: pa.Schema, constants: dict[str, Any]) -> tuple[Column, ...]:
    refuse_duplicates([*schema.names, *constants], file)
    partitions = [column_of(name, pa.scalar(value).type) for name, value in constants.items()]
    return (*(column_of(field.name, field.type) for field in schema), *partitions)


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
