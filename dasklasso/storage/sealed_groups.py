"""What a Zarr group on disk says of itself in its attributes, read without believing any of it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import zarr

from dasklasso.errors import DasklassoError
from dasklasso.files.documents import read_json, read_text
from dasklasso.files.regular import unreadable
from dasklasso.files.seal import CHECKSUM_BYTES, METADATA
from dasklasso.storage.local_files import local_files


def group_attributes(folder: Path, *, error: type[DasklassoError]) -> dict[str, Any]:
    """Return the attributes in a group's ``zarr.json``.

    Raises
    ------
    DasklassoError
        It is not there, cannot be read, or is not the metadata of a group.
    """
    path = folder / METADATA
    try:
        text = read_text(path, error=error)
    except OSError as problem:
        raise error(unreadable(problem, path)) from None
    found = read_json(text, where=str(path), error=error)
    attributes = found.get("attributes") if isinstance(found, dict) else None
    if not isinstance(attributes, dict) or found.get("node_type") != "group":
        raise error(f"{path} is not the metadata of a Zarr group with attributes.")
    return attributes


def open_sealed_group(folder: Path, *, error: type[DasklassoError]) -> zarr.Group:
    """Open a group whose files were compared with those that it was sealed with.

    Raises
    ------
    DasklassoError
        zarr cannot open it.
    """
    try:
        return zarr.open_group(local_files(folder), mode="r", zarr_format=3, use_consolidated=False)
    except Exception as problem:  # whatever zarr says of metadata that it cannot read
        raise error(f"{folder} cannot be opened ({_line(problem)}).") from None


def uncompressed_array(
    group: zarr.Group, name: str, folder: Path, *, error: type[DasklassoError]
) -> zarr.Array:
    """Return an array of chunks that are stored as they are, each with its checksum.

    Its files are as long as its shape says: no size is believed that is not on the disk.

    Raises
    ------
    DasklassoError
        It is not there, cannot be opened, or its chunks are not all there in their length.
    """
    try:
        array = group[name]
    except Exception as problem:
        raise error(f"{folder / name} cannot be opened ({_line(problem)}).") from None
    if not isinstance(array, zarr.Array):
        raise error(f"{folder / name} is a group, expected an array.")
    sizes = [file.stat().st_size for file in (folder / name).rglob("*") if file.is_file()]
    sizes.remove((folder / name / METADATA).stat().st_size)
    each = math.prod(array.chunks) * array.dtype.itemsize + CHECKSUM_BYTES
    if 0 in array.chunks or len(sizes) != array.nchunks or any(size != each for size in sizes):
        raise error(
            f"{folder / name} has shape {array.shape} in chunks of {array.chunks}, expected "
            f"as many files of {each} bytes: found {len(sizes)}, of {sum(sizes)} bytes."
        )
    return array


def _line(problem: BaseException) -> str:
    return " ".join(f"{type(problem).__name__}: {problem}".split())
