"""A table to a store, some rows at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dasklasso.dataset.ingest.columns import Roles
from dasklasso.dataset.ingest.encoder import Encoder, batch_rows, refuse_inexact_texts
from dasklasso.dataset.ingest.writer import StoreWriter
from dasklasso.dataset.sources.base import Source
from dasklasso.errors import SourceError, ValueFound

Progress = Callable[[int, int | None], None]


def copy_rows(
    source: Source,
    roles: Roles,
    encoder: Encoder,
    writer: StoreWriter,
    memory: int,
    progress: Progress | None,
) -> None:
    """Read, encode and write every row.

    Raises
    ------
    SourceError
        There is none.
    ValueFound
        A value cannot be used.
    """
    names = [column.name for column in roles.used]
    rows = batch_rows(max(len(names), len(encoder.feature_names)), memory)
    total_weight = 0.0
    for batch in source.batches(names, rows):
        encoded = encoder.encode(batch)
        writer.write(
            encoded.X,
            encoded.y,
            encoded.sample_weight,
            encoded.fold,
            missing=encoded.missing,
            offset=encoded.offset,
        )
        if encoded.sample_weight is not None:
            total_weight += float(encoded.sample_weight.sum())
        if progress is not None:
            progress(writer.n_rows, source.n_rows)
    if writer.n_rows == 0:
        raise SourceError(f"{source.path}: has no rows, expected at least one.")
    check_all_rows(source, roles, encoder, total_weight)


def check_all_rows(source: Source, roles: Roles, encoder: Encoder, total_weight: float) -> None:
    """Refuse what only shows once all rows were encoded.

    Parameters
    ----------
    total_weight : float
        Of the rows, where they have weights.

    Raises
    ------
    ValueFound
        A text is a whole number that float64 has not, or all weights are 0 or too large.
    """
    refuse_inexact_texts(source, encoder)
    if roles.weight is not None and not 0 < total_weight < np.inf:
        raise ValueFound(
            f"{source.path}: column {roles.weight.name} (--weight) sums to {total_weight:g}, "
            "expected a positive number."
        )
