"""The schema of a model or of a store, whichever a path is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dasklasso.dataset.schema import Schema


def schema_at(place: str) -> Schema:
    """Return the schema of the model or the store at a path or URL.

    Raises
    ------
    ModelError, StoreError
        There is neither, or it has no schema.
    """
    from dasklasso.dataset.dataset import open_dataset
    from dasklasso.errors import StoreError
    from dasklasso.model.path import load_model
    from dasklasso.model.store import DOCUMENT
    from dasklasso.scoring.predict_table import schema_of

    if (Path(place) / DOCUMENT).is_file():
        return schema_of(load_model(place), place)
    schema = open_dataset(place, require_target=False).schema
    if schema is None:
        raise StoreError(
            f"{place} has no schema: it is not a store that dasklasso ingested. Name a store that "
            "is, or a model that was fitted on one."
        )
    return schema
