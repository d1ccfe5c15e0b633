"""A folder that comes into being whole or not at all: written beside, then renamed into place."""

from __future__ import annotations

import ctypes
import glob
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dasklasso.errors import StoreError


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
        self.partial = path.with_name(path.name + ".partial")
        self._overwrite = overwrite
        self._lock: int | None = None
        self._open = False
        self._refuse_existing()
        with self.guarded():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._remove_stale()
            self.partial.mkdir()
            self._lock = _take(self.partial, path)
            self._open = True
            restored = _put_back(path)
        if restored and not overwrite:
            self.discard()
            self._refuse_existing()

    def __enter__(self) -> PartialFolder:
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

    def publish(self) -> None:
        """Rename the folder into place; one that it replaces is deleted last."""
        sync(self.partial / "zarr.json")
        if not (self._overwrite and os.path.lexists(self.path)):
            os.rename(self.partial, self.path)
            self._release()
        else:
            # the process's number keeps two processes that clean up out of each other's way
            removed = self.path.with_name(f"{self.path.name}.removed-{os.getpid()}")
            _remove(removed)
            self._replace(removed)
            self._release()
            self._clean_up()
        with suppress(OSError):  # not every file system can
            sync(self.path.parent)

    def _replace(self, removed: Path) -> None:
        """Put the new folder in the old one's place, and the old one at ``removed``."""
        # after the exchange the old folder is at .partial for a moment: nobody may take it there
        lock = None
        if self.path.is_dir():
            with suppress(StoreError):
                lock = _take(self.path, self.path)
        try:
            if _exchange(self.partial, self.path):
                with suppress(OSError):  # it is of no use any more, wherever it stays
                    os.rename(self.partial, removed)
                return
            aside = _replaced(self.path)
            _remove(aside)
            os.rename(self.path, aside)
            try:
                os.rename(self.partial, self.path)
            except OSError:
                os.rename(aside, self.path)
                raise
            # renamed before it is deleted: what is called .replaced is always whole
            os.rename(aside, removed)
        finally:
            if lock is not None:
                os.close(lock)

    def _clean_up(self) -> None:
        """Delete what was replaced, now or by a process that was killed while deleting."""
        pattern = glob.escape(os.fspath(self.path)) + ".removed-*"
        for found in glob.glob(pattern):
            with suppress(OSError):
                _remove(Path(found))

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

    def _remove_stale(self) -> None:
        if not os.path.lexists(self.partial):
            return
        lock = _take(self.partial, self.path) if self.partial.is_dir() else None
        _remove(self.partial)
        if lock is not None:
            os.close(lock)

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


def _replaced(path: Path) -> Path:
    return path.with_name(path.name + ".replaced")


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
