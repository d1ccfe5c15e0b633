"""The state of the working-set solver, and how a checkpoint holds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dasklasso.errors import CheckpointError
from dasklasso.files.documents import validate
from dasklasso.scan.graph import array_here
from dasklasso.solvers.base import Frozen, Jobs, State
from dasklasso.solvers.working_set.held import HeldColumns
from dasklasso.solvers.working_set.problems import Problems
from dasklasso.solvers.working_set.series import Point
from dasklasso.storage.blocks import chunk_bounds, chunk_lengths


@dataclass(frozen=True)
class WorkingSetState(State):
    """The state of the working-set solver.

    Attributes
    ----------
    held : HeldColumns
    problems : of each series
    idle : reads after which neither a gap was smaller nor a column new
    """

    held: HeldColumns
    problems: tuple[Problems, ...]
    idle: int


def freeze_state(state: WorkingSetState) -> Frozen:
    """Return the state as a checkpoint holds it."""
    held = state.held
    numbers = {
        "problems": [_problems_to_json(one) for one in state.problems],
        "idle": state.idle,
        "missing_code": held.code,
    }
    rows = max(1, (64 << 20) // max(1, held.values.shape[1] * held.values.itemsize))
    arrays = {
        "held": array_here(held.index[:, None], (len(held.index),)),
        "columns": array_here(held.values, chunk_lengths(chunk_bounds(len(held.values), rows))),
    }
    return Frozen(numbers, arrays)


def thaw_state(jobs: Jobs, scans: float, bytes_read: int, frozen: Frozen) -> WorkingSetState:
    """Return the state that :func:`freeze_state` made.

    Raises
    ------
    CheckpointError
        A number is missing or of another type, or lists are not as long as they should be.
    """
    from dasklasso.solvers.working_set.state_document import WorkingSetDocument

    validate(WorkingSetDocument, frozen.numbers, where="the state", error=CheckpointError)
    index, values = (frozen.arrays[name].compute() for name in ("held", "columns"))
    return WorkingSetState(
        jobs,
        scans,
        bytes_read,
        HeldColumns.of(index[:, 0], values, frozen.numbers["missing_code"]),
        tuple(_problems_from_json(one) for one in frozen.numbers["problems"]),
        frozen.numbers["idle"],
    )


def _problems_to_json(problems: Problems) -> dict[str, Any]:
    return {
        "alphas": problems.alphas.tolist(),
        "asked": problems.asked.tolist(),
        "points": [_to_json(point) for point in problems.points],
        "gap": _finite(problems.gap),
        "objective": _finite(problems.objective),
        "slope": problems.slope.tolist(),
        "scores": [_finite(one) for one in problems.scores],
        "done": problems.done.tolist(),
        "window": problems.window.tolist(),
        "trials": [_to_json(point) for point in problems.trials],
        "base": problems.base,
        "reach": problems.reach,
    }


def _problems_from_json(data: dict[str, Any]) -> Problems:
    return Problems(
        np.asarray(data["alphas"], dtype=float),
        np.asarray(data["asked"], dtype=bool),
        tuple(_from_json(point) for point in data["points"]),
        _with_infinities(data["gap"]),
        _with_infinities(data["objective"]),
        np.asarray(data["slope"], dtype=float),
        _with_unknown(data["scores"], len(data["alphas"])),
        np.asarray(data["done"], dtype=bool),
        np.asarray(data["window"], dtype=np.int64),
        tuple(_from_json(point) for point in data["trials"]),
        data["base"],
        data["reach"],
    )


def _finite(values: np.ndarray) -> list[float | None]:
    return [value if np.isfinite(value) else None for value in values.tolist()]


def _with_infinities(values: list[float | None]) -> np.ndarray:
    return np.array([np.inf if value is None else value for value in values], dtype=float)


def _with_unknown(scores: list[list[float | None]], m: int) -> np.ndarray:
    known = [[np.nan if value is None else value for value in one] for one in scores]
    return np.array(known, dtype=float).reshape(-1, m)


def _to_json(point: Point) -> list[Any]:
    return [point.index.tolist(), point.values.tolist(), point.intercept]


def _from_json(point: list[Any]) -> Point:
    index, values, intercept = point
    return Point(np.asarray(index, dtype=np.int64), np.asarray(values, dtype=float), intercept)
