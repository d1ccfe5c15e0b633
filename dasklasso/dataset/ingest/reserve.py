"""The folder of a store that is begun, before anything is known of its data."""

from __future__ import annotations

import os
from pathlib import Path

from dasklasso.errors import StoreError
from dasklasso.files.atomic import PartialFolder
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
    StoreError
        When ``path`` exists (without ``overwrite``, or it is not a Zarr store), cannot be
        written, or another process is writing it.
    """
    store = Path(path)
    if overwrite and store.exists():
        is_zarr = any((store / name).is_file() for name in ZARR_FILES)
        is_empty = store.is_dir() and not any(store.iterdir())
        if not is_zarr and not is_empty:
            raise StoreError(f"{path}: is not a Zarr store, so it will not be overwritten.")
        if reading is not None and Path(reading).exists() and store.samefile(reading):
            raise StoreError(f"{path}: is the source, it cannot be overwritten by its own data.")
    return PartialFolder(store, overwrite=overwrite)
