"""``python -m dasklasso``, and where the program ``dasklasso`` begins."""

from __future__ import annotations

import atexit
import io
import os
import signal
import sys
from types import FrameType
from typing import Any


def _end(number: int, frame: FrameType | None) -> None:
    """End at once while nothing but imports goes on: there is nothing to close or to remove."""
    said = b"interrupted." if number == signal.SIGINT else b"ended by SIGTERM."
    os.write(sys.stderr.fileno(), b"Error: " + said + b"\n")
    os._exit(1)


def _leave_loop_of_zarr() -> None:
    """Let zarr's loop end with the process: to close it while it writes is a traceback."""
    sync = sys.modules.get("zarr.core.sync")
    if sync is not None:
        atexit.unregister(sync.cleanup_resources)


def main() -> None:
    """Run the command line; Ctrl-C and SIGTERM while it is loaded end it in a line too."""
    before: dict[int, Any] = {
        number: signal.signal(number, _end) for number in (signal.SIGINT, signal.SIGTERM)
    }
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what its encoding has not is spelled out
            stream.reconfigure(errors="backslashreplace")
    from dasklasso.free_memory import share_free_memory

    share_free_memory()  # before there are any threads
    from dasklasso.cli import main as commands
    from dasklasso.cli import signals

    signals.before = before
    try:
        commands(prog_name="dasklasso")
    except SystemExit as ended:
        if not signals.came:
            raise
        # Python's own end would make the signal of a KeyboardInterrupt that something caught
        _leave_loop_of_zarr()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(ended.code if isinstance(ended.code, int) else 1)


if __name__ == "__main__":
    main()
