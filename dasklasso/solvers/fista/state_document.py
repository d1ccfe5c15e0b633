"""The schema of FISTA's numbers in a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from dasklasso.errors import CheckpointError
from dasklasso.files.documents import validate
from dasklasso.files.schemas import Count, Document, KnownNumbers, Moderate, Moderates, Wholes
from dasklasso.solvers.fista.step import ZERO

Number = Annotated[float, Field(allow_inf_nan=True)]  # infinite where a loss has no bound


class PlanDocument(Document):
    """The step whose points are evaluated next: lists of K."""

    base: Wholes
    previous: Wholes
    momentum: Moderates
    alpha: Moderates
    lipschitz: Moderates
    power: float | None
    holds: bool


class LipschitzDocument(Document):
    """The estimate of the largest eigenvalue."""

    value: Number
    seen: Number
    rounds: Count
    settled: bool
    bound: Number
    loss_curvature: Number


class InterceptsDocument(Document):
    """Intercepts of the next points: lists of K."""

    u: Moderates
    z: Moderates
    previous: Moderates
    holds: bool


class BacktrackingDocument(Document):
    """Curvatures and objectives of the problems: lists of K."""

    curvature: Moderates
    objective: KnownNumbers
    noise: float


class InFlightDocument(Document):
    """The K jobs in flight, and those that wait."""

    jobs: Wholes
    t: Moderates
    best_gap: KnownNumbers
    since_best: Wholes
    waiting: Wholes
    plan: PlanDocument
    lipschitz: LipschitzDocument
    intercepts: InterceptsDocument | None
    backtracking: BacktrackingDocument | None

    @model_validator(mode="after")
    def _are_as_long(self) -> InFlightDocument:
        of_plan = {k: v for k, v in vars(self.plan).items() if isinstance(v, list)}
        lists = {"t": self.t, "best_gap": self.best_gap, "since_best": self.since_best, **of_plan}
        for more in (self.intercepts, self.backtracking):
            lists |= {} if more is None else {k: v for k, v in vars(more).items() if k != "noise"}
        for name, values in lists.items():
            if isinstance(values, list) and len(values) != len(self.jobs):
                raise ValueError(f"{len(self.jobs)} numbers in {name}, one for each job")
        return self


class SolutionDocument(Document):
    """The solution of one job."""

    indices: Wholes
    values: Moderates
    objective: Number
    gap: Number
    residual_mean: Moderate
    certified: bool
    intercept: Moderate


class FistaDocument(Document):
    """All numbers of FISTA's state."""

    model_config = ConfigDict(extra="allow")

    slots: InFlightDocument
    solutions: dict[str, SolutionDocument]
    dtype: Literal["float32", "float64"]


def check_numbers(
    numbers: Mapping[str, Any], *, n_jobs: int, n_features: int, n_columns: int
) -> None:
    """Refuse numbers that are not a state of FISTA on these jobs.

    Parameters
    ----------
    n_columns : of the points in the checkpoint

    Raises
    ------
    CheckpointError, ValueError
    """
    state = validate(FistaDocument, numbers, where="the state", error=CheckpointError)
    # those whose gap float64 did not confirm are solved, and in flight again
    again = {int(job) for job, one in state.solutions.items() if not one.certified}
    begun = [*state.slots.jobs, *state.slots.waiting]
    jobs = [*begun, *(int(job) for job in state.solutions if int(job) not in again & set(begun))]
    if sorted(jobs) != list(range(n_jobs)):
        raise ValueError(f"jobs in flight, waiting and solved are not {n_jobs} together")
    for name in ("base", "previous"):
        columns = getattr(state.slots.plan, name)
        if any(not ZERO <= column < n_columns for column in columns):
            raise ValueError(
                f"plan.{name} is {columns}, expected columns from {ZERO} to {n_columns}"
            )
    for job, one in state.solutions.items():
        in_order = all(a < b for a, b in pairwise([-1, *one.indices, n_features]))
        if not in_order or len(one.indices) != len(one.values):
            raise ValueError(f"solution {job} has indices and values that do not go together")
