"""The state of FISTA, and how a checkpoint holds it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from dasklasso.scan.engine import ScanEngine
from dasklasso.scan.gather import Coefficients, in_parts, stays_on_workers
from dasklasso.scan.graph import BlockArray
from dasklasso.solvers.base import Frozen, Jobs, State
from dasklasso.solvers.fista.backtracking import Backtracking
from dasklasso.solvers.fista.in_flight import InFlight
from dasklasso.solvers.fista.intercepts import Intercepts
from dasklasso.solvers.fista.step import Lipschitz, Plan
from dasklasso.solvers.solution import Solution, solutions_from_json, solutions_to_json


@dataclass(frozen=True)
class FistaState(State):
    """The state of FISTA.

    Attributes
    ----------
    in_flight : InFlight
    points, gradient : (n_features, n_points)
        Points last evaluated and the gradient there; on the workers where they are large.
    solved : solutions of the jobs that are done
    dtype : precision of products
    earlier : what jobs had that were stopped in the middle of going on
    """

    in_flight: InFlight
    points: Coefficients
    gradient: Coefficients
    solved: dict[int, Solution]
    dtype: str
    earlier: dict[int, Solution] = field(default_factory=dict, kw_only=True)

    @property
    def on_workers(self) -> bool:
        """Whether points and gradient are left on the workers."""
        return isinstance(self.points, BlockArray)


def freeze_state(state: FistaState, engine: ScanEngine) -> Frozen:
    """Return the state as a checkpoint holds it."""
    numbers = {
        "slots": in_flight_to_json(state.in_flight),
        "solutions": solutions_to_json(state.solved),
        "dtype": state.dtype,
    }
    arrays = {
        "points": in_parts(engine, state.points),
        "gradient": in_parts(engine, state.gradient),
    }
    return Frozen(numbers, arrays)


def thaw_state(
    jobs: Jobs, scans: float, bytes_read: int, frozen: Frozen, engine: ScanEngine
) -> FistaState:
    """Return the state that :func:`freeze_state` made.

    Raises
    ------
    CheckpointError, ValueError
        Numbers and arrays are not a state of these jobs.
    """
    from dasklasso.solvers.fista.state_document import check_numbers

    numbers, arrays = frozen.numbers, frozen.arrays
    shape = arrays["points"].shape
    check_numbers(numbers, n_jobs=len(jobs), n_features=shape[0], n_columns=shape[1])
    if shape[0] != engine.layout.n_features or arrays["gradient"].shape[0] != shape[0]:
        raise ValueError(
            f"points are {shape}, expected rows for {engine.layout.n_features} features"
        )
    on_workers = stays_on_workers(engine, arrays["points"].shape[1])
    points, gradient = (
        array.in_blocks(engine.column_chunks) if on_workers else array.compute()
        for array in (arrays["points"], arrays["gradient"])
    )
    return FistaState(
        jobs=jobs,
        scans=scans,
        bytes_read=bytes_read,
        in_flight=in_flight_from_json(numbers["slots"]),
        points=points,
        gradient=gradient,
        solved=solutions_from_json(numbers["solutions"]),
        dtype=numbers["dtype"],
    )


def in_flight_to_json(in_flight: InFlight) -> dict[str, Any]:
    """Return the jobs in flight as plain JSON types."""
    return {
        "jobs": in_flight.jobs.tolist(),
        "t": in_flight.t.tolist(),
        "best_gap": [None if np.isinf(gap) else gap for gap in in_flight.best_gap.tolist()],
        "since_best": in_flight.since_best.tolist(),
        "waiting": list(in_flight.waiting),
        "plan": {
            field.name: _plain(getattr(in_flight.plan, field.name))
            for field in fields(in_flight.plan)
        },
        "lipschitz": asdict(in_flight.lipschitz),
        "intercepts": in_flight.intercepts and in_flight.intercepts.to_json(),
        "backtracking": in_flight.backtracking and in_flight.backtracking.to_json(),
    }


def in_flight_from_json(data: dict[str, Any]) -> InFlight:
    """Return the jobs in flight that :func:`in_flight_to_json` wrote."""
    plan = data["plan"]
    return InFlight(
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
