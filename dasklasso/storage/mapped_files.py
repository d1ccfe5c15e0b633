"""Chunk files as memory: mapping, read-ahead, and checksums verified once per process.

A mapped file costs no memory of the process's own (its pages belong to the kernel's cache) and
no copy: an uncompressed chunk *is* its file, and a compressed one is decoded straight from it.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache

import google_crc32c
import numpy as np

from dasklasso.errors import ChunkCorrupt
from dasklasso.files.regular import descriptor_of

CHECKSUM_BYTES = 4
_MAX_MAPS = 16_000
_SLICE = 1 << 20
READERS = 2  # threads that ask for files ahead
_POPULATE_READ = 22  # Linux >= 5.14; elsewhere the call fails and pages are faulted in as usual

Identity = tuple[int, int, int, int]


def _identity(status: os.stat_result) -> Identity:
    return (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)


def _madvise() -> Callable[[int, int, int], int] | None:
    # Through ctypes because it lets go of the GIL while pages come from the disk;
    # mmap.madvise holds it.
    if not sys.platform.startswith("linux"):
        return None
    function = ctypes.CDLL(None, use_errno=True).madvise
    function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    function.restype = ctypes.c_int
    return function


_advise = _madvise()


def _mincore() -> Callable[[int, int, ctypes.Array[ctypes.c_char]], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    function = ctypes.CDLL(None, use_errno=True).mincore
    function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p)
    function.restype = ctypes.c_int
    return function


_resident = _mincore()


def in_page_cache(data: np.ndarray) -> bool:
    """Tell whether a page of a mapping is in memory: a cheap guess at all of them."""
    if _resident is None or not data.nbytes:
        return False
    last = (data.ctypes.data + data.nbytes - 1) // mmap.PAGESIZE * mmap.PAGESIZE
    answer = ctypes.create_string_buffer(1)
    return _resident(last, 1, answer) == 0 and bool(answer.raw[0] & 1)


def read_ahead(path: str) -> None:
    """Ask the kernel to start reading a file; returns at once, never fails."""
    if hasattr(os, "posix_fadvise"):
        _pool().submit(_will_need, path)


@cache
def _pool() -> ThreadPoolExecutor:
    # a disk serves a few at a time best; and asking waits while its queue is full, which is not
    # for threads that compute
    return ThreadPoolExecutor(READERS, thread_name_prefix="read-ahead")


def _will_need(path: str) -> None:
    with suppress(OSError):
        descriptor = descriptor_of(path)
        try:
            # the kernel takes no more from one call than it reads ahead by itself
            for start in range(0, os.fstat(descriptor).st_size, _SLICE):
                os.posix_fadvise(descriptor, start, _SLICE, os.POSIX_FADV_WILLNEED)
        finally:
            os.close(descriptor)


def map_file(path: str) -> tuple[np.ndarray, Identity]:
    """Map a whole file read-only.

    Returns
    -------
    data : (size,) uint8
        Keeps the mapping alive; it is undone when the last view is gone.
    identity : Identity
        Changes when the file is replaced or written to.

    Raises
    ------
    OSError
    """
    descriptor = descriptor_of(path)
    try:
        status = os.fstat(descriptor)
        if status.st_size == 0:
            return np.empty(0, dtype=np.uint8), _identity(status)
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_WILLNEED)
        # Before Python 3.13 a map holds a duplicate of the descriptor: see _capacity.
        extra = {"trackfd": False} if sys.version_info >= (3, 13) else {}
        mapping = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ, **extra)
    finally:
        os.close(descriptor)
    return np.frombuffer(mapping, dtype=np.uint8), _identity(status)


def populate(data: np.ndarray) -> None:
    """Load a mapping's pages with one call (GIL released) instead of thousands of faults."""
    if _advise is not None and data.nbytes:
        _advise(data.ctypes.data, data.nbytes, _POPULATE_READ)


