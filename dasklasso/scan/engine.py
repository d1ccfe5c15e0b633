"""The scan engine: queries in, one Dask graph over the bands of X, answers out.

The engine only builds graphs; a :class:`~dasklasso.scan.runners.Runner` runs them. Answers are
lazy collections, so a solver can put its own arithmetic (the prox of the answer, the points of the
next question) into the same graph.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from dasklasso.dataset.dataset import Dataset
from dasklasso.scan import tasks
from dasklasso.scan.frame import Frame, PlacedFrame
from dasklasso.scan.graph import BlockArray, GraphBuilder, Task, array_here, array_of
from dasklasso.scan.layout import BAND_BYTES, Layout, layout_of, split_evenly
from dasklasso.scan.queries.base import AnswerT, Query
from dasklasso.scan.queries.gradient import Gradient
from dasklasso.scan.reader import Caching, Table
from dasklasso.scan.runners import Runner

RUN_BYTES = 512 << 20  # a task reads about this much: long against Dask's few ms, short to watch
JOIN_FAN_IN = 16


@dataclass(frozen=True)
class Request:
    """A query with its input arrays, each (n_features, any), cut as the layout's parts."""

    query: Query[Any]
    inputs: tuple[BlockArray, ...] = ()


@dataclass(frozen=True)
class GradientScan:
    """A scan that asks for a gradient first, as a graph that was not run yet.

    Attributes
    ----------
    queries : the gradient's, then what else the scan is asked
    parts : for each part the task of its :class:`~dasklasso.scan.tasks.PartAnswer`
    column_chunks : widths of the parts
    n_points : K, of the gradient
    """

    queries: tuple[Query[Any], ...]
    parts: tuple[Task, ...]
    column_chunks: tuple[int, ...]
    n_points: int

    @property
    def gradient(self) -> BlockArray:
        """(n_features, K), chunked by the layout's parts."""
        builder = GraphBuilder(*self.parts)
        for part, answer in enumerate(self.parts):
            builder.add("gradient", (part, 0), tasks.gradient_of, answer.key)
        return array_of(builder, "gradient", self.column_chunks, self.n_points, np.float64)

    def map_parts(
        self, label: str, function: Callable[..., Any], *arrays: BlockArray
    ) -> list[Task]:
        """``function(answer, *blocks)`` for every part, with that part's blocks of ``arrays``.

        ``answer`` is the part's :class:`~dasklasso.scan.tasks.PartAnswer`.
        """
        builder = GraphBuilder(*self.parts, *arrays)
        keys = [
            builder.add(
                label, (part,), function, answer.key, *[(array.name, part, 0) for array in arrays]
            )
            for part, answer in enumerate(self.parts)
        ]
        return [Task(builder, key) for key in keys]


