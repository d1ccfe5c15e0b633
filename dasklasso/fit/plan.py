"""The cost of a fit before it starts: how many reads, how much arithmetic, memory and time.

Nothing of X is read: counts follow from shapes, chunks and options.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
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
from dasklasso.solvers.cost import memory_limit, n_alphas_of, n_problems_of, workers_and_threads
from dasklasso.solvers.fista.cost import slots_in_flight
from dasklasso.solvers.gram.cost import certified_at_once
from dasklasso.solvers.newton.cost import newton_limits
from dasklasso.solvers.prox_sgd.solver import CERTIFY_EVERY
from dasklasso.solvers.softmax.cost import held_step
from dasklasso.storage.blocks import BlockSource, MemoryBlocks
from dasklasso.units import format_size

FISTA_SCANS = 60  # of each alpha, from a warm start: some need 20, some hundreds
NEWTON_SCANS = 6  # of all alphas, between the first and the one that certifies
FOLD_SCANS = 4  # of all alphas without each fold, before the one that certifies
EFFICIENCY = 0.5  # of bare products: a scan also copies, shifts, converts and adds up
START_SECONDS = 0.5  # to start a cluster, and whatever is done in memory between scans
SAMPLED_CHUNKS = 4096  # files whose sizes are asked for; of more, as many spread over all


@dataclass(frozen=True)
class Plan:
    """What a fit will read, compute and need.

    Attributes
    ----------
    solver : {"gram", "newton", "fista", "prox_sgd"}
    why : why this solver
    note : what is uncertain about the figures; "" where nothing is
    scans : reads of X
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
        """The same as a dict of numbers and text."""
        return asdict(self)


@dataclass(frozen=True)
class _Scan:
    """Some equal scans: how many, and what each computes in which precision.

    ``threads`` is the share of the machine's threads that compute.
    """

    times: int
    flops: float
    dtype: np.dtype
    threads: float = 1.0

    def seconds(self, machine: Machine) -> float:
        """Of the arithmetic of one of them."""
        single = self.dtype == np.float32
        rate = machine.flops_float32 if single else machine.flops_float64
        return self.flops / (rate * self.threads)


def _seconds(scans: list[_Scan], nbytes: int, machine: Machine, *, read_again: bool) -> float:
    """While one band is computed on another is read: the slower of the two counts."""
    total, reading = START_SECONDS, nbytes / machine.bytes_per_second
    for scan in scans:
        for _ in range(scan.times):
            total += max(reading, scan.seconds(machine) / EFFICIENCY)
            reading *= read_again
    return total


