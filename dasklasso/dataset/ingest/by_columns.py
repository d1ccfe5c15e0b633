"""Genotypes to a store, some variants at a time: a file has them variant by variant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dasklasso.dataset.ingest.by_rows import check_all_rows
from dasklasso.dataset.ingest.chunks import is_wide, strip_columns
from dasklasso.dataset.ingest.columns import Roles
from dasklasso.dataset.ingest.columns_writer import ColumnsWriter
from dasklasso.dataset.ingest.encoder import Encoder, batch_rows
from dasklasso.dataset.ingest.first_pass import Survey
from dasklasso.dataset.ingest.genotypes import genotypes_of
from dasklasso.dataset.ingest.stored_type import StoredType
from dasklasso.dataset.sources.base import Source
from dasklasso.dataset.sources.genotypes import GenotypeSource
from dasklasso.storage.missing_codes import MissingCode

Progress = Callable[[int, int | None], None]
_NONE_MISSING = 255  # in the place of a code, where none is needed


@dataclass(frozen=True)
class GenotypeColumns:
    """Features that all are variants, to be stored as they are counted.

    Attributes
    ----------
    genotypes : GenotypeSource
    place : (n_features,) of each variant in its file
    of_chunk : how many are copied at a time, and are a chunk
    """

    genotypes: GenotypeSource
    place: np.ndarray
    of_chunk: int


def genotype_columns(
    source: Source, roles: Roles, survey: Survey, kind: StoredType, memory: int
) -> GenotypeColumns | None:
    """Return features that are best copied column by column; None where rows are.

    These are variants of more than there are samples, too many to be held, whose genotypes are
    stored as bytes; where one is missing there is a code for it.
    """
    genotypes = genotypes_of(source)
    named = survey.missing_values.numbers or survey.missing_values.texts
    if genotypes is None or named or kind.dtype != np.uint8:
        return None
    n_features = len(roles.features)
    if not is_wide(genotypes.n_rows, n_features, kind.dtype.itemsize, memory=memory):
        return None
    place = genotypes.places([column.name for column in roles.features])
    if place is None or (kind.missing_code is None and genotypes.counts(place).missing.any()):
        return None
    width = strip_columns(genotypes.n_rows, n_features, kind.dtype.itemsize, memory=memory)
    return GenotypeColumns(genotypes, place, width)


def copy_columns(
    source: Source,
    roles: Roles,
    encoder: Encoder,
    writer: ColumnsWriter,
    columns: GenotypeColumns,
    code: MissingCode | None,
    memory: int,
    progress: Progress | None,
) -> None:
    """Read and write what stands beside X, then the features, a strip of columns at a time.

    Progress counts columns as the share of the rows that they are as many values as.

    Raises
    ------
    ValueFound
        A value beside X cannot be used.
    """
    beside = _beside(source, roles, encoder, memory)
    weight = beside.get("sample_weight")
    check_all_rows(source, roles, encoder, 0.0 if weight is None else float(weight.sum()))
    writer.write_beside(beside)
    n_rows, n_features = writer.n_rows, len(columns.place)
    buffer = np.empty(n_rows * min(writer.chunk_columns, n_features), dtype=np.uint8)
    for start in range(0, n_features, writer.chunk_columns):
        place = columns.place[start : start + writer.chunk_columns]
        X = buffer[: n_rows * len(place)].reshape(n_rows, len(place))
        columns.genotypes.copies(place, _NONE_MISSING if code is None else code.code, X)
        counts = columns.genotypes.counts(place)
        values = np.repeat([[0.0], [1.0], [2.0], [0.0]], len(place), axis=1)
        if code is not None:
            values[3] = code.fill[start : start + len(place)]
        often = np.stack([counts.none, counts.one, counts.two, counts.missing])
        writer.write_columns(X, values, often, counts.missing)
        if progress is not None:
            progress(n_rows * writer.n_columns // n_features, n_rows)


def _beside(source: Source, roles: Roles, encoder: Encoder, memory: int) -> dict[str, np.ndarray]:
    """Encode all rows of the columns that are no features."""
    names = [column.name for column in roles.used[len(roles.features) :]]
    found: dict[str, list[np.ndarray]] = {}
    for batch in source.batches(names, batch_rows(len(names), memory)):
        for name, values in encoder.encode_beside(batch).items():
            found.setdefault(name, []).append(values)
    return {name: np.concatenate(parts) for name, parts in found.items()}
