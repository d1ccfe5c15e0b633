"""Reads every chunk of a dataset and lists every fault: missing, corrupt, not finite, at odds."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import zarr

from dasklasso.dataset.array_metadata import faults_of_arrays, without_consolidated
from dasklasso.dataset.fingerprint import FINGERPRINTED, Fingerprint, chunk_checksum
from dasklasso.dataset.kept_checksums import expected_of_kept
from dasklasso.dataset.manifest import MANIFEST_KEY, Manifest
from dasklasso.dataset.recorded import expected_chunks
from dasklasso.dataset.row_ids import ROW_IDS
from dasklasso.errors import ChunkMissing, StoreError
from dasklasso.storage.chunk_checksums import ChunkChecksums
from dasklasso.storage.opening import StoreLike, member, open_node
from dasklasso.storage.zarr_blocks import EmptyChunks, ZarrBlocks

Place = tuple[str, int, int]


@dataclass(frozen=True)
class Fault:
    """Something wrong with a store.

    Attributes
    ----------
    array : str
        ``""`` for the manifest.
    key : str
        The chunk's key below the array, ``""`` where the fault is not of one chunk.
    rows : (start, stop) or None
    problem : str
        One line.
    """

    array: str
    key: str
    rows: tuple[int, int] | None
    problem: str

    def __str__(self) -> str:
        return self.problem


@dataclass(frozen=True)
class VerifyReport:
    """What :func:`verify` found.

    Attributes
    ----------
    location : str
    arrays : tuple of str
        Those that were read.
    n_chunks : int
    bytes_read : int
        As stored.
    seconds : float
    faults : tuple of Fault
        In the order of the arrays and their chunks; empty for a sound store.
    """

    location: str
    arrays: tuple[str, ...]
    n_chunks: int
    bytes_read: int
    seconds: float
    faults: tuple[Fault, ...]

    @property
    def ok(self) -> bool:
        return not self.faults


def verify(
    store: StoreLike,
    *,
    x: str = "X",
    target: str = "y",
    empty_chunks: EmptyChunks = "error",
    storage_options: dict[str, Any] | None = None,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> VerifyReport:
    """Check a dataset: every chunk is there, whole, decodes, and holds finite values.

    For a store of our own, also that arrays and manifest agree, that each chunk is the one that
    was written in its place, and that the values have the fingerprint they were ingested with.
    Memory: one decoded chunk for each thread.

    Parameters
    ----------
    store, x, target, empty_chunks, storage_options
        As for :func:`~dasklasso.dataset.dataset.open_dataset`.
    threads : int, optional
        One for each core unless given.
    progress : callable, optional
        Called with the number of chunks done and of chunks in all, by one thread at a time.

    Raises
    ------
    StoreError
        There is no store, or none of the arrays.
    """
    began = time.perf_counter()
    node, location = open_node(store, storage_options)
    manifest, recorded = _recorded(node, location, x)
    if manifest is not None and manifest.files is not None:
        node = without_consolidated(node)
    sources = _sources(node, location, x, target, empty_chunks, recorded)
    places = [
        (name, i, j)
        for name, source in sources.items()
        for i in range(len(source.row_bounds) - 1)
        for j in range(len(source.column_bounds) - 1)
    ]
    check = _ChunkCheck(sources)
    _in_threads(check, places, threads or os.cpu_count() or 1, progress)
    faults = [*recorded.faults]
    faults += [fault for place in places for fault in check.faults.get(place, ())]
    faults += _faults_between(sources)
    if manifest is not None and not recorded.faults:
        faults += _faults_of_manifest(manifest, sources, check, location)
    return VerifyReport(
        location=location,
        arrays=tuple(sources),
        n_chunks=len(places),
        bytes_read=sum(check.sizes.values()),
        seconds=time.perf_counter() - began,
        faults=tuple(faults),
    )


@dataclass(frozen=True)
class _Recorded:
    """What a manifest says of arrays: their chunks' checksums, and in what they are not like it."""

    expected: dict[str, ChunkChecksums]
    faults: list[Fault]

    def has_fault(self, name: str) -> bool:
        """Whether an array cannot be read, or not for what it was."""
        return any(fault.array == name for fault in self.faults)