def plan_fit(
    data: Dataset,
    options: FitOptions,
    run: RunOptions,
    *,
    n_folds: int = 1,
    statistics_kept: bool = False,
    machine: Machine | None = None,
) -> Plan:
    """Plan a fit: nothing of X is read.

    Parameters
    ----------
    n_folds : int
        Of a cross-validation; 1 for a fit without one.
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
    choice = choose_solver(data, options, run, n_folds)
    limit = memory_limit(run)
    if run.memory is not None and choice.memory > limit:
        raise MemoryLimitError(
            f"memory: {limit:,} bytes, but {choice.solver} needs {format_size(choice.memory)}; "
            "give more memory, fewer workers, or ingest with smaller chunks"
        )
    workers, threads = workers_and_threads(run)
    at_work = threads * max(1, workers)
    scans = list(
        _scans(
            data,
            options,
            run,
            choice.solver,
            at_work,
            statistics_kept=statistics_kept,
            n_folds=n_folds,
        )
    )
    n_scans = sum(scan.times for scan in scans)
    notes = []
    if choice.solver in ("fista", "newton"):
        notes.append("the number of scans is a guess: it depends on how correlated columns are")
    if choice.solver == "prox_sgd":
        notes.append("epochs reach no small gap: each solution comes with the gap that it has")
    if n_scans > options.max_scans:
        notes.append(f"max_scans {options.max_scans}: solutions will not be certified")
    if run.scheduler is not None:
        notes.append("workers and threads are this machine's, not those of the scheduler")
    seconds = None
    if machine is not None:
        nbytes = data.n_rows * data.n_features * data.X.dtype.itemsize
        # mapped data stay in the page cache, others decoded in the fit's own memory, if they fit
        room = psutil.virtual_memory().available if data.X.mapped else limit
        read_again = nbytes + choice.memory > room
        seconds = _seconds(scans, nbytes, machine, read_again=read_again)
    return Plan(
        solver=choice.solver,
        why=choice.why,
        note="; ".join(notes),
        scans=float(n_scans),
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


def _scans(
    data: Dataset,
    options: FitOptions,
    run: RunOptions,
    solver: str,
    threads: int,
    *,
    statistics_kept: bool,
    n_folds: int,
) -> Iterator[_Scan]:
    n, d = data.X.shape
    # products are in float32 where that holds every stored value
    single = np.result_type(data.X.dtype, np.float32)
    problems = n_problems_of(data, options)
    trained = problems * (1 if n_folds == 1 else n_folds + 1)  # on all rows, and without each fold
    if solver == "prox_sgd":
        epochs = max(0, min(options.epochs, options.max_scans - 2))
        # steps of one batch after the other, with a power iteration beside them
        yield _Scan(epochs, 4.0 * n * d * (problems + 1), single, threads=1.0 / threads)
        exact = np.dtype(np.float64)  # the first look, and certificates of two points
        yield _Scan(1, 4.0 * n * d * (data.n_targets + 1), exact)
        yield _Scan(max(1, -(-epochs // CERTIFY_EVERY)), 4.0 * n * d * 2 * problems, exact)
        return
    if solver == "newton" and options.loss_value.n_outputs > 1:
        exact = np.dtype(np.float64)
        yield _Scan(1, 4.0 * n * d * options.loss_value.n_outputs, exact)
        if held_step(data) > 1:  # a sample is only where scans begin
            yield from _steps(n, d, problems, trained, options, single)
        yield _Scan(1, 4.0 * n * d * trained, exact)
        return
    if solver == "newton":
        limits = newton_limits(data, options, run)
        exact = np.dtype(np.float64)
        # those at large alphas have few columns
        hessians = 0.5 * n * (limits.columns + 1) ** 2 * limits.nodes * max(1, data.n_targets)
        yield _Scan(1, 4.0 * n * d * (data.n_targets + 1), exact)
        yield from _steps(n, d, problems, trained, options, single, hessians)
        yield _Scan(1, 4.0 * n * d * trained, exact)
        return
    if solver != "gram":
        slots = slots_in_flight(data, options)
        times = min(math.ceil(problems / slots) * FISTA_SCANS, options.max_scans)
        # iterate and extrapolated point of each problem: their predictions, then gradients
        yield _Scan(times, 4.0 * n * d * 2 * slots, single)
        return
    width = d + data.n_targets + 1
    if not statistics_kept:
        yield _Scan(1, 1.0 * n * width**2, single)  # symmetric: half of 2nD²
    at_once = certified_at_once(data, options)
    yield _Scan(math.ceil(problems / at_once), 4.0 * n * d * at_once, np.dtype(np.float64))


def _steps(
    n: int,
    d: int,
    problems: int,
    trained: int,
    options: FitOptions,
    dtype: np.dtype,
    hessians: float = 0.0,
) -> Iterator[_Scan]:
    """Newton's scans between the first and the last: all alphas, fewer and fewer of them."""
    left = max(0, options.max_scans - 2)
    steps = min(NEWTON_SCANS, left)
    yield _Scan(steps, 4.0 * n * d * problems + hessians / max(1, steps), dtype)
    if trained > problems:
        yield _Scan(min(FOLD_SCANS, left - steps), 4.0 * n * d * trained, dtype)


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
