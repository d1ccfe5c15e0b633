"""What an array's metadata must say for it to be read in blocks; nothing of it is believed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dasklasso.errors import StoreError

MOST_CHUNKS = 1 << 24


def chunk_shape(metadata: Any, title: str) -> tuple[int, ...]:
    """Return the shape of an array's chunks, which must all have one."""
    if hasattr(metadata, "chunks") and metadata.zarr_format == 2:
        return tuple(metadata.chunks)
    shape = getattr(metadata.chunk_grid, "chunk_shape", None)
    if shape is None or not all(isinstance(length, int) for length in shape):
        raise StoreError(f"{title} has an irregular chunk grid, expected chunks of one shape.")
    return tuple(shape)


def check_count(shape: tuple[int, ...], chunks: tuple[int, ...], title: str) -> None:
    """Refuse metadata of more chunks than can be listed, before a list is made of them."""
    if min(shape) < 0 or min(chunks) < 1:
        raise StoreError(f"{title} has shape {shape} in chunks of {chunks}.")
    count = math.prod(-(-n // c) for n, c in zip(shape, chunks, strict=True))
    if count > MOST_CHUNKS:
        raise StoreError(
            f"{title} has shape {shape} in chunks of {chunks}: {count:,} chunks found, expected "
            f"at most {MOST_CHUNKS:,}."
        )


def native_number(dtype: np.dtype, title: str) -> np.dtype:
    """Return a dtype of real numbers in this machine's byte order."""
    if dtype.kind not in "biuf":
        raise StoreError(
            f"{title} has dtype {dtype}, expected real numbers (float, integer or bool)."
        )
    return dtype.newbyteorder("=")
