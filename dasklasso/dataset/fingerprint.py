"""A digest of a dataset's values that does not depend on how they are compressed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from typing import Any

import google_crc32c
import numpy as np
from zarr.core.sync import sync
from zarr.storage import FsspecStore

from dasklasso.dataset.checks import Float64Blocks
from dasklasso.storage.blocks import BlockSource
from dasklasso.storage.zarr_blocks import ZarrBlocks

FINGERPRINTED = ("X", "y", "sample_weight", "fold", "offset", "row_ids")  # in this order


def chunk_checksum(values: np.ndarray) -> int:
    """crc32c of a chunk's decoded values, as little-endian bytes in C order.

    A chunk at the edge counts without its padding.
    """
    little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    return int(google_crc32c.value(little.reshape(-1).view(np.uint8)))


class Fingerprint:
    """Collects chunk checksums as chunks are written; equal data in equal chunks agree.

    The digest is SHA-256 over, for each of :data:`FINGERPRINTED` that is there: its name, dtype
    and shape, then its chunks' checksums in row-major order of the chunk grid.
    """

    def __init__(self) -> None:
        self._checksums: dict[str, list[int]] = {}

    def add(self, array: str, values: np.ndarray) -> None:
        """Take in the next chunk of an array."""
        self._checksums.setdefault(array, []).append(chunk_checksum(values))

    def digest(self, layout: dict[str, tuple[tuple[int, ...], np.dtype]]) -> str:
        """Return the fingerprint in hexadecimal; ``layout`` gives each array's shape and dtype."""
        sha = hashlib.sha256()
        for name in FINGERPRINTED:
            if name in layout:
                shape, dtype = layout[name]
                sha.update(f"{name} {np.dtype(dtype).newbyteorder('<').str} {shape}\n".encode())
                sha.update(np.array(self._checksums.get(name, []), dtype="<u4").tobytes())
        return "sha256:" + sha.hexdigest()


def fingerprint_of(sources: dict[str, BlockSource | None]) -> str:
    """Return a digest that changes when the data do, without decoding a stored chunk.

    Of an array in memory: its values' checksums. Of a Zarr array: its metadata and what the
    store says of each chunk (of a local file its size and time of change; of a remote object its
    size and tag). Two copies of a foreign store therefore differ; two of our own do not.

    Parameters
    ----------
    sources : dict of name to source
        In the order to be digested; None is left out.
    """
    sha = hashlib.sha256()
    for name, source in sources.items():
        if source is None:
            continue
        inner = source.source if isinstance(source, Float64Blocks) else source
        what = _of_zarr(inner) if isinstance(inner, ZarrBlocks) else _of_values(name, inner)
        sha.update(f"{name} {what}\n".encode())
    return "sha256:" + sha.hexdigest()


def _of_values(name: str, source: BlockSource) -> str:
    digest = Fingerprint()
    for i in range(len(source.row_bounds) - 1):
        for j in range(len(source.column_bounds) - 1):
            digest.add(name, source.block(i, j))
    return digest.digest({name: (source.shape, source.dtype)})


def _of_zarr(source: ZarrBlocks) -> str:
    sha = hashlib.sha256(
        json.dumps(source.metadata.to_dict(), sort_keys=True, default=str).encode()
    )
    for line in _chunks_local(source) if source.is_local else _chunks_remote(source):
        sha.update(line.encode())
    return sha.hexdigest()


def _chunks_local(source: ZarrBlocks) -> Iterator[str]:
    for i in range(len(source.row_bounds) - 1):
        for j in range(len(source.column_bounds) - 1):
            try:
                status = os.stat(source.chunk_file(i, j))
            except OSError:
                yield f"{i} {j} absent\n"
            else:
                yield f"{i} {j} {status.st_size} {status.st_mtime_ns}\n"


def _chunks_remote(source: ZarrBlocks) -> list[str]:
    try:
        return sorted(sync(_listing(source.store, source.path)))
    except Exception:  # a store that cannot be listed: its metadata must do
        return []


async def _listing(store: Any, path: str) -> list[str]:
    if isinstance(store, FsspecStore):
        root = f"{store.path}/{path}".rstrip("/")
        found = await store.fs._find(root, detail=True)
        return [f"{key} {_tag(entry)}\n" for key, entry in found.items()]
    prefix = f"{path}/" if path else ""
    return [f"{key} {await store.getsize(key)}\n" async for key in store.list_prefix(prefix)]


def _tag(entry: dict[str, Any]) -> str:
    changed = entry.get("ETag") or entry.get("LastModified") or entry.get("mtime")
    return f"{entry.get('size')} {changed or entry.get('created')}"
