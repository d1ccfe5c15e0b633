"""Folders in which something is written before it gets its name, and what killed runs left of them.

The work folder of ``NAME`` is ``.NAME.RANDOM.partial`` beside it. The first thing in it is a record
of who writes: only folders with such a record, or empty ones of such a name, are ever taken for
ours. Whatever else has a similar name belongs to others and is left alone.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from dasklasso.files.locks import LARGEST_RECORD, is_dead, parse_record, record, stem
from dasklasso.files.regular import open_regular

RECORD = "dasklasso-partial.json"
REPLACED = "replaced"  # in a work folder: what had the name, between two renames
_NAME = re.compile(r"\.(.+)\.[0-9a-f]{16}\.partial", re.DOTALL)


def make_work_folder(path: Path) -> Path:
    """Make the folder in which something is written that will be at ``path``.

    Raises
    ------
    OSError
    """
    folder = path.with_name(f".{stem(path.name)}.{secrets.token_hex(8)}.partial")
    folder.mkdir()
    try:
        (folder / RECORD).write_text(json.dumps(record(path.name)), encoding="utf-8")
    except OSError:
        with suppress(OSError):
            delete(folder)
        raise
    return folder


def work_folders(path: Path) -> list[Path]:
    """Return the work folders of a name that there are, whoever made them."""
    found = _NAME.fullmatch
    try:
        entries = list(os.scandir(path.parent))
    except OSError:
        return []
    wanted = stem(path.name)
    some = []
    for entry in entries:
        match = found(entry.name)
        if match is None or match[1] != wanted or not entry.is_dir(follow_symlinks=False):
            continue
        folder = path.with_name(entry.name)
        if name_of(folder) == path.name or _is_empty(folder):
            some.append(folder)
    return sorted(some)


def names_begun(parent: Path) -> Iterator[str]:
    """Return the names in a folder that there are work folders of."""
    if not parent.is_dir():
        return
    names = {name_of(folder) for folder in parent.iterdir() if _NAME.fullmatch(folder.name)}
    yield from sorted(name for name in names if name is not None)


def name_of(folder: Path) -> str | None:
    """Return the name that a work folder is of, as its record says; None where it has none."""
    try:
        found = _record_of(folder)
    except OSError:
        return None
    return None if found is None else str(found["name"])


def _record_of(folder: Path) -> dict[str, Any] | None:
    with open_regular(folder / RECORD) as file:
        return parse_record(file.read(LARGEST_RECORD + 1))


def _is_empty(folder: Path) -> bool:
    """Tell whether there is nothing in a folder, as far as this process may look into it."""
    try:
        return not any(folder.iterdir())
    except OSError:
        return False


def is_left_over(folder: Path, *, by_flock: bool) -> bool:
    """Tell whether who made a work folder is no more.

    Parameters
    ----------
    by_flock : whether the caller holds the name's lock, and others would have lost it by ending
    """
    try:
        found = _record_of(folder)
    except OSError:
        return _is_empty(folder)  # killed before it was marked
    return found is not None and (by_flock or is_dead(found))


def delete_work_folder(folder: Path) -> None:
    """Delete a work folder, its record last: killed meanwhile, it is still known for ours.

    Raises
    ------
    OSError
    """
    for entry in folder.iterdir():
        if entry.name != RECORD:
            delete(entry)
    with suppress(FileNotFoundError):
        (folder / RECORD).unlink()
    folder.rmdir()


def delete(path: Path) -> None:
    """Delete a file, a link (never what it leads to) or a folder with all in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()
