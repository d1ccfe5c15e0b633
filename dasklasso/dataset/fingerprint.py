"""A digest of a dataset's values that does not depend on how they are compressed."""

from __future__ import annotations

import hashlib

import google_crc32c
import numpy as np

FINGERPRINTED = ("X", "y", "sample_weight", "fold", "offset")  # in this order


def chunk_checksum(values: np.ndarray) -> int:
    """crc32c of a chunk's decoded values, as little-endian bytes in C order.

    A chunk at the edge counts without its padding.
    """
    little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    return int(google_crc32c.value(little.reshape(-1).view(np.uint8)))


class Fingerprint:
    """Collects chunk checksums as chunks are written; equal data in equal chunks agree.

    The digest is SHA-256 over, for each of X, y, sample_weight, fold, offset that is there: its
    name, dtype and shape, then its chunks' checksums in row-major order of the chunk grid.
    """

    def __init__(self) -> None:
        self._checksums: dict[str, list[int]] = {}

    def add(self, array: str, values: np.ndarray) -> None:
        """Take in the next chunk of an array."""
        self._checksums.setdefault(array, []).append(chunk_checksum(values))

    def digest(self, layout: dict[str, tuple[tuple[int, ...], np.dtype]]) -> str:
        """The fingerprint in hexadecimal; ``layout`` gives each array's shape and dtype."""
        sha = hashlib.sha256()
        for name in FINGERPRINTED:
            if name in layout:
                shape, dtype = layout[name]
                sha.update(f"{name} {np.dtype(dtype).newbyteorder('<').str} {shape}\n".encode())
                sha.update(np.array(self._checksums.get(name, []), dtype="<u4").tobytes())
        return "sha256:" + sha.hexdigest()
