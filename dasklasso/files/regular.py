"""Opens files to read: of data, never a pipe or a device, on which a reader may wait for ever.

Whatever reads a file opens it here, or, where a library opens it by its name, has it checked here
first. :func:`why` words what the system says of a file that cannot be opened, and
:func:`why_unwritable` of a place that cannot be written.
"""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

Place = str | os.PathLike[str]

_KINDS = {
    stat.S_IFIFO: "pipe",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}
_WORDS = {
    errno.ELOOP: "its symbolic links lead in a circle",
    errno.EISDIR: "it is a folder, expected a file",
    errno.ENAMETOOLONG: "its name is too long",
    errno.ENOTDIR: "a part of its path is a file, expected a folder",
}
_OF_PLACES = (*_WORDS, errno.ENOENT, errno.EACCES, errno.EPERM, errno.EINVAL, errno.ENXIO)
# a pipe is not waited for, also where it takes a file's place after that was looked at
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class NotRegular(OSError):
    """What is opened is a pipe, a socket or a device."""


def open_regular(path: Place) -> BufferedReader:
    """Open a file to read.

    Raises
    ------
    OSError
        Also :class:`NotRegular`.
    """
    return open(descriptor_of(path), "rb")


def descriptor_of(path: Place) -> int:
    """Return a descriptor of a file that is opened to read; raises as :func:`open_regular`."""
    check_regular(path)  # opening alone can do something to a pipe's writer, or to a device
    descriptor = os.open(path, _FLAGS)
    try:
        _check(os.fstat(descriptor), path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def check_regular(path: Place) -> None:
    """Refuse what is no file, before a library opens it; raises as :func:`open_regular`."""
    _check(os.stat(path), path)


def special_kind(path: Place) -> str | None:
    """Return what there is that is neither a file nor a folder, such as a pipe; else None."""
    try:
        return _KINDS.get(stat.S_IFMT(os.stat(path).st_mode))
    except OSError:
        return None


def _check(found: os.stat_result, path: Place) -> None:
    if stat.S_ISREG(found.st_mode):
        return
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    kind = _KINDS.get(stat.S_IFMT(found.st_mode), "special file")
    raise NotRegular(errno.EINVAL, f"it is a {kind}, expected a file", os.fspath(path))


def unreadable(error: BaseException, where: Place) -> str:
    """Say that something cannot be read, and why: the file that an error names, else ``where``."""
    named = getattr(error, "filename", None)
    return f"{where if named is None else named} cannot be read: {why(error)}."


def is_of_place(error: OSError) -> bool:
    """Tell whether an error is of a place that was given, not of a disk or a connection."""
    return error.filename is not None and error.errno in _OF_PLACES


def why(error: BaseException) -> str:
    """Return why something cannot be read, as a message says it after a colon."""
    if isinstance(error, OSError) and error.errno in _WORDS:
        return _WORDS[error.errno]
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(said.split()).rstrip(".") or type(error).__name__


def why_unwritable(error: OSError, path: Path) -> str:
    """Return why nothing can be written at a path, naming the folder that is the cause."""
    folder = next(one for one in path.absolute().parents if os.path.lexists(one))
    if error.errno in (errno.EEXIST, errno.ENOTDIR) and not folder.is_dir():
        return f"{folder} is not a folder"
    if error.errno == errno.ENOENT and folder == path.absolute().parent:
        return f"no file can be made in {folder}"
    return why(error)
