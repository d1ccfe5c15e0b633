"""Reading through zarr itself: what the short way (``chains``) cannot decode, and remote bytes."""

from __future__ import annotations

import importlib.util
import os
import threading
import warnings
from collections import OrderedDict
from typing import Any

import numpy as np
import zarr
from zarr.abc.store import (
    ByteRequest,
    OffsetByteRequest,
    RangeByteRequest,
    Store,
    SuffixByteRequest,
)
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import LocalStore, WrapperStore

from dasklasso.errors import DasklassoError, StoreError
from dasklasso.files.regular import unreadable

_MAX_OPEN = 64
_CHOOSING = threading.Lock()  # warnings.catch_warnings is not for two threads at once


class FetchedStore(WrapperStore[Store]):
    """A store some of whose keys were fetched already; failures to read are not decode errors.

    Attributes
    ----------
    held : dict of key to bytes
        What was fetched, and is decoded from here.
    """

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.held: dict[str, bytes] = {}

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        held = self.held.get(key)
        if held is not None:
            return prototype.buffer.from_bytes(_part(held, byte_range))
        try:
            return await self._store.get(key, prototype, byte_range)
        except Exception as error:
            raise _unreadable(key, error) from error


def _part(held: bytes, wanted: ByteRequest | None) -> bytes:
    if isinstance(wanted, RangeByteRequest):
        return held[wanted.start : wanted.end]
    if isinstance(wanted, OffsetByteRequest):
        return held[wanted.offset :]
    if isinstance(wanted, SuffixByteRequest):
        return held[-wanted.suffix :]
    return held


def _unreadable(key: str, error: Exception) -> StoreError:
    if isinstance(error, OSError) and error.filename is not None:
        return StoreError(unreadable(error, key))
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return StoreError(f"{key} cannot be read from the store: {reason}")


def fetch(store: Store, key: str) -> np.ndarray | None:
    """Return a key's bytes as uint8, None where the store has no such key.

    Raises
    ------
    StoreError
        The store cannot be reached or refuses.
    """
    return _fetch(store, key, None)


def fetch_part(store: Store, key: str, nbytes: int, *, at_end: bool) -> bytes | None:
    """Return the first or last ``nbytes`` of a key's bytes; otherwise as :func:`fetch`."""
    part: ByteRequest = SuffixByteRequest(nbytes) if at_end else RangeByteRequest(0, nbytes)
    found = _fetch(store, key, part)
    return None if found is None else found.tobytes()


def _fetch(store: Store, key: str, part: ByteRequest | None) -> np.ndarray | None:
    try:
        value = sync(store.get(key, default_buffer_prototype(), part))
    except Exception as error:
        raise _unreadable(key, error) from error
    return None if value is None else np.asarray(value.as_numpy_array()).view(np.uint8)


class ArrayCache:
    """This process's open zarr arrays, by the token of the source that reads them."""

    def __init__(self) -> None:
        self._arrays: OrderedDict[str, Any] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, token: str, store: Store, path: str) -> Any:
        """Return the array, opened at the first call in this process."""
        with self._lock:
            if token in self._arrays:
                self._arrays.move_to_end(token)
                return self._arrays[token]
        array = _open(store, path)
        with self._lock:
            self._arrays[token] = array
            while len(self._arrays) > _MAX_OPEN:
                self._arrays.popitem(last=False)
        return array


arrays = ArrayCache()


def _open(store: Store, path: str) -> Any:
    local = isinstance(store, LocalStore)
    if not local:  # local files are looked for before they are read
        store = FetchedStore(store)
    try:
        array = zarr.open_array(store, path=path, mode="r")
    except DasklassoError:
        raise
    except Exception as error:  # whatever zarr says of metadata that it cannot read
        raise _unreadable(path or "the array", error) from error
    if local and _zarrs_can_read(array):
        _decode_with_zarrs(array)
    return array


def _decode_with_zarrs(array: Any) -> None:
    """Give one array the fast codec pipeline.

    The setting by which zarr chooses it holds for the whole process: set and reset by two threads
    at once, it would stay with arrays that are none of ours.
    """
    from zarrs import ZarrsCodecPipeline

    store = LocalStore(array.store.root, read_only=True)  # which zarrs knows by its class
    with _CHOOSING, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*unsupported by ZarrsCodecPipeline")
        pipeline = ZarrsCodecPipeline.from_array_metadata_and_store(array.metadata, store)
    if pipeline.impl is not None:
        object.__setattr__(array.async_array, "codec_pipeline", pipeline)


def _zarrs_can_read(array: Any) -> bool:
    return (
        array.metadata.zarr_format == 3
        and array.dtype.isnative
        and importlib.util.find_spec("zarrs") is not None
    )


def local_root(store: Store, path: str) -> str | None:
    """Return the folder of an array in a local store, None for any other store."""
    return os.path.join(str(store.root), path) if isinstance(store, LocalStore) else None


def read(
    array: Any, selection: tuple[slice, ...], held: tuple[str, np.ndarray] | None = None
) -> np.ndarray:
    """Return one selection, decoded; a StoreError comes through.

    Parameters
    ----------
    held : (key, bytes), optional
        Of the chunk selected, where the array's store is a :class:`FetchedStore`.

    Raises
    ------
    ValueError
        The bytes cannot be decoded.
    """
    if held is not None:
        array.store.held[held[0]] = held[1].tobytes()
    try:
        return np.asarray(array[selection])
    except (DasklassoError, MemoryError):
        raise
    except Exception as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
    finally:
        if held is not None:
            array.store.held.pop(held[0], None)
