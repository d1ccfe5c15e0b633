"""Files and folders that come into being whole or not at all.

Everything is written beside its place, by one process at a time, synced to the disk, and renamed
into place: stores, moments and checkpoints by :class:`PartialFolder`, models, tables, predictions
and pictures by :func:`written_beside`, which is made of it.
"""

from __future__ import annotations

import ctypes
import glob
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, Self

from dasklasso.errors import StoreError

Synced = Literal["metadata", "all"]


class PartialFolder:
    """``PATH.partial``, held by one process while it is written, renamed to ``PATH`` when done.

    A ``.partial`` that a killed process left is replaced; one that a living process holds is an
    error. A folder that is to be replaced stays whole until its successor is, and the two change
    places in one step where the system can do that (Linux). Elsewhere there are two steps; where
    a process was killed between them, the next one puts the old folder back first.

    Raises
    ------
    StoreError
        When ``path`` exists and ``overwrite`` is false, the folder cannot be made, or another
        process is writing it.
    """

    def __init__(self, path: Path, *, overwrite: bool) -> None:
        self.path = path
        self.partial = _partial(path)
        self.content = self._content()
        self._overwrite = overwrite
        self._lock: int | None = None
        self._open = False
        self._refuse_existing()
        with self.guarded():
            path.parent.mkdir(parents=True, exist_ok=True)
            remove_partial(path)
            self.partial.mkdir()
            self._lock = _take(self.partial, path)
            self._open = True
            restored = _put_back(path)
        if restored and not overwrite:
            self.discard()
            self._refuse_existing()

    def _content(self) -> Path:
        """What is renamed to ``path``."""
        return self.partial

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.discard()  # does nothing after publish()

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Turn what the file system refuses (disk full, no permission) into a StoreError."""
        try:
            yield
        except OSError as error:
            raise StoreError(
                f"{self.path}: cannot be written: {error.strerror or error}. "
                "Nothing was left there or changed there."
            ) from error

    def publish(self, *, synced: Synced = "metadata") -> None:
        """Rename what was written into place; what it replaces is deleted last.

        Parameters
        ----------
        synced : {"metadata", "all"}
            What is on the disk before it is renamed. Chunks have checksums: where losing some in a
            power cut costs no more than to write them again, metadata will do.
        """
        if synced == "all":
            sync_tree(self.content)
        else:
            sync(self.content / "zarr.json")
        if not (self._overwrite and os.path.lexists(self.path)):
            os.rename(self.content, self.path)
            self._release()
        elif not (self.path.is_dir() or self.content.is_dir()):
            os.replace(self.content, self.path)
            self._release()
        else:
            removed = _removed(self.path)
            _remove(removed)
            self._replace(removed)
            self._release()
            _clean_up(self.path)
        with suppress(OSError):  # not every file system can
            sync(self.path.parent)

    def _replace(self, removed: Path) -> None:
        """Put the new folder in the old one's place, and the old one at ``removed``."""
        # after the exchange the old folder is at .partial for a moment: no process may take it
        aside = _replaced(self.path)
        _remove(aside)  # of a process that was killed after its second step
        lock = None
        if self.path.is_dir():
            with suppress(StoreError):
                lock = _take(self.path, self.path)
        try:
            if _exchange(self.content, self.path):
                with suppress(OSError):  # it is of no use any more, wherever it stays
                    os.rename(self.content, removed)
                return
            os.rename(self.path, aside)
            try:
                os.rename(self.content, self.path)
            except OSError:
                os.rename(aside, self.path)
                raise
            # renamed before it is deleted: what is called .replaced is always whole
            os.rename(aside, removed)
        finally:
            if lock is not None:
                os.close(lock)

    def discard(self) -> None:
        """Delete the folder; nothing happens once it is published or discarded."""
        if self._open:
            _remove(self.partial)
            self._release()

    def empty(self) -> None:
        """Delete what was written so far, to write it anew."""
        with self.guarded():
            for entry in list(self.partial.iterdir()):
                _remove(entry)

    def _refuse_existing(self) -> None:
        if not self._overwrite and os.path.lexists(self.path):
            raise StoreError(
                f"{self.path}: exists already. Give another name, or overwrite it knowingly."
            )

    def _release(self) -> None:
        self._open = False
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _take(folder: Path, path: Path) -> int | None:
    """Lock a folder for as long as this process lives (no lock where there is no flock)."""
    try:
        import fcntl
    except ImportError:
        return None
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise StoreError(
            f"{path}: another process is writing it ({folder.name} is in use)."
        ) from None
    except OSError:  # a file system without locks
        os.close(lock)
        return None
    return lock


