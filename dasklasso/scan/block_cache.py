"""Decoded blocks kept in a worker's memory, within a budget.

Blocks that are costly to read (compressed or remote) are pinned: always the same ones, in every
scan, for a cyclic reader finds nothing in a cache that forgets the least recently used. A block
that is needed twice within one scan is held from its first use to its last.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable

import numpy as np


class BlockCache:
    """A budget of bytes, shared by pinned and held blocks. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pinned: dict[Hashable, np.ndarray] = {}
        self._held: OrderedDict[Hashable, np.ndarray] = OrderedDict()
        self._bytes = 0

    @property
    def nbytes(self) -> int:
        """Bytes of all blocks now kept."""
        return self._bytes

    def get(self, key: Hashable) -> np.ndarray | None:
        with self._lock:
            found = self._pinned.get(key)
            return self._held.get(key) if found is None else found

    def pin(self, key: Hashable, block: np.ndarray, budget: int) -> None:
        """Keep ``block`` until :meth:`clear`, unless that exceeds ``budget`` bytes."""
        with self._lock:
            if key not in self._pinned and self._bytes + block.nbytes <= budget:
                self._pinned[key] = block
                self._bytes += block.nbytes

    def hold(self, key: Hashable, block: np.ndarray, budget: int) -> None:
        """Keep ``block`` until :meth:`release`; the longest held ones give way."""
        with self._lock:
            if key in self._held or key in self._pinned:
                return
            while self._held and self._bytes + block.nbytes > budget:
                self._bytes -= self._held.popitem(last=False)[1].nbytes
            if self._bytes + block.nbytes <= budget:
                self._held[key] = block
                self._bytes += block.nbytes

    def release(self, key: Hashable) -> None:
        with self._lock:
            block = self._held.pop(key, None)
            if block is not None:
                self._bytes -= block.nbytes

    def forget(self, owner: Hashable) -> None:
        """Drop the blocks whose key is a tuple that starts with ``owner``."""
        with self._lock:
            for table in (self._pinned, self._held):
                for key in [k for k in table if isinstance(k, tuple) and k[0] == owner]:
                    self._bytes -= table.pop(key).nbytes


CACHE = BlockCache()  # one for each process: what its workers share
