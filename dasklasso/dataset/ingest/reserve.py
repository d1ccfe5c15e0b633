"""The folder of a store that is begun, before anything is known of its data."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from dasklasso.dataset.manifest import MANIFEST_KEY
from dasklasso.errors import StoreError
from dasklasso.files.atomic import PartialFolder
from dasklasso.files.foreign import foreign_entry
from dasklasso.files.places import check_places, input_place, output_place
from dasklasso.files.zarr_files import is_zarr
from dasklasso.storage.chunk_checksums import CHECKSUMS
from dasklasso.storage.sealed_groups import group_attributes

_MOST_NAMED = 3  # of the arrays of a store of others


def reserve(
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    reading: str | os.PathLike[str] | None = None,
) -> PartialFolder:
    """Begin a store at ``path``, before anything is known of the data.

    Parameters
    ----------
    reading : str or Path, optional
        The table that the store is made from, which must not be what is overwritten.

    Raises
    ------
    OptionError
        When ``path`` cannot be a place, or it and ``reading`` are not apart.
    StoreError
        When ``path`` exists (without ``overwrite``, or it is not a store that dasklasso wrote),
        cannot be written, or another process is writing it.
    """
    store = output_place(path, "store")
    if reading is not None:
        check_places({"store": store}, {"source": input_place(reading, "source")})
    if overwrite and store.exists():
        _check_replaceable(store)
    return PartialFolder(store, overwrite=overwrite)


def _check_replaceable(store: Path) -> None:
    """Refuse to replace anything but an empty folder or a store that dasklasso wrote."""
    if not is_zarr(store):
        if store.is_dir() and not any(store.iterdir()):
            return
        raise StoreError(f"{store}: is not a Zarr store, so it will not be overwritten.")
    others = foreign_entry(store, (CHECKSUMS,))
    if others is not None:
        raise StoreError(
            f"{store}: is not overwritten: {others} in it is not of a store. Move it elsewhere "
            "first."
        )
    if not _is_ours(store):
        arrays = [one.name for one in sorted(store.iterdir()) if is_zarr(one)]
        holds = f" with {', '.join(arrays[:_MOST_NAMED])}" if arrays else ""
        more = f" and {len(arrays) - _MOST_NAMED} more" if len(arrays) > _MOST_NAMED else ""
        raise StoreError(
            f"{store}: is not overwritten: it is Zarr data{holds}{more} that dasklasso did not "
            "write, for it has no manifest. Give another name, or move it elsewhere first."
        )


def _is_ours(store: Path) -> bool:
    """Tell whether a store has a manifest, of any version, or where it lost it, our checksums."""
    with suppress(StoreError):
        if MANIFEST_KEY in group_attributes(store, error=StoreError):
            return True
    return (store / "X" / CHECKSUMS).is_file()