def crc32c(data: np.ndarray) -> int:
    """CRC-32C of bytes, without copying them.

    google_crc32c holds the GIL, so it is called on slices and other threads run in between.
    """
    checksum = 0
    for start in range(0, data.nbytes, _SLICE):
        checksum = google_crc32c.extend(checksum, data[start : start + _SLICE])
    return checksum


def checked(data: np.ndarray, name: str) -> np.ndarray:
    """Return the payload of bytes that end in their crc32c (little endian), once it is verified.

    Raises
    ------
    ChunkCorrupt
        ``name`` says which chunk in the message.
    """
    payload, stored = data[:-CHECKSUM_BYTES], data[-CHECKSUM_BYTES:]
    if data.nbytes < CHECKSUM_BYTES:
        raise ChunkCorrupt(f"{name} is only {data.nbytes} bytes long, too short for a checksum.")
    found, expected = crc32c(payload), int.from_bytes(stored.tobytes(), "little")
    if found != expected:
        raise ChunkCorrupt(
            f"{name} does not match its checksum: crc32c is {found:08x}, stored {expected:08x}. "
            "Restore the chunk or ingest again."
        )
    return payload


def trailer(data: np.ndarray) -> int:
    """Return the crc32c that stored bytes end in."""
    return int.from_bytes(data[-CHECKSUM_BYTES:].tobytes(), "little")


def _capacity() -> int:
    if sys.version_info >= (3, 13):
        return _MAX_MAPS
    try:
        import resource
    except ImportError:
        return 256
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MAX_MAPS if soft == resource.RLIM_INFINITY else max(16, min(_MAX_MAPS, soft // 2))


class MapCache:
    """This process's maps of chunk files, least recently used closed first.

    A file that was replaced or written to since it was mapped is mapped, and verified, again.
    """

    def __init__(self, capacity: int | None = None) -> None:
        self._capacity = _capacity() if capacity is None else capacity
        self._maps: OrderedDict[str, tuple[Identity, np.ndarray, int]] = OrderedDict()
        self._verified: dict[str, tuple[Identity, int]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._maps)

    def get(self, path: str, verify: Callable[[np.ndarray], int]) -> tuple[np.ndarray, int]:
        """The file's bytes and checksum.

        Parameters
        ----------
        verify : called with the bytes at the first read of this version of the file
            Returns their checksum.

        Raises
        ------
        OSError
            Also whatever ``verify`` raises.
        """
        now = _identity(os.stat(path))
        with self._lock:
            known = self._maps.get(path)
            if known is not None and known[0] == now:
                self._maps.move_to_end(path)
                return known[1:]
        data, identity = map_file(path)
        populate(data)
        verified = self._verified.get(path)
        checksum = verified[1] if verified and verified[0] == identity else verify(data)
        with self._lock:
            self._verified[path] = (identity, checksum)
            self._maps[path] = (identity, data, checksum)
            self._maps.move_to_end(path)
            while len(self._maps) > self._capacity:
                self._maps.popitem(last=False)  # unmapped once no view of it is left
        return data, checksum

    def is_ready(self, path: str) -> bool:
        """Whether a file is mapped and its pages seem to be in memory: nothing to read ahead."""
        with self._lock:
            known = self._maps.get(path)
        return known is not None and in_page_cache(known[1])

    def known(self, paths: Iterable[str]) -> dict[str, tuple[Identity, int]]:
        """Of those files that this process has read: what they were then, and their checksum."""
        with self._lock:
            return {path: self._verified[path] for path in paths if path in self._verified}

    def unmap(self, path: str) -> None:
        """Give the map up; the file stays verified."""
        with self._lock:
            self._maps.pop(path, None)

    def forget(self, path: str) -> None:
        """Map and verify the file anew at its next read."""
        with self._lock:
            self._maps.pop(path, None)
            self._verified.pop(path, None)


maps = MapCache()
