"""Scores of many models, sorted in bounded memory: sorted runs in a temporary file, merged.

The order is the stable one, by score and then by row, whatever the memory: what is summed along it
has the same bits.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dasklasso.objective.ranks import Chunk

SORT_BYTES = 48  # of a row while it is sorted: its place, its columns twice, and the sort's own
MERGE_BYTES = 80  # of a row while runs are merged
FAN_IN = 256  # runs merged at a time: every step of a merge looks at each of them

Map = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]


class Spool:
    """An unnamed temporary file (in ``TMPDIR``), gone with this object or with the process."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="dasklasso-")  # noqa: SIM115  closed by close
        self._lock = threading.Lock()
        self._end = 0

    def reserve(self, n_bytes: int) -> int:
        """Reserve so many bytes, and return where they begin."""
        with self._lock:
            start, self._end = self._end, self._end + n_bytes
            return start

    def write(self, start: int, records: np.ndarray) -> None:
        with self._lock:
            self._file.seek(start)
            self._file.write(records.view(np.uint8).data)

    def read(self, start: int, count: int, dtype: np.dtype) -> np.ndarray:
        """``count`` records from ``start``."""
        with self._lock:
            self._file.seek(start)
            return np.frombuffer(self._file.read(count * dtype.itemsize), dtype)

    def close(self) -> None:
        self._file.close()


@dataclass
class _Run:
    """Sorted records in a spool, read from first to last.

    Attributes
    ----------
    start : where what is still to be read begins
    n_left : records still to be read
    held : records that were read and not yet handed on
    """

    start: int
    n_left: int
    held: np.ndarray

    def fill(self, spool: Spool, n_rows: int) -> None:
        """Hold about ``n_rows`` again, once fewer than half are left."""
        if self.n_left and len(self.held) * 2 < n_rows:
            count = min(self.n_left, n_rows - len(self.held))
            dtype = self.held.dtype
            more = spool.read(self.start, count, dtype)
            self.held = np.concatenate([self.held, more]) if len(self.held) else more
            self.start += count * dtype.itemsize
            self.n_left -= count

    def take(self, n_rows: int) -> np.ndarray:
        taken, self.held = self.held[:n_rows], self.held[n_rows:]
        return taken


