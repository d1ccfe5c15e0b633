"""The schema of what stored moments say about themselves."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dasklasso.files.schemas import Count, Document, Object


class MomentsDocument(Document):
    """The attribute of their Zarr group."""

    version: int
    fingerprint: str
    labelling: Object
    n_features: Annotated[int, Field(ge=1, le=1 << 32)]
    n_targets: Annotated[int, Field(ge=0, le=1 << 32)]
    n_groups: Annotated[Count, Field(ge=1)]
