"""A Zarr array as a block source: mapped where chunks are raw local files, decoded elsewhere."""

from __future__ import annotations

import math
import os
import uuid
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from dasklasso.errors import ChunkCorrupt, ChunkMissing, OptionError, StoreError
from dasklasso.files.regular import why
from dasklasso.storage import zarr_reader
from dasklasso.storage.array_form import check_count, chunk_shape, native_number
from dasklasso.storage.blocks import BlockSource, chunk_bounds
from dasklasso.storage.bounded_decoding import check_bound
from dasklasso.storage.chunk_checksums import ChunkChecksums
from dasklasso.storage.codec_chains import Chain, byte_codecs, simple_chain
from dasklasso.storage.mapped_files import (
    CHECKSUM_BYTES,
    checked,
    crc32c,
    maps,
    read_ahead,
    trailer,
)
from dasklasso.storage.shard_index import ShardIndex

EmptyChunks = Literal["error", "zero"]
_ABSENT = (FileNotFoundError, NotADirectoryError)


class ZarrBlocks:
    """Blocks of a one- or two-dimensional Zarr array (v2 or v3) of numbers.

    A block is one chunk; of a sharded array, one shard. A vector of length n is seen as (n, 1).
    Pickles small (the store's address and the array's metadata) and may be read by several
    threads at once.

    Parameters
    ----------
    array : zarr.Array
    location : str
        The store, as errors name it.
    name : str, optional
        The array, as errors name it; its path in the store unless given.
    empty_chunks : {"error", "zero"}
        What a chunk is that the store does not hold: :class:`ChunkMissing`, or, where the writer
        is known to leave out chunks of zeros, the array's fill value.
    expected : ChunkChecksums, optional
        Which chunk belongs in which place, where that is known: then none may be missing.

    Raises
    ------
    StoreError
        The array has three or more dimensions, is not of numbers, or its chunks are irregular.
    """

    def __init__(
        self,
        array: Any,
        *,
        location: str,
        name: str | None = None,
        empty_chunks: EmptyChunks = "error",
        expected: ChunkChecksums | None = None,
    ) -> None:
        if empty_chunks not in ("error", "zero"):
            raise OptionError(f"empty_chunks is {empty_chunks!r}, expected 'error' or 'zero'.")
        self.location = location
        self.path = array.path
        self.name = name or array.path.rsplit("/", 1)[-1] or os.path.basename(location)
        self.empty_chunks = empty_chunks
        self.expected: ChunkChecksums | None = None
        self.expect(expected)
        self.metadata = array.metadata.update_attributes({})
        self.stored_shape: tuple[int, ...] = tuple(array.shape)
        self.chunk_shape = chunk_shape(self.metadata, self._title())
        self.dtype = native_number(np.dtype(array.dtype), self._title())
        if len(self.stored_shape) not in (1, 2):
            raise StoreError(
                f"{self._title()} has {len(self.stored_shape)} dimensions, expected a table "
                "(rows × columns)."
            )
        n, *d = self.stored_shape
        check_count(self.stored_shape, self.chunk_shape, self._title())
        self.shape = (n, d[0] if d else 1)
        self.row_bounds = chunk_bounds(n, self.chunk_shape[0])
        self.column_bounds = chunk_bounds(d[0], self.chunk_shape[1]) if d else (0, 1)
        self._store = array.store
        self._root = zarr_reader.local_root(array.store, array.path)
        self._chain: Chain | None = simple_chain(self.metadata)
        self._shards = ShardIndex.of(self.metadata)
        self._token = uuid.uuid4().hex
        self._whole_shards: set[tuple[int, ...]] = set()
        self._places: np.ndarray | None = None
        self.mapped = (
            self._root is not None and self._chain is not None and self._chain.compressor is None
        )

    def expect(self, expected: ChunkChecksums | None) -> None:
        """Compare what is read from now on with what belongs there; nothing may be missing."""
        if expected is not None:
            self.expected, self.empty_chunks = expected, "error"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_whole_shards": set(), "_places": None}

    def __repr__(self) -> str:
        return f"ZarrBlocks({self._title()}, shape={self.shape}, dtype={self.dtype})"

    # -- the protocol -------------------------------------------------------------------------

    def block(self, i: int, j: int) -> np.ndarray:
        """Block (i, j): C-contiguous, of native byte order, not to be written.

        Raises
        ------
        ChunkMissing, ChunkCorrupt
            Naming the array, the chunk's key and its rows.
        StoreError
            The store cannot be read.
        """
        return np.ascontiguousarray(self.uncopied(i, j))  # a copy where columns are cut off

    def uncopied(self, i: int, j: int) -> np.ndarray:
        """Block (i, j): a view also of chunks at the edges, which are stored full size."""
        try:
            chunk = self._through_zarr(i, j) if self._chain is None else self._direct(i, j)
        except OSError as error:
            raise StoreError(f"{self.chunk_name(i, j)} cannot be read: {why(error)}.") from error
        rows, columns = self._extent(i, j)
        chunk = chunk.reshape(-1, 1) if chunk.ndim == 1 else chunk
        return np.asarray(chunk[:rows, :columns], dtype=self.dtype)

    def will_need(self, i: int, j: int) -> None:
        """Hint that block (i, j) is read next: local files are read ahead."""
        if self._root is not None and not maps.is_ready(path := self.chunk_file(i, j)):
            read_ahead(path)

    def stored_bytes(self, i: int, j: int) -> int:
        """Size of the chunk's file, 0 where there is none; of a remote chunk, decoded bytes."""
        if self._root is None:
            return math.prod(self._extent(i, j)) * self.dtype.itemsize
        try:
            return os.stat(self.chunk_file(i, j)).st_size
        except OSError:
            return 0

    def forget(self, i: int, j: int) -> None:
        """Verify block (i, j) anew at its next read."""
        if self._root is not None:
            maps.forget(self.chunk_file(i, j))
        self._whole_shards.discard((i, j))

    # -- names --------------------------------------------------------------------------------

    @property
    def is_local(self) -> bool:
        return self._root is not None

    @property
    def grid(self) -> tuple[int, int]:
        """Number of row chunks and of column chunks."""
        return len(self.row_bounds) - 1, len(self.column_bounds) - 1

    @property
    def store(self) -> Any:
        """The zarr store that holds the array."""
        return self._store

    def chunk_key(self, i: int, j: int) -> str:
        """Return the chunk's key below the array: ``c/17/0``, or ``17.0`` in Zarr v2."""
        place = (i, j)[: len(self.stored_shape)]
        return self.metadata.encode_chunk_key(place)

    def chunk_file(self, i: int, j: int) -> str:
        """Path of the chunk's file (local stores only)."""
        return f"{self._root}/{self.chunk_key(i, j)}"

    def rows_of(self, i: int) -> str:
        """Return the rows of row chunk i as errors give them: ``rows 850,000-899,999``."""
        return f"rows {self.row_bounds[i]:,}-{self.row_bounds[i + 1] - 1:,}"

    def chunk_name(self, i: int, j: int) -> str:
        """Tell how errors name a chunk: array, key, store, rows."""
        return f"{self.name}/{self.chunk_key(i, j)} of {self.location} ({self.rows_of(i)})"

    def _title(self) -> str:
        return f"{self.location}: {self.name}"

    # -- reading ------------------------------------------------------------------------------

    def _extent(self, i: int, j: int) -> tuple[int, int]:
        return (
            self.row_bounds[i + 1] - self.row_bounds[i],
            self.column_bounds[j + 1] - self.column_bounds[j],
        )

    def _direct(self, i: int, j: int) -> np.ndarray:
        chain = self._chain
        assert chain is not None

        def verify(data: np.ndarray) -> int:
            payload = checked(data, self.chunk_name(i, j)) if chain.checksum else data
            if chain.compressor is None:
                self._decode(chain, payload, i, j)  # its length is as expected
            return trailer(data) if chain.checksum else self._checksum(data)

        stored = self._stored(i, j, verify)
        if stored is None:
            return self._missing(i, j)
        data, checksum = stored
        self._compare(i, j, checksum)
        payload = data[:-CHECKSUM_BYTES] if chain.checksum else data
        return self._decode(chain, payload, i, j)

    def _stored(
        self, i: int, j: int, verify: Callable[[np.ndarray], int]
    ) -> tuple[np.ndarray, int] | None:
        """The chunk's encoded bytes and their checksum; None where there is no such chunk."""
        if self._root is None:
            remote = zarr_reader.fetch(self._store, self._key(i, j))
            return None if remote is None else (remote, verify(remote))
        try:
            return maps.get(self.chunk_file(i, j), verify)  # verified once in this process
        except _ABSENT:
            return None

    def _checksum(self, data: np.ndarray) -> int:
        """crc32c of a chunk that has none of its own, where it can be compared or kept."""
        return crc32c(data) if self.is_local or self.expected is not None else 0

    def _compare(self, i: int, j: int, checksum: int) -> None:
        """Refuse a chunk that is not the one of this place: the one comparison of all reads."""
        if self.expected is None:
            return
        places = self._places if self._places is not None else self._load_places()
        expected = places.item(i, j)
        if expected == checksum:
            return
        place = self.expected.place_of(checksum)
        belongs = ""
        if place is not None:
            key = self.chunk_key(*divmod(place, places.shape[1]))
            belongs = f", that of {self.name}/{key}"
        raise ChunkCorrupt(
            f"{self.chunk_name(i, j)} is not the chunk that was written there: its crc32c is "
            f"{checksum:08x}{belongs}, expected {expected:08x}. The chunk was "
            f"moved or replaced, or the store was, while it was read. {self.expected.remedy}"
        )

    def _load_places(self) -> np.ndarray:
        """The checksum of every place of the grid: (n_row_chunks, n_column_chunks) uint32."""
        assert self.expected is not None
        rows, columns = self.grid
        values = self.expected.values
        if len(values) != rows * columns:
            raise StoreError(
                f"{self._title()} has {rows * columns:,} chunks, and checksums are recorded of "
                f"{len(values):,}."
            )
        self._places = values.reshape(rows, columns)
        return self._places

    def _decode(self, chain: Chain, payload: np.ndarray, i: int, j: int) -> np.ndarray:
        try:
            return chain.decode(payload, self.chunk_shape, self.dtype)
        except MemoryError:
            raise
        except Exception as error:
            name = self.chunk_name(i, j)
            raise ChunkCorrupt(f"{name} cannot be decoded: {error}.") from error

    def _through_zarr(self, i: int, j: int) -> np.ndarray:
        name = self.chunk_name(i, j)

        def bounded(data: np.ndarray) -> int:
            try:
                self._check_bound(data)
            except ValueError as error:
                raise ChunkCorrupt(f"{name} cannot be decoded: it {error}.") from error
            return self._checksum(data)

        stored = self._stored(i, j, bounded)
        if stored is None:
            return self._missing(i, j)
        data, checksum = stored
        self._compare(i, j, checksum)
        if self.empty_chunks == "error" and self._shards is not None:
            self._check_shard(i, j)
        array = zarr_reader.arrays.get(self._token, self._store, self.path)
        rows = slice(self.row_bounds[i], self.row_bounds[i + 1])
        columns = slice(self.column_bounds[j], self.column_bounds[j + 1])
        held = None if self._root is not None else (self._key(i, j), data)
        try:
            return zarr_reader.read(array, (rows, columns)[: len(self.stored_shape)], held)
        except ValueError as error:
            raise ChunkCorrupt(f"{name} cannot be decoded: {error}.") from error

    def _check_bound(self, data: np.ndarray) -> None:
        """Refuse a chunk, or a part of a shard, that would decode to more than its shape holds."""
        codecs, shards = byte_codecs(self.metadata), self._shards
        shape = self.chunk_shape if shards is None else shards.inner
        # filters may widen numbers, to eight bytes each at most
        most = math.prod(shape) * max(8, self.dtype.itemsize)
        for part in [data] if shards is None else shards.stored_parts(data):
            check_bound(part, codecs, most)

    def holes(self, i: int, j: int) -> list[str]:
        """Inner chunks that the shard (i, j) should hold and does not, as ``rows a-b``.

        Empty for an array that is not sharded.

        Raises
        ------
        ChunkMissing, ChunkCorrupt
            The shard is not there, or has no whole index.
        """
        index = self._shards
        if index is None:
            return []
        stored = zarr_reader.fetch_part(
            self._store, self._key(i, j), index.nbytes, at_end=index.at_end
        )
        if stored is None:
            self._missing(i, j)
            return []
        extent = self._extent(i, j)[: len(self.stored_shape)]
        try:
            missing = list(index.missing(stored, extent))
        except ValueError as error:
            raise ChunkCorrupt(f"{self.chunk_name(i, j)} cannot be decoded: {error}.") from error
        first = self.row_bounds[i]
        return [f"rows {first + at[0].start:,}-{first + at[0].stop - 1:,}" for at in missing]

    def _check_shard(self, i: int, j: int) -> None:
        """An inner chunk that a shard lacks is missing too: looked for once per process."""
        if (i, j) in self._whole_shards:
            return
        holes = self.holes(i, j)
        if holes:
            raise ChunkMissing(
                f"{self.name}/{self.chunk_key(i, j)} in {self.location} lacks the inner chunk of "
                f"{holes[0]}. {self._remedy()}"
            )
        self._whole_shards.add((i, j))

    def _key(self, i: int, j: int) -> str:
        return f"{self.path}/{self.chunk_key(i, j)}".lstrip("/")

    def _missing(self, i: int, j: int) -> np.ndarray:
        if self.empty_chunks == "zero":
            extent = self._extent(i, j)[: len(self.stored_shape)]
            return np.full(extent, self._fill_value(), dtype=self.dtype)
        raise ChunkMissing(
            f"{self.name}/{self.chunk_key(i, j)} is not in {self.location} "
            f"({self.rows_of(i)}). {self._remedy()}"
        )

    def _fill_value(self) -> Any:
        fill = self.metadata.fill_value
        return 0 if fill is None else fill

    def _remedy(self) -> str:
        fill = self._fill_value()
        silently = "zeros" if fill == 0 else f"{fill}"
        return (
            f"Zarr would read it as {silently}. Restore the chunk or ingest again: "
            f"dasklasso verify {self.location} lists every fault."
        )


def read_rows(source: BlockSource, start: int, stop: int) -> np.ndarray:
    """Rows start to stop of a source, whatever its chunks.

    Returns
    -------
    rows : (stop - start, n_columns), of the source's dtype
        A view where the rows lie in one chunk.

    Raises
    ------
    ChunkMissing, ChunkCorrupt
    """
    edges = np.asarray(source.row_bounds)
    first = int(np.searchsorted(edges, start, side="right")) - 1
    parts = []
    for i in range(first, len(edges) - 1):
        low = int(edges[i])
        if low >= stop:
            break
        blocks = [source.block(i, j) for j in range(len(source.column_bounds) - 1)]
        rows = blocks[0] if len(blocks) == 1 else np.hstack(blocks)
        parts.append(rows[max(start - low, 0) : stop - low])
    if not parts:
        return np.empty((0, source.shape[1]), dtype=source.dtype)
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
