"""Second moments for a fit: stored by an earlier fit, or taken by a scan and then stored."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

from dasklasso.dataset.dataset import Dataset
from dasklasso.dataset.row_folds import FoldAssignment, FoldScheme
from dasklasso.errors import DataWarning
from dasklasso.moments.gram_scan import default_blocks, scan_moments
from dasklasso.moments.grouped import GroupedMoments
from dasklasso.moments.store import (
    Key,
    find_moments,
    save_moments,
    serves,
    statistics_folder,
    stored_keys,
)
from dasklasso.options import RunOptions
from dasklasso.scan.engine import ScanEngine
from dasklasso.solvers.checkpoint import STATISTICS


def are_stored(data: Dataset, wanted: FoldScheme, run: RunOptions) -> bool:
    """Tell whether statistics that serve are on disk; they are not read."""
    return any(
        serves(key.scheme, wanted)
        for folder in _folders(data, run)
        for key, _ in stored_keys(folder, data.identity)
    )


def moments_of_data(
    data: Dataset,
    engine: ScanEngine,
    assignment: FoldAssignment,
    run: RunOptions,
    executor: Executor,
) -> tuple[GroupedMoments, int]:
    """Return the moments of the data, without a scan where they were stored.

    Parameters
    ----------
    assignment : FoldAssignment
        ``n_blocks`` of its scheme is the least number of blocks that will do.
    executor : Executor
        Writes moments while the caller goes on, who has to wait for it at the end.

    Returns
    -------
    grouped : GroupedMoments
    bytes_read : int
        Of X; 0 where moments were stored.

    Warns
    -----
    DataWarning
        When stored statistics are damaged, or new ones cannot be stored: the fit goes on.
    """
    folders, wanted = _folders(data, run), assignment.scheme
    for folder in folders:
        found = find_moments(folder, data.identity, wanted)
        if found is not None:
            return found, 0
    grouped, bytes_read = _scanned(data, engine, assignment, run)
    executor.submit(_store, folders, grouped, data)
    return grouped, bytes_read


def moments_in_float64(
    data: Dataset, engine: ScanEngine, assignment: FoldAssignment, run: RunOptions
) -> tuple[GroupedMoments, int]:
    """Take the moments of the data by a scan in float64, and store them in place of the others.

    Parameters and returned values are those of :func:`moments_of_data`.
    """
    grouped, bytes_read = _scanned(data, engine, assignment, run, in_float64=True)
    _store(_folders(data, run), grouped, data)
    return grouped, bytes_read


def _scanned(
    data: Dataset,
    engine: ScanEngine,
    assignment: FoldAssignment,
    run: RunOptions,
    *,
    in_float64: bool = False,
) -> tuple[GroupedMoments, int]:
    wanted = assignment.scheme
    n_columns = data.n_features + data.n_targets
    blocks = default_blocks(data.n_rows, n_columns, wanted, assignment.n_folds)
    scheme = replace(wanted, n_blocks=max(wanted.n_blocks, blocks))
    assignment = replace(assignment, scheme=scheme)
    return scan_moments(data, engine, assignment, run.device, in_float64=in_float64)


def _folders(data: Dataset, run: RunOptions) -> list[Path]:
    """List the folders of statistics: next to the data or the user's choice; in a checkpoint."""
    folder = statistics_folder(data.location, run.stats) if run.keep_statistics else None
    checkpoint = None if run.checkpoint is None else Path(run.checkpoint) / STATISTICS
    return [place for place in (folder, checkpoint) if place is not None]


def _store(folders: Sequence[Path], grouped: GroupedMoments, data: Dataset) -> None:
    """Write moments to the first folder that takes them, if the data are still those read."""
    reasons = []
    for folder in folders:
        try:
            data.check_unchanged()
            save_moments(folder, grouped, Key(data.identity, grouped.scheme))
            return
        except Exception as error:  # whatever it is: the answer is what matters
            reasons.append(str(error))
    if reasons:
        reason = "; ".join(reasons)
        warnings.warn(f"statistics were not kept: {reason}", DataWarning, stacklevel=2)