def remove_partial(path: Path) -> None:
    """Delete what a killed process left half written beside ``path``, if there is something.

    Raises
    ------
    StoreError
        A living process is writing it.
    OSError
    """
    partial = _partial(path)
    lock = _take(partial, path) if partial.is_dir() else None
    try:
        _remove(partial)
    finally:
        if lock is not None:
            os.close(lock)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()


def sync(path: Path) -> None:
    """Have a file's contents, or a folder's entries, on the disk before going on."""
    if os.path.lexists(path):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sync_tree(path: Path) -> None:
    """Have a file, or all of a folder, on the disk; files linked from elsewhere are there."""
    if not path.is_dir():
        sync(path)
        return
    for folder, _, files in os.walk(path, topdown=False):
        for name in files:
            if os.stat(os.path.join(folder, name)).st_nlink == 1:
                sync(Path(folder, name))
        sync(Path(folder))


def remove(path: Path) -> None:
    """Delete a folder with all that writing it has left beside it.

    It is renamed before it is deleted: what has its name is always whole.

    Raises
    ------
    StoreError
        Another process is writing it.
    OSError
    """
    remove_partial(path)
    for found in (path, _replaced(path)):
        removed = _removed(found)
        if os.path.lexists(found):
            _remove(removed)
            with suppress(FileNotFoundError):  # another process was faster
                os.rename(found, removed)
        _clean_up(found)


def restore(path: Path) -> bool:
    """Put back a folder whose replacement was cut off between its two steps.

    Returns
    -------
    bool
        Whether there was one. False also while a living process is between the two.
    """
    if os.path.lexists(path) or not _replaced(path).is_dir():
        return False
    try:
        PartialFolder(path, overwrite=True).discard()
    except StoreError:
        return False
    return os.path.lexists(path)


def _put_back(path: Path) -> bool:
    aside = _replaced(path)
    if os.path.lexists(path) or not os.path.lexists(aside):
        return False
    os.rename(aside, path)
    return True


def _partial(path: Path) -> Path:
    return path.with_name(path.name + ".partial")


def _replaced(path: Path) -> Path:
    return path.with_name(path.name + ".replaced")


def _removed(path: Path) -> Path:
    # the process's number keeps two processes that clean up out of each other's way
    return path.with_name(f"{path.name}.removed-{os.getpid()}")


def _clean_up(path: Path) -> None:
    """Delete what was replaced, now or by a process that was killed while deleting."""
    for found in glob.glob(glob.escape(os.fspath(path)) + ".removed-*"):
        with suppress(OSError):
            _remove(Path(found))


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
_SWAP = 2  # RENAME_EXCHANGE


def _exchange(one: Path, other: Path) -> bool:
    """Have two folders change names in one step; False where the system cannot do that."""
    return (
        _rename is not None
        and _rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _SWAP) == 0
    )


class _Beside(PartialFolder):
    """What is written has the name of its place, and so its ending, in the folder that is held."""

    def _content(self) -> Path:
        return self.partial / self.path.name

    def _release(self) -> None:
        if self._open:
            with suppress(OSError):
                _remove(self.partial)
        super()._release()


@contextmanager
def written_beside(final: Path) -> Iterator[Path]:
    """A temporary name; what is there at the end, a file or a folder, gets the final name.

    Replaces what has that name already, which is for the caller to allow. After an error (or
    Ctrl-C) nothing new is left, and the old is as it was. What a killed process left is replaced.

    Parameters
    ----------
    final : Path
        Of a file or a folder; its parents are made.

    Raises
    ------
    StoreError
        It cannot be written, or another process is writing it.
    """
    with _Beside(final, overwrite=True) as place:
        yield place.content
        with place.guarded():
            place.publish(synced="all")
