"""The cost of a fit before it starts: how many reads, how much arithmetic, memory and time.

Nothing of X is read: counts follow from shapes, chunks and options.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np
import psutil

from dasklasso.dataset.dataset import Dataset
from dasklasso.errors import MemoryLimitError
from dasklasso.fit.choose import choose_solver
from dasklasso.fit.machine import Machine
from dasklasso.options import FitOptions, RunOptions
from dasklasso.solvers.cost import memory_limit, n_alphas_of, workers_and_threads
from dasklasso.solvers.entry import ScanCost
from dasklasso.storage.blocks import BlockSource, MemoryBlocks
from dasklasso.units import format_size

SCAN_EFFICIENCY = 0.5  # of bare products: a scan also copies, shifts, converts and adds up
START_SECONDS = 0.5  # to start a cluster, and whatever is done in memory between scans
SAMPLED_CHUNKS = 4096  # files whose sizes are asked for; of more, as many spread over all


@dataclass(frozen=True)
class Plan:
    """What a fit will read, compute and need.

    Attributes
    ----------
    solver : its name
    why : why this solver
    note : what is uncertain about the figures; "" where nothing is
    scans : reads of X that are expected
    scans_least, scans_most : fewest and most that there may be, as a rule
    bytes_to_read : from storage, in all scans
    flops : additions and multiplications in all scans
    memory_bytes, memory_limit : needed and allowed, in all processes together
    memory_per_worker : bytes that one process that computes needs
    workers : worker processes, or 0 for threads in this process
    threads : of each worker
    seconds : estimated, or None where the machine was not measured
    n_rows, n_features, n_targets, n_alphas, n_folds : the size of the problem
    """

    solver: str
    why: str
    note: str
    scans: float
    scans_least: int
    scans_most: int
    bytes_to_read: int
    flops: float
    memory_bytes: int
    memory_limit: int
    memory_per_worker: int
    workers: int
    threads: int
    seconds: float | None
    n_rows: int
    n_features: int
    n_targets: int
    n_alphas: int
    n_folds: int

    def to_json(self) -> dict[str, Any]:
        """Return the same as a dict of numbers and text."""
        return asdict(self)


def _seconds(
    scans: Sequence[ScanCost], nbytes: int, machine: Machine, *, read_again: bool
) -> float:
    """While one band is computed on another is read: the slower of the two counts."""
    total, reading = START_SECONDS, nbytes / machine.bytes_per_second
    for scan in scans:
        for _ in range(scan.times):
            total += max(reading, _computing(scan, machine) / SCAN_EFFICIENCY)
            reading *= read_again
    return total


def _computing(scan: ScanCost, machine: Machine) -> float:
    """Seconds of the arithmetic of one of some scans."""
    single = scan.dtype == np.float32
    rate = machine.flops_float32 if single else machine.flops_float64
    return scan.flops / (rate * scan.threads)


def plan_fit(
    data: Dataset,
    options: FitOptions,
    run: RunOptions,
    *,
    n_folds: int = 1,
    n_ratios: int = 1,
    statistics_kept: bool = False,
    machine: Machine | None = None,
) -> Plan:
    """Plan a fit: nothing of X is read.

    Parameters
    ----------
    n_folds : int
        Of a cross-validation; 1 for a fit without one.
    n_ratios : int
        l1_ratios that a cross-validation chooses from.
    statistics_kept : bool
        Whether an earlier fit left its statistics, so that the Gram scan is not needed.
    machine : Machine or None
        Measured by :func:`~dasklasso.fit.machine.measure_machine`; without it there is no
        estimate of the time.

    Raises
    ------
    MemoryLimitError
        As :func:`choose_solver`; also when another solver needs more than the ``run.memory`` it was
        given.
    OptionError
    """
    choice = choose_solver(data, options, run, n_folds, statistics_kept=statistics_kept)
    limit = memory_limit(run)
    if run.memory is not None and choice.memory > limit:
        raise MemoryLimitError(
            f"memory: {limit:,} bytes, but {choice.solver} needs {format_size(choice.memory)}; "
            "give more memory, fewer workers, or ingest with smaller chunks"
        )
    workers, threads = workers_and_threads(run)
    scans = choice.entry.scans(data, options, run, n_folds, statistics_kept)
    if n_ratios > 1 and not options.loss_value.quadratic:
        # paths of other losses share the scan at zero only; those of squared loss share moments
        scans = [scans[0], *list(scans[1:]) * n_ratios]
    n_scans = sum(scan.times for scan in scans)
    notes = [choice.entry.note] if choice.entry.note else []
    if n_scans > options.max_scans:
        notes.append(f"max_scans {options.max_scans}: solutions will not be certified")
    if run.scheduler is not None:
        notes.append("workers and threads are this machine's, not those of the scheduler")
    seconds = None
    if machine is not None:
        nbytes = data.n_rows * data.n_features * data.X.dtype.itemsize
        # mapped data stay in the page cache, others decoded in the fit's own memory, if they fit
        available = psutil.virtual_memory().available if data.X.mapped else limit
        read_again = nbytes + choice.memory > available
        seconds = _seconds(scans, nbytes, machine, read_again=read_again)
    return Plan(
        solver=choice.solver,
        why=choice.why,
        note="; ".join(notes),
        scans=float(n_scans),
        scans_least=sum(scan.times if scan.least is None else scan.least for scan in scans),
        scans_most=sum(scan.times if scan.most is None else scan.most for scan in scans),
        bytes_to_read=n_scans * _stored_bytes(data.X),
        flops=sum(scan.times * scan.flops for scan in scans),
        memory_bytes=choice.memory,
        memory_limit=limit,
        memory_per_worker=choice.memory_per_worker,
        workers=workers,
        threads=threads,
        seconds=seconds,
        n_rows=data.n_rows,
        n_features=data.n_features,
        n_targets=data.n_targets,
        n_alphas=n_alphas_of(options),
        n_folds=n_folds,
    )


def _stored_bytes(X: BlockSource) -> int:
    """Bytes that one read of X moves from storage."""
    itemsize = X.dtype.itemsize
    if isinstance(X, MemoryBlocks):
        return X.shape[0] * X.shape[1] * itemsize
    rows, columns = np.diff(X.row_bounds), np.diff(X.column_bounds)
    places = list(_spread(len(rows), len(columns)))
    stored = sum(X.stored_bytes(i, j) for i, j in places)
    if len(places) == len(rows) * len(columns):
        return stored
    decoded = sum(int(rows[i]) * int(columns[j]) for i, j in places) * itemsize
    return round(stored / decoded * X.shape[0] * X.shape[1] * itemsize)


def _spread(rows: int, columns: int) -> Iterator[tuple[int, int]]:
    """Places of all blocks, or of so many over all of X where there are too many to ask."""
    n = rows * columns
    if n <= SAMPLED_CHUNKS:
        yield from product(range(rows), range(columns))
        return
    for place in np.linspace(0, n - 1, SAMPLED_CHUNKS).astype(int).tolist():
        yield divmod(place, columns)
