"""Which chunk belongs in which place of a store that other programs wrote.

Such a store says nothing of it. After the first complete read the checksums that were computed are
kept beside it, in ``STORE.stats/chunk_checksums``, and later reads compare. A store of others may
also be written anew, which is no damage: where a file was changed after the newest one that was
read, what is kept is of other data, and not used. A chunk that was moved, or put back from an older
copy, has an older time of change than that.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dasklasso.errors import DataWarning, StoreError
from dasklasso.files.atomic import written_beside
from dasklasso.files.regular import open_regular, why
from dasklasso.files.zarr_files import ZARR_FILES, is_zarr
from dasklasso.storage.blocks import BlockSource, Derived
from dasklasso.storage.chunk_checksums import (
    CHECKSUMS,
    ChunkChecksums,
    digest_of,
    encode_checksums,
)
from dasklasso.storage.mapped_files import Identity
from dasklasso.storage.zarr_blocks import ZarrBlocks
from dasklasso.storage.zarr_reader import local_root

STATISTICS_SUFFIX = ".stats"

Known = Mapping[str, tuple[Identity, int]]
"""Of files that were read: what they were then, and the crc32c of their bytes."""


@dataclass(frozen=True)
class KeptChecksums(ChunkChecksums):
    """Checksums from the file beside the store; ``key`` is its path, ``array`` an entry in it."""

    array: str = ""

    def __reduce__(self) -> tuple[Callable[..., ChunkChecksums], tuple[object, ...]]:
        fields = (self.store, self.key, self.digest, self.where, self.remedy, self.array)
        return KeptChecksums, fields

    def read(self) -> np.ndarray:
        """Read the file anew; see :class:`ChunkChecksums`."""
        try:
            found = _load(Path(self.key)).get(self.array)
        except ValueError as error:
            raise StoreError(f"{self.where}: {self.key} cannot be read: {error}.") from error
        if found is None or found.digest != self.digest:
            raise StoreError(f"{self.where}: {self.key} was replaced while the store was read.")
        return found.checksums


@dataclass(frozen=True)
class _Kept:
    """What is kept of one array.

    Attributes
    ----------
    metadata : digest of its metadata
    checksums : (n_chunks,) uint32
        crc32c of each chunk's file, in row-major order of the grid.
    newest : when the file that was changed last had been changed, in ns
    """

    metadata: str
    checksums: np.ndarray
    newest: int

    @property
    def digest(self) -> str:
        return digest_of(encode_checksums(self.checksums))


def kept_file(location: str) -> Path | None:
    """Return where checksums of a local store's chunks are kept; None for any other data."""
    place = Path(location).expanduser()
    if "://" in location or not is_zarr(place):
        return None
    store = Path(os.path.realpath(place))
    if is_zarr(store.parent):
        return None  # a part of a store has no place of its own
    return store.with_name(store.name + STATISTICS_SUFFIX) / CHECKSUMS


def expected_of_kept(source: ZarrBlocks, location: str) -> ChunkChecksums | None:
    """Return which chunk belongs in which place of an array of others, None if it is not known.

    Raises
    ------
    StoreError
        The array's metadata are other ones, and were not written since its chunks were read.
    """
    path = kept_file(location) if source.is_local else None
    if path is None or not path.is_file():
        return None
    try:
        kept = _load(path).get(source.name)
    except ValueError as error:
        warnings.warn(f"{path} is damaged and not used: {error}", DataWarning, stacklevel=2)
        return None
    if kept is None or any(time > kept.newest for time in _times(source)):
        return None
    remedy = f"Restore it, or delete {path} if the store was meant to change."
    if kept.metadata != _digest_of_metadata(source):
        raise StoreError(
            f"{location}: the metadata of {source.name} are not those that its chunks were read "
            f"with, and they are older than that. {remedy}"
        )
    return KeptChecksums(source.store, str(path), kept.digest, location, remedy, source.name)


