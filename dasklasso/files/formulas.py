"""Text in CSV that a spreadsheet would run: an apostrophe before it says that it is text."""

from __future__ import annotations

import re
from typing import Any

BEGINNING = r"^[=+\-@\t\r]"  # of what is taken for a formula
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^[+-]?(inf|nan)$"
_BEGINNING, _NUMBER = re.compile(BEGINNING), re.compile(NUMBER)


def as_text(value: Any) -> Any:
    """Return a value as CSV may hold it: ``=1+1`` as ``'=1+1``, text that is a number as it is."""
    if not isinstance(value, str) or not _BEGINNING.match(value) or _NUMBER.match(value):
        return value
    return "'" + value


def batch_as_text(batch: Any) -> Any:
    """Return an Arrow record batch as CSV may hold it, with the names of its columns.

    Parameters
    ----------
    batch : pyarrow.RecordBatch
    """
    import pyarrow as pa

    columns = [_column_as_text(column) for column in batch.columns]
    names = [as_text(name) for name in batch.schema.names]
    return pa.RecordBatch.from_arrays(columns, names=names)


def _column_as_text(column: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column
    runs = pc.match_substring_regex(column, BEGINNING)
    if not pc.any(runs).as_py():
        return column
    runs = pc.and_(runs, pc.invert(pc.match_substring_regex(column, NUMBER)))
    mark = pa.scalar("'", column.type)
    joined = pc.binary_join_element_wise(mark, column, pa.scalar("", column.type))
    return pc.if_else(runs, joined, column)
