"""Claims on names: from when a command begins until its results have their names.

A claim makes the folder that the name is in and takes the name's lock, which shows that it can be
written there. Within a claim the same thread writes the name as often as it likes; every other
writer is refused.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from dasklasso.errors import StoreError
from dasklasso.files.locks import Busy, Lock, busy, record, take_lock, write_error
from dasklasso.files.regular import why_unwritable


@dataclass
class Claim:
    """A name that this process alone may write.

    Attributes
    ----------
    path : Path
    lock : Lock
    made : folders that were made for it, the outermost first
    thread : identity of the thread that claimed it
    process : its number
    writing : whether the name is being written
    """

    path: Path
    lock: Lock
    made: list[Path] = field(default_factory=list)
    thread: int = field(default_factory=threading.get_ident)
    process: int = field(default_factory=os.getpid)
    writing: bool = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()

    def release(self) -> None:
        """Give the name free; folders that were made for it and are empty are removed."""
        with _mutex:
            _claims.pop(_key(self.path), None)
            self.lock.release()
        for folder in reversed(self.made):
            with suppress(OSError):
                folder.rmdir()


_mutex = threading.RLock()
_claims: dict[str, Claim] = {}


def claim(path: Path) -> Claim:
    """Claim a name, until the claim is released.

    Raises
    ------
    Busy
        Somebody else is writing it.
    StoreError
        It cannot be written there.
    """
    with _mutex:
        key = _key(path)
        held = _claims.get(key)
        if held is not None and held.process == os.getpid():
            raise Busy(busy(path, record(path.name)))
        made = list[Path]()
        try:
            made = _make_folders(path.parent)
            lock = take_lock(path)
        except OSError as error:
            _remove_empty(made)
            raise write_error(error)(
                f"{path}: cannot be written: {why_unwritable(error, path)}. "
                "Nothing was changed there."
            ) from error
        except StoreError:
            _remove_empty(made)
            raise
        found = Claim(path, lock, made)
        _claims[key] = found
        return found


@contextmanager
def claimed(paths: Iterable[Path]) -> Iterator[None]:
    """Claim some names while a context lasts, unless this thread has claimed them already."""
    with ExitStack() as stack:
        for path in paths:
            held = _claims.get(_key(path))
            if held is None or not _is_ours(held):
                stack.enter_context(claim(path))
        yield


@contextmanager
def writing(path: Path) -> Iterator[Claim]:
    """Claim a name to write it now, or use the claim that this thread has.

    Raises
    ------
    Busy, StoreError
        As for :func:`claim`.
    """
    with _mutex:
        held = _claims.get(_key(path))
        ours = held is not None and _is_ours(held)
        if held is not None and ours:
            if held.writing:
                raise Busy(busy(path, record(path.name)))
            held.writing = True
        else:
            held = claim(path)
            held.writing = True
    try:
        yield held
    finally:
        if ours:
            held.writing = False
        else:
            held.release()


def _is_ours(held: Claim) -> bool:
    return held.process == os.getpid() and held.thread == threading.get_ident()


def _key(path: Path) -> str:
    return os.path.join(os.path.realpath(path.parent), path.name)


def _make_folders(folder: Path) -> list[Path]:
    """Make a folder and those it is in; returns those that were not there, the outermost first."""
    missing = [one for one in (folder, *folder.parents) if not os.path.lexists(one)]
    folder.mkdir(parents=True, exist_ok=True)
    return missing[::-1]


def _remove_empty(made: list[Path]) -> None:
    for folder in reversed(made):
        with suppress(OSError):
            folder.rmdir()
