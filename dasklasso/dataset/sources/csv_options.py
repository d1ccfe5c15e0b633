"""How a CSV file is laid out, and how pyarrow is told to read it."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc_csv

from dasklasso.errors import SourceError

_BLOCK = 1 << 20
MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "#N/A", "-nan", "-NaN")


@dataclass(frozen=True)
class CsvLayout:
    """The delimiter, and how many bytes to read at a time (at least a few lines)."""

    delimiter: str
    block_bytes: int

    @classmethod
    def of(cls, file: str) -> CsvLayout:
        """Told by the header: the commonest of comma, semicolon, tab and bar.

        Raises
        ------
        SourceError
            The file is empty or cannot be opened.
        """
        header = first_line(file)
        delimiter = max(",;\t|", key=header.count)
        return cls(delimiter, max(_BLOCK, 16 * len(header)))

    def split(self, line: str) -> list[str]:
        """The fields of a line."""
        return next(csv.reader([line], delimiter=self.delimiter), [])

    def open(
        self,
        file: str,
        types: dict[str, pa.DataType],
        columns: list[str] | None,
        *,
        threads: bool = True,
        on_ragged: Any = None,
    ) -> Any:
        """A pyarrow streaming reader of these columns (None: all) with these types."""
        return pc_csv.open_csv(
            pa.input_stream(file),
            read_options=pc_csv.ReadOptions(block_size=self.block_bytes, use_threads=threads),
            parse_options=pc_csv.ParseOptions(
                delimiter=self.delimiter, newlines_in_values=True, invalid_row_handler=on_ragged
            ),
            convert_options=pc_csv.ConvertOptions(
                column_types=types,
                include_columns=columns,
                null_values=list(MISSING),
                strings_can_be_null=False,  # "NA" may be a category; only "" is missing in text
            ),
        )


def first_line(file: str) -> str:
    """The header line, without byte order mark and line end."""
    try:
        with pa.input_stream(file) as stream:
            head = b""
            while b"\n" not in head and (more := stream.read(_BLOCK)):
                head += more
    except (OSError, pa.ArrowException) as error:
        raise SourceError(f"{file}: cannot be read: {error}") from error
    line = head.lstrip(b"\r\n").split(b"\n", 1)[0].rstrip(b"\r")
    if not line.strip():
        raise SourceError(f"{file}: is empty, expected a header line and rows.")
    try:
        return line.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SourceError(f"{file}: the header is not UTF-8 text.") from None


def parse_number(text: str) -> float | None:
    """The number that a CSV field spells, None where it is not one (as pyarrow reads it)."""
    if "_" in text or not text.isascii():  # Python would take 1_000 and digits of other scripts
        return None
    try:
        return float(text)
    except ValueError:
        return None
