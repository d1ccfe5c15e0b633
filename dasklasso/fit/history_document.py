"""The schema of the history of fits."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dasklasso.files.schemas import Count, Document


class CaseDocument(Document):
    """What the scans of a fit depend on; see :class:`~dasklasso.fit.history.RunCase`."""

    solver: str
    loss: str
    standardize: bool
    n_folds: Count
    n_alphas: Count
    n_ratios: Count
    statistics_kept: bool
    tol: float
    eps: float | None
    l1_ratio: float
    penalty: str
    smallest_alpha: float | None
    n_rows: Count
    workers: Count | None
    device: str


class RunDocument(Document):
    """A fit that converged."""

    case: CaseDocument
    scans: Annotated[float, Field(gt=0)]
    seconds: Annotated[float, Field(ge=0)]
    day: str


class HistoryDocument(Document):
    """``runs.json``: the oldest run first."""

    version: int
    runs: list[RunDocument]
