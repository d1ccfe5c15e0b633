"""Written beside, then renamed into place: at the final name stands the old thing or the new."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_beside(final: Path) -> Iterator[Path]:
    """A temporary name in the same folder; what is there at the end gets the final name.

    Replaces what has that name already, which is for the caller to allow. After an error (or
    Ctrl-C) nothing new is left, and the old is as it was.

    Parameters
    ----------
    final : Path
        Of a file or a folder; its parents are made.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    partial = final.with_name(f".{os.getpid()}.partial.{final.name}")  # the same ending
    _remove(partial)
    try:
        yield partial
        _swap(partial, final)
    except BaseException:
        _remove(partial)
        raise


def _swap(partial: Path, final: Path) -> None:
    if not final.is_dir():
        os.replace(partial, final)
        return
    # a folder that is not empty cannot be replaced in one step: the old one steps aside first
    old = final.with_name(f".{os.getpid()}.old.{final.name}")
    os.replace(final, old)
    try:
        os.replace(partial, final)
    except OSError:
        os.replace(old, final)
        raise
    _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
