"""The schema of the working-set solver's numbers in a checkpoint."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, model_validator

from dasklasso.files.schemas import Count, Document, KnownNumbers, Moderate, Moderates

Truths = Annotated[list[bool], Field(fail_fast=True)]
Counts = Annotated[list[Count], Field(fail_fast=True)]
# indices, values, intercept: a list in JSON
Point = Annotated[tuple[Counts, Moderates, Moderate], Field(strict=False)]
Points = Annotated[list[Point], Field(fail_fast=True)]


class ProblemsDocument(Document):
    """The m problems of a series."""

    alphas: Moderates
    asked: Truths
    points: Points
    gap: KnownNumbers
    objective: KnownNumbers
    slope: Moderates
    scores: list[KnownNumbers]
    done: Truths
    window: Counts
    trials: Points
    base: float
    reach: float

    @model_validator(mode="after")
    def _are_as_long(self) -> ProblemsDocument:
        m = len(self.alphas)
        for name, values in vars(self).items():
            n = len(self.window) if name == "trials" else m
            if isinstance(values, list) and name not in ("window", "scores") and len(values) != n:
                raise ValueError(f"{n} entries in {name}, one for each problem")
        if any(len(one) != m for one in self.scores):
            raise ValueError(f"{m} entries in each of the scores, one for each problem")
        if any(number >= m for number in self.window):
            raise ValueError(f"numbers of the {m} problems in window")
        if any(len(indices) != len(values) for indices, values, _ in (*self.points, *self.trials)):
            raise ValueError("as many values as indices in each of the points")
        return self


class WorkingSetDocument(Document):
    """All numbers of the working-set solver's state."""

    model_config = ConfigDict(extra="allow")

    problems: list[ProblemsDocument]
    idle: Count
    missing_code: Annotated[int, Field(ge=-128, le=255)] | None
