"""How large the chunks of a store are."""

from __future__ import annotations

CHUNK_BYTES = 64 << 20  # decoded
_FEWEST_ROWS = 64


def chunk_shape(
    n_features: int, itemsize: int, *, memory: int = 1 << 30, n_rows: int | None = None
) -> tuple[int, int]:
    """Rows and columns of a chunk of X: about 64 MiB decoded, all columns while they fit.

    A table so wide that 64 rows exceed that is chunked along its columns as well. ``memory``
    (bytes) is what the writer may use: it holds a few times a chunk of all columns.
    """
    row_bytes = max(1, n_features * itemsize)
    chunk_bytes = min(CHUNK_BYTES, max(1, memory // 8))
    rows = max(1, chunk_bytes // row_bytes)
    columns = max(1, n_features)
    if rows < _FEWEST_ROWS:
        rows = max(1, min(_FEWEST_ROWS, memory // 3 // row_bytes))
        columns = min(columns, max(1, chunk_bytes // (rows * itemsize)))
    if n_rows is not None:
        rows = max(1, min(rows, n_rows))
    return rows, columns
