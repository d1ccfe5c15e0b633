"""A dataset opened: X, y, weights and folds as block sources, checked, whatever wrote them."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import zarr

from dasklasso.dataset.array_metadata import check_arrays, without_consolidated
from dasklasso.dataset.checks import (
    NumberedNames,
    as_float64,
    check_finite,
    check_folds,
    check_length,
    check_offsets,
    check_weights,
)
from dasklasso.dataset.dask_arrays import is_dask, spill
from dasklasso.dataset.fingerprint import fingerprint_of
from dasklasso.dataset.manifest import MANIFEST_KEY, ColumnStatistics, Manifest, identity_of
from dasklasso.dataset.opener import Opener, in_memory
from dasklasso.dataset.recorded import expected_of_part
from dasklasso.dataset.row_ids import ROW_IDS
from dasklasso.dataset.schema import Schema
from dasklasso.dataset.unchanged import Opened, of_one_version
from dasklasso.errors import OptionError, StoreError, ValueFound
from dasklasso.storage.blocks import BlockSource
from dasklasso.storage.missing_codes import FilledBlocks, MissingCode
from dasklasso.storage.opening import StoreLike, open_node
from dasklasso.storage.zarr_blocks import EmptyChunks, ZarrBlocks


@dataclass(frozen=True, eq=False)
class Dataset:
    """A table to fit on or predict for.

    Attributes
    ----------
    X : BlockSource, (n_rows, n_features)
    y : BlockSource or None, (n_rows, n_targets) float64
        None where there is nothing to fit, only to predict.
    sample_weight : BlockSource or None, (n_rows, 1) float64
    fold : BlockSource or None, (n_rows, 1) integers
    feature_names, target_names : sequence of str
        x0, x1, … and y (or y0, y1, …) where the data do not name them.
    y_is_vector : bool
        Whether y was given with one dimension; predictions then have one too.
    target_classes : sequence of (tuple of str or None), or empty
        For each target that was text when it was ingested, the names of its classes: code 0
        first. Empty where no target was.
    offset : BlockSource or None, (n_rows, 1) float64
        What is added to each row's prediction, whatever the model.
    row_ids : BlockSource or None, (n_rows, 2) uint64
        Digests of the ids of rows: see :mod:`~dasklasso.dataset.row_ids`.
    statistics : ColumnStatistics or None
        None for data that we did not ingest: a scan computes them.
    fingerprint : str
        Equal for equal data (a manifest's), or at least different for different data.
    location : str
        How messages name the data.
    schema : Schema or None
        How a table's columns became the features, where dasklasso ingested one.
    covariates : Schema or None
        How the last columns of X became what they are, where they are of a table of covariates.
    chunks : str
        Digest of the chunks as they are stored and of their places, where a manifest has it: each
        read is compared with it.
    opened : Opened or None
        What the store was when it was opened; None for data in memory.
    """

    X: BlockSource
    y: BlockSource | None
    sample_weight: BlockSource | None
    fold: BlockSource | None
    feature_names: Sequence[str]
    target_names: Sequence[str]
    y_is_vector: bool
    statistics: ColumnStatistics | None
    fingerprint: str
    location: str
    target_classes: Sequence[tuple[str, ...] | None] = ()
    offset: BlockSource | None = None
    row_ids: BlockSource | None = None
    schema: Schema | None = None
    covariates: Schema | None = None
    chunks: str = ""
    opened: Opened | None = field(default=None, repr=False)
    keep: object = field(default=None, repr=False)  # a temporary store, deleted with the dataset

    @property
    def n_rows(self) -> int:
        return self.X.shape[0]

    @property
    def n_features(self) -> int:
        return self.X.shape[1]

    @property
    def n_covariates(self) -> int:
        """Columns of X that are covariates: the last ones."""
        return 0 if self.covariates is None else len(self.covariates.feature_names)

    @property
    def n_targets(self) -> int:
        return 0 if self.y is None else self.y.shape[1]

    @property
    def identity(self) -> str:
        """Digest of the data and of the chunks that they are read from, where it is known."""
        return identity_of(self.fingerprint, self.chunks)

    def check_unchanged(self) -> None:
        """Refuse to keep what was computed of a store that is not the one that was opened.

        Raises
        ------
        StoreError
        """
        if self.opened is not None:
            self.opened.check()

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Open a context at whose end, also after a chunk was refused, the store is checked.

        Raises
        ------
        StoreError
            It was replaced or changed: in the place of what came of that.
        """
        try:
            yield
        except StoreError:
            self.check_unchanged()
            raise
        self.check_unchanged()


@of_one_version
def open_dataset(
    store: StoreLike,
    *,
    y: Any = None,
    sample_weight: Any = None,
    offset: Any = None,
    x: str = "X",
    target: str = "y",
    empty_chunks: EmptyChunks = "error",
    storage_options: dict[str, Any] | None = None,
    require_target: bool = True,
) -> Dataset:
    """Open a Zarr store as a dataset; nothing of X is read.

    Parameters
    ----------
    store : path, URL, zarr.Group or zarr.Array
        A group with arrays X and y (and optionally ``sample_weight``, ``fold`` and ``offset``),
        or the array X alone; ingested or written by other programs, Zarr v2 or v3.
    y, sample_weight, offset : path, URL, zarr.Array or NumPy array, optional
        Instead of the group's own. A plain name is looked for in the group first.
    x, target : str
        Names of X and y in the group.
    empty_chunks : {"error", "zero"}
        What a chunk of X, y, ... is that the store does not hold; see :class:`ZarrBlocks`.
    storage_options : dict, optional
        For URLs: handed to fsspec.
    require_target : bool
        Whether a dataset without y is refused, and y and the weights are read and checked.

    Raises
    ------
    StoreError
        There is no such store; it has no X or y; an array is not of numbers or of another length.
    ValueFound
        A target is constant or not finite, or a sample weight is negative.
    OptionError, DependencyMissing
    """
    node, location = open_node(store, storage_options)
    manifest = None
    if isinstance(node, zarr.Group) and MANIFEST_KEY in node.attrs and x == "X":
        manifest = Manifest.from_json(node.attrs[MANIFEST_KEY], where=location)
        check_arrays(manifest, node, location)
        node = node if manifest.files is None else without_consolidated(node)
    opener = Opener(node, location, empty_chunks, storage_options, manifest)
    if isinstance(node, zarr.Array):
        X = ZarrBlocks(
            node,
            location=location,
            name="X",
            empty_chunks=empty_chunks,
            expected=expected_of_part(node, location),
        )
        vector = node.ndim == 1
    else:
        X, vector = opener.named(x)
        if manifest is not None:
            _check_manifest(manifest, X, location)
    if vector:
        raise StoreError(f"{location}: {X.name} has one dimension, expected rows × columns.")

    targets, y_is_vector = opener.target(y, target, required=require_target)
    weights, _ = opener.given("sample_weight", sample_weight)
    if weights is None:
        weights, _ = opener.optional("sample_weight")
    folds, _ = opener.optional("fold")
    offsets, _ = opener.given("offset", offset)
    if offsets is None:
        offsets, _ = opener.optional("offset")
    row_ids = None if manifest is None else opener.optional(ROW_IDS)[0]

    own_target = manifest is not None and y is None and target == "y"
    whole = own_target and sample_weight is None and offset is None
    dataset = Dataset(
        X=_filled(X, manifest),
        y=None if targets is None else as_float64(targets),
        sample_weight=None if weights is None else as_float64(weights),
        fold=folds,
        feature_names=manifest.feature_names if manifest else NumberedNames("x", X.shape[1]),
        target_names=_target_names(targets, manifest if own_target else None),
        y_is_vector=y_is_vector,
        offset=None if offsets is None else as_float64(offsets),
        target_classes=manifest.target_classes if manifest and own_target else (),
        statistics=manifest.statistics if manifest else None,
        fingerprint=manifest.fingerprint if manifest else "",
        location=location,
        row_ids=row_ids,
        schema=_schema(manifest, X, own_target=own_target),
        chunks=manifest.chunks if manifest else "",
    )
    _check(dataset, values=require_target)
    opened = Opened.now(
        location,
        {} if whole else _sources(dataset, with_X=manifest is None),
        None if manifest is None else node,
        manifest,
    )
    return dataclasses.replace(
        dataset, opened=opened, fingerprint=_fingerprint(manifest, opened.files)
    )


def from_arrays(
    X: Any,
    y: Any,
    sample_weight: Any = None,
    *,
    offset: Any = None,
    feature_names: Sequence[str] | None = None,
) -> Dataset:
    """Arrays as a dataset.

    Parameters
    ----------
    X : (n_rows, n_features) NumPy array, zarr.Array or dask array
        A dask array is written once to a temporary store, which is deleted with the dataset.
    y : (n_rows,) or (n_rows, n_targets), or None for prediction
    sample_weight, offset : (n_rows,), optional
    feature_names : sequence of str, optional

    Raises
    ------
    OptionError
        An array has a dtype or number of dimensions that cannot be used.
    StoreError, ValueFound
        As :func:`open_dataset`.
    """
    location = "the data"
    given = {"X": X, "y": y, "sample_weight": sample_weight, "offset": offset}
    dimensions = {name: np.ndim(array) for name, array in given.items() if array is not None}
    spilled = {name: array for name, array in given.items() if is_dask(array)}
    sources: dict[str, BlockSource | None] = dict.fromkeys(given)
    keep = None
    if is_dask(X) and dimensions["X"] != 2:
        raise OptionError(f"X has {dimensions['X']} dimensions, expected 2 (rows × columns).")
    if spilled:
        written, keep = spill(**spilled)
        sources.update(written)
    for name, array in given.items():
        if array is None or name in spilled:
            continue
        if isinstance(array, zarr.Array):
            expected = expected_of_part(array, location)
            sources[name] = ZarrBlocks(array, location=location, name=name, expected=expected)
        else:
            sources[name] = in_memory(name, np.asarray(array))
    table = sources["X"]
    if table is None or dimensions["X"] != 2:
        raise OptionError(f"X has {dimensions.get('X', 0)} dimensions, expected 2.")
    targets, weights, offsets = sources["y"], sources["sample_weight"], sources["offset"]
    names = NumberedNames("x", table.shape[1]) if feature_names is None else tuple(feature_names)
    if len(names) != table.shape[1]:
        raise OptionError(f"{len(names)} feature names were given for {table.shape[1]} columns.")
    dataset = Dataset(
        X=table,
        y=None if targets is None else as_float64(targets),
        sample_weight=None if weights is None else as_float64(weights),
        fold=None,
        feature_names=names,
        target_names=_target_names(targets, None),
        y_is_vector=dimensions.get("y", 1) == 1,
        statistics=None,
        fingerprint="",
        location=location,
        offset=None if offsets is None else as_float64(offsets),
        keep=keep,
    )
    _check(dataset, values=True)
    files = fingerprint_of(_sources(dataset, with_X=True))
    stored: dict[str, BlockSource | None] = {
        name: sources[name] for name in given if isinstance(given[name], zarr.Array)
    }
    opened = Opened.now(location, stored) if stored else None
    return dataclasses.replace(dataset, opened=opened, fingerprint=_fingerprint(None, files))


def _target_names(y: BlockSource | None, manifest: Manifest | None) -> Sequence[str]:
    if manifest is not None:
        return manifest.target_names
    if y is None:
        return ()
    return ("y",) if y.shape[1] == 1 else NumberedNames("y", y.shape[1])


def _schema(manifest: Manifest | None, X: BlockSource, *, own_target: bool) -> Schema | None:
    """Return the schema of the features; it knows nothing of targets that are from elsewhere."""
    if manifest is None:
        return None
    schema = manifest.schema_for(X.dtype)
    return schema if own_target else dataclasses.replace(schema, targets=())


def _filled(X: BlockSource, manifest: Manifest | None) -> BlockSource:
    """Return X with means in the place of missing values, where a code stands for them."""
    if manifest is None or manifest.schema is None or manifest.schema.missing_code is None:
        return X
    return FilledBlocks(X, MissingCode.of(manifest.schema.missing_code, manifest.schema.means))


def _check_manifest(manifest: Manifest, X: BlockSource, location: str) -> None:
    if X.shape != (manifest.n_rows, manifest.n_features):
        raise StoreError(
            f"{location}: X has shape {X.shape}, its manifest says "
            f"{(manifest.n_rows, manifest.n_features)}. Ingest the data again."
        )


def _check(dataset: Dataset, *, values: bool) -> None:
    n, location = dataset.n_rows, dataset.location
    if n == 0 or dataset.n_features == 0:
        raise ValueFound(
            f"{location}: X has shape {dataset.X.shape}, expected at least one row and one column."
        )
    for name in ("y", "sample_weight", "fold", "offset", ROW_IDS):
        source = getattr(dataset, name)
        if source is not None:
            check_length(name, source, n, location)
    if dataset.fold is not None:
        check_folds(dataset.fold, location)
    if values and dataset.y is not None:
        check_finite(dataset.y, dataset.target_names, location)
    if values and dataset.sample_weight is not None:
        check_weights(dataset.sample_weight, location)
    if dataset.offset is not None:
        check_offsets(dataset.offset, location)


def _sources(dataset: Dataset, *, with_X: bool) -> dict[str, BlockSource | None]:
    """Return the arrays whose fingerprint no manifest knows."""
    vectors: dict[str, BlockSource | None] = {
        "y": dataset.y,
        "sample_weight": dataset.sample_weight,
        "fold": dataset.fold,
        "offset": dataset.offset,
    }
    return {"X": dataset.X, **vectors} if with_X else vectors


def _fingerprint(manifest: Manifest | None, files: str) -> str:
    if manifest is None:
        return files
    if not files:
        return manifest.fingerprint
    # X as ingested, with targets or weights from elsewhere
    both = f"{manifest.fingerprint} {files}"
    return "sha256:" + hashlib.sha256(both.encode()).hexdigest()
