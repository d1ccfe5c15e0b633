"""Renames in one step, where the system has them: exchange two names, take a name that is free."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path


def _renameat2() -> Callable[[int, bytes, int, bytes, int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        function = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):  # a C library without it
        return None
    function.argtypes = (
        ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint,
    )  # fmt: skip
    function.restype = ctypes.c_int
    found: Callable[[int, bytes, int, bytes, int], int] = function
    return found


_rename = _renameat2()
_HERE = -100  # AT_FDCWD: names count from the working directory
_IF_FREE = 1  # RENAME_NOREPLACE
_SWAP = 2  # RENAME_EXCHANGE


def exchange(one: Path, other: Path) -> bool:
    """Have two names lead to each other's file or folder; False where the system cannot do that."""
    return (
        _rename is not None
        and _rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _SWAP) == 0
    )


def rename_if_free(old: Path, new: Path) -> None:
    """Rename a file or folder to a name that nothing has.

    Raises
    ------
    FileExistsError
        Something has it. Where the system cannot look and rename in one step, something that comes
        in between may be replaced, if both are files.
    OSError
    """
    if _rename is not None:
        if _rename(_HERE, os.fsencode(old), _HERE, os.fsencode(new), _IF_FREE) == 0:
            return
        if ctypes.get_errno() == errno.EEXIST:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(new))
    if os.path.lexists(new):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(new))
    os.rename(old, new)
