"""Memory of the process tree, as promised: anonymous and shared memory, not mapped files.

Pages of mapped files belong to the kernel, which takes them back when it needs them; they are not
counted.
"""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType

import psutil

_KINDS = ("RssAnon:", "RssShmem:")


def tree_memory(pid: int | None = None) -> int:
    """Bytes of anonymous and shared memory of a process and all its descendants."""
    root = psutil.Process(pid)
    try:
        family = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    return sum(_own_memory(process) for process in family)


def _own_memory(process: psutil.Process) -> int:
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    except FileNotFoundError:  # gone, or not Linux
        try:
            return int(process.memory_info().rss)
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
