"""Which chunk belongs in which place of a store's arrays, as its manifest was sealed with.

Beside each array is a file with the checksum of every chunk; the manifest has that file's digest.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.storage import LocalStore

from dasklasso.dataset.array_metadata import faults_of_arrays
from dasklasso.dataset.manifest import MANIFEST_KEY, Manifest
from dasklasso.errors import StoreError
from dasklasso.files.regular import open_regular
from dasklasso.files.seal import METADATA
from dasklasso.storage import zarr_reader
from dasklasso.storage.chunk_checksums import (
    CHECKSUMS,
    ChunkChecksums,
    digest_of,
    encode_checksums,
)
from dasklasso.storage.local_files import local_files
from dasklasso.storage.mapped_files import CHECKSUM_BYTES
from dasklasso.storage.zarr_blocks import ZarrBlocks


def record_checksums(folder: Path, arrays: Mapping[str, zarr.Array]) -> dict[str, str]:
    """Write the chunks' checksums beside each array, all of whose chunks are there.

    Parameters
    ----------
    folder : of the store
    arrays : dict of name to array
        Their chunks end in their crc32c, as ours do.

    Returns
    -------
    dict of file to digest

    Raises
    ------
    OSError
    """
    return {_file(name): _record(folder / name, array) for name, array in arrays.items()}


def _record(folder: Path, array: zarr.Array) -> str:
    source = ZarrBlocks(array, location=str(folder.parent), name=folder.name)
    checksums = np.empty(source.grid, dtype=np.uint32)
    for i, j in np.ndindex(*source.grid):
        checksums[i, j] = _ending(source.chunk_file(i, j))
    content = encode_checksums(checksums)
    (folder / CHECKSUMS).write_bytes(content)
    return digest_of(content)


def _ending(path: str) -> int:
    with open_regular(path) as file:
        file.seek(-CHECKSUM_BYTES, 2)
        return int.from_bytes(file.read(), "little")


def expected_chunks(
    group: zarr.Group, manifest: Manifest | None, location: str
) -> dict[str, ChunkChecksums]:
    """Return which chunk belongs in which place, for each array that the manifest lists.

    Parameters
    ----------
    manifest : Manifest or None
        None where the store has none. Of version 1 it knows nothing of chunks.

    Raises
    ------
    StoreError
        The manifest does not say it, or there is none though the store was written with one.
    """
    if manifest is None or manifest.files is None:
        if zarr_reader.fetch(group.store, _key(group, _file("X"))) is not None:
            raise StoreError(
                f"{location}: {_file('X')} is there, but the manifest that goes with it is not: "
                f"{METADATA} was changed. Restore it or ingest again."
            )
        return {}
    found = {}
    for listed in manifest.files:
        name, _, file = listed.rpartition("/")
        if file != METADATA:
            continue
        if _file(name) not in manifest.files:
            raise StoreError(
                f"{location}: the manifest does not say which chunk belongs where in {name}. "
                "Ingest the data again."
            )
        digest = manifest.files[_file(name)]
        found[name] = ChunkChecksums(group.store, _key(group, _file(name)), digest, location)
    return found


def expected_of_part(array: zarr.Array, location: str) -> ChunkChecksums | None:
    """Return which chunk belongs in which place of an array that was opened without its store.

    Returns
    -------
    ChunkChecksums or None
        None where the array is not one that the manifest of a store of ours lists.

    Raises
    ------
    StoreError
        The store's manifest, or the array's metadata, are not as they were written.
    """
    parent, _, name = array.path.rpartition("/")
    store = array.store
    if not array.path:
        if not isinstance(store, LocalStore):
            return None
        folder = Path(os.path.realpath(store.root))
        store, name = local_files(folder.parent), folder.name
    try:
        group = zarr.open_group(store, path=parent, mode="r", use_consolidated=False)
    except (FileNotFoundError, ValueError):  # nothing that this array is a part of
        return None
    if MANIFEST_KEY not in group.attrs:
        return None
    data: Any = group.attrs[MANIFEST_KEY]
    manifest = Manifest.from_json(data, where=location)
    for fault, problem in faults_of_arrays(manifest, group, location):
        if fault == name:
            raise StoreError(problem)
    return expected_chunks(group, manifest, location).get(name)


def _file(name: str) -> str:
    return f"{name}/{CHECKSUMS}"


def _key(group: zarr.Group, name: str) -> str:
    return f"{group.path}/{name}".lstrip("/")
