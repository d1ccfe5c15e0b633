"""What the scan engine is measured against: a bare loop over the same chunks, and dask-glm.

The bare loop has no checks, no fixed order of summation, no scheduler: it maps or reads each row
of chunks, multiplies twice, and adds up.
"""

from __future__ import annotations

import itertools
import mmap
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import zarr

from dasklasso.errors import DependencyMissing
from dasklasso.storage.zarr_blocks import ZarrBlocks

Blocks = Callable[[int], list[np.ndarray]]  # row chunk -> its blocks, left to right


def bare_scan(X: ZarrBlocks, y: np.ndarray, w: np.ndarray, read: Blocks, threads: int) -> Any:
    """``Xᵀ(Xw − y)`` by a loop over row chunks on a pool of threads."""
    rows, columns = X.row_bounds, X.column_bounds
    weights = [w[a:b] for a, b in itertools.pairwise(columns)]

    def one(i: int) -> list[np.ndarray]:
        blocks = read(i)
        residual = -y[rows[i] : rows[i + 1]]
        for block, weight in zip(blocks, weights, strict=True):
            residual = residual + block @ weight
        return [block.T @ residual for block in blocks]

    with ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(one, range(len(rows) - 1)))
    return np.concatenate([sum(part) for part in zip(*parts, strict=True)])


def mapped(X: ZarrBlocks) -> Blocks:
    """Row chunks as mapped files, mapped once."""
    maps: dict[tuple[int, int], np.ndarray] = {}
    height, width = X.chunk_shape

    def read(i: int) -> list[np.ndarray]:
        return [one(i, j) for j in range(len(X.column_bounds) - 1)]

    def one(i: int, j: int) -> np.ndarray:
        if (i, j) not in maps:
            with open(X.chunk_file(i, j), "rb") as file:
                memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            values = np.frombuffer(memory, dtype=X.dtype, count=height * width)
            shape = values.reshape(height, width)
            rows = X.row_bounds[i + 1] - X.row_bounds[i]
            maps[i, j] = shape[:rows, : X.column_bounds[j + 1] - X.column_bounds[j]]
        return maps[i, j]

    return read


def through_zarr(location: str, X: ZarrBlocks, pipeline: str) -> Blocks:
    """Row chunks as zarr reads them, with one of its codec pipelines."""
    with zarr.config.set({"codec_pipeline.path": pipeline}):
        array = zarr.open_group(location, mode="r")[X.path or "X"]
    assert isinstance(array, zarr.Array)
    edges = X.column_bounds

    def read(i: int) -> list[np.ndarray]:
        rows = slice(X.row_bounds[i], X.row_bounds[i + 1])
        return [np.asarray(array[rows, a:b]) for a, b in itertools.pairwise(edges)]

    return read


def readers(location: str, X: ZarrBlocks) -> dict[str, Callable[[], Blocks]]:
    """Every way there is to read these chunks without the engine, each ready to be opened."""
    if X.mapped:
        return {"mapped files": partial(mapped, X)}
    found = {"zarr-python": "zarr.core.codec_pipeline.BatchedCodecPipeline"}
    try:
        import zarrs  # noqa: F401

        found["zarrs"] = "zarrs.ZarrsCodecPipeline"
    except ImportError:
        pass
    return {name: partial(through_zarr, location, X, path) for name, path in found.items()}


def dask_glm_iteration(location: str, path: str, y: np.ndarray, threads: int) -> float:
    """Seconds of one iteration of dask-glm's proximal gradient on the same store.

    Raises
    ------
    DependencyMissing
        When dask-glm is not installed.
    """
    try:
        from dask_glm.algorithms import proximal_grad
        from dask_glm.families import Normal
    except ImportError:
        raise DependencyMissing(
            "dask-glm is not installed, and --dask-glm compares with it: pip install dask-glm"
        ) from None
    import dask
    import dask.array as da

    X = da.from_zarr(location, component=path)
    target = da.from_array(y, chunks=X.chunks[0])

    def seconds(iterations: int) -> float:
        began = time.perf_counter()
        with dask.config.set(scheduler="threads", num_workers=threads):
            proximal_grad(X, target, "l1", lamduh=0.1, family=Normal, max_iter=iterations, tol=0)
        return time.perf_counter() - began

    # the first iteration also looks for a step: what follows is what an iteration costs
    return (seconds(5) - seconds(1)) / 4
