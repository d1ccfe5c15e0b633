"""Genotypes packed as PLINK 1 has them, read from files that hold them in another way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

MISSING = 3  # in the place of copies
_BITS = np.array([0b11, 0b10, 0b00, 0b01], dtype=np.uint8)  # of 0, 1 and 2 copies, and missing
_PACKED_BYTES = 64 << 20  # that are kept of the variants read last


def bytes_of(n_samples: int) -> int:
    """Return the bytes that a variant's genotypes take."""
    return -(-n_samples // 4)


def packed_of(copies: np.ndarray, n_samples: int) -> np.ndarray:
    """Pack copies (variants, samples) of an allele, with as many samples more as fill a byte."""
    bits = np.full((len(copies), n_samples), _BITS[0], dtype=np.uint8)
    bits[:, : copies.shape[1]] = _BITS.take(copies)
    quads = bits.reshape(len(bits), -1, 4)
    packed: np.ndarray = quads[:, :, 0].copy()
    for place in (1, 2, 3):
        packed |= quads[:, :, place] << np.uint8(2 * place)
    return packed


class PackedReads:
    """Packed genotypes (n_variants, bytes of a variant) uint8, read where they are sliced.

    The last variants read are kept: what is stored together is decoded once for each walk.

    Parameters
    ----------
    n_samples : int
    edges : (n_runs + 1,) int
        Variants between two of them are best read together.
    read : callable
        Given a first variant, where they stop, and a first byte and where those stop: the packed
        genotypes.
    """

    def __init__(
        self, n_samples: int, edges: np.ndarray, read: Callable[[int, int, int, int], np.ndarray]
    ) -> None:
        self.shape = (int(edges[-1]), bytes_of(n_samples))
        self._edges, self._read = edges, read
        self._kept: tuple[tuple[int, int, int, int], np.ndarray] | None = None

    def __getitem__(self, key: Any) -> np.ndarray:
        variants, columns = key if isinstance(key, tuple) else (key, slice(None))
        wanted = np.arange(self.shape[0])[variants]
        left, right, _ = columns.indices(self.shape[1])
        out = np.empty((len(wanted), right - left), dtype=np.uint8)
        done = 0
        while done < len(wanted):
            first, stop, packed = self._around(int(wanted[done]), left, right)
            here = done
            while here < len(wanted) and first <= wanted[here] < stop:
                here += 1
            out[done:here] = packed[wanted[done:here] - first]
            done = here
        return out

    def _around(self, variant: int, left: int, right: int) -> tuple[int, int, np.ndarray]:
        """Return the variants that are read with one: the first, where they stop, packed bytes."""
        if self._kept is not None:
            (first, stop, *between), packed = self._kept
            if first <= variant < stop and between == [left, right]:
                return first, stop, packed
        self._kept = None
        run = int(np.searchsorted(self._edges, variant, side="right")) - 1
        first, stop = self._edges[run : run + 2].tolist()
        most = max(1, _PACKED_BYTES // max(1, right - left))
        if stop - first > most:
            first = first + (variant - first) // most * most
            stop = min(first + most, stop)
        packed = self._read(first, stop, left, right)
        self._kept = (first, stop, left, right), packed
        return first, stop, packed
