"""Which chunk belongs in which place: the crc32c of every chunk of an array, as it is stored.

A chunk's own checksum says that its bytes are whole, not that they are the bytes of this place:
two chunks that changed places, or an older version of a chunk put back, are whole too. So the
checksums of all places are kept beside the array, 4 bytes each, and every read compares.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from zarr.abc.store import Store

from dasklasso.errors import StoreError
from dasklasso.storage import zarr_reader

CHECKSUMS = "chunk_checksums"  # the file's name, beside the array's zarr.json
_STORED = np.dtype("<u4")
_MAX_LOADED = 64


@dataclass(frozen=True)
class ChunkChecksums:
    """The checksums that an array's chunks must have.

    Pickles small: the checksums are read from the store once by each process.

    Attributes
    ----------
    store : zarr store
    key : str
        Of the file that holds them: little-endian uint32 in row-major order of the chunk grid.
    digest : str
        Of that file, as :func:`digest_of` gives it.
    where : str
        How errors name the store.
    remedy : str
        What to do about a chunk that is not the one of its place.
    """

    store: Store
    key: str
    digest: str
    where: str
    remedy: str = "Restore the chunk or ingest again."

    def __reduce__(self) -> tuple[Callable[..., ChunkChecksums], tuple[object, ...]]:
        return ChunkChecksums, (self.store, self.key, self.digest, self.where, self.remedy)

    @cached_property
    def values(self) -> np.ndarray:
        """(n_chunks,) uint32: crc32c of the chunks' encoded bytes; raises as :meth:`read`."""
        found = _LOADED.get(self.digest)
        if found is None:
            found = self.read()
            with _LOADING:
                while len(_LOADED) >= _MAX_LOADED:
                    del _LOADED[next(iter(_LOADED))]
                _LOADED[self.digest] = found
        return found

    def read(self) -> np.ndarray:
        """Read the file anew.

        Raises
        ------
        StoreError
            The file is missing or is not the one that was written.
        """
        stored = zarr_reader.fetch(self.store, self.key)
        if stored is None:
            raise StoreError(
                f"{self.where}: {self.key} is missing, which says which chunk belongs where."
            )
        digest = digest_of(stored.tobytes())
        if digest != self.digest:
            raise StoreError(
                f"{self.where}: {self.key} is not the file that was written with the store: found "
                f"{digest[:15]}, expected {self.digest[:15]}. Restore it or ingest again."
            )
        return stored.view(_STORED).astype(np.uint32)

    def place_of(self, checksum: int) -> int | None:
        """Return the number of a chunk of this checksum; None where there is none or several."""
        places = np.flatnonzero(self.values == checksum)
        return int(places[0]) if len(places) == 1 else None


_LOADED: dict[str, np.ndarray] = {}  # by digest, in this process
_LOADING = threading.Lock()


def encode_checksums(checksums: np.ndarray) -> bytes:
    """Return the content of the file that holds checksums."""
    return np.ascontiguousarray(checksums, dtype=_STORED).tobytes()


def digest_of(content: bytes) -> str:
    """Return the SHA-256 of a file's content, as manifests write it."""
    return "sha256:" + hashlib.sha256(content).hexdigest()
