"""Finds the arrays of a store by name, or takes those that are given instead of them."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import zarr

from dasklasso.dataset.kept_checksums import expected_of_kept
from dasklasso.dataset.manifest import Manifest
from dasklasso.dataset.recorded import expected_chunks, expected_of_part
from dasklasso.dataset.sources import CALLS
from dasklasso.errors import OptionError, StoreError
from dasklasso.storage.blocks import BlockSource, MemoryBlocks, chunk_bounds
from dasklasso.storage.chunk_checksums import ChunkChecksums
from dasklasso.storage.opening import array_names, member, open_node
from dasklasso.storage.zarr_blocks import EmptyChunks, ZarrBlocks

_MEMORY_BLOCK_BYTES = 8 << 20


class Opener:
    """Finds a store's arrays by name, or those given instead of them."""

    def __init__(
        self,
        node: Any,
        location: str,
        empty_chunks: EmptyChunks,
        storage_options: dict[str, Any] | None,
        manifest: Manifest | None,
    ) -> None:
        self.group = None if isinstance(node, zarr.Array) else node
        self.expected = (
            {} if self.group is None else expected_chunks(self.group, manifest, location)
        )
        self.location = location
        self.empty_chunks = empty_chunks
        self.storage_options = storage_options

    def named(self, name: str) -> tuple[ZarrBlocks, bool]:
        """Return the group's array, and whether it is a vector; it must be there."""
        source, vector = self.optional(name)
        if source is None:
            names = array_names(self.group) if self.group is not None else ()
            if CALLS in names:
                raise StoreError(
                    f"{self.location} is a VCF in Zarr, expected a store: make one of it "
                    "(dasklasso ingest VCF STORE)."
                )
            holds = f"its arrays are {', '.join(names)}" if names else "it holds no arrays"
            raise StoreError(f"{self.location} has no array {name}: {holds}.")
        return source, vector

    def optional(self, name: str) -> tuple[ZarrBlocks | None, bool]:
        """Return the group's array, and whether it is a vector; None where there is nothing.

        Raises
        ------
        StoreError
            There is something of this name that is no array.
        """
        if self.group is None:
            return None, False
        found = member(self.group, name)
        if found is None:
            return None, False
        return self._blocks(found, self.location, name, self.expected.get(name))

    def given(self, name: str, array: Any) -> tuple[BlockSource | None, bool]:
        """An array given with the store: a name in it, a path, a URL, or the array itself."""
        if array is None:
            return None, False
        if isinstance(array, str):
            source, vector = self.optional(array)
            if source is not None:
                return source, vector
        if isinstance(array, np.ndarray | list | tuple):
            return in_memory(name, np.asarray(array)), np.ndim(array) == 1
        options = self.storage_options if isinstance(array, str) and "://" in array else None
        node, location = open_node(array, options)
        if not isinstance(node, zarr.Array):
            raise StoreError(f"{location} is a Zarr group, expected an array to use as {name}.")
        return self._blocks(node, location, name, expected_of_part(node, location))

    def target(self, array: Any, name: str, *, required: bool) -> tuple[BlockSource | None, bool]:
        """y, as given or else of that name in the group, and whether it is a vector."""
        if array is not None:
            return self.given("y", array)
        if self.group is None:
            if required:
                raise StoreError(f"{self.location} is a single array: give y as well.")
            return None, True
        source, vector = self.optional(name)
        if source is None and required:
            self.named(name)
        return source, vector or source is None

    def _blocks(
        self, array: Any, location: str, name: str, expected: ChunkChecksums | None = None
    ) -> tuple[ZarrBlocks, bool]:
        source = ZarrBlocks(
            array,
            location=location,
            name=name,
            empty_chunks=self.empty_chunks,
            expected=expected,
        )
        if expected is None and location == self.location:
            source.expect(expected_of_kept(source, location))
        return source, array.ndim == 1


def in_memory(name: str, array: np.ndarray) -> BlockSource:
    """Return an array as a block source: X of its own type, all others float64.

    Raises
    ------
    OptionError
        Its dtype or number of dimensions cannot be used.
    """
    if array.dtype.kind not in "biuf":
        raise OptionError(f"{name} has dtype {array.dtype}, expected real numbers.")
    if array.ndim not in ((2,) if name == "X" else (1, 2)):
        expected = "2 (rows × columns)" if name == "X" else "1 or 2"
        raise OptionError(f"{name} has {array.ndim} dimensions, expected {expected}.")
    table = array.reshape(len(array), -1) if array.ndim == 1 else array
    wide = table.dtype.kind == "f" and table.dtype.itemsize > 8
    dtype = np.dtype(np.float64) if wide or name != "X" else table.dtype.newbyteorder("=")
    table = np.ascontiguousarray(table, dtype=dtype)
    rows = max(1, _MEMORY_BLOCK_BYTES // max(1, table.shape[1] * table.dtype.itemsize))
    return cast(BlockSource, MemoryBlocks(table, chunk_bounds(len(table), rows)))
