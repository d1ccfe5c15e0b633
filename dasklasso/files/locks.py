"""Locks on names that are written: one process at a time, and the second is told who it is.

The lock of ``NAME`` is the file ``.NAME.lock`` beside it, held by ``flock`` for as long as the
process lives, and removed by who held it. It says who holds it: process, host, since when, by which
command. On file systems without ``flock`` the file itself is the lock; what a killed process left
there is recognised by its process, which is no more.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import socket
import stat
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from dasklasso.errors import StoreError, WriteFailed

try:
    import fcntl
except ImportError:  # not on this system
    _flock: Callable[[int, int], None] | None = None
else:
    _flock = fcntl.flock

MAGIC = "dasklasso"  # the key by which what we wrote is recognised
LONGEST_STEM = 180  # bytes of a name within the names of locks and of work folders
LONGEST_COMMAND = 120  # characters
LARGEST_RECORD = 10_000  # bytes: what is longer is not ours
RECORD_SECONDS = 0.5  # between taking a lock and writing into it who did
TRIES = 100  # to take a lock that others take and remove meanwhile
SAME_START_SECONDS = 2.0  # between two readings of when a process began


class Busy(WriteFailed):
    """Another process, or another part of this one, is writing there."""


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_error(error: OSError) -> type[StoreError]:
    """Return what an error of writing is: of the run on a full disk, else of the place."""
    return WriteFailed if error.errno in FULL else StoreError


@dataclass
class Lock:
    """The lock of a name, taken.

    Attributes
    ----------
    place : Path
        Of the lock's file.
    descriptor : int
    by_flock : bool
        Whether the system lets go of it when the process ends: what others left is then dead.
    """

    place: Path
    descriptor: int
    by_flock: bool

    def release(self) -> None:
        """Let go; the file is removed first, while it is still held."""
        with suppress(OSError):
            self.place.unlink()
        os.close(self.descriptor)


def stem(name: str) -> str:
    """Return a name as it stands in names made of it, which have a largest length."""
    raw = os.fsencode(name)
    if len(raw) <= LONGEST_STEM:
        return name
    digest = hashlib.sha256(raw).hexdigest()[:16]
    return raw[: LONGEST_STEM - 17].decode("utf-8", "ignore") + "-" + digest


def lock_place(path: Path) -> Path:
    """Return the file that is the lock of a name."""
    return path.with_name(f".{stem(path.name)}.lock")


def take_lock(path: Path) -> Lock:
    """Take the lock of a name, in a folder that is there.

    Raises
    ------
    Busy
        Another process holds it; the message says which, and since when.
    OSError
        The file system refuses.
    """
    place = lock_place(path)
    for _ in range(TRIES):
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | _NO_LINKS, 0o666)
        try:
            found = _record_in(descriptor)
            if found is None:
                raise StoreError(f"{path}: cannot be locked, {place} is a file of something else.")
            by_flock = _locked(descriptor, path, place, found)
            if by_flock is None or not _is_at(descriptor, place):
                os.close(descriptor)  # who held it has removed it meanwhile
                continue
            _write_record(descriptor, place, record(path.name))
            return Lock(place, descriptor, by_flock)
        except BaseException:
            os.close(descriptor)
            raise
    raise Busy(f"{path}: others are writing it all the time; nothing was changed there.")


_NO_LINKS = getattr(os, "O_NOFOLLOW", 0)


def _locked(descriptor: int, path: Path, place: Path, found: Mapping[str, Any]) -> bool | None:
    """Hold a lock's file: whether by flock; None where it has to be opened anew."""
    if _flock is not None:
        try:
            _flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            raise Busy(busy(path, _record_soon(descriptor) or found)) from None
        except OSError:  # a file system without locks
            pass
    if not found:  # just made, by us or by one that has not written yet who it is
        return False if _claimed_by_content(descriptor, path) else None
    if is_dead(found):
        with suppress(OSError):
            place.unlink()
        return None
    remedy = f" Where that process is no more, delete {place}."
    raise Busy(busy(path, found) + remedy)


def _claimed_by_content(descriptor: int, path: Path) -> bool:
    """Write who we are, and see whether that is what stays."""
    ours = record(path.name)
    os.pwrite(descriptor, json.dumps(ours).encode(), 0)
    time.sleep(0.01)
    return _record_in(descriptor) == ours


def _write_record(descriptor: int, place: Path, ours: Mapping[str, Any]) -> None:
    """Write who holds a lock into its file, or remove the file: on a full disk it is no use."""
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(ours).encode(), 0)
    except OSError:
        with suppress(OSError):
            place.unlink()
        raise


def _is_at(descriptor: int, place: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(place))
    except OSError:
        return False


def _record_in(descriptor: int) -> dict[str, Any] | None:
    """Return what a lock's file says: {} where it is empty, None where it is not ours."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        return None
    raw = os.pread(descriptor, LARGEST_RECORD + 1, 0)
    return {} if not raw else parse_record(raw)


def _record_soon(descriptor: int) -> dict[str, Any] | None:
    """Return what a lock's file says, once who has just taken it has written that."""
    until = time.monotonic() + RECORD_SECONDS
    while not (found := _record_in(descriptor)) and time.monotonic() < until:
        time.sleep(RECORD_SECONDS / 100)
    return found


def parse_record(raw: bytes) -> dict[str, Any] | None:
    """Return a record that we wrote; None for anything else."""
    if len(raw) > LARGEST_RECORD:
        return None
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    known = isinstance(found, dict) and isinstance(found.get(MAGIC), str)
    return found if known and isinstance(found.get("name"), str) else None


def record(name: str) -> dict[str, Any]:
    """Return who writes a name, as locks and work folders keep it."""
    return {MAGIC: "writing", "name": name, "since": time.strftime("%Y-%m-%d %H:%M:%S")} | _self(
        os.getpid()
    )


@lru_cache(maxsize=1)
def _self(pid: int) -> dict[str, Any]:
    import psutil

    command = " ".join([os.path.basename(sys.argv[0] or "python"), *sys.argv[1:]])
    return {
        "pid": pid,
        "host": socket.gethostname(),
        "machine": _machine(),
        "process_began": psutil.Process(pid).create_time(),
        "command": command[:LONGEST_COMMAND],
    }


@lru_cache(maxsize=1)
def _machine() -> str:
    """Identify where a process number means the same process: a boot, and a container in it."""
    found = [socket.gethostname()]
    with suppress(OSError):
        found.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    with suppress(OSError):
        found.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(found)


def is_dead(found: Mapping[str, Any]) -> bool:
    """Tell whether the process of a record is no more, as far as this one can know."""
    import psutil

    if found.get("machine") != _machine():
        return False
    try:
        process = psutil.Process(int(found["pid"]))
        began = float(found["process_began"])
        return abs(process.create_time() - began) > SAME_START_SECONDS
    except (psutil.NoSuchProcess, ProcessLookupError):
        return True
    except (KeyError, TypeError, ValueError, psutil.Error):
        return False


def busy(path: Path, found: Mapping[str, Any]) -> str:
    """Say who is writing a name, in one line."""
    who = "another process"
    if found.get("pid") == os.getpid() and found.get("machine") == _machine():
        who = "another part of this process"
    if not found:
        return f"{path}: {who} is writing it. Nothing was changed there."
    said = {key: " ".join(str(found.get(key, "?")).split()) for key in ("pid", "host", "since")}
    command = " ".join(str(found.get("command", "?")).split())[:LONGEST_COMMAND]
    return (
        f"{path}: {who} is writing it: {said['pid']} on {said['host']}, since {said['since']}, "
        f"{command}. Nothing was changed there."
    )
