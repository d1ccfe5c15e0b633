"""Memory of the process tree, as promised: anonymous and shared memory, not mapped files.

Pages of mapped files belong to the kernel, which takes them back when it needs them; they are not
counted.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import TracebackType

import psutil

_KINDS = ("RssAnon:", "RssShmem:")


def tree_memory(pid: int | None = None) -> int:
    """Bytes of anonymous and shared memory of a process and all its descendants."""
    return sum(_own_memory(one) for one in _family(os.getpid() if pid is None else pid))


def _family(pid: int) -> list[int]:
    """Return a process and its descendants, as far as they are still there."""
    found = [pid]
    for parent in found:  # which grows meanwhile
        try:
            with os.scandir(f"/proc/{parent}/task") as tasks:
                for task in tasks:
                    found += map(int, Path(task.path, "children").read_text().split())
        except (ProcessLookupError, PermissionError):  # gone meanwhile, or of another user
            continue
        except FileNotFoundError:
            if parent == pid or Path(f"/proc/{parent}").exists():
                return _family_by_search(pid)  # a kernel that does not list children
    return found


def _family_by_search(pid: int) -> list[int]:
    """Return the same by a look at every process of the machine, which takes milliseconds."""
    try:
        children = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return [pid, *(child.pid for child in children)]


def _own_memory(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except FileNotFoundError:  # gone, or not Linux
        try:
            return int(psutil.Process(pid).memory_info().rss)
        except psutil.NoSuchProcess:
            return 0
    except (PermissionError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(_KINDS))


class PeakMemory:
    """Samples :func:`tree_memory` while it is open.

    Attributes
    ----------
    nbytes : int
        The largest sample so far.
    """

    def __init__(self, seconds: float = 0.1) -> None:
        self.nbytes = 0
        self._seconds = seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="peak-memory", daemon=True)

    def _watch(self) -> None:
        while True:
            self.nbytes = max(self.nbytes, tree_memory())
            if self._stop.wait(self._seconds):
                return

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
