"""Covariates: columns of a store or a table of their own, joined to the rows of a store by id.

They stand beside X as its last columns, and have no penalty unless they are given one.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dasklasso.choices import Unseen
from dasklasso.dataset.dask_arrays import kept_arrays
from dasklasso.dataset.dataset import Dataset, open_dataset
from dasklasso.dataset.manifest import ColumnStatistics
from dasklasso.dataset.row_ids import places_among
from dasklasso.dataset.schema import Schema
from dasklasso.errors import DataWarning, OptionError, SourceError, StoreError, ValueFound
from dasklasso.storage.blocks import BlockSource
from dasklasso.storage.missing_codes import stored_dtype
from dasklasso.storage.side_by_side import SideBySide
from dasklasso.storage.zarr_blocks import read_rows

_NO_COVARIATES = ("IID", "#IID", "FID", "#FID")  # of PLINK's tables
_MEMORY = 256 << 20  # for a table that is read
_OPTION = " --"  # in a message that advises options


@dataclass(frozen=True)
class Encoding:
    """How a model has covariates: tables are encoded by its schema, not by what is in them.

    Attributes
    ----------
    schema : Schema
    of : how messages name the model
    unseen : what becomes of a level that training never met
    """

    schema: Schema
    of: str
    unseen: Unseen = "error"


def with_covariates(
    data: Dataset,
    place: str | os.PathLike[str],
    *,
    id_column: str | None = None,
    encoding: Encoding | None = None,
    all_rows: bool = False,
) -> Dataset:
    """Put covariates beside the columns of a dataset.

    Rows without covariates have weight 0: they are left out, with a warning that counts them.

    Parameters
    ----------
    data : Dataset
        A store with ids of rows.
    place : str or Path
        A store with ids, or a table; its rows may be in any order.
    id_column : str, optional
        Of a table, the column of ids; by default what it is called in the store, or the model.
    encoding : Encoding, optional
        For a model that is there already.
    all_rows : bool
        Whether every row must have covariates.

    Raises
    ------
    StoreError, SourceError
        There are no ids to join by, or one of the two cannot be read.
    OptionError
        A covariate is called as a feature or the target is.
    ValueFound
        No row has covariates, or one has none where all must, or a value cannot be used.
    """
    if data.row_ids is None:
        raise StoreError(
            f"{data.location}: has no ids of rows, by which {place} could be joined to it. Ingest "
            "it with --id NAME; genotypes have ids, where no two samples share one."
        )
    with tempfile.TemporaryDirectory(prefix="dasklasso-") as folder:
        table = _opened(data, os.fspath(place), id_column, encoding, folder)
        assert table.row_ids is not None
        others = read_rows(table.row_ids, 0, table.n_rows)
        values = read_rows(table.X, 0, table.n_rows).astype(_dtype_of(table.X))
    _check_names(data, table, place)
    _check_unique(others, place)
    places = places_among(read_rows(data.row_ids, 0, data.n_rows), others)
    there = places >= 0
    if not there.any():
        raise ValueFound(f"{place}: none of its {len(others):,} ids is one of {data.location}.")
    if not there.all():
        _say_absent(data, place, there, all_rows=all_rows)
    joined = values[places]
    joined[~there] = values[places[there]].mean(axis=0)  # any number: these rows do not count
    return _joined(data, table, joined, there)


def factors_with(data: Dataset, factors: np.ndarray | None = None) -> np.ndarray | None:
    """Return the penalty factors of all columns, 0 for covariates; None for ones.

    Parameters
    ----------
    factors : of the columns before the covariates, by default ones
    """
    n = data.n_covariates
    if not n:
        return factors
    own = np.ones(data.n_features - n) if factors is None else factors
    return np.concatenate([own, np.zeros(n)])


def _opened(
    data: Dataset, place: str, id_column: str | None, encoding: Encoding | None, folder: str
) -> Dataset:
    """Return covariates as a dataset with ids; a table is encoded into a folder."""
    from dasklasso.dataset.sources import looks_like_table

    if not looks_like_table(place):
        found = open_dataset(place, require_target=False)
        if found.row_ids is None:
            raise StoreError(
                f"{place}: has no ids of rows, expected some to join it by: ingest it with --id "
                "NAME."
            )
        return found
    schemas = (None if encoding is None else encoding.schema, data.schema)
    known = [id_column, *(schema.id for schema in schemas if schema is not None)]
    named = next((name for name in known if name is not None), None)
    if named is None:
        raise OptionError(f"{place}: which column has the ids of its rows? Name it with --id.")
    store = str(Path(folder) / "covariates.zarr")
    _encode(place, store, named, encoding)
    return replace(open_dataset(store, require_target=False), location=place)


def _encode(place: str, store: str, id_column: str, encoding: Encoding | None) -> None:
    from dasklasso.dataset.ingest.align import Asked
    from dasklasso.dataset.ingest.by_schema import ingest_by_schema
    from dasklasso.dataset.ingest.ingest import ingest
    from dasklasso.dataset.sources import open_source

    if encoding is not None:
        report = ingest_by_schema(
            place,
            store,
            encoding.schema,
            of=encoding.of,
            asked=Asked(needs={}),
            unseen=encoding.unseen,
            memory=_MEMORY,
            codec="none",
            id_column=id_column,
        )
    else:
        names = {column.name for column in open_source(place, memory=_MEMORY).columns}
        try:
            report = ingest(
                place,
                store,
                drop=[name for name in _NO_COVARIATES if name in names - {id_column}],
                memory=_MEMORY,
                codec="none",
                id_column=id_column,
            )
        except (SourceError, ValueFound) as error:
            if _OPTION not in str(error):
                raise
            raise type(error)(
                f"{error} These are options of ingest: with --id {id_column} it makes a store of "
                "covariates."
            ) from None
    for said in report.warnings:
        warnings.warn(f"covariates: {said}", DataWarning, stacklevel=2)


def _dtype_of(X: BlockSource) -> np.dtype:
    """Return float32 where it holds every value of a table, else float64."""
    return np.dtype(np.result_type(X.dtype, stored_dtype(X), np.float32))


def _check_names(data: Dataset, table: Dataset, place: str | os.PathLike[str]) -> None:
    taken = set(data.feature_names) | set(data.target_names)
    again = next((name for name in table.feature_names if name in taken), None)
    if again is not None:
        what = "the target" if again in data.target_names else "a feature"
        raise OptionError(
            f"{place}: covariate {again} is {what} of {data.location} too, expected columns that "
            "it does not have: leave it out, or ingest the table to a store with --drop."
        )


def _check_unique(ids: np.ndarray, place: str | os.PathLike[str]) -> None:
    """Refuse covariates of which two rows have the same id, as rows have that were appended."""
    _, first = np.unique(ids, axis=0, return_index=True)
    again = np.setdiff1d(np.flatnonzero(ids.any(axis=1)), first)
    if again.size:
        raise ValueFound(
            f"{place}: row {again[0]:,} has the id of another row, expected each once."
        )


def _say_absent(
    data: Dataset, place: str | os.PathLike[str], there: np.ndarray, *, all_rows: bool
) -> None:
    absent = f"{(~there).sum():,} of {len(there):,} rows of {data.location}"
    if all_rows:
        raise ValueFound(
            f"{place}: has no row for {absent} (the first: row {int(np.argmin(there)):,}), "
            "expected covariates of every row."
        )
    warnings.warn(f"{absent} have no row in {place} and are left out", DataWarning, stacklevel=3)


def _joined(data: Dataset, table: Dataset, values: np.ndarray, there: np.ndarray) -> Dataset:
    from dasklasso.dataset.ingest.running_moments import RunningMoments

    arrays = {"covariates": values}
    if not there.all():
        weight = there.astype(np.float64)[:, None]
        if data.sample_weight is not None:
            weight *= read_rows(data.sample_weight, 0, data.n_rows)
        if not weight.any():
            raise ValueFound(f"{data.location}: no row with weight has covariates.")
        arrays["sample_weight"] = weight
    kept, keep = kept_arrays(location=table.location, **arrays)
    statistics = None
    if data.statistics is not None:
        moments = RunningMoments(values.shape[1])
        moments.update(values)
        own = moments.statistics(np.zeros(values.shape[1], dtype=np.int64))
        statistics = _side_by_side(data.statistics, own)
    both = f"{data.fingerprint} covariates {table.fingerprint}"
    return replace(
        data,
        X=SideBySide(data.X, kept["covariates"]),
        sample_weight=kept.get("sample_weight", data.sample_weight),
        feature_names=(*data.feature_names, *table.feature_names),
        statistics=statistics,
        fingerprint="sha256:" + hashlib.sha256(both.encode()).hexdigest(),
        covariates=_schema_of(table),
        keep=(data.keep, keep),
    )


def _schema_of(table: Dataset) -> Schema:
    assert table.schema is not None  # it has ids, so that dasklasso ingested it
    return replace(table.schema, targets=(), weight=None, fold=None, offset=None)


def _side_by_side(one: ColumnStatistics, other: ColumnStatistics) -> ColumnStatistics:
    names: Sequence[str] = ("mean", "std", "minimum", "maximum", "missing")
    pairs = {name: (getattr(one, name), getattr(other, name)) for name in names}
    return ColumnStatistics(**{name: np.concatenate(pair) for name, pair in pairs.items()})
