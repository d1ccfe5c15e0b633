"""The schemas of checkpoints: what all solvers write of a state, beside what is their own."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from dasklasso.files.schemas import Count, Document, Moderates


class CheckpointDocument(Document):
    """The attributes of a checkpoint's group."""

    version: int
    key: str
    state: str


class StateDocument(Document):
    """Numbers of a state that the driver reads; a solver's own stand beside them."""

    model_config = ConfigDict(extra="allow")

    solver: str
    alphas: Annotated[Moderates, Field(min_length=1)]
    scans: Annotated[float, Field(ge=0)]
    bytes_read: Count
