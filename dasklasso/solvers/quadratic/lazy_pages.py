"""Memory of large matrices: only what is written takes any."""

from __future__ import annotations

import mmap

import numpy as np


def lazy_square(n: int, dtype: np.dtype) -> np.ndarray:
    """Return zeros (n, n) in address space of their own.

    A leading part takes no more memory than it has numbers, and the part below the diagonal half of
    that. NumPy's own arrays come in huge pages where the system has them: many rows at once.
    """
    if not n:
        return np.zeros((0, 0), dtype)
    nbytes = n * n * dtype.itemsize
    if not hasattr(mmap, "MAP_PRIVATE"):
        return np.zeros((n, n), dtype)
    memory = mmap.mmap(-1, nbytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return np.frombuffer(memory, dtype).reshape(n, n)