def _recorded(node: Any, location: str, x: str) -> tuple[Manifest | None, _Recorded]:
    """Return the manifest, None where there is none that can be read, and what it records."""
    if not isinstance(node, zarr.Group) or x != "X":
        return None, _Recorded({}, [])
    manifest, faults, expected = None, [], {}
    try:
        if MANIFEST_KEY in node.attrs:
            data: Any = node.attrs[MANIFEST_KEY]
            manifest = Manifest.from_json(data, where=location)
        expected = expected_chunks(node, manifest, location)
    except StoreError as error:
        return None, _Recorded({}, [Fault("", "", None, str(error))])
    if manifest is not None:
        found = faults_of_arrays(manifest, node, location)
        faults += [Fault(name, "", None, problem) for name, problem in found]
    for name in list(expected):
        try:
            expected[name].read()  # anew, whatever this process knows of it
        except StoreError as error:
            faults.append(Fault(name, "", None, str(error)))
    return manifest, _Recorded(expected, faults)


def _sources(
    node: Any,
    location: str,
    x: str,
    target: str,
    empty_chunks: EmptyChunks,
    recorded: _Recorded,
) -> dict[str, ZarrBlocks]:
    """Return the arrays that can be read for what they were written as."""
    found = {"X": ("X", node)}
    if isinstance(node, zarr.Group):
        names = {"X": x, "y": target, "sample_weight": "sample_weight", "fold": "fold"}
        names["offset"] = "offset"
        if ROW_IDS in recorded.expected or recorded.has_fault(ROW_IDS):  # of ours alone
            names[ROW_IDS] = ROW_IDS
        readable = {role: name for role, name in names.items() if not recorded.has_fault(name)}
        found = {role: (name, member(node, name)) for role, name in readable.items()}
        if "X" in found and found["X"][1] is None:
            raise StoreError(f"{location} has no array {x}.")
    sources = {
        role: ZarrBlocks(
            array,
            location=location,
            name=role,
            empty_chunks=empty_chunks,
            expected=recorded.expected.get(name),
        )
        for role, (name, array) in found.items()
        if array is not None
    }
    for source in sources.values():
        if source.expected is None:
            source.expect(expected_of_kept(source, location))
    return sources


