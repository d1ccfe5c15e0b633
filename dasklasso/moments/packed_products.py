"""Symmetric products as they are on disk: two rows of the upper triangle fill one of n + 1."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

CHUNK_VALUES = 1 << 20  # 8 MiB of float64
TILE = 512


def packed_chunks(n: int) -> tuple[int, int]:
    """Return the chunks of one group's products, and the rows of each; the last may be padded."""
    half = (n + 1) // 2
    n_chunks = max(1, -(-half * (n + 1) // CHUNK_VALUES))
    return n_chunks, -(-half // n_chunks)


def packed(products: np.ndarray, start: int, rows: int) -> np.ndarray:
    """Pack rows of the upper triangle, the short ones behind the long ones: (rows, n + 1)."""
    n = len(products)
    out = np.zeros((rows, n + 1))
    for row, i in zip(out, range(start, min(start + rows, (n + 1) // 2)), strict=False):
        row[: n - i] = products[i, i:]
        row[n - i :] = products[n - 1 - i, n - 1 - i :]
    return out


def unpacked(n: int, chunks: Iterator[np.ndarray]) -> np.ndarray:
    """Rebuild the symmetric (n, n) products from their packed chunks."""
    products = np.empty((n, n))
    i = 0
    for chunk in chunks:
        for row in chunk[: (n + 1) // 2 - i]:
            products[i, i:] = row[: n - i]
            products[n - 1 - i, n - 1 - i :] = row[n - i :]
            i += 1
    for a in range(0, n, TILE):  # tiles: columns one by one would miss the cache
        here = slice(a, a + TILE)
        for b in range(0, a, TILE):
            products[here, b : b + TILE] = products[b : b + TILE, here].T
        tile = products[here, here]
        below = np.tril_indices(len(tile), -1)
        tile[below] = tile.T[below]
    return products
