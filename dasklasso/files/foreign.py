"""Tell what in a folder is of others: what is replaced must hold nothing that they put there."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection
from pathlib import Path

from dasklasso.files.regular import open_regular

METADATA = ("zarr.json", ".zgroup", ".zattrs", ".zarray", ".zmetadata")
_CHUNKS = re.compile(r"c|c?[/.]?\d+(\.\d+)*")  # folders and files of chunks


def foreign_entry(folder: Path, known: Collection[str] = ()) -> Path | None:
    """Return something in a Zarr hierarchy that Zarr did not write; None where there is nothing.

    Parameters
    ----------
    folder : Path
        A group or an array.
    known : names in it, or in what it holds, that are ours, besides those of Zarr
    """
    is_array = _is_array(folder)
    for entry in sorted(os.scandir(folder), key=lambda one: one.name):
        if entry.name in known or (entry.name in METADATA and entry.is_file()):
            continue
        path = folder / entry.name
        if is_array:
            if _CHUNKS.fullmatch(entry.name) is None:
                return path
        elif not (entry.is_dir() and any((path / name).is_file() for name in METADATA)):
            return path
        elif (found := foreign_entry(path, known)) is not None:
            return found
    return None


def _is_array(folder: Path) -> bool:
    try:
        with open_regular(folder / "zarr.json") as file:
            found = json.load(file)
    except FileNotFoundError:
        return (folder / ".zarray").is_file()
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.get("node_type") == "array"
