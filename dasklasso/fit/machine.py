"""The rates of this machine, measured in a moment: bytes read and products computed a second."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from dasklasso.dataset.dataset import Dataset
from dasklasso.options import RunOptions
from dasklasso.scan.runners import threads_each
from dasklasso.scan.threads import blas_threads
from dasklasso.storage.blocks import BlockSource

READ_BYTES = 64 << 20  # enough to know how fast blocks come
SAMPLED_BLOCKS = 256
SLAB = (1024, 512)  # rows and columns of a product, about those that a scan multiplies at a time
PRODUCTS_AT_ONCE = 4  # at a time: some 10 ms


@dataclass(frozen=True)
class Machine:
    """Rates of this machine with all its threads in use.

    Attributes
    ----------
    bytes_per_second : decoded bytes of X, as its blocks are read for the first time
    flops_float32, flops_float64 : additions and multiplications per second, in matrix products
    """

    bytes_per_second: float
    flops_float32: float
    flops_float64: float


def machine_for(data: Dataset, run: RunOptions, seconds: float = 0.3) -> Machine | None:
    """The rates of what a fit will run on, or None where that is not the cores of this machine.

    Parameters
    ----------
    seconds : as for :func:`measure_machine`
    """
    if run.device != "cpu" or run.scheduler is not None:
        return None
    return measure_machine(data, (run.workers or 1) * threads_each(run.workers), seconds)


def measure_machine(data: Dataset, threads: int, seconds: float = 0.3) -> Machine:
    """Read some blocks of X and multiply some matrices.

    Parameters
    ----------
    data : Dataset
        Blocks spread over all of X are read, up to 64 MiB.
    threads : int
        That read and compute at the same time, each with a single BLAS thread.
    seconds : float
        About how long it takes: half of it to read, half to compute. A block once begun is read
        to its end, so chunks that take longer than that to read make it longer.

    Raises
    ------
    ChunkMissing, ChunkCorrupt
    """
    # as in a scan: one BLAS thread for each thread that computes
    with blas_threads(), ThreadPoolExecutor(threads) as pool:
        return Machine(
            _reading(data.X, pool, threads, seconds / 2),
            _multiplying(np.float32, pool, threads, seconds / 4),
            _multiplying(np.float64, pool, threads, seconds / 4),
        )


def _reading(X: BlockSource, pool: ThreadPoolExecutor, threads: int, seconds: float) -> float:
    """Decoded bytes per second."""
    columns = len(X.column_bounds) - 1
    n_blocks = (len(X.row_bounds) - 1) * columns
    spread = np.linspace(0, n_blocks - 1, min(n_blocks, SAMPLED_BLOCKS)).astype(int)
    places = np.random.default_rng(0).permutation(spread).tolist()
    if len(places) > 1:
        X.block(*divmod(places.pop(), columns))  # codecs are loaded at their first use
    lock, found = threading.Lock(), 0
    began = time.perf_counter()

    def read_until_known(_: int) -> None:
        nonlocal found
        for turn in count():  # at least one block, however late a busy machine lets it begin
            late = turn > 0 and time.perf_counter() - began > seconds
            with lock:
                if not places or found >= READ_BYTES or late:
                    return
                place = places.pop()
            block = X.block(*divmod(place, columns))
            _touch(block)
            with lock:
                found += block.nbytes

    list(pool.map(read_until_known, range(threads)))
    return found / (time.perf_counter() - began)


def _touch(block: np.ndarray) -> None:
    """Use every byte: a mapped block is not read before that."""
    flat = block.reshape(-1).view(np.uint8)
    np.bitwise_xor.reduce(flat[: len(flat) // 8 * 8].view(np.uint64))


def _multiplying(dtype: Any, pool: ThreadPoolExecutor, threads: int, seconds: float) -> float:
    """Flops per second, all threads together; the best of a few rounds."""
    rng = np.random.default_rng(0)
    left = rng.standard_normal(SLAB).astype(dtype)
    right = rng.standard_normal(SLAB).astype(dtype)
    outs = [np.empty((SLAB[1], SLAB[1]), dtype) for _ in range(threads)]

    def multiply(thread: int) -> None:
        for _ in range(PRODUCTS_AT_ONCE):
            np.matmul(left.T, right, out=outs[thread])

    list(pool.map(multiply, range(threads)))  # fresh memory is slow
    fastest, began = np.inf, time.perf_counter()
    while fastest == np.inf or time.perf_counter() - began < seconds:
        start = time.perf_counter()
        list(pool.map(multiply, range(threads)))
        fastest = min(fastest, time.perf_counter() - start)
    return threads * PRODUCTS_AT_ONCE * 2.0 * SLAB[0] * SLAB[1] ** 2 / fastest