def _in_threads(
    check: _ChunkCheck,
    places: list[Place],
    threads: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    waiting, lock, done = iter(places), threading.Lock(), 0
    failures: list[BaseException] = []

    def work() -> None:
        nonlocal done
        while not failures:
            with lock:
                place = next(waiting, None)
            if place is None:
                return
            try:
                check(place)
                with lock:
                    done += 1
                    if progress is not None:
                        progress(done, len(places))
            except BaseException as error:
                failures.append(error)  # raised below, in the caller's thread
                return

    workers = [threading.Thread(target=work, daemon=True) for _ in range(threads)]
    for worker in workers:
        worker.start()
    try:
        for worker in workers:
            worker.join()
    except BaseException as error:
        failures.append(error)  # Ctrl-C: stop the others after the chunk they are at
        raise
    if failures:
        raise failures[0]


class _ChunkCheck:
    """Checks one chunk when called, and keeps what it found and the values' checksum."""

    def __init__(self, sources: dict[str, ZarrBlocks]) -> None:
        self.sources = sources
        self.faults: dict[Place, list[Fault]] = {}
        self.checksums: dict[Place, int] = {}
        self.sizes: dict[Place, int] = {}

    def __call__(self, place: Place) -> None:
        found = list(self._problems(place))
        if found:
            name, i, j = place
            source = self.sources[name]
            rows = (source.row_bounds[i], source.row_bounds[i + 1])
            key = source.chunk_key(i, j)
            self.faults[place] = [Fault(name, key, rows, problem) for problem in found]

    def _problems(self, place: Place) -> Iterator[str]:
        name, i, j = place
        source = self.sources[name]
        source.forget(i, j)
        try:
            if source.empty_chunks == "error":
                holes = source.holes(i, j)
                yield from (f"{source.chunk_name(i, j)}: no inner chunk of {at}." for at in holes)
                if holes:
                    return
            values = source.block(i, j)
        except ChunkMissing:
            yield f"{source.chunk_name(i, j)} is missing."
            return
        except StoreError as error:
            yield str(error)
            return
        self.sizes[place] = source.stored_bytes(i, j)  # summed later: += is not atomic
        self.checksums[place] = chunk_checksum(values)
        if _all_finite(values):
            return
        bad = ~np.isfinite(values)
        row, column = (int(at) for at in np.argwhere(bad)[0])
        yield (
            f"{source.chunk_name(i, j)}: {int(bad.sum()):,} values are not finite, the first in "
            f"row {source.row_bounds[i] + row:,}, column {source.column_bounds[j] + column:,} "
            f"({values[row, column]})."
        )


def _all_finite(values: np.ndarray) -> bool:
    if values.dtype.kind != "f":
        return True
    with np.errstate(over="ignore", invalid="ignore"):
        total = values.sum(dtype=np.result_type(values.dtype, np.float32))
    return bool(np.isfinite(total)) or bool(np.isfinite(values).all())


def _faults_between(sources: dict[str, ZarrBlocks]) -> list[Fault]:
    if "X" not in sources:
        return []
    n = sources["X"].shape[0]
    return [
        Fault(name, "", None, f"{name} has {source.shape[0]:,} rows and X has {n:,}.")
        for name, source in sources.items()
        if source.shape[0] != n
    ]


def _faults_of_manifest(
    manifest: Manifest, sources: dict[str, ZarrBlocks], check: _ChunkCheck, location: str
) -> list[Fault]:
    X = sources["X"]
    y_columns = sources["y"].shape[1] if "y" in sources else 0
    statistics = manifest.statistics
    pairs = {
        "rows": (manifest.n_rows, X.shape[0]),
        "features": (manifest.n_features, X.shape[1]),
        "feature names": (len(manifest.feature_names), X.shape[1]),
        "target names": (len(manifest.target_names), y_columns),
        "column means": (len(statistics.mean), X.shape[1]),
        "column deviations": (len(statistics.std), X.shape[1]),
    }
    problems = [
        f"The manifest has {said:,} {what} and the arrays have {is_there:,}."
        for what, (said, is_there) in pairs.items()
        if said != is_there
    ]
    n_places = sum((len(s.row_bounds) - 1) * (len(s.column_bounds) - 1) for s in sources.values())
    if not problems and len(check.checksums) == n_places:
        computed = _fingerprint(sources, check.checksums)
        if computed != manifest.fingerprint:
            problems.append(
                f"The values have the fingerprint {computed}, the manifest says "
                f"{manifest.fingerprint}: chunks were changed since they were written."
            )
    return [Fault("", "", None, f"{location}: {problem}") for problem in problems]


class _Collected(Fingerprint):
    """A fingerprint from checksums made already, by several threads."""

    def __init__(self, checksums: dict[Place, int]) -> None:
        super().__init__()
        for (name, _, _), checksum in sorted(checksums.items()):
            self._checksums.setdefault(name, []).append(checksum)


def _fingerprint(sources: dict[str, ZarrBlocks], checksums: dict[Place, int]) -> str:
    layout = {
        name: (source.stored_shape, source.dtype)
        for name, source in sources.items()
        if name in FINGERPRINTED
    }
    return _Collected(checksums).digest(layout)
