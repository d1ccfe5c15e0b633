"""The schema of ``model.json``, checked when a model is read."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from dasklasso.choices import Rule
from dasklasso.files.schemas import Count, Document, KnownNumbers, Numbers, Object, Share, Texts
from dasklasso.objective.losses.registry import LOSSES

Labels = Annotated[list[str | int | float], Field(fail_fast=True)]
Table = Annotated[list[KnownNumbers], Field(fail_fast=True)]


class NumberedNamesDocument(Document):
    """Names x0, x1, … by their prefix and how many there are."""

    prefix: str
    count: Count


class CurveDocument(Document):
    """The curve of one l1_ratio: a row for each alpha, a column for each fold."""

    l1_ratio: Share
    alphas: Numbers
    criterion: Literal["mse", "loss", "auc", "accuracy"]
    error_path: Table
    scores: dict[str, Table]
    fold_weights: Numbers
    gap: Table


class CvDocument(Document):
    """A cross-validation; its l1_ratio and alphas are said for people, and follow from curves."""

    folds: str
    n_folds: Count
    seed: int
    rule: Rule
    curves: Annotated[list[CurveDocument], Field(fail_fast=True), Field(min_length=1)]


class PenaltyOptions(BaseModel):
    """How the coefficients were penalised; options of losses and penalties may stand beside."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)

    huber_delta: Annotated[float, Field(gt=0)] | None = None


class ModelDocument(Document):
    """All that ``model.json`` may say; entries of later versions of dasklasso have defaults."""

    feature_names: Texts | NumberedNamesDocument | None = None
    target_names: Annotated[Texts, Field(min_length=1)]
    y_is_vector: bool
    loss: str
    l1_ratio: Share
    penalty_options: PenaltyOptions
    alpha_selected: float | None
    solver: str
    tol: float
    scans: Annotated[float, Field(ge=0)]
    bytes_read: Count
    seconds: float
    peak_memory_bytes: Count
    fingerprint: str
    versions: Object
    cross_validation: CvDocument | None = None
    explained: Table | None = None
    plan: Object | None = None
    refit: Object | None = None
    classes: Annotated[list[Labels | None], Field(fail_fast=True)] | None = None
    has_offset: bool | None = None
    schema_: Object | None = Field(default=None, alias="schema")
    covariates: Object | None = None
    feature_scales: bool | None = None

    @field_validator("loss")
    @classmethod
    def _is_known(cls, loss: str) -> str:
        if loss not in LOSSES:
            raise ValueError(f"one of {', '.join(LOSSES)}")
        return loss
