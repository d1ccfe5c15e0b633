"""Files and folders that come into being whole or not at all.

Everything is written in a work folder beside its place, by one process at a time, synced to the
disk, and renamed into place: stores, moments and checkpoints by :class:`PartialFolder`, models,
tables, predictions and pictures by :func:`written_beside`, which is made of it.

Who reads a folder that may be replaced meanwhile reads it by :func:`read_whole`.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Literal, Self, TypeVar

from dasklasso.errors import DasklassoError, StoreError
from dasklasso.files.claims import Claim, claim, writing
from dasklasso.files.locks import FULL, write_error
from dasklasso.files.places import output_place
from dasklasso.files.regular import why_unwritable
from dasklasso.files.renames import exchange, rename_if_free
from dasklasso.files.work_folders import (
    REPLACED,
    delete,
    delete_work_folder,
    is_left_over,
    make_work_folder,
    names_begun,
    work_folders,
)

Synced = Literal["metadata", "all"]
READ_SECONDS = 30.0  # for which a folder that is replaced all the time is read again
WAIT_SECONDS = 0.005  # while a folder is between two renames
_DISK = (*FULL, errno.EROFS)  # of writing, never of reading

T = TypeVar("T")


class PartialFolder:
    """A folder that is written beside ``PATH`` by one process, renamed to ``PATH`` when done.

    What a killed process left half written is swept; where a living process writes, that is an
    error which says who. A folder that is to be replaced stays whole until its successor is, and
    the two change places in one step where the system can do that (Linux). Elsewhere there are two
    steps; where a process was killed between them, the next one puts the old folder back first.

    A link is replaced itself: what it leads to is left alone.

    Parameters
    ----------
    path : Path
    overwrite : whether what is there may be replaced

    Attributes
    ----------
    path : Path
    partial : Path
        What is renamed to ``path``.

    Raises
    ------
    OptionError
        ``path`` cannot be a place.
    StoreError
        When ``path`` exists and ``overwrite`` is false, the folder cannot be made, or another
        process is writing it.
    """

    _is_folder = True

    def __init__(self, path: Path, *, overwrite: bool) -> None:
        self.path = output_place(path, "path")
        self._overwrite = overwrite
        self._stack = ExitStack()
        self._work: Path | None = None
        self._refuse_existing()
        with ExitStack() as stack:
            held = stack.enter_context(writing(self.path))
            with self.guarded():
                _put_back(self.path)
                _sweep(self.path, held)
                self._refuse_existing()
                self._work = make_work_folder(self.path)
                stack.callback(self._clean_up)
                self.partial = self._work / self.path.name
                if self._is_folder:
                    self.partial.mkdir()
            self._stack = stack.pop_all()

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
            raise write_error(error)(
                f"{self.path}: cannot be written: {why_unwritable(error, self.path)}. "
                "Nothing was left there or changed there."
            ) from error

    def is_from_writing(self, error: OSError) -> bool:
        """Tell whether an error is of what is written here, and not of something that was read."""
        named = os.fspath(error.filename) if isinstance(error.filename, str) else ""
        return error.errno in _DISK or (named + os.sep).startswith(f"{self._work}{os.sep}")

    def publish(self, *, synced: Synced = "metadata") -> None:
        """Rename what was written into place; what it replaces is deleted last.

        Parameters
        ----------
        synced : {"metadata", "all"}
            What is on the disk before it is renamed. Chunks have checksums: where losing some in a
            power cut costs no more than to write them again, metadata will do.
        """
        if synced == "all":
            sync_tree(self.partial)
        else:
            sync(self.partial / "zarr.json")
        if not self._overwrite:
            try:
                rename_if_free(self.partial, self.path)
            except FileExistsError:
                raise StoreError(
                    f"{self.path}: exists already, made meanwhile by another; it was left as it is."
                ) from None
        else:
            self._replace()
        with suppress(OSError):  # not every file system can
            sync(self.path.parent)
        self.discard()

    def _replace(self) -> None:
        """Put the new file or folder in the old one's place, and the old one in the work folder."""
        assert self._work is not None
        old = self.path
        if not os.path.lexists(old) or not (old.is_dir() or self.partial.is_dir()):
            os.replace(self.partial, old)
            return
        if exchange(self.partial, old):
            return
        aside = self._work / REPLACED
        os.rename(old, aside)
        try:
            os.rename(self.partial, old)
        except OSError:
            os.rename(aside, old)
            raise

    def discard(self) -> None:
        """Delete the work folder; nothing happens once it is published or discarded."""
        self._stack.close()

    def empty(self) -> None:
        """Delete what was written so far, to write it anew."""
        with self.guarded():
            for entry in list(self.partial.iterdir()):
                delete(entry)

    def _clean_up(self) -> None:
        if self._work is not None:
            with suppress(OSError):  # it is of no use any more; the next run sweeps it
                delete_work_folder(self._work)

    def _refuse_existing(self) -> None:
        if not self._overwrite and os.path.lexists(self.path):
            raise StoreError(
                f"{self.path}: exists already. Give another name, or overwrite it knowingly."
            )


