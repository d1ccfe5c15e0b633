"""Rows of a table appended to a store: either all of them are in, or none."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, get_args

import numpy as np
import zarr

from dasklasso.choices import Missing
from dasklasso.dataset.array_metadata import check_arrays, without_consolidated
from dasklasso.dataset.ingest.align import Asked, Need, align
from dasklasso.dataset.ingest.encoder import (
    Encoder,
    Levels,
    batch_rows,
    refuse_inexact_texts,
)
from dasklasso.dataset.ingest.next_store import Successor
from dasklasso.dataset.ingest.precision import harmed_columns, rounded_warning
from dasklasso.dataset.ingest.running_moments import RunningMoments, merge_statistics
from dasklasso.dataset.ingest.targets_table import new_row_ids
from dasklasso.dataset.manifest import MANIFEST_KEY, Manifest
from dasklasso.dataset.row_ids import ROW_IDS
from dasklasso.dataset.schema import Schema
from dasklasso.dataset.sources import Source, open_source
from dasklasso.errors import OptionError, SourceError, StoreError, ValueFound
from dasklasso.files.atomic import PartialFolder, restore
from dasklasso.files.places import check_places, input_place, is_url
from dasklasso.storage.missing_codes import MissingCode
from dasklasso.storage.opening import member, open_node

Progress = Callable[[int, int | None], None]

_UPDATES_KEPT = 20  # in the manifest, the latest ones


class Follower(Protocol):
    """Follows the rows that are appended, as stored moments do."""

    def begin(self, before: Manifest) -> None:
        """The store is held, and no other process changes it."""
        ...

    def rows(
        self,
        first_row: int,
        X: np.ndarray,
        y: np.ndarray,
        sample_weight: np.ndarray | None,
        fold: np.ndarray | None,
    ) -> None:
        """Rows as a fit sees them: X (m, n_features), y (m, n_targets), the others (m,)."""
        ...

    def before_swap(self, after: Manifest) -> None:
        """All rows were seen and are written; readers still see the old store."""
        ...

    def after_swap(self) -> None:
        """The store has the new rows."""
        ...


@dataclass(frozen=True)
class UpdateReport:
    """What an update did.

    Attributes
    ----------
    store : str
    n_appended, n_rows, n_features : int
        Rows appended, rows that are there now, features.
    chunks_linked, chunks_written : int
        Row chunks that were left alone, and that were written.
    seconds : float
    warnings, notes : list of str
        What deserves a look, and what was done that need not worry.
    before, manifest : Manifest
        The store's manifest before and after.
    """

    store: str
    n_appended: int
    n_rows: int
    n_features: int
    chunks_linked: int
    chunks_written: int
    seconds: float
    warnings: list[str]
    notes: list[str]
    before: Manifest
    manifest: Manifest


def append_rows(
    store: str | os.PathLike[str],
    source: str | os.PathLike[str],
    *,
    target: str | Sequence[str] | None = None,
    weight: str | None = None,
    fold: str | None = None,
    offset: str | None = None,
    drop: Iterable[str] = (),
    memory: int = 1 << 30,
    missing: Missing | None = None,
    dataset_path: str | None = None,
    followers: Sequence[Follower] = (),
    progress: Progress | None = None,
) -> UpdateReport:
    """Append the rows of a table to a store that dasklasso ingested.

    A successor of the store is made beside it, out of links to the chunks that stay and the
    chunks that do not, and takes its place in one step. Interrupted at any point (also by
    SIGKILL), the store has its old rows or its old and all of its new ones. Views of the old
    store's chunks stay good; a fit under way that comes to a chunk written anew ends with an error.

    The store then has the arrays, statistics (to rounding) and fingerprint that it would have
    if the table with all the rows had been ingested in the same chunks.

    Parameters
    ----------
    store : str or Path
        A local store with a manifest.
    source : str or Path
        Of any kind that :func:`~dasklasso.dataset.ingest.ingest.ingest` takes. It has the store's
        columns, by name and in any order.
    target, weight, fold, offset, drop : optional
        Where the names differ from those the store was ingested with.
    memory : int
        Bytes that may be used.
    missing : {"error", "mean"}, optional
        By default as when the store was ingested. The means are those of the rows that it was
        ingested with, as for a model that is fitted on it.
    dataset_path : str, optional
        HDF5, NPZ: the array that is X.
    followers : sequence of Follower
    progress : callable, optional
        Called with the new rows done and in all (None while unknown).

    Returns
    -------
    UpdateReport

    Raises
    ------
    StoreError
        There is no such store, it is damaged, cannot be written, or another process writes it.
    OptionError, SourceError, ValueFound
        The rows do not fit the store; the message names the column, and the row where it can.
    """
    started = time.perf_counter()
    if missing is not None and missing not in get_args(Missing):
        raise OptionError(f"missing is {missing!r}, expected error or mean.")
    path = _local(store)
    if os.path.realpath(source := input_place(source, "new_rows")) == os.fspath(path):
        raise OptionError(f"new_rows: {source} is the store itself, expected a table of new rows.")
    check_places({"store": path}, {"new_rows": source})
    with PartialFolder(path, overwrite=True) as folder:
        group, before = _open(path)
        schema = before.schema_for(_dtype_of(group))
        opened = open_source(
            source,
            dataset=dataset_path or schema.array_for(source),
            memory=memory,
            scratch=os.fspath(folder.partial),
            expected=schema.expected(() if schema.id is None else (schema.id,)),
        )
        for follower in followers:
            follower.begin(before)
        appending = _Appending(
            opened,
            Successor(folder, group, before, memory=memory),
            before,
            schema,
            store=os.fspath(store),
            missing=missing or schema.missing,
            asked=Asked(
                needs=_needs(group),
                target=target,
                weight=weight,
                fold=fold,
                offset=offset,
                drop=tuple(drop),
            ),
        )
        appending.copy(memory, followers, progress)
        after = appending.manifest()
        for follower in followers:
            follower.before_swap(after)
        appending.successor.publish(after)
    for follower in followers:
        follower.after_swap()
    return UpdateReport(
        store=os.fspath(store),
        n_appended=after.n_rows - before.n_rows,
        n_rows=after.n_rows,
        n_features=after.n_features,
        chunks_linked=appending.successor.n_linked,
        chunks_written=appending.successor.n_written,
        seconds=time.perf_counter() - started,
        warnings=_warnings(after, appending),
        notes=_notes(before, after),
        before=before,
        manifest=after,
    )


class _Appending:
    """One update under way."""

    def __init__(
        self,
        source: Source,
        successor: Successor,
        before: Manifest,
        schema: Schema,
        *,
        store: str,
        missing: Missing,
        asked: Asked,
    ) -> None:
        self.source = source
        self.successor = successor
        self.before = before
        self.store = store
        self.schema = schema
        aligned = align(source, schema, asked, of=store, strict=True)
        self.roles = aligned.roles
        self.encoder = Encoder(
            source,
            aligned.roles,
            aligned.survey,
            dtype=successor.dtype,
            missing=missing,
            known=Levels(store, remedy="A new level needs a new ingest."),
            missing_code=schema.missing_code,
        )
        if self.encoder.feature_names != before.feature_names:
            raise StoreError(
                f"{store}: its feature names do not go with the categories in its manifest. "
                "Ingest the data again."
            )
        self.code = None
        if schema.missing_code is not None:
            self.code = MissingCode.of(schema.missing_code, schema.means)
        self.moments = RunningMoments(before.n_features, self.code)
        self.missing = np.zeros(before.n_features, dtype=np.int64)
        self.row_ids = None
        if ROW_IDS in successor.sources:
            self.row_ids = new_row_ids(source, schema.id, of=store)

    def copy(self, memory: int, followers: Sequence[Follower], progress: Progress | None) -> None:
        """Read, encode and write every new row."""
        names = [column.name for column in self.roles.used]
        width = max(len(names), self.before.n_features)
        for batch in self.source.batches(names, batch_rows(width, memory)):
            encoded = self.encoder.encode(batch)
            self.missing += encoded.missing
            self.moments.update(encoded.X)
            self._refuse_huge()
            arrays = {
                "X": encoded.X,
                "y": encoded.y,
                "sample_weight": encoded.sample_weight,
                "fold": encoded.fold,
                "offset": encoded.offset,
            }
            assert encoded.y is not None
            first = self.successor.n_rows
            if self.row_ids is not None:
                done = first - self.before.n_rows
                arrays[ROW_IDS] = self.row_ids[done : done + len(encoded.X)]
            self.successor.write({n: a for n, a in arrays.items() if a is not None})
            X = encoded.X if self.code is None or not followers else self.code.filled(encoded.X)
            for follower in followers:
                follower.rows(first, X, encoded.y, encoded.sample_weight, encoded.fold)
            if progress is not None:
                progress(self.successor.n_rows - self.before.n_rows, self.source.n_rows)
        if self.successor.n_rows == self.before.n_rows:
            raise SourceError(f"{self.source.path}: has no rows, expected at least one.")
        refuse_inexact_texts(self.source, self.encoder)

    def manifest(self) -> Manifest:
        """Return the manifest of the old and the new rows; the last chunk is written."""
        before = self.before
        fingerprint = self.successor.complete()
        after = dataclasses.replace(
            before,
            n_rows=self.successor.n_rows,
            statistics=merge_statistics(
                before.statistics,
                before.n_rows,
                self.moments.statistics(self.missing),
                self.moments.count,
            ),
            origin={**before.origin, "updates": self._updates()},
            fingerprint=fingerprint,
            schema=self.schema,
        )
        return self.successor.sealed(after)

    def _refuse_huge(self) -> None:
        bad = ~np.isfinite(self.moments.mean + self.moments.std)
        if bad.any():
            j = int(bad.argmax())
            raise ValueFound(
                f"{self.source.path}: column {self.before.feature_names[j]}: found values up to "
                f"{self.moments.maximum[j]:g}, whose squares are beyond float64."
            )

    def _updates(self) -> dict[str, Any]:
        so_far = self.before.origin.get("updates", {"count": 0, "latest": []})
        this = {
            "source": self.source.path,
            "rows": self.successor.n_rows - self.before.n_rows,
            "updated": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        latest = [*so_far["latest"], this][-_UPDATES_KEPT:]
        return {"count": so_far["count"] + 1, "latest": latest}


def _dtype_of(group: Any) -> np.dtype:
    X = member(group, "X")
    return np.dtype(np.float32) if X is None else np.dtype(X.dtype)


def _needs(group: Any) -> dict[str, Need]:
    """The columns that new rows must have beside the features: one for each of the arrays."""
    arrays = {"weight": "sample_weight", "fold": "fold", "offset": "offset"}
    held: dict[str, Need] = {
        role: "no" if member(group, array) is None else "required" for role, array in arrays.items()
    }
    return {"target": "required", **held}


def _local(store: str | os.PathLike[str]) -> Path:
    text = input_place(store, "store")
    if is_url(text):
        raise StoreError(f"{text}: rows can be appended to a store on a local disk only.")
    path = Path(text)
    restore(path)
    if not path.is_dir():
        raise StoreError(f"{text} {'is not a store' if path.exists() else 'does not exist'}.")
    _open(path)  # refused before a folder is made beside it
    return Path(os.path.realpath(path))  # a link to a store stays one


def _open(path: Path) -> tuple[Any, Manifest]:
    group, location = open_node(str(path), None)
    data = None if isinstance(group, zarr.Array) else group.attrs.get(MANIFEST_KEY)
    if data is None:
        raise StoreError(
            f"{location}: has no manifest of dasklasso, so rows cannot be appended. "
            "Make a store of the data: dasklasso ingest SOURCE STORE."
        )
    manifest = Manifest.from_json(data, where=location)
    check_arrays(manifest, group, location)
    return (group if manifest.files is None else without_consolidated(group)), manifest


def _notes(before: Manifest, after: Manifest) -> list[str]:
    filled = int((after.statistics.missing - before.statistics.missing).sum())
    if not filled:
        return []
    return [f"{filled} missing values were filled with the means of the first ingest."]


def _warnings(after: Manifest, appending: _Appending) -> list[str]:
    found: list[str] = []
    rounding = appending.encoder.rounding
    harmed = rounding.harmed(after.statistics.std)
    if harmed.any():
        columns = harmed_columns(after.feature_names, after.statistics, rounding, harmed)
        found.append(rounded_warning(columns, str(appending.successor.dtype), "a new ingest with"))
    return found
