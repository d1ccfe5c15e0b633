"""The schema of a table's schema, as manifests and models keep it in JSON."""

from __future__ import annotations

from itertools import chain, repeat
from typing import Annotated, Literal

from pydantic import Field, model_validator

from dasklasso.choices import Missing
from dasklasso.dataset.sources.variants import Variants
from dasklasso.files.schemas import Count, Document, Object, Texts, Wholes

Run = Annotated[tuple[str, Count], Field(strict=False)]  # a list in JSON


class TargetDocument(Document):
    """A target, and the names of its classes where it was text or boolean."""

    name: str
    classes: Texts | None = None


class VariantsDocument(Document):
    """Genetic variants, one for each feature; see Variants."""

    chromosome: Annotated[list[Run], Field(fail_fast=True)]
    position: Wholes
    effect: Texts
    other: Texts

    @model_validator(mode="after")
    def _are_as_many(self) -> VariantsDocument:
        n = len(self.position)
        lengths = (len(self.effect), len(self.other), sum(n for _, n in self.chromosome))
        if lengths != (n, n, n):
            raise ValueError("one chromosome, effect and other allele for each position")
        return self

    def variants(self) -> Variants:
        """Return the variants."""
        names = chain.from_iterable(repeat(name, n) for name, n in self.chromosome)
        return Variants(tuple(names), tuple(self.position), tuple(self.effect), tuple(self.other))


class SchemaDocument(Document):
    """How the columns of a table become features; see :class:`~dasklasso.dataset.schema.Schema`."""

    dtype: Literal[
        "float16", "float32", "float64", "uint8", "int8", "uint16", "int16", "uint32", "int32",
        "uint64", "int64", "bool",
    ]  # fmt: skip
    missing: Missing
    missing_values: Texts | None = None
    levels: dict[str, Annotated[Texts, Field(min_length=1)]]
    missing_levels: Texts
    types: Annotated[list[Run], Field(fail_fast=True)]
    targets: list[TargetDocument]
    weight: str | None = None
    fold: str | None = None
    offset: str | None = None
    fold_classes: Texts | None = None
    dropped: Texts
    source_format: str | None = None
    array: str | None = None
    index_base: Annotated[int, Field(ge=0, le=1 << 31)] | None = None
    reading: Object | None = None
    variants: VariantsDocument | None = None
    missing_code: Annotated[int, Field(ge=-128, le=255)] | None = None
    id: str | None = None
