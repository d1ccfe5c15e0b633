"""The schema of a manifest, checked when a store is opened."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from dasklasso.files.schemas import Count, Document, Numbers, Object, Texts


class StatisticsDocument(Document):
    """Statistics of the columns: lists of n_features numbers."""

    mean: Numbers
    std: Numbers
    minimum: Numbers
    maximum: Numbers
    missing: Annotated[list[Count], Field(fail_fast=True)]


class OriginDocument(Document):
    """Where the data came from; what is not here is for people to read."""

    levels: dict[str, Texts] | None = None
    target_classes: dict[str, Texts | None] | None = None
    fold_classes: Texts | None = None
    weight: str | None = None
    fold: str | None = None
    offset: str | None = None
    missing: str | None = None
    dropped: Texts | None = None


class ManifestDocument(Document):
    """All that a manifest may say, but for the schema of the table, which has its own."""

    n_rows: Annotated[Count, Field(ge=1)]
    n_features: Annotated[Count, Field(ge=1)]
    feature_names: Texts
    target_names: Texts
    statistics: StatisticsDocument
    origin: OriginDocument = Field(default_factory=OriginDocument)
    fingerprint: str
    schema_: Object | None = Field(default=None, alias="schema")
    files: dict[str, str] | None = None

    @model_validator(mode="after")
    def _have_one_for_each_feature(self) -> ManifestDocument:
        lists = {"feature_names": self.feature_names, **vars(self.statistics)}
        for name, values in lists.items():
            if len(values) != self.n_features:
                raise ValueError(f"{self.n_features} entries in {name}, one for each feature")
        return self
