"""Packed genotypes taken apart and counted, eight bytes at a time.

A genotype's two bits, the lower one first: 00 two copies, 01 one, 11 none, 10 missing. So of a
genotype known to be there ``copies = 2 - high - (low & high)``.
"""

from __future__ import annotations

import numpy as np

WORD_BYTES = 8
_EACH_BYTE = np.uint64(0x0101010101010101)
_EACH_PAIR = np.uint64(0x5555555555555555)
_PIECE_BYTES = 64 << 10  # of genotypes taken apart at a time: their words stay in the cache


def copies_of(packed: np.ndarray, samples: np.ndarray, missing: int, out: np.ndarray) -> np.ndarray:
    """Take genotypes apart.

    Parameters
    ----------
    packed : (n_bytes, width) uint8, C-contiguous
        A row is four samples of each variant; the width is a multiple of :data:`WORD_BYTES`.
    samples : (n,) int64, positions among ``4 * n_bytes``
    missing : int
        What stands for a genotype that is missing: 2 to 255.
    out : (n, at most width) uint8
        Takes the copies.
    """
    width = out.shape[1]
    step = 4 * max(1, _PIECE_BYTES // max(1, packed.shape[1]))
    for start in range(0, len(samples), step):
        byte, place = np.divmod(samples[start : start + step], 4)
        target = out[start : start + step]
        for shift in range(4):
            own = np.flatnonzero(place == shift)
            words = packed[byte[own]].view(np.uint64)
            target[own] = _copies(words, 2 * shift, missing)[:, :width]
    return out


def _copies(words: np.ndarray, shift: int, missing: int) -> np.ndarray:
    """Return the genotypes at one place of each byte, as bytes."""
    low = words >> np.uint64(shift)
    high = low >> np.uint64(1)
    low &= _EACH_BYTE
    high &= _EACH_BYTE
    copies = np.uint64(2) * _EACH_BYTE - high
    high &= low
    copies -= high
    low ^= high  # 1 where a genotype is missing, of which there are two copies so far
    low *= np.uint64(missing - 2)
    copies += low
    return copies.view(np.uint8)


def count_copies(
    packed: np.ndarray, ignored: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count the genotypes of variants: those that are missing, of one copy, and of two copies.

    Parameters
    ----------
    packed : (n_variants, n_bytes) uint8
    ignored : (n_bytes,) uint8
        Both bits of each sample that does not count.
    """
    n_variants, n_bytes = packed.shape
    padded = np.full((n_variants, n_bytes + -n_bytes % WORD_BYTES), 0xFF, dtype=np.uint8)
    np.bitwise_or(packed, ignored, out=padded[:, :n_bytes])
    low = padded.view(np.uint64)
    high = low >> np.uint64(1)
    low &= _EACH_PAIR
    high &= _EACH_PAIR
    none = low & high
    low ^= none
    high ^= none
    n_missing, n_one, n_none = (
        np.bitwise_count(bits).sum(axis=1, dtype=np.int64) for bits in (low, high, none)
    )
    return n_missing, n_one, 4 * padded.shape[1] - n_missing - n_one - n_none
