"""The store that follows a store when rows are appended: whole chunks linked, the rest written."""

from __future__ import annotations

import json
import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from dasklasso.dataset.array_metadata import metadata_digests
from dasklasso.dataset.fingerprint import FINGERPRINTED, Fingerprint, chunk_checksum
from dasklasso.dataset.ingest.chunks import chunk_shape
from dasklasso.dataset.manifest import MANIFEST_KEY, Manifest
from dasklasso.dataset.recorded import expected_chunks, record_checksums
from dasklasso.errors import OptionError, StoreError
from dasklasso.files.atomic import PartialFolder
from dasklasso.files.regular import open_regular
from dasklasso.storage.codec_chains import simple_chain
from dasklasso.storage.mapped_files import CHECKSUM_BYTES
from dasklasso.storage.opening import member
from dasklasso.storage.zarr_blocks import ZarrBlocks, read_rows

_METADATA = "zarr.json"


class Successor:
    """Takes rows that go after those of a store, and becomes the store.

    Row chunks that are full are hard links to the old store's files (copies, where the file
    system has no links): no file is ever changed, so readers that have the old ones open or mapped
    are not disturbed. The last row chunk is written anew, together with the new rows.

    A store of one row chunk may have such short chunks because its table was short; it is
    written anew with the chunks that ingest would choose.

    Parameters
    ----------
    folder : PartialFolder
        Held for the store's path, with ``overwrite``.
    group : zarr.Group
        The old store.
    manifest : Manifest
        Its.
    memory : int
        Bytes that may be used, as for :class:`~dasklasso.dataset.ingest.writer.StoreWriter`.

    Attributes
    ----------
    sources : dict of name to ZarrBlocks
        The old arrays.
    n_rows : int
        Rows taken, the old ones among them.
    n_linked, n_written : int
        Row chunks.

    Raises
    ------
    StoreError
        The old store is not as its manifest says, or the new one cannot be written.
    """

    def __init__(
        self, folder: PartialFolder, group: Any, manifest: Manifest, *, memory: int
    ) -> None:
        self._folder = folder
        self._group = group
        self._manifest = manifest
        self.sources = _sources(group, manifest, folder.path)
        X = self.sources["X"]
        _check_layout(self.sources, manifest, folder.path)
        self._chunk_rows = X.chunk_shape[0]
        n_chunks = len(X.row_bounds) - 1
        self.n_linked = manifest.n_rows // self._chunk_rows
        held = self._chunk_rows * X.shape[1] * X.dtype.itemsize  # with the rows that there are
        if n_chunks == 1 and (not self.n_linked or held <= memory // 2):
            best, _ = chunk_shape(X.shape[1], X.dtype.itemsize, memory=memory)
            self._chunk_rows = max(best, self._chunk_rows)
            self.n_linked = 0
        self.n_written = 0
        self.n_rows = manifest.n_rows
        self._arrays: dict[str, Any] = {}
        self._buffer: dict[str, np.ndarray] = {}
        self._held = 0
        self._flushed = self.n_linked * self._chunk_rows
        checksums = _checksums(self.sources, manifest, folder.path)
        self._checksums = {
            name: found[: self.n_linked * (len(self.sources[name].column_bounds) - 1)]
            for name, found in checksums.items()
        }
        with folder.guarded():
            self._link()
        tail = slice(self._flushed, manifest.n_rows)
        for start in range(tail.start, tail.stop, self._chunk_rows):
            stop = min(start + self._chunk_rows, tail.stop)
            self._take({name: read_rows(old, start, stop) for name, old in self.sources.items()})

    @property
    def dtype(self) -> np.dtype:
        """Of X."""
        return self.sources["X"].dtype

    def write(self, rows: dict[str, np.ndarray]) -> None:
        """Append rows: ``X`` (m, n_features), and every other array that the store has.

        Raises
        ------
        StoreError
            The disk is full or cannot be written.
        """
        if rows.keys() != self.sources.keys():
            raise OptionError(
                f"{self._folder.path}: rows with {', '.join(rows)} were given, expected "
                f"{', '.join(self.sources)}."
            )
        self._take(rows)
        self.n_rows += len(rows["X"])

    def complete(self) -> str:
        """Write the last chunk; the fingerprint of all the rows."""
        if self._held:
            self._flush()
        layout = {name: (array.shape, array.dtype) for name, array in self._arrays.items()}
        return _Continued(self._checksums).digest(layout)

    def sealed(self, manifest: Manifest) -> Manifest:
        """Return the manifest of the new store with the digests of its files; all are written.

        Raises
        ------
        StoreError
            The disk is full or cannot be written.
        """
        import zarr

        with self._folder.guarded():
            group = zarr.open_group(self._folder.partial, mode="a", zarr_format=3)
            files = metadata_digests(group, self._arrays)
            files |= record_checksums(self._folder.partial, self._arrays)
        return replace(manifest, files=files)

    def publish(self, manifest: Manifest) -> None:
        """Put the store, which is complete, in the place of the old one.

        Raises
        ------
        StoreError
            The disk is full or cannot be written; the old store is as it was.
        """
        import zarr

        with self._folder.guarded():
            group = zarr.open_group(self._folder.partial, mode="a", zarr_format=3)
            group.attrs.put({**self._group.attrs.asdict(), MANIFEST_KEY: manifest.to_json()})
            self._folder.publish(synced="all")

    # -- what is linked -----------------------------------------------------------------------

    def _link(self) -> None:
        """Link the full row chunks, and all other files of the store."""
        old, new = self._folder.path, self._folder.partial
        for name in sorted(os.listdir(old)):
            if name == _METADATA or name in self.sources:
                continue
            if (old / name).is_dir():
                shutil.copytree(old / name, new / name, copy_function=_link_file)
            else:
                _link_file(old / name, new / name)
        for name, source in self.sources.items():
            for i in range(self.n_linked):
                for j in range(len(source.column_bounds) - 1):
                    target = new / name / source.chunk_key(i, j)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    _link_file(Path(source.chunk_file(i, j)), target)

    # -- what is written ----------------------------------------------------------------------

    def _take(self, rows: dict[str, np.ndarray]) -> None:
        m, taken = len(rows["X"]), 0
        while taken < m:
            count = min(m - taken, self._chunk_rows - self._held)
            for name, values in rows.items():
                self._hold(name, values[taken : taken + count])
            self._held += count
            taken += count
            if self._held == self._chunk_rows:
                self._flush()

    def _hold(self, name: str, values: np.ndarray) -> None:
        source = self.sources[name]
        if name not in self._buffer:
            shape = (self._chunk_rows, source.shape[1])
            self._buffer[name] = np.empty(shape, dtype=source.dtype)
        values = values.reshape(len(values), source.shape[1])
        self._buffer[name][self._held : self._held + len(values)] = values

    def _flush(self) -> None:
        """Write one row chunk of every array; only the last one may be short."""
        count, self._held = self._held, 0
        start, stop = self._flushed, self._flushed + count
        with self._folder.guarded():
            if not self._arrays:
                # a table that ends in its first chunk has chunks of its own length
                self._chunk_rows = count if start == 0 else self._chunk_rows
                self._create()
            for name, array in self._arrays.items():
                array.resize((stop, *array.shape[1:]))
                self._write_chunks(name, self._buffer[name][:count], slice(start, stop))
        self._flushed = stop
        self.n_written += 1

    def _write_chunks(self, name: str, values: np.ndarray, rows: slice) -> None:
        array = self._arrays[name]
        bounds = self.sources[name].column_bounds
        for left, right in pairwise(bounds):  # one at a time
            block = np.ascontiguousarray(values[:, left:right])
            self._checksums[name].append(chunk_checksum(block))
            if array.ndim == 1:
                array[rows] = block[:, 0]
            else:
                array[rows, left:right] = block

    def _create(self) -> None:
        """Make the arrays as the old ones are, but for their lengths."""
        import zarr

        old, new = self._folder.path, self._folder.partial
        for name in self.sources:
            with open_regular(old / name / _METADATA) as file:
                metadata = json.load(file)
            metadata["shape"][0] = self._flushed
            metadata["chunk_grid"]["configuration"]["chunk_shape"][0] = self._chunk_rows
            (new / name).mkdir(exist_ok=True)
            (new / name / _METADATA).write_text(json.dumps(metadata), encoding="utf-8")
            with zarr.config.set({"array.write_empty_chunks": True}):
                self._arrays[name] = zarr.open_array(new / name, mode="r+", zarr_format=3)


class _Continued(Fingerprint):
    """A fingerprint from checksums that are known."""

    def __init__(self, checksums: dict[str, list[int]]) -> None:
        super().__init__()
        self._checksums = checksums


def _sources(group: Any, manifest: Manifest, path: Path) -> dict[str, ZarrBlocks]:
    expected = expected_chunks(group, manifest, str(path))
    found = {name: member(group, name) for name in FINGERPRINTED}
    return {
        name: ZarrBlocks(array, location=str(path), name=name, expected=expected.get(name))
        for name, array in found.items()
        if array is not None
    }


def _check_layout(sources: dict[str, ZarrBlocks], manifest: Manifest, path: Path) -> None:
    rows = {source.chunk_shape[0] for source in sources.values()}
    lengths = {source.shape[0] for source in sources.values()}
    if len(rows) != 1 or lengths != {manifest.n_rows} or "y" not in sources:
        raise StoreError(
            f"{path}: its arrays do not agree with its manifest or with each other in rows or "
            f"chunks. dasklasso verify {path} lists every fault."
        )


def _checksums(
    sources: dict[str, ZarrBlocks], manifest: Manifest, path: Path
) -> dict[str, list[int]]:
    """Checksums of every chunk of the old store, which must be what its manifest says.

    Raw chunks end in theirs; compressed ones must be decoded.

    Raises
    ------
    StoreError
        Chunks were changed since they were written, or are missing.
    """
    found: dict[str, list[int]] = {}
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for name, source in sources.items():
            places = [
                (i, j)
                for i in range(len(source.row_bounds) - 1)
                for j in range(len(source.column_bounds) - 1)
            ]
            found[name] = list(threads.map(lambda at, s=source: _checksum(s, *at), places))
    layout = {name: (source.stored_shape, source.dtype) for name, source in sources.items()}
    computed = _Continued(found).digest(layout)
    if computed != manifest.fingerprint:
        raise StoreError(
            f"{path}: its chunks have the fingerprint {computed}, its manifest says "
            f"{manifest.fingerprint}: chunks were changed since they were written. "
            f"dasklasso verify {path} lists every fault."
        )
    return found


def _checksum(source: ZarrBlocks, i: int, j: int) -> int:
    chain = simple_chain(source.metadata)
    rows = source.row_bounds[i + 1] - source.row_bounds[i]
    columns = source.column_bounds[j + 1] - source.column_bounds[j]
    is_full = (rows, columns)[: len(source.chunk_shape)] == source.chunk_shape
    is_raw = chain is not None and chain.compressor is None and chain.checksum
    if is_full and is_raw and sys.byteorder == "little":
        n_bytes = rows * columns * source.dtype.itemsize + CHECKSUM_BYTES
        try:
            with open_regular(source.chunk_file(i, j)) as file:
                if os.fstat(file.fileno()).st_size == n_bytes:
                    file.seek(-CHECKSUM_BYTES, os.SEEK_END)
                    return int.from_bytes(file.read(), "little")
        except OSError:
            pass  # what is wrong is said below
    return chunk_checksum(source.block(i, j))


def _link_file(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:  # another device, or a file system without links
        shutil.copy2(source, target)
