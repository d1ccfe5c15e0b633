"""A table of any size to a store, in bounded memory."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

import numpy as np

from dasklasso.choices import Missing
from dasklasso.dataset.ingest.by_columns import copy_columns, genotype_columns
from dasklasso.dataset.ingest.by_rows import copy_rows
from dasklasso.dataset.ingest.columns import Roles, assign_roles, check_columns_said
from dasklasso.dataset.ingest.columns_writer import ColumnsWriter
from dasklasso.dataset.ingest.encoder import Encoder, batch_rows
from dasklasso.dataset.ingest.first_pass import Survey, survey
from dasklasso.dataset.ingest.genotypes import (
    genotype_notes,
    keep_phenotyped,
    keep_variants,
)
from dasklasso.dataset.ingest.notes import code_warnings, table_notes, table_warnings
from dasklasso.dataset.ingest.precision import (
    beyond_integers_warning,
    harmed_columns,
    rounded_warning,
    widened_note,
)
from dasklasso.dataset.ingest.reserve import reserve
from dasklasso.dataset.ingest.schema_of_table import schema_of_table
from dasklasso.dataset.ingest.stored_type import StoredType, choose_type
from dasklasso.dataset.ingest.table_schema import TableSchema
from dasklasso.dataset.ingest.targets_table import join_targets, row_ids_of, targets_table
from dasklasso.dataset.ingest.writer import StoreWriter
from dasklasso.dataset.manifest import Manifest
from dasklasso.dataset.sources import Source, open_source
from dasklasso.dataset.sources.base import Expected
from dasklasso.dataset.sources.missing_values import MissingValues
from dasklasso.dataset.sources.reading import Reading
from dasklasso.dataset.sources.variants import VariantFilter
from dasklasso.errors import OptionError, ValueFound
from dasklasso.storage.compression import CodecChoice
from dasklasso.storage.missing_codes import MissingCode

DTYPES = ("auto", "float32", "float64", "uint8", "int8", "uint16", "int16", "int32")
Progress = Callable[[int, int | None], None]

_LEAST_MEMORY = 16 << 20
UNTARGETED = "no target was named (--target): rows to be joined by their ids (--covariates)."


@dataclass(frozen=True)
class IngestReport:
    """What an ingest did.

    Attributes
    ----------
    store : str
    n_rows, n_features : int
    codec : CodecChoice
        The codec and what was measured of each.
    seconds : float
    bytes : int
        Size of the store on disk.
    warnings : list of str
        What in the data deserves a look.
    notes : list of str
        What was done that need not worry: values that were filled as asked, a wider type.
    manifest : Manifest
    dialect : str
        How a CSV file is written, where that is to be said; else empty.
    """

    store: str
    n_rows: int
    n_features: int
    codec: CodecChoice
    seconds: float
    bytes: int
    warnings: list[str]
    notes: list[str]
    manifest: Manifest
    dialect: str = ""


def ingest(
    source: str | os.PathLike[str],
    store: str | os.PathLike[str],
    *,
    target: str | Sequence[str] | None = None,
    weight: str | None = None,
    fold: str | None = None,
    offset: str | None = None,
    drop: Iterable[str] = (),
    dtype: str = "auto",
    memory: int = 1 << 30,
    missing: Missing = "error",
    missing_values: Sequence[str | float] = (),
    dataset_path: str | None = None,
    overwrite: bool = False,
    codec: str = "auto",
    reading: Reading | None = None,
    plan: TableSchema | None = None,
    targets: str | os.PathLike[str] | None = None,
    id_column: str | None = None,
    min_maf: float | None = None,
    max_missing: float | None = None,
    progress: Progress | None = None,
) -> IngestReport:
    """Turn a table into a dataset store.

    The source is streamed once; twice where text columns must be known beforehand, missing values
    are filled, or it is svmlight; once more where float32 turns out to be too coarse. Interrupted
    at any point, it leaves nothing at ``store``, and another run starts over.

    Parameters
    ----------
    source : str or Path
        Parquet or CSV (file, folder or glob pattern), NPY, NPZ, HDF5, svmlight, PLINK 1's .bed.
    store : str or Path
        The store to make.
    target : str or sequence of str, optional
        Column(s) to predict. NPY, NPZ, HDF5: also an array or NPY file beside X, or a column
        number. NPZ and HDF5 have ``y`` or ``target`` by default, svmlight its label. Text becomes
        classes 0 to k-1 in sorted order, recorded in the manifest's schema; so do booleans.
    weight, fold, offset : str, optional
        Columns of sample weights, of folds, and of offsets: what is added to each row's
        prediction, with no coefficient.
    drop : iterable of str
        Columns to leave out; also patterns, such as ``bureau_*``.
    dtype : str
        Of X, where it is not integer or boolean throughout: those keep their small type. One of
        "auto" (float32, or float64 where float32 would round a column by more than 1e-4 of its
        standard deviation: the report says which), "float32", "float64", or an integer type that
        must hold all values.
    memory : int
        Bytes that may be used.
    missing : {"error", "mean"}
        Missing values of X are refused; or numbers are filled with the column's mean and counted,
        and those of a text column are a level of their own, ``column=<missing>``.
    missing_values : sequence of str or number
        Values of X that count as missing too, such as -1: numbers in number columns, the same
        text in text columns.
    dataset_path : str, optional
        HDF5 and NPZ: which array is X.
    overwrite : bool
        Replace a store that is there; it stays until the new one is complete.
    codec : {"auto", "none", "lz4", "zstd"}
        "auto" goes by how much a sample shrinks.
    reading : Reading, optional
        How texts are read: decimal marks, missing values, dates, categories; CSV's dialect.
    plan : TableSchema, optional
        What each column becomes, in the place of the columns that are named above and of reading.
    targets : str or Path, optional
        A table (Parquet, CSV) that the targets are columns of; weights, folds and offsets too,
        where it has them. Rows without a target are left out, and counted.
    id_column : str, optional
        The column of ids by which rows of that table are found, in any order. The source has it
        too; of PLINK's genotypes it is the sample id of .fam. The store keeps a digest of each,
        by which rows of other stores are found; without targets, no target is needed.
    min_maf, max_missing : float, optional
        Genotypes: variants whose rarer allele is less frequent, or that more samples than this
        share have no genotype of, are left out.
    progress : callable, optional
        Called with the rows done and the rows in all (None while unknown).

    Returns
    -------
    IngestReport

    Raises
    ------
    OptionError
        An option cannot be used, or names a column that is not there.
    SourceError
        The table cannot be read as asked.
    ValueFound
        A value cannot be used; the message names file, row and column.
    StoreError
        The store exists or cannot be written.
    """
    started = time.perf_counter()
    _check_options(dtype, missing, memory)
    codes = MissingValues.named(missing_values)
    if plan is not None:
        target, drop = plan.names("target"), plan.names("drop")
        weight, fold, offset = (plan.only(role) for role in ("weight", "fold", "offset"))
        reading = plan.reading()
    reading = reading or Reading()
    wanted = VariantFilter(min_maf, max_missing)
    from_table = targets_table(targets, id_column)
    join_notes: list[str] = []
    with reserve(store, overwrite=overwrite, reading=source) as folder:
        opened = open_source(
            source,
            dataset=dataset_path,
            memory=memory,
            scratch=os.fspath(folder.partial),
            expected=Expected(
                absent=codes.words, reading=reading, as_is=(id_column,) if id_column else ()
            ),
        )
        if plan is not None:
            plan.check_columns(opened)
        asked = (target,) if isinstance(target, str) else tuple(target or ())
        if from_table is None:
            keep_phenotyped(opened, asked)
        else:
            opened, join_notes = join_targets(
                opened,
                from_table,
                target=asked,
                beside=[name for name in (weight, fold, offset) if name],
                reading=reading,
                memory=memory,
            )
        check_columns_said(opened, reading)
        keep_variants(opened, wanted)
        own = {column.name for column in opened.columns} - set(opened.beside)
        roles = assign_roles(
            opened,
            target=target,
            weight=weight,
            fold=fold,
            drop=(*drop, id_column) if id_column in own else drop,
            offset=offset,
            needs_target=id_column is None,
        )
        row_ids, named = row_ids_of(opened, id_column)
        roles = replace(roles, id=named)
        known = survey(
            opened,
            roles,
            fill=missing == "mean",
            rows=batch_rows(len(roles.used), memory),
            missing_values=codes,
            reading=reading,
        )

        def write(kind: StoredType) -> tuple[Encoder, StoreWriter]:
            code, stands = kind.missing_code, None
            encoder = Encoder(
                opened, roles, known, dtype=kind.dtype, missing=missing, missing_code=code
            )
            if code is not None:
                stands = MissingCode.of(code, known.fill_of(encoder.feature_names))
            columns = genotype_columns(opened, roles, known, kind, memory)
            make: Callable[..., StoreWriter] = StoreWriter
            if columns is not None:
                make = partial(ColumnsWriter, chunk_columns=columns.of_chunk)
            writer = make(
                store,
                feature_names=encoder.feature_names,
                target_names=[column.name for column in roles.targets],
                dtype=kind.dtype,
                with_weight=roles.weight is not None,
                with_fold=roles.fold is not None,
                with_offset=roles.offset is not None,
                codec=codec,
                memory=memory,
                n_rows=opened.n_rows,
                folder=folder,
                label=opened.path,
                missing_code=stands,
                row_ids=row_ids,
            )
            if isinstance(writer, ColumnsWriter) and columns is not None:
                copy_columns(opened, roles, encoder, writer, columns, stands, memory, progress)
            else:
                copy_rows(opened, roles, encoder, writer, memory, progress)
            return encoder, writer

        kind = choose_type(opened, roles, known, dtype)
        encoder, writer = write(kind)
        rounding = encoder.rounding
        harmed = rounding.harmed(writer.complete_std())
        widened = bool(harmed.any()) and dtype == "auto"
        if widened:  # seldom: a first pass over all columns would cost every ingest a read
            kind = StoredType(np.dtype(np.float64))
            folder.empty()
            encoder, writer = write(kind)
        _refuse_one_class(opened, roles, known)
        manifest = writer.finish(
            origin_of(opened, targets),
            lambda statistics: schema_of_table(
                opened, roles, known, encoder, statistics, kind, missing, dataset_path, reading
            ),
        )
    names, statistics = manifest.feature_names, manifest.statistics
    found = harmed_columns(names, statistics, rounding, harmed)
    notes = [widened_note(found)] if widened else []
    notes += [] if roles.targets else [UNTARGETED]
    warnings = []
    if found and not widened:
        warnings.append(rounded_warning(found, str(kind.dtype)))
    if beyond := [names[j] for j in np.flatnonzero(rounding.beyond_integers).tolist()]:
        warnings.append(beyond_integers_warning(beyond))
    warnings += code_warnings(names, encoder.lone_codes.found())
    constant = (statistics.std == 0) & (widened | ~harmed)
    warnings += table_warnings(manifest, opened, known, constant)
    notes += join_notes + genotype_notes(opened, kind.dtype) + table_notes(manifest, known)
    return report_of(store, writer, manifest, opened, started, warnings, notes)


def report_of(
    store: str | os.PathLike[str],
    writer: StoreWriter,
    manifest: Manifest,
    source: Source,
    started: float,
    warnings: list[str],
    notes: list[str],
) -> IngestReport:
    """Return what an ingest did that began at ``started``, by the performance counter."""
    assert writer.codec is not None
    return IngestReport(
        store=os.fspath(store),
        n_rows=manifest.n_rows,
        n_features=manifest.n_features,
        codec=writer.codec,
        seconds=time.perf_counter() - started,
        bytes=sum(file.stat().st_size for file in Path(store).rglob("*") if file.is_file()),
        warnings=warnings,
        notes=notes,
        manifest=manifest,
        dialect=source.dialect,
    )


def _check_options(dtype: str, missing: str, memory: int) -> None:
    if dtype not in DTYPES:
        raise OptionError(f"dtype is {dtype!r}, expected one of {', '.join(DTYPES)}.")
    if missing not in get_args(Missing):
        raise OptionError(f"missing is {missing!r}, expected error or mean.")
    if memory < _LEAST_MEMORY:
        raise OptionError(f"memory is {memory} bytes, expected at least {_LEAST_MEMORY >> 20} MiB.")


def origin_of(source: Source, targets: str | os.PathLike[str] | None = None) -> dict[str, Any]:
    """Find where a store's rows are from, and what wrote them."""
    return {
        **({} if targets is None else {"targets": os.fspath(targets)}),
        "source": source.path,
        "format": source.format,
        "ingested": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {name: version(name) for name in ("dasklasso", "numpy", "pyarrow", "zarr")},
    }


def _refuse_one_class(source: Source, roles: Roles, known: Survey) -> None:
    for column in roles.targets:
        if column.kind == "text" and len(known.levels[column.name]) == 1:
            raise ValueFound(
                f"{source.path}: target {column.name} is {known.levels[column.name][0]!r} in every "
                "row, expected at least two classes."
            )
