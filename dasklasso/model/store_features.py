"""A model fitted to the features of a store that was not made for it: by name, in any order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.sparse import csr_array

from dasklasso.choices import Unseen
from dasklasso.dataset.dataset import Dataset
from dasklasso.dataset.schema import features_of
from dasklasso.dataset.sources.base import all_named
from dasklasso.errors import ModelError
from dasklasso.model.path import FittedPath

_MOST_NAMED = 10  # ignored features in a note


def model_for(
    path: FittedPath, data: Dataset, *, of: str, unseen: Unseen = "error"
) -> tuple[FittedPath, list[str]]:
    """Return a model with the features of a store, in the store's order.

    Features that the model does not know are ignored, and so are levels of a text column that the
    store does not have. Levels that training never met are ``unseen``.

    Parameters
    ----------
    of : str
        How messages name the model.

    Returns
    -------
    path : FittedPath
        The model itself where the store has its features.
    notes : list of str
        What deserves to be said.

    Raises
    ------
    ModelError
        Names the features that the store has not, or the level that training never met.
    """
    notes = _fills(path, data, of)
    if path.feature_names == data.feature_names:
        return path, notes
    position = {name: j for j, name in enumerate(data.feature_names)}
    levels = _levels_of_both(path, data)
    missing = [n for n in path.feature_names if n not in position and n not in levels]
    if missing:
        what = "feature" if len(missing) == 1 else "features"
        beside = path.covariates is not None and missing[0] in path.covariates.feature_names
        hint = " They are covariates: --covariates STORE|TABLE." if beside else ""
        raise ModelError(
            f"{data.location}: has no {what} {all_named(missing)}, which {of} expects.{hint}"
        )
    known = set(path.feature_names)
    extra = [name for name in data.feature_names if name not in known]
    new_levels = [name for name in extra if name in levels]
    if new_levels and unseen == "error":
        raise ModelError(
            f"{data.location}: feature {new_levels[0]!r} is a level that {of} never met. "
            "--unseen zero takes what was never met for none of them."
        )
    ignored = [name for name in extra if name not in levels]
    if ignored:
        some = ", ".join(ignored[:_MOST_NAMED]) + (", ..." if len(ignored) > _MOST_NAMED else "")
        notes.append(f"{data.location}: features that are not in the model are ignored: {some}.")
    return _moved(path, data, position), notes


def _moved(path: FittedPath, data: Dataset, position: dict[str, int]) -> FittedPath:
    """Return the path with its coefficients where the features are in the store."""
    places = np.array([position.get(name, -1) for name in path.feature_names])
    coef = path.coef_rows.tocoo()
    columns = places[coef.coords[1]]
    there = columns >= 0
    moved = csr_array(
        (coef.data[there], (coef.coords[0][there], columns[there])),
        shape=(coef.shape[0], data.n_features),
    )
    return replace(
        path,
        coef_rows=moved,
        feature_names=data.feature_names,
        schema=None,
        feature_scales=None,
    )


def _levels_of_both(path: FittedPath, data: Dataset) -> set[str]:
    """Features that are levels of columns that are text for the model and in the store."""
    if path.schema is None or data.schema is None:
        return set()
    return {
        feature
        for schema in (path.schema, data.schema)
        for column in path.schema.levels.keys() & data.schema.levels.keys()
        for feature in features_of(column, schema.levels, schema.missing_levels)
    }


def _fills(path: FittedPath, data: Dataset, of: str) -> list[str]:
    """Say that missing values of a store were filled with other means than the model's."""
    if path.schema is None or data.schema is None or data.statistics is None:
        return []
    for column, j in data.schema.columns.items():
        if column in data.schema.levels or not data.statistics.missing[j]:
            continue
        ours, theirs = path.schema.columns.get(column), data.schema.fill(column)
        if ours is not None and path.schema.fill(column) != theirs:
            return [
                f"{data.location}: missing values of {column} were filled with {theirs:.6g}, the "
                f"mean of {of} is {path.schema.fill(column):.6g}. To fill them as in training: "
                f"dasklasso ingest TABLE STORE --schema {of}, or predict for the table itself."
            ]
    return []