def keep_checksums(sources: Mapping[str, BlockSource | None], location: str, known: Known) -> None:
    """Keep the checksums of arrays all of whose chunks were read, if they are not kept already.

    Parameters
    ----------
    sources : dict of name to source
    known : of chunk files
        As :meth:`MapCache.known` gives it, of every process that read some.
    """
    path = kept_file(location)
    if path is None:
        return
    unknown = [one for one in _unknown(sources) if one.location == location]
    found = {source.name: _kept_of(source, known) for source in unknown}
    whole = {name: kept for name, kept in found.items() if kept is not None}
    if not whole or not os.access(path.parent.parent, os.W_OK):
        return
    try:
        before = _load(path) if path.is_file() else {}
    except ValueError:  # replaced by what is known now
        before = {}
    try:
        with written_beside(path) as partial:
            partial.write_bytes(_encode({**before, **whole}))
    except (OSError, StoreError) as error:
        warnings.warn(f"checksums of chunks were not kept: {error}", DataWarning, stacklevel=2)


def chunk_files(sources: Mapping[str, BlockSource | None]) -> list[str]:
    """Paths of the chunk files of all arrays of which it is not known what belongs where."""
    return [
        source.chunk_file(i, j) for source in _unknown(sources) for i, j in np.ndindex(*source.grid)
    ]


def _unknown(sources: Mapping[str, BlockSource | None]) -> Iterator[ZarrBlocks]:
    for source in sources.values():
        while isinstance(source, Derived):
            source = source.source
        if isinstance(source, ZarrBlocks) and source.is_local and source.expected is None:
            yield source


def _kept_of(source: ZarrBlocks, known: Known) -> _Kept | None:
    """What to keep of an array; None where a chunk was not read, or was changed since."""
    checksums, newest = [], 0
    for i, j in np.ndindex(*source.grid):
        path = source.chunk_file(i, j)
        identity, checksum = known.get(path, (None, 0))
        try:
            status = os.stat(path)
        except OSError:
            return None
        if identity is None or identity[1:] != (status.st_ino, status.st_mtime_ns, status.st_size):
            return None
        checksums.append(checksum)
        newest = max(newest, status.st_mtime_ns)
    newest = max(newest, *_times_of_metadata(source))
    return _Kept(_digest_of_metadata(source), np.array(checksums, dtype="<u4"), newest)


def _times(source: ZarrBlocks) -> Iterator[int]:
    """When each file of an array was changed last, in ns; of files that are not there nothing."""
    for i, j in np.ndindex(*source.grid):
        try:
            yield os.stat(source.chunk_file(i, j)).st_mtime_ns
        except OSError:
            continue
    yield from _times_of_metadata(source)


def _times_of_metadata(source: ZarrBlocks) -> list[int]:
    folder = local_root(source.store, source.path) or ""
    paths = [Path(folder, name) for name in ZARR_FILES]
    return [path.stat().st_mtime_ns for path in paths if path.is_file()]


def _digest_of_metadata(source: ZarrBlocks) -> str:
    text = json.dumps(source.metadata.to_dict(), sort_keys=True, default=str)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _encode(kept: Mapping[str, _Kept]) -> bytes:
    """Return the file's content: a line with the digest of the rest, and an NPZ file."""
    arrays: dict[str, Any] = {}
    for name, one in kept.items():
        arrays |= {
            f"{name}/checksums": one.checksums,
            f"{name}/newest": np.int64(one.newest),
            f"{name}/metadata": np.array(one.metadata),
        }
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    content = buffer.getvalue()
    return digest_of(content).encode() + b"\n" + content


def _load(path: Path) -> dict[str, _Kept]:
    """Return what is kept of each array.

    Raises
    ------
    ValueError
        The file is not as it was written.
    """
    try:
        with open_regular(path) as file:
            digest, _, content = file.read().partition(b"\n")
    except OSError as error:
        raise ValueError(why(error)) from error
    if digest_of(content).encode() != digest:
        raise ValueError("its digest does not fit its content")
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            names = {entry.rpartition("/")[0] for entry in arrays.files}
            return {
                name: _Kept(
                    str(arrays[f"{name}/metadata"]),
                    arrays[f"{name}/checksums"],
                    int(arrays[f"{name}/newest"]),
                )
                for name in names
            }
    except (KeyError, zipfile.BadZipFile) as error:  # of another version of this program
        raise ValueError(str(error)) from error
