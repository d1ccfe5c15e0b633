"""``dasklasso bench``: gradient scans against rivals, side by side in one run."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dasklasso.bench.rivals import bare_scan, dask_glm_iteration, readers
from dasklasso.dataset.dataset import Dataset, from_arrays, open_dataset
from dasklasso.errors import OptionError
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.frame import Frame
from dasklasso.scan.queries.gradient import Gradient
from dasklasso.scan.runners import runner_for
from dasklasso.scan.threads import blas_threads
from dasklasso.storage.mapped_files import maps
from dasklasso.storage.missing_codes import missing_code_of
from dasklasso.storage.zarr_blocks import ZarrBlocks, read_rows

TINY_BANDS = 10


@dataclass(frozen=True)
class Measured:
    """Seconds of one contender, run by run."""

    name: str
    seconds: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


@dataclass(frozen=True)
class ScanBench:
    """The outcome: the engine, its rivals, and how much was read.

    Attributes
    ----------
    nbytes : decoded bytes of X, read once by each scan
    threads : on which all contenders ran
    engine, rivals : Measured
    """

    nbytes: int
    threads: int
    engine: Measured
    rivals: list[Measured]

    def to_json(self) -> dict[str, Any]:
        """Figures as plain JSON types; ``ratio`` is the rival's time over the engine's."""
        return {
            "bytes": self.nbytes,
            "threads": self.threads,
            "engine": self.engine.seconds,
            "rivals": {
                rival.name: {
                    "seconds": rival.seconds,
                    "ratio": rival.median / self.engine.median,
                }
                for rival in self.rivals
            },
        }


def bench_scan(
    store: str, *, repeats: int = 7, cold: bool = False, dask_glm: bool = False
) -> ScanBench:
    """Measure one gradient scan of the engine against bare loops over the same chunks.

    Contenders take turns, so that a machine that slows down slows all of them.

    Parameters
    ----------
    store : a local store
    repeats : rounds that count, after one that does not
    cold : drop the store's pages from the page cache before every scan
    dask_glm : also one iteration of dask-glm's proximal gradient

    Raises
    ------
    OptionError
        When the store is not on a local disk, or has codes of missing values.
    """
    data = open_dataset(store)
    X = data.X
    if missing_code_of(X) is not None:
        raise OptionError(f"{store}: has codes of missing values, which bare loops do not fill in")
    if not isinstance(X, ZarrBlocks) or not X.is_local:
        raise OptionError(f"{store}: is not on a local disk, and the bare loop reads files")
    y = _targets(data)
    w = np.random.default_rng(0).standard_normal(data.n_features)
    contenders: dict[str, Callable[[], Any]] = {}
    with runner_for(dashboard=False) as runner:
        threads = sum(n for _, n in runner.shares())
        scan = _engine_scan(data, ScanEngine(data, runner), w)
        contenders["engine"] = lambda: scan().astype(np.float32)
        single = w.astype(np.float32), y.astype(np.float32)
        for name, make in readers(store, X).items():
            # pages that somebody maps cannot be dropped: on a cold disk each scan maps afresh
            read = make if cold else _once(make)
            contenders[f"bare loop, {name}"] = _bare(X, single[1], single[0], read, threads)
        found = _take_turns(contenders, repeats, before=_evict(X) if cold else lambda: None)
    rivals = [one for one in found if one.name != "engine"]
    if dask_glm:
        seconds = dask_glm_iteration(store, X.path or "X", y, threads)
        rivals.append(Measured("dask-glm proximal_grad, one iteration", [seconds]))
    engine = next(one for one in found if one.name == "engine")
    nbytes = X.shape[0] * X.shape[1] * X.dtype.itemsize
    return ScanBench(nbytes, threads, engine, rivals)


def bench_overhead(*, repeats: int = 30) -> Measured:
    """Seconds of a scan of ten bands with next to nothing in them: what a scan costs by itself."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1000, 10))
    data = from_arrays(X, X[:, 0] + rng.standard_normal(1000))
    tenth = X.nbytes // TINY_BANDS
    data.X.row_bounds = tuple(range(0, 1001, 1000 // TINY_BANDS))
    with runner_for(dashboard=False) as runner:
        engine = ScanEngine(data, runner, band_bytes=tenth)
        assert len(engine.layout.bands) == TINY_BANDS
        scan = _engine_scan(data, engine, np.zeros(10))
        [found] = _take_turns({"ten tiny bands": scan}, repeats, before=lambda: None)
    return found


def _targets(data: Dataset) -> np.ndarray:
    assert data.y is not None
    return read_rows(data.y, 0, data.n_rows)[:, 0]


def _once(make: Callable[[], Any]) -> Callable[[], Any]:
    made = make()
    return lambda: made


def _bare(X: ZarrBlocks, y: np.ndarray, w: np.ndarray, read: Any, threads: int) -> Any:
    def scan() -> Any:
        with blas_threads():
            return bare_scan(X, y, w, read(), threads)

    return scan


def _engine_scan(data: Dataset, engine: ScanEngine, w: np.ndarray) -> Callable[[], np.ndarray]:
    placed = engine.placed(Frame.unscaled(data.n_features))
    dtype = "float64" if data.X.dtype == np.float64 else "float32"
    query = Gradient((0,), (0.0,) * data.n_targets, 1.0, dtype)
    points = w[:, None]

    def scan() -> np.ndarray:
        answer = engine.gradient(query, engine.by_columns(points), placed)
        found = engine.runner.compute(*answer.parts)
        return np.concatenate([part.values[0].gradient for part in found])

    return scan


def _take_turns(
    contenders: dict[str, Callable[[], Any]], repeats: int, *, before: Callable[[], None]
) -> list[Measured]:
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(repeats + 1):
        for name, run in contenders.items():
            before()
            began = time.perf_counter()
            run()
            if turn:  # the first one maps files and verifies checksums
                seconds[name].append(time.perf_counter() - began)
    return [Measured(name, found) for name, found in seconds.items()]


def _evict(X: ZarrBlocks) -> Callable[[], None]:
    """Return what drops a store's chunks from the page cache."""
    grid = [(i, j) for i in range(len(X.row_bounds) - 1) for j in range(len(X.column_bounds) - 1)]

    def evict() -> None:
        os.sync()
        for i, j in grid:
            maps.unmap(path := X.chunk_file(i, j))  # pages that somebody maps cannot be dropped
            handle = os.open(path, os.O_RDONLY)
            try:
                os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(handle)

    return evict