class ScanEngine:
    """Builds one graph a scan for one data set on one runner.

    Parameters
    ----------
    data : Dataset
    runner : Runner
    band_bytes : int
        Decoded bytes of a band. It decides the order of summation: the same data and
        ``band_bytes`` give the same bits.
    """

    def __init__(self, data: Dataset, runner: Runner, band_bytes: int = BAND_BYTES) -> None:
        X = data.X
        self.layout: Layout = layout_of(
            X.row_bounds, X.column_bounds, X.dtype.itemsize, band_bytes, divisible=X.mapped
        )
        self.table = Table(
            data.fingerprint, X, data.y, data.sample_weight, self.layout, data.offset
        )
        self.runner = runner
        self.scans: float = 0
        self._forward = True

    @property
    def column_chunks(self) -> tuple[int, ...]:
        """Chunks along features of every array of coefficients."""
        return self.layout.part_widths

    @property
    def is_split(self) -> bool:
        """Whether X is too wide for a band to hold all columns."""
        return len(self.layout.parts) > 1

    def by_columns(self, array: np.ndarray) -> BlockArray:
        """A (n_features, k) array in blocks of the layout's parts."""
        return array_here(array, self.column_chunks)

    def from_parts(
        self, label: str, function: Callable[[int, int], np.ndarray], n_columns: int
    ) -> BlockArray:
        """A (n_features, n_columns) array, each part made where it is needed.

        ``function(start, stop)`` makes the rows of features start to stop − 1.
        """
        builder = GraphBuilder()
        for part in range(len(self.layout.parts)):
            columns = self.layout.columns(part)
            builder.add(label, (part, 0), partial(function, columns.start, columns.stop))
        return array_of(builder, label, self.column_chunks, n_columns, np.float64)

    def placed(self, frame: Frame) -> PlacedFrame:
        """Return a frame of all features, sent to the workers once: every scan needs it."""
        builder = GraphBuilder()
        for part in range(len(self.layout.parts)):
            builder.add("frame", (part, 0), partial(_itself, frame[self.layout.columns(part)]))
        return self.runner.persist(array_of(builder, "frame", self.column_chunks, 1, object))[0]

    def gradient(
        self, query: Gradient, points: BlockArray, frame: PlacedFrame, also: Sequence[Request] = ()
    ) -> GradientScan:
        """Ask for gradients at ``points``: one scan, built but not run.

        Parameters
        ----------
        also : what else the scan is asked, where a band holds all columns
        """
        builder = GraphBuilder(points, frame, *[array for one in also for array in one.inputs])
        requests = [Request(query, (points, frame)), *also]
        if self.is_split:
            assert not also
            finished = self._gradient_by_parts(builder, requests[0])
        else:
            finished = self._gradient_whole(builder, requests)
        answers = tuple(Task(builder, key) for key in finished)
        queries = tuple(request.query for request in requests)
        return GradientScan(queries, answers, self.column_chunks, points.shape[1])

    def ask(self, query: Query[AnswerT]) -> tuple[list[AnswerT], int]:
        """Ask a query that treats columns alone, and run the scan.

        Returns
        -------
        answers : that of each part
        bytes_read : int
        """
        builder, parts = GraphBuilder(), range(len(self.layout.parts))
        finished = [self._map_reduce(builder, part, [Request(query)]) for part in parts]
        self.turn()
        results = self.runner.compute(*[Task(builder, key) for key in finished])
        return [result.values[0] for result in results], sum(one.bytes_read for one in results)

    def workers_of_rows(self, rows: Sequence[int]) -> list[list[str] | None]:
        """Return the worker that reads each row in scans of a whole band's columns; None: any."""
        shares = self.runner.shares()
        runs = by_share(self._heights(), [n for _, n in shares])
        bands = np.searchsorted(np.cumsum(self._heights()), rows, side="right")
        owners = np.searchsorted([stop for _, stop in runs], bands, side="right")
        addresses = [shares[owner][0] for owner in owners]
        return [None if address is None else [address] for address in addresses]

    def _heights(self) -> list[int]:
        """Rows of each band."""
        bands = [self.layout.rows(b) for b in range(len(self.layout.bands))]
        return [band.stop - band.start for band in bands]

    # -- one part: a band holds all columns ----------------------------------------------------

    def _gradient_whole(self, builder: GraphBuilder, requests: Sequence[Request]) -> list[Any]:
        key = self._map_reduce(builder, 0, requests)
        self.turn()
        return [key]

    def _map_reduce(self, builder: GraphBuilder, part: int, requests: Sequence[Request]) -> Any:
        queries = [request.query for request in requests]
        label = "+".join(query.name for query in queries)
        inputs = [[(array.name, part, 0) for array in request.inputs] for request in requests]
        keys = []
        for index, (run, workers) in enumerate(self._runs(part)):
            function = partial(tasks.scan_run, self.table, queries, run, part)
            keys.append(
                builder.add(f"scan-{label}", (part, index), function, *inputs, workers=workers)
            )
        n_bands = len(self.layout.bands)
        level = 0
        while len(keys) > JOIN_FAN_IN:
            keys = [
                builder.add(
                    f"reduce-{label}",
                    (part, level, index),
                    partial(tasks.join_runs, queries, n_bands),
                    keys[start : start + JOIN_FAN_IN],
                )
                for index, start in enumerate(range(0, len(keys), JOIN_FAN_IN))
            ]
            level += 1
        return builder.add(
            f"reduce-{label}",
            (part, level, 0),
            partial(tasks.finish_scan, queries, n_bands),
            keys,
            *inputs,
        )

    def _runs(self, part: int) -> list[tuple[tasks.Run, list[str] | None]]:
        """Runs of bands in reading order, with the worker that each belongs to."""
        weights = self._heights()
        row_bytes = self.layout.part_widths[part] * self.layout.itemsize
        shares = self.runner.shares()
        found: list[tuple[tasks.Run, list[str] | None]] = []
        for (first, stop), (address, threads) in zip(
            by_share(weights, [n for _, n in shares]), shares, strict=True
        ):
            nbytes = sum(weights[first:stop]) * row_bytes
            pieces = threads * max(1, round(nbytes / (threads * RUN_BYTES)))
            budget = self.runner.cache_bytes(self.layout.block_bytes())
            pinned = 0
            for a, b in split_evenly(weights[first:stop], pieces) if stop > first else []:
                run_bytes = sum(weights[first + a : first + b]) * row_bytes
                pinned += run_bytes
                caching = Caching(
                    budget, pin=not self.table.X.mapped and pinned - run_bytes < budget
                )
                run = tasks.Run(first + a, first + b, self._forward, caching)
                found.append((run, None if address is None else [address]))
        return found if self._forward else found[::-1]

    def turn(self, share: float = 1) -> bool:
        """A scan was made: the next one starts with what this one read last, still in the cache.

        Parameters
        ----------
        share : of X that was read

        Returns
        -------
        Whether this one went forward.
        """
        self._forward = not self._forward
        self.scans += share
        return not self._forward

    # -- several parts: predictions are summed across them -------------------------------------

    def _gradient_by_parts(self, builder: GraphBuilder, request: Request) -> list[Any]:
        query, layout = request.query, self.layout
        assert isinstance(query, Gradient)
        shares = self.runner.shares()
        budget = self.runner.cache_bytes(layout.block_bytes())
        bands = range(len(layout.bands))
        parts = range(len(layout.parts))
        inputs = [[(array.name, part, 0) for array in request.inputs] for part in parts]
        # a part stays with one worker: its coefficients never travel
        owners = [_worker_of(shares, part, len(layout.parts)) for part in parts]
        gradients: list[dict[int, Any]] = [{} for _ in parts]
        for place, band in enumerate(bands if self._forward else reversed(bands)):
            rank = -place  # finish a band before the next is begun: its blocks are held
            predictions = [
                builder.add(
                    "scan-predict",
                    (band, part),
                    partial(
                        tasks.predict_part,
                        self.table,
                        query,
                        band,
                        part,
                        Caching(budget, hold=True),
                    ),
                    *inputs[part],
                    workers=owners[part],
                    priority=rank,
                )
                for part in parts
            ]
            residual = builder.add(
                "residual",
                (band,),
                partial(tasks.band_residual, self.table, query, band),
                predictions,
                priority=rank,
            )
            for part in parts:
                gradients[part][band] = builder.add(
                    "scan-gradient",
                    (band, part),
                    partial(tasks.gradient_part, self.table, query, band, part, Caching(budget)),
                    residual,
                    *inputs[part],
                    workers=owners[part],
                    priority=rank,
                )
        finished = []
        for part in parts:
            joined = [
                builder.add(
                    "reduce-gradient",
                    (part, start),
                    partial(tasks.join_bands, query, len(bands), start),
                    [gradients[part][band] for band in bands[start : start + JOIN_FAN_IN]],
                    workers=owners[part],
                )
                for start in range(0, len(bands), JOIN_FAN_IN)
            ]
            finished.append(
                builder.add(
                    "finish-gradient",
                    (part,),
                    partial(tasks.finish_scan, [query], len(bands)),
                    joined,
                    inputs[part],
                    workers=owners[part],
                )
            )
        self.turn()
        return finished


def _itself(value: Any) -> Any:
    return value


def by_share(weights: Sequence[int], threads: Sequence[int]) -> list[tuple[int, int]]:
    """Consecutive bands for each worker, in proportion to its threads (some may get none)."""
    edges = np.concatenate([[0], np.cumsum(weights)])
    goals = edges[-1] * np.cumsum(threads)[:-1] / sum(threads)
    cuts = [0, *np.searchsorted(edges, goals, side="left").tolist(), len(weights)]
    return list(itertools.pairwise(cuts))


def _worker_of(
    shares: Sequence[tuple[str | None, int]], part: int, n_parts: int
) -> list[str] | None:
    address = shares[part * len(shares) // n_parts][0]
    return None if address is None else [address]
