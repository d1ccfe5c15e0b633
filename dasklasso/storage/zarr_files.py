"""The files by which a folder is a Zarr group or array."""

ZARR_FILES = ("zarr.json", ".zgroup", ".zarray")
