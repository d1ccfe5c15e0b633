"""A folder that comes into being whole or not at all: written beside, then renamed into place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dasklasso.errors import StoreError


class PartialFolder:
    """``PATH.partial``, held by one process while it is written, renamed to ``PATH`` when done.

    A ``.partial`` that a killed process left is replaced; one that a living process holds is an
    error. A folder that is to be replaced stays whole until its successor is.

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
        if not overwrite and os.path.lexists(path):
            raise StoreError(
                f"{path}: exists already. Give another name, or overwrite it knowingly."
            )
        with self.guarded():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._remove_stale()
            self.partial.mkdir()
            self._lock = self._take(self.partial)
            self._open = True

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
        """Rename the folder into place; an older one is moved away first and deleted last."""
        _sync(self.partial / "zarr.json")
        old = self.path.with_name(self.path.name + ".replaced")
        if self._overwrite and os.path.lexists(self.path):
            _remove(old)
            os.rename(self.path, old)
            try:
                os.rename(self.partial, self.path)
            except OSError:
                os.rename(old, self.path)
                raise
        else:
            os.rename(self.partial, self.path)
        self._release()
        shutil.rmtree(old, ignore_errors=True)

    def discard(self) -> None:
        """Delete the folder; nothing happens once it is published or discarded."""
        if self._open:
            _remove(self.partial)
            self._release()

    def _remove_stale(self) -> None:
        if not os.path.lexists(self.partial):
            return
        lock = self._take(self.partial) if self.partial.is_dir() else None
        _remove(self.partial)
        if lock is not None:
            os.close(lock)

    def _take(self, folder: Path) -> int | None:
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
                f"{self.path}: another process is writing it ({folder.name} is in use)."
            ) from None
        except OSError:  # a file system without locks
            os.close(lock)
            return None
        return lock

    def _release(self) -> None:
        self._open = False
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()


def _sync(path: Path) -> None:
    if path.is_file():
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
