"""What a fit is told, and what it is in the middle of: to checkpoints and back."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from dasklasso.errors import CheckpointError
from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.gather import Coefficients, as_dask, stays_on_workers
from dasklasso.solvers.base import Solution, solutions_from_json, solutions_to_json
from dasklasso.solvers.checkpoint import read_checkpoint, write_checkpoint
from dasklasso.solvers.fista.backtracking import Backtracking
from dasklasso.solvers.fista.intercepts import Intercepts
from dasklasso.solvers.fista.slots import Slots
from dasklasso.solvers.fista.step import Lipschitz, Plan


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
        "slots": slots_to_json(state.slots),
        "solutions": solutions_to_json(state.solutions),
        "alphas": alphas.tolist(),
        "dtype": state.dtype,
        "scans": state.scans,
        "bytes_read": state.bytes_read,
    }
    arrays = {
        "points": as_dask(engine, state.points),
        "gradient": as_dask(engine, state.gradient),
    }
    write_checkpoint(folder, key, numbers, arrays, engine.runner)


def load_state(folder: Path, key: str, engine: ScanEngine) -> State:
    """The state of the checkpoint in ``folder``.

    Raises
    ------
    CheckpointError
        When there is none, it cannot be read, or it is of another problem.
    """
    numbers, arrays = read_checkpoint(folder, key)
    out_there = stays_on_workers(engine, arrays["points"].shape[1])
    try:
        points, gradient = (
            array.rechunk((engine.column_chunks, -1)) if out_there else array.compute()
            for array in (arrays["points"], arrays["gradient"])
        )
    except (ValueError, OSError) as error:
        raise CheckpointError(f"{folder}: arrays of the state cannot be read ({error})") from None
    return State(
        slots=slots_from_json(numbers["slots"]),
        points=points,
        gradient=gradient,
        solutions=solutions_from_json(numbers["solutions"]),
        dtype=numbers["dtype"],
        scans=numbers["scans"],
        bytes_read=numbers["bytes_read"],
    )


def slots_to_json(slots: Slots) -> dict[str, Any]:
    """Slots as plain JSON types."""
    return {
        "jobs": slots.jobs.tolist(),
        "t": slots.t.tolist(),
        "best_gap": [None if np.isinf(gap) else gap for gap in slots.best_gap.tolist()],
        "since_best": slots.since_best.tolist(),
        "waiting": list(slots.waiting),
        "plan": {
            field.name: _plain(getattr(slots.plan, field.name)) for field in fields(slots.plan)
        },
        "lipschitz": asdict(slots.lipschitz),
        "intercepts": slots.intercepts and slots.intercepts.to_json(),
        "backtracking": slots.backtracking and slots.backtracking.to_json(),
    }


def slots_from_json(data: dict[str, Any]) -> Slots:
    """The slots that :func:`slots_to_json` wrote."""
    plan = data["plan"]
    return Slots(
        jobs=np.asarray(data["jobs"], dtype=int),
        t=np.asarray(data["t"], dtype=float),
        best_gap=np.asarray(
            [np.inf if gap is None else gap for gap in data["best_gap"]], dtype=float
        ),
        since_best=np.asarray(data["since_best"], dtype=int),
        waiting=tuple(data["waiting"]),
        plan=Plan(
            base=np.asarray(plan["base"], dtype=int),
            previous=np.asarray(plan["previous"], dtype=int),
            momentum=np.asarray(plan["momentum"], dtype=float),
            alpha=np.asarray(plan["alpha"], dtype=float),
            lipschitz=np.asarray(plan["lipschitz"], dtype=float),
            power=plan["power"],
            holds=plan["holds"],
        ),
        lipschitz=Lipschitz(**data["lipschitz"]),
        intercepts=data["intercepts"] and Intercepts.from_json(data["intercepts"]),
        backtracking=data["backtracking"] and Backtracking.from_json(data["backtracking"]),
    )


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value
