"""From a path, a URL or a zarr object to a zarr group or array, or one clear error."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import zarr
from zarr.abc.store import Store
from zarr.core.sync import sync
from zarr.storage import FsspecStore, LocalStore

from dasklasso.errors import DependencyMissing, OptionError, StoreError
from dasklasso.files.atomic import restore, was_begun
from dasklasso.files.places import input_place, is_url
from dasklasso.files.regular import special_kind, why
from dasklasso.storage.local_files import local_files

StoreLike = Any
"""A path, a URL (``s3://bucket/store``), a zarr.Group or zarr.Array, or a zarr store."""


def open_node(store: StoreLike, storage_options: dict[str, Any] | None) -> tuple[Any, str]:
    """Return a zarr group or array opened read-only, and how errors name where it is.

    Raises
    ------
    StoreError
        There is nothing, or nothing that zarr can open.
    DependencyMissing
        The URL needs a package that is not installed.
    OptionError
        ``store`` is of a type that cannot hold a store, or ``storage_options`` were given for
        a local path.
    """
    if isinstance(store, zarr.Group | zarr.Array):
        return store, _location_of(store)
    if isinstance(store, Store):
        return _open(store, str(store), None), str(store)
    if not isinstance(store, str | os.PathLike):
        raise OptionError(
            f"store is a {type(store).__name__}, expected a path, a URL, a zarr.Group or a "
            "zarr.Array."
        )
    location = os.fspath(store)
    location = input_place(location, "store")
    if is_url(location):
        return _open(location, location, storage_options), location
    if storage_options:
        raise OptionError(f"storage_options are for URLs, and {location} is a local path.")
    path = Path(location)
    if not _is_there(path):
        restore(path)  # the process that replaced it may have been killed between two renames
    if not _is_there(path):
        hint = " An ingest into it was begun and not finished." if was_begun(path) else ""
        raise StoreError(f"{location} does not exist.{hint}")
    return _open(local_files(path), location, None), location


def _is_there(path: Path) -> bool:
    try:
        os.stat(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {why(error)}.") from None
    if (kind := special_kind(path)) is not None:
        raise StoreError(f"{path} is a {kind}, expected the folder of a Zarr store.")
    return True


def _open(target: str | Store, location: str, storage_options: dict[str, Any] | None) -> Any:
    try:
        return zarr.open(target, mode="r", storage_options=storage_options)
    except ImportError as error:
        raise DependencyMissing(f"{location} cannot be opened: {error}") from error
    except FileNotFoundError as error:
        raise StoreError(
            f"{location} is not a Zarr store: it has no zarr.json, .zgroup or .zarray. "
            "Turn a table into one: dasklasso ingest SOURCE STORE."
        ) from error
    except Exception as error:
        raise StoreError(f"{location} cannot be opened as Zarr ({_line(error)}).") from error


def _location_of(node: Any) -> str:
    store, path = node.store, node.path
    if isinstance(store, LocalStore):
        return os.path.join(str(store.root), path).rstrip("/")
    if isinstance(store, FsspecStore):
        protocol = store.fs.protocol
        protocol = protocol if isinstance(protocol, str) else protocol[0]
        return f"{protocol}://{store.path}/{path}".rstrip("/")
    return f"{store}/{path}".rstrip("/")


def member(group: Any, name: str) -> Any | None:
    """Return the group's array of this name, None where there is nothing of this name.

    Raises
    ------
    StoreError
        There is something that is no array, or that cannot be opened: never taken for nothing.
    """
    where = f"{_location_of(group)}/{name}"
    try:
        found = group[name]
    except KeyError:
        if not _holds(group, name):
            return None
        raise StoreError(
            f"{where} is there, but it is no Zarr array: it has no zarr.json or .zarray. "
            "Restore it, or delete what is left of it."
        ) from None
    except Exception as error:
        raise StoreError(f"{where} cannot be opened ({_line(error)}).") from error
    if not isinstance(found, zarr.Array):
        raise StoreError(f"{where} is a Zarr group, expected an array.")
    return found


def _holds(group: Any, name: str) -> bool:
    """Whether a group has anything of this name, of stores that can be listed."""
    if not group.store.supports_listing:
        return False
    key = f"{group.path}/{name}".lstrip("/")
    try:
        return not sync(group.store.is_empty(key))
    except Exception as error:
        where = f"{_location_of(group)}/{name}"
        raise StoreError(f"{where} cannot be listed ({_line(error)}).") from error


def _line(error: Exception) -> str:
    """Return what zarr, or the system, says of something that cannot be read."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{os.path.basename(error.filename)}: {why(error)}"
    return " ".join(f"{type(error).__name__}: {error}".split())


def array_names(group: Any) -> tuple[str, ...]:
    """Names of the group's arrays, for errors and tables."""
    try:
        return tuple(sorted(group.array_keys()))
    except Exception:  # a store that cannot be listed
        return ()