class SortedScores:
    """Takes in rows with a score by each of several models; gives them back sorted by one of them.

    Parameters
    ----------
    n_rows : int
        That will come, at most.
    n_models : int
    y_dtype : numpy dtype that the targets fit in
    weighted : whether rows have weights
    memory : int
        Bytes to keep to, with ``threads`` sorting or merging at a time.
    threads : int
    mapped : function like ``map``
        Which calls functions on at most so many threads.
    """

    def __init__(
        self,
        n_rows: int,
        n_models: int,
        y_dtype: Any,
        *,
        weighted: bool,
        memory: int,
        threads: int = 1,
        mapped: Map = map,
    ) -> None:
        columns: list[tuple[str, Any]] = [("y", y_dtype)]
        columns += [("weight", np.float64)] if weighted else []
        self._record = np.dtype([("score", np.float64), *columns])
        per_row = 8 * (n_models - 1) + self._record.itemsize + SORT_BYTES * threads
        most_rows = max(1, min(n_rows, memory // per_row))
        self._scores = np.empty((n_models, most_rows))
        self._columns = np.empty(most_rows, columns)
        self._held = 0
        self._merge_bytes = memory // threads
        self._mapped = mapped
        self._runs: list[list[_Run]] = [[] for _ in range(n_models)]
        self._spool: Spool | None = None

    def add(self, scores: np.ndarray, y: np.ndarray, weight: np.ndarray | None) -> None:
        """Take in rows: scores (n, n_models), y (n,), weight (n,) or None."""
        start = 0
        while start < len(scores):
            if self._held == len(self._columns):
                self._spill()
            stop = min(len(scores), start + len(self._columns) - self._held)
            rows = slice(self._held, self._held + stop - start)
            self._scores[:, rows] = scores[start:stop].T
            self._columns["y"][rows] = y[start:stop]
            if weight is not None:
                self._columns["weight"][rows] = weight[start:stop]
            self._held, start = rows.stop, stop

    def close_input(self) -> None:
        """No more rows come: what is in memory follows the rest, unless it is all there is."""
        if self._spool is not None:
            self._spill()
            self._scores, self._columns = self._scores[:, :0].copy(), self._columns[:0].copy()

    def chunks(self, model: int) -> Iterator[Chunk]:
        """All rows in the order of a model's scores, piece by piece."""
        if self._spool is None:
            rows = max(1, self._merge_bytes // MERGE_BYTES)
            records = self._sorted(model)
            for start in range(0, self._held, rows):
                yield _columns(records[start : start + rows])
            return
        runs = self._runs[model]
        most = min(FAN_IN, max(2, self._merge_bytes // (MERGE_BYTES * 512)))
        while len(runs) > most:
            runs = [self._joined(runs[i : i + most]) for i in range(0, len(runs), most)]
        for records in self._merged(runs):
            yield _columns(records)

    def close(self) -> None:
        """Let go of the temporary file."""
        if self._spool is not None:
            self._spool.close()

    def _sorted(self, model: int) -> np.ndarray:
        """Return the rows in memory as records, sorted by one model."""
        scores = self._scores[model, : self._held]
        order = np.argsort(scores, kind="stable")
        records = np.empty(self._held, self._record)
        records["score"] = scores[order]
        for name in self._columns.dtype.names or ():
            records[name] = self._columns[name][order]
        return records

    def _spill(self) -> None:
        """Rows in memory become a run of every model."""
        if self._spool is None:
            self._spool = Spool()
        written = self._mapped(self._spilled, range(len(self._runs)))
        for runs, run in zip(self._runs, written, strict=True):
            runs.append(run)
        self._held = 0

    def _spilled(self, model: int) -> _Run:
        return self._written([self._sorted(model)], self._held)

    def _joined(self, runs: Sequence[_Run]) -> _Run:
        """Return one run of several neighbours."""
        return self._written(self._merged(runs), sum(run.n_left for run in runs))

    def _written(self, pieces: Iterable[np.ndarray], n_rows: int) -> _Run:
        assert self._spool is not None
        start = place = self._spool.reserve(n_rows * self._record.itemsize)
        for records in pieces:
            self._spool.write(place, records)
            place += records.nbytes
        return _Run(start, n_rows, np.empty(0, self._record))

    def _merged(self, runs: Sequence[_Run]) -> Iterator[np.ndarray]:
        """The records of some runs in order, those of an earlier run first where scores tie."""
        assert self._spool is not None
        runs = [replace(run) for run in runs]  # read from the start again, whatever has read them
        rows = max(1, self._merge_bytes // (MERGE_BYTES * len(runs)))
        while True:
            for run in runs:
                run.fill(self._spool, rows)
            # beyond the least of the last scores held, a run may have more that come before others
            edges = [run.held["score"][-1] if run.n_left else np.inf for run in runs]
            first = int(np.argmin(edges))
            if not runs[first].n_left:
                taken = [run.take(len(run.held)) for run in runs]
            else:
                # what ties with the edge in later runs waits for the rest of this one's ties
                sides: list[Any] = ["right" if k <= first else "left" for k in range(len(runs))]
                taken = [
                    run.take(int(np.searchsorted(run.held["score"], edges[first], side)))
                    for run, side in zip(runs, sides, strict=True)
                ]
            records = np.concatenate(taken)
            if len(records):
                yield records[np.argsort(records["score"], kind="stable")]
            if not any(run.n_left or len(run.held) for run in runs):
                return


def _columns(records: np.ndarray) -> Chunk:
    names = records.dtype.names or ()
    weight = np.ascontiguousarray(records["weight"]) if "weight" in names else None
    return np.ascontiguousarray(records["score"]), np.ascontiguousarray(records["y"]), weight
