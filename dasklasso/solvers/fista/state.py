"""What a fit is told, and what it is in the middle of: to checkpoints and back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dasklasso.errors import CheckpointError
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.gather import Coefficients, as_dask, stays_out
from dasklasso.solvers import checkpoint as checkpoints
from dasklasso.solvers.base import Solution
from dasklasso.solvers.fista.slots import Slots


@dataclass(frozen=True)
class Settings:
    """How a fit runs.

    Attributes
    ----------
    tol : relative dual gap
    max_scans : int
    device : as in :func:`dasklasso.backend.backend_for`
    checkpoint : folder or None
    checkpoint_seconds : float
        Least time between two checkpoints; 0 for every scan.
    key : str
        Names the problem in its checkpoints.
    """

    tol: float = 1e-6
    max_scans: int = 10_000
    device: str = "cpu"
    checkpoint: Path | None = None
    checkpoint_seconds: float = 30.0
    key: str = ""


@dataclass(frozen=True)
class State:
    """Everything a fit is in the middle of: what a checkpoint holds.

    Attributes
    ----------
    slots : Slots
    points, gradient : (n_features, n_points)
        Points last evaluated and the gradient there; on the workers where they are large.
    solutions : of the jobs that are done
    dtype : precision of products
    scans, bytes_read : so far
    """

    slots: Slots
    points: Coefficients
    gradient: Coefficients
    solutions: dict[int, Solution]
    dtype: str
    scans: int
    bytes_read: int


def save_state(
    folder: Path, key: str, state: State, alphas: np.ndarray, engine: ScanEngine
) -> None:
    """Write a checkpoint; errors leave the one before as it was."""
    numbers = {
        "slots": checkpoints.slots_to_json(state.slots),
        "solutions": checkpoints.solutions_to_json(state.solutions),
        "alphas": alphas.tolist(),
        "dtype": state.dtype,
        "scans": state.scans,
        "bytes_read": state.bytes_read,
    }
    arrays = {
        "points": as_dask(engine, state.points),
        "gradient": as_dask(engine, state.gradient),
    }
    checkpoints.write_checkpoint(folder, key, numbers, arrays, engine.runner)


def load_state(folder: Path, key: str, engine: ScanEngine) -> State:
    """The state of the checkpoint in ``folder``.

    Raises
    ------
    CheckpointError
        When there is none, it cannot be read, or it is of another problem.
    """
    numbers, arrays = checkpoints.read_checkpoint(folder, key)
    out_there = stays_out(engine, arrays["points"].shape[1])
    try:
        points, gradient = (
            array.rechunk((engine.column_chunks, -1)) if out_there else array.compute()
            for array in (arrays["points"], arrays["gradient"])
        )
    except (ValueError, OSError) as error:
        raise CheckpointError(f"{folder}: arrays of the state cannot be read ({error})") from None
    return State(
        slots=checkpoints.slots_from_json(numbers["slots"]),
        points=points,
        gradient=gradient,
        solutions=checkpoints.solutions_from_json(numbers["solutions"]),
        dtype=numbers["dtype"],
        scans=numbers["scans"],
        bytes_read=numbers["bytes_read"],
    )