class _Beside(PartialFolder):
    """What is written, a file or a folder, is for the caller to make."""

    _is_folder = False


@contextmanager
def written_beside(final: Path) -> Iterator[Path]:
    """A temporary name; what is there at the end, a file or a folder, gets the final name.

    Replaces what has that name already, which is for the caller to allow. After an error (or
    Ctrl-C) nothing new is left, and the old is as it was. What a killed process left is swept.

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
        try:
            yield place.partial
        except OSError as error:
            if not place.is_from_writing(error):
                raise
            with place.guarded():
                raise
        with place.guarded():
            place.publish(synced="all")


def read_whole(path: Path, read: Callable[[], T]) -> T:
    """Read a folder, again where it was replaced meanwhile: what is read is of one version.

    Parameters
    ----------
    path : Path
        Of the folder, which others may replace.
    read : called without arguments
    """
    until = time.monotonic() + READ_SECONDS
    while True:
        before = _version(path)
        if before is None and _is_between_renames(path) and time.monotonic() < until:
            time.sleep(WAIT_SECONDS)
            continue
        try:
            found = read()
        except (DasklassoError, OSError):
            if _version(path) == before or time.monotonic() > until:
                raise
        else:
            if _version(path) == before:
                return found
            if time.monotonic() > until:
                raise StoreError(
                    f"{path}: was replaced all the time for {READ_SECONDS:g} seconds, so that it "
                    "could not be read whole; read it when it is no longer written."
                )


def _version(path: Path) -> tuple[int, int, int] | None:
    """Identify the folder that has a name now: numbers of deleted folders are given again."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns


def _is_between_renames(path: Path) -> bool:
    """Tell whether a folder without its name is about to be replaced, or put back if it is not."""
    return _is_aside(Path(os.path.realpath(path))) and not restore(path)


def _is_aside(path: Path) -> bool:
    """Tell whether what had a name is in a work folder, between two renames."""
    return any(os.path.lexists(work / REPLACED) for work in work_folders(path))


def remove(path: Path) -> None:
    """Delete a file or folder with what killed runs left of it.

    It loses its name before it is deleted: what has its name is always whole.

    Raises
    ------
    StoreError
        Another process is writing it.
    OSError
    """
    if not path.parent.is_dir():
        return
    with writing(path) as held:
        if os.path.lexists(path):
            work = make_work_folder(path)
            try:
                os.rename(path, work / path.name)
            finally:
                delete_work_folder(work)
        _sweep(path, held, also_replaced=True)


def restore(path: Path) -> bool:
    """Put back a folder whose replacement was cut off between its two steps.

    Returns
    -------
    bool
        Whether there was one. False also while a living process is between the two.
    """
    path = Path(os.path.realpath(path))  # what a link leads to is what was replaced
    if os.path.lexists(path) or not _is_aside(path):
        return False
    try:
        with claim(path) as held:
            found = _put_back(path)
            _sweep(path, held)
            return found
    except (StoreError, OSError):
        return False


def was_begun(path: Path) -> bool:
    """Tell whether something of this name is or was being written."""
    return bool(work_folders(path))


def sweep(folder: Path) -> None:
    """Delete what killed runs left half written of any name in a folder."""
    for name in names_begun(folder):
        with suppress(StoreError, OSError), claim(folder / name) as held:
            _put_back(held.path)
            _sweep(held.path, held)


def _put_back(path: Path) -> bool:
    """Give a folder its name back; the caller has claimed it."""
    if os.path.lexists(path):
        return False
    for work in work_folders(path):
        if os.path.lexists(work / REPLACED):
            os.rename(work / REPLACED, path)
            return True
    return False


def _sweep(path: Path, held: Claim, *, also_replaced: bool = False) -> None:
    """Delete what killed runs left of a name; the caller has claimed it."""
    for work in work_folders(path):
        if not is_left_over(work, by_flock=held.lock.by_flock):
            continue
        if os.path.lexists(work / REPLACED) and not (os.path.lexists(path) or also_replaced):
            continue  # all that there is under this name
        with suppress(OSError):
            delete_work_folder(work)


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
