"""Proximal Newton in a checkpoint: the points, and what gradients were like there.

Hessians are not kept: a fit that goes on takes them anew at its first scan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dasklasso.errors import CheckpointError
from dasklasso.scan.engine import ScanEngine
from dasklasso.solvers.checkpoint import read_checkpoint, write_checkpoint
from dasklasso.solvers.newton.iterate import Track
from dasklasso.solvers.newton.solver import Start


@dataclass(frozen=True)
class Saved:
    """What a checkpoint holds.

    Attributes
    ----------
    alphas : (n_alphas,)
    start : Start
    scans, bytes_read : of all that led there
    """

    alphas: np.ndarray
    start: Start
    scans: int
    bytes_read: int


def save_tracks(
    folder: Path,
    key: str,
    tracks: Sequence[Track],
    engine: ScanEngine,
    *,
    alphas: np.ndarray,
    scans: int,
    bytes_read: int,
) -> None:
    """Write a checkpoint; errors leave the one before as it was."""
    start = start_at(tracks)
    numbers = {
        "solver": "newton",
        "alphas": alphas.tolist(),
        "intercepts": start.intercepts.tolist(),
        "scans": scans,
        "bytes_read": bytes_read,
    }
    arrays = {
        "points": engine.by_columns(start.points),
        "gradient": engine.by_columns(start.gradients),
    }
    write_checkpoint(folder, key, numbers, arrays, engine.runner)


def start_at(tracks: Sequence[Track]) -> Start:
    """Where tracks are, each of one column, or of one for each class."""
    points = [track.point for track in tracks]
    return Start(
        np.column_stack([point.u for point in points]),
        np.hstack([point.b for point in points]),
        np.column_stack([point.gradient for point in points]),
    )


def load_tracks(folder: Path, key: str) -> Saved:
    """The checkpoint in ``folder``.

    Raises
    ------
    CheckpointError
        When there is none, it cannot be read, it is of another problem or of another solver.
    """
    numbers, arrays = read_checkpoint(folder, key)
    if numbers.get("solver") != "newton":
        raise CheckpointError(f"{folder}: a checkpoint of solver fista found, expected newton's")
    try:
        points, gradient = arrays["points"].compute(), arrays["gradient"].compute()
    except (ValueError, OSError) as error:
        raise CheckpointError(f"{folder}: arrays of the state cannot be read ({error})") from None
    return Saved(
        np.asarray(numbers["alphas"], dtype=float),
        Start(points, np.asarray(numbers["intercepts"], dtype=float), gradient),
        numbers["scans"],
        numbers["bytes_read"],
    )
