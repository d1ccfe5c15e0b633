"""How pyarrow's CSV reader is told to read a file."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc_csv

from dasklasso.dataset.sources.base import Expected
from dasklasso.dataset.sources.csv_wide import WIDE_COLUMNS, WideReader
from dasklasso.dataset.sources.dialect import Dialect, dialect_of, long_fields, reader_of
from dasklasso.dataset.sources.reading import MISSING, Reading

_BLOCK_BYTES = 1 << 20
_HEADERS_OF_A_BLOCK = 16  # a line may be so many times as long as the header
_MOST_LINES_COUNTED = 1_000_000


@dataclass(frozen=True)
class CsvLayout:
    """One file's dialect, how many bytes to read at a time (at least a few lines), and how.

    ``absent`` are words that stand for a missing number, beside those that always do;
    ``can_be_said`` tells whether messages may name options that read the file otherwise.
    """

    dialect: Dialect
    block_bytes: int
    absent: tuple[str, ...] = ()
    reading: Reading = Reading()  # noqa: RUF009 (frozen)
    can_be_said: bool = True

    @classmethod
    def of(cls, file: str, expected: Expected) -> CsvLayout:
        """Tell how a file is written.

        Raises
        ------
        SourceError
            The file is empty, cannot be opened or is no text.
        """
        reading = expected.reading
        dialect = dialect_of(file, reading)
        block = max(_BLOCK_BYTES, _HEADERS_OF_A_BLOCK * dialect.header_bytes)
        absent = (*expected.absent, *reading.null)
        return cls(dialect, block, absent, reading, not expected.columns_are_known)

    @property
    def missing(self) -> tuple[str, ...]:
        """All the words that stand for a missing number."""
        return (*MISSING, *self.absent)

    def open(
        self,
        file: str,
        types: dict[str, pa.DataType],
        columns: Sequence[str] | None,
        *,
        threads: bool = True,
        on_ragged: Any = None,
        stream: Any = None,
    ) -> Any:
        """Return a pyarrow streaming reader of these columns (None: all) with these types.

        ``stream`` has the file's bytes, where it is not to be opened here.
        """
        stream = pa.input_stream(file) if stream is None else stream
        names = self.dialect.names
        wanted = names if columns is None else columns
        if len(wanted) > WIDE_COLUMNS and self.dialect.is_utf8:

            def options_of(has_header: bool, group: Sequence[str], ragged: Any) -> Any:
                there = {name: types[name] for name in group if name in types}
                return self._options(
                    there, group, threads, ragged, names=None if has_header else names
                )

            return WideReader(
                stream,
                wanted,
                block_bytes=self.block_bytes,
                quote=self.dialect.quote,
                options_of=options_of,
                on_ragged=on_ragged,
            )
        read, parse, convert = self._options(types, columns, threads, on_ragged)
        return pc_csv.open_csv(stream, read, parse, convert)

    def _options(
        self,
        types: dict[str, pa.DataType],
        columns: Sequence[str] | None,
        threads: bool,
        on_ragged: Any,
        names: Sequence[str] | None = None,
    ) -> tuple[Any, Any, Any]:
        """Return what pyarrow is told; ``names`` where there is no header to read."""
        encoding = "utf8" if self.dialect.is_utf8 else self.dialect.encoding
        return (
            pc_csv.ReadOptions(
                block_size=self.block_bytes,
                use_threads=threads,
                encoding=encoding,
                column_names=None if names is None else list(names),
            ),
            pc_csv.ParseOptions(
                delimiter=self.dialect.separator,
                quote_char=self.dialect.quote or False,
                newlines_in_values=True,
                invalid_row_handler=on_ragged,
            ),
            pc_csv.ConvertOptions(
                column_types=types,
                include_columns=None if columns is None else list(columns),
                null_values=list(self.missing),
                strings_can_be_null=False,  # "NA" may be a category; only "" is missing in text
                decimal_point=self.reading.decimal,
            ),
        )

    def line_of(self, file: str, row: int) -> int | None:
        """Return the line (from 1) that a row (from 0) begins at; None where that takes long."""
        if row > _MOST_LINES_COUNTED:
            return None
        dialect = self.dialect
        try:
            with pa.input_stream(file) as stream, long_fields():
                lines = io.TextIOWrapper(stream, encoding=dialect.encoding, newline="")
                reader = reader_of(lines, dialect.separator, dialect.quote)
                seen, before = -1, 0
                for record in reader:
                    seen += bool(record)  # empty lines are no rows; the header is row -1
                    if seen == row + 1:
                        return before + 1
                    before = reader.line_num
        except (OSError, UnicodeError, csv.Error, pa.ArrowException, ValueError):
            return None
        return None
