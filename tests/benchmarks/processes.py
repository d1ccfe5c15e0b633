"""Commands that benchmarks time: each a process of its own, its whole tree watched."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from dasklasso.fit.peak_memory import tree_memory


def run(*arguments: str) -> tuple[int, float, str]:
    """A process: (peak bytes of its tree, seconds, standard output)."""
    began = time.monotonic()
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    peak = 0
    while process.poll() is None:
        peak = max(peak, tree_memory(process.pid))
        time.sleep(0.02)
    output, errors = process.communicate()
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)}\n{errors}")
    return peak, time.monotonic() - began, output


def drop_from_cache(store: Path) -> None:
    """Have the kernel forget the pages of every file of a store."""
    for path in store.rglob("*"):
        if path.is_file():
            with open(path, "rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
