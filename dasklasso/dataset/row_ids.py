"""Ids of rows, as stores keep them: a digest of each, by which rows of other tables are found."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

ROW_IDS = "row_ids"  # name of the array
WIDTH = 2  # numbers of 8 bytes: no two of a thousand million ids are likely to share one
_NUMBERS = np.dtype("<u8")


def digests_of_ids(ids: Iterable[str]) -> np.ndarray:
    """Return (n, WIDTH) uint64: a digest of each id, zeros for an empty one."""
    nothing = bytes(WIDTH * _NUMBERS.itemsize)
    found = b"".join(
        hashlib.blake2b(one.encode(), digest_size=len(nothing)).digest() if one else nothing
        for one in ids
    )
    return np.frombuffer(found, dtype=_NUMBERS).reshape(-1, WIDTH).astype(np.uint64)


def places_among(ids: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Find rows by their ids: for each of ``ids`` its row in ``others``, or −1.

    Parameters
    ----------
    ids, others : (n, WIDTH) and (m, WIDTH) uint64; no two of ``others`` are alike, but empty ones
    """
    named = np.flatnonzero(others.any(axis=1))
    order = named[np.lexsort(others[named].T[::-1])]
    known = others[order]
    found = np.full(len(ids), -1, dtype=np.int64)
    if not len(known):
        return found
    for way in ("left", "right"):  # two ids may share their first number, three hardly will
        at = np.searchsorted(known[:, 0], ids[:, 0], side=way) - (way == "right")
        at = np.clip(at, 0, len(known) - 1)
        same = (known[at] == ids).all(axis=1)
        found[same] = order[at[same]]
    return found
