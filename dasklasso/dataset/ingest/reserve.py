"""The folder of a store that is begun, before anything is known of its data."""

from __future__ import annotations

import os

from dasklasso.errors import StoreError
from dasklasso.files.atomic import PartialFolder
from dasklasso.files.foreign import foreign_entry
from dasklasso.files.places import check_places, input_place, output_place
from dasklasso.storage.chunk_checksums import CHECKSUMS
from dasklasso.storage.zarr_files import ZARR_FILES


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
        When ``path`` exists (without ``overwrite``, or it is not a Zarr store), cannot be
        written, or another process is writing it.
    """
    store = output_place(path, "store")
    if reading is not None:
        check_places({"store": store}, {"source": input_place(reading, "source")})
    if overwrite and store.exists():
        is_zarr = any((store / name).is_file() for name in ZARR_FILES)
        is_empty = store.is_dir() and not any(store.iterdir())
        if not is_zarr and not is_empty:
            raise StoreError(f"{path}: is not a Zarr store, so it will not be overwritten.")
        others = foreign_entry(store, (CHECKSUMS,)) if is_zarr else None
        if others is not None:
            raise StoreError(
                f"{path}: is not overwritten: {others} in it is not of a store. Move it elsewhere "
                "first."
            )
    return PartialFolder(store, overwrite=overwrite)
