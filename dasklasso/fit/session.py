"""What every fit has around it: a runner that is opened and closed, and what solvers hand over."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dasklasso.dataset.dataset import Dataset
from dasklasso.dataset.fingerprint import FINGERPRINTED
from dasklasso.dataset.kept_checksums import chunk_files, keep_checksums
from dasklasso.errors import DataWarning, StoreError
from dasklasso.files.claims import claimed
from dasklasso.files.locks import FULL
from dasklasso.fit.peak_memory import PeakMemory
from dasklasso.options import RunOptions
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.graph import GraphBuilder, Task
from dasklasso.scan.runners import Runner, runner_for
from dasklasso.storage.blocks import MemoryBlocks

if TYPE_CHECKING:  # a prediction opens a runner, and needs none of them
    from dasklasso.cross_validation.record import CvRecord
    from dasklasso.problem.problem import Problem
    from dasklasso.solvers.base import Jobs
    from dasklasso.solvers.solution import Solution

SMALL_BYTES = 64 << 20  # of X, decoded: read in less time than a cluster takes to start
ONE_THREAD_BYTES = 1 << 20  # of X, decoded: read in less time than threads take to be told


@dataclass(frozen=True)
class Solved:
    """What a solver hands over.

    Attributes
    ----------
    problem : Problem
    jobs : Jobs
    solutions : dict of job to Solution
    solver : str
    scans : reads of X, a partial one by its share
    bytes_read : int
    cross_validation : CvRecord or None
    """

    problem: Problem
    jobs: Jobs
    solutions: dict[int, Solution]
    solver: str
    scans: float
    bytes_read: int
    cross_validation: CvRecord | None = None

    @property
    def worst_gap(self) -> float:
        """Relative, over all jobs."""
        return max(one.gap for one in self.solutions.values())


def open_runner(
    data: Dataset, run: RunOptions, announce: Callable[[str], None] | None, needed: int = 0
) -> Any:
    """A context with the runner that the options ask for.

    Parameters
    ----------
    needed : bytes of each process that are not for decoded blocks
    """
    in_memory = isinstance(data.X, MemoryBlocks)
    in_process = run.in_process
    if in_process is None:
        in_process = in_memory or _does_without_cluster(data, run)
    row_chunk = int(np.diff(data.X.row_bounds).max())
    column_chunk = int(np.diff(data.X.column_bounds).max())
    return runner_for(
        workers=run.workers,
        scheduler=run.scheduler,
        device=run.device,
        memory=run.memory,
        dashboard=run.dashboard is not False,
        block_bytes=0 if in_memory else row_chunk * column_chunk * data.X.dtype.itemsize,
        in_process=in_process,
        one_thread=_decoded_bytes(data) < ONE_THREAD_BYTES,
        held_here=in_memory,
        needed=needed,
        announce=announce,
    )


def _does_without_cluster(data: Dataset, run: RunOptions) -> bool:
    """Whether a scan is over before a cluster would have started, and none is asked for."""
    if run.workers is not None or run.scheduler is not None or run.device != "cpu":
        return False
    if run.dashboard:
        return False
    return _decoded_bytes(data) < SMALL_BYTES


def _decoded_bytes(data: Dataset) -> int:
    return data.n_rows * data.n_features * data.X.dtype.itemsize


@contextmanager
def open_engine(
    data: Dataset, run: RunOptions, announce: Callable[[str], None] | None, needed: int = 0
) -> Iterator[tuple[ScanEngine, PeakMemory]]:
    """A context with an engine of its own for one fit, whose memory is watched.

    Parameters
    ----------
    needed : bytes of each process that are not for decoded blocks
    """
    with ExitStack() as stack:
        runner = stack.enter_context(open_runner(data, run, announce, needed))
        peak = stack.enter_context(PeakMemory())
        stack.callback(runner.forget, data.fingerprint)
        yield ScanEngine(data, runner, run.band_bytes), peak
        if run.keep_statistics and run.stats is None:
            _keep_checksums(data, runner)


def _keep_checksums(data: Dataset, runner: Runner) -> None:
    """Keep which chunk is where of a store that does not say it, once all of it was read."""
    sources = {name: getattr(data, name) for name in FINGERPRINTED}
    paths = chunk_files(sources)
    if paths:
        keep_checksums(sources, data.location, runner.checksums(paths))


@contextmanager
def checkpoint_claimed(run: RunOptions) -> Iterator[None]:
    """Claim the checkpoint of a fit, before it reads: whoever fits there too is refused.

    Warns
    -----
    DataWarning
        The disk is full: the fit goes on without.

    Raises
    ------
    StoreError
        Another process writes it, or it cannot be written there.
    """
    from dasklasso.solvers.checkpoint import STATE

    with ExitStack() as stack:
        if run.checkpoint is not None:
            try:
                stack.enter_context(claimed([Path(run.checkpoint) / STATE]))
            except StoreError as error:
                if getattr(error.__cause__, "errno", None) not in FULL:
                    raise
                warnings.warn(f"{error} The fit goes on without.", DataWarning, stacklevel=4)
        yield


def over_workers(runner: Runner) -> Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]:
    """A ``map`` whose calls run on a runner's workers, as many at a time as they have threads.

    So what is iterated over is made no earlier than it is needed.
    """

    def mapped(function: Callable[[Any], Any], items: Iterable[Any]) -> Iterable[Any]:
        rest = iter(items)
        threads = sum(n for _, n in runner.shares())
        while batch := list(islice(rest, threads)):
            builder = GraphBuilder()
            keys = [
                builder.add("solve", (number,), partial(function, item))
                for number, item in enumerate(batch)
            ]
            yield from runner.compute(*[Task(builder, key) for key in keys])

    return mapped
