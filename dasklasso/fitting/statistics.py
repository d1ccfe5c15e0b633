"""Second moments for a fit: those that an earlier one kept, or from a scan, and then kept."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from dasklasso.dataset.dataset import Dataset
from dasklasso.errors import DataWarning
from dasklasso.fit_options import RunOptions
from dasklasso.scan.cells import Cells, Labelling
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.gram_scan import default_blocks, scan_cells
from dasklasso.scan.kept import Key, find_cells, kept_keys, save_cells, serves, statistics_folder
from dasklasso.solvers.checkpoint import STATISTICS
from dasklasso.solvers.events import ScanEvent
from dasklasso.solvers.quadratic import load_kernels

PATIENCE = 1.0  # seconds: kernels come from the cache in less


@dataclass(frozen=True)
class Statistics:
    """Moments, and what they cost.

    Attributes
    ----------
    cells : Cells
    bytes_read : int
        Of X; 0 where they had been kept.
    """

    cells: Cells
    bytes_read: int


def are_kept(data: Dataset, wanted: Labelling, run: RunOptions) -> bool:
    """Whether statistics that serve are on disk; they are not read."""
    return any(
        serves(key.labelling, wanted)
        for folder in _folders(data, run)
        for key, _ in kept_keys(folder, data.fingerprint)
    )


@contextmanager
def statistics_for(
    data: Dataset,
    engine: ScanEngine,
    wanted: Labelling,
    run: RunOptions,
    n_labels: int,
    *,
    n_jobs: int,
    began: float,
    progress: Callable[[ScanEvent], None] | None,
    announce: Callable[[str], None] | None,
) -> Iterator[Statistics]:
    """A context with the moments of the data, for a fit that solves on them.

    Kernels are loaded, or compiled, beside the scan; moments are written beside what the caller
    does with them, and are on disk when the context ends.

    Parameters
    ----------
    n_jobs : int
        Problems that are to be solved.
    began : float
        When the fit did, as ``time.monotonic()`` has it.
    progress : called after the scan, if there is one
    announce : called with a line where the caller has to wait for kernels
    """
    with ThreadPoolExecutor(1) as beside:
        kernels = beside.submit(load_kernels)
        found = statistics_of(data, engine, wanted, run, n_labels, beside)
        if progress is not None and engine.scans:
            seconds = time.monotonic() - began
            progress(ScanEvent(engine.scans, 0, n_jobs, 1.0, 0, found.bytes_read, seconds))
        try:
            kernels.result(timeout=PATIENCE)
        except TimeoutError:
            if announce is not None:
                announce("Compiling the solver, once for this installation: some 15 seconds.")
            kernels.result()
        yield found


def statistics_of(
    data: Dataset,
    engine: ScanEngine,
    wanted: Labelling,
    run: RunOptions,
    n_labels: int,
    beside: Executor | None = None,
) -> Statistics:
    """The moments of the data under a labelling, without a scan where they had been kept.

    Parameters
    ----------
    wanted : Labelling
        Its ``n_blocks`` is the least number of blocks that will do.
    n_labels : int
        Number of folds.
    beside : Executor, optional
        Where moments are written while the caller goes on; it has to wait for it at the end.

    Warns
    -----
    DataWarning
        When kept statistics are damaged, or new ones cannot be kept: the fit goes on.
    """
    folders = _folders(data, run)
    for folder in folders:
        found = find_cells(folder, data.fingerprint, wanted)
        if found is not None:
            return Statistics(found, 0)
    n_columns = data.n_features + data.n_targets
    blocks = default_blocks(data.n_rows, n_columns, wanted, n_labels)
    labelling = replace(wanted, n_blocks=max(wanted.n_blocks, blocks))
    cells, bytes_read = scan_cells(data, engine, labelling, run.device)
    if beside is not None:
        beside.submit(_keep, folders, cells, data.fingerprint)
    else:
        _keep(folders, cells, data.fingerprint)
    return Statistics(cells, bytes_read)


def _folders(data: Dataset, run: RunOptions) -> list[Path]:
    """Where statistics may be: beside the data, or where the user wants them; in a checkpoint."""
    beside = statistics_folder(data.location, run.stats) if run.keep_statistics else None
    checkpoint = None if run.checkpoint is None else Path(run.checkpoint) / STATISTICS
    return [folder for folder in (beside, checkpoint) if folder is not None]


def _keep(folders: Sequence[Path], cells: Cells, fingerprint: str) -> None:
    """Write moments to the first folder that takes them."""
    reasons = []
    for folder in folders:
        try:
            save_cells(folder, cells, Key(fingerprint, cells.labelling))
            return
        except Exception as error:  # whatever it is: the answer is what matters
            reasons.append(str(error))
    if reasons:
        reason = "; ".join(reasons)
        warnings.warn(f"statistics were not kept: {reason}", DataWarning, stacklevel=2)
