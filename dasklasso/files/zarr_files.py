"""The files by which a folder is a Zarr group or array."""

from __future__ import annotations

from pathlib import Path

ZARR_FILES = ("zarr.json", ".zgroup", ".zarray")


def is_zarr(folder: Path) -> bool:
    """Tell whether a folder is a Zarr group or array."""
    return any((folder / name).is_file() for name in ZARR_FILES)
