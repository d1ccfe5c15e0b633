"""How large the chunks of a store are."""

from __future__ import annotations

CHUNK_BYTES = 64 << 20  # decoded
STRIP_BYTES = 64 << 20  # decoded, of all rows of a column of chunks of a table wider than long
WHOLE_STRIP_BYTES = 16 << 20  # decoded, of a chunk of all rows: so much memory is used again
_FEWEST_ROWS = 64
_FEWEST_COLUMNS = 256
_FEWEST_OF_STRIP = 128  # products of fewer columns are slower


def chunk_shape(
    n_features: int, itemsize: int, *, memory: int = 1 << 30, n_rows: int | None = None
) -> tuple[int, int]:
    """Rows and columns of a chunk of X: about 64 MiB decoded, all columns while they fit.

    A table so wide that 64 rows exceed that is chunked along its columns as well. One that is
    wider than long has chunks of few columns, as it is read some columns at a time with all rows.
    ``memory`` (bytes) is what the writer may use: it holds a few times a chunk of all columns.
    """
    row_bytes = max(1, n_features * itemsize)
    chunk_bytes = min(CHUNK_BYTES, max(1, memory // 8))
    if n_rows is not None and is_wide(n_rows, n_features, itemsize, memory=memory):
        rows = max(1, min(n_rows, memory // 3 // row_bytes))
        columns = max(_FEWEST_COLUMNS, STRIP_BYTES // (n_rows * itemsize))
        return rows, min(n_features, columns)
    rows = max(1, chunk_bytes // row_bytes)
    columns = max(1, n_features)
    if rows < _FEWEST_ROWS:
        rows = max(1, min(_FEWEST_ROWS, memory // 3 // row_bytes))
        columns = min(columns, max(1, chunk_bytes // (rows * itemsize)))
    if n_rows is not None:
        rows = max(1, min(rows, n_rows))
    return rows, columns


def is_wide(n_rows: int, n_features: int, itemsize: int, *, memory: int = 1 << 30) -> bool:
    """Tell whether a table is wider than long, and more than a chunk."""
    nbytes = n_rows * n_features * itemsize
    return n_features > n_rows and nbytes > min(CHUNK_BYTES, max(1, memory // 8))


def strip_columns(n_rows: int, n_features: int, itemsize: int, *, memory: int) -> int:
    """Columns of a chunk of all rows: about 16 MiB decoded, at most an eighth of the memory."""
    column_bytes = n_rows * itemsize
    columns = max(_FEWEST_OF_STRIP, WHOLE_STRIP_BYTES // column_bytes)
    return max(1, min(n_features, columns, memory // 8 // column_bytes))
