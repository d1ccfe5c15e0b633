"""Ctrl-C and SIGTERM end a command in a line: what is open is closed, what is half is removed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SAID: dict[int, str] = {signal.SIGINT: "interrupted.", signal.SIGTERM: "ended by SIGTERM."}
before: dict[int, Any] = {}  # what signals did before the program began to load
came: list[int] = []  # the signals that ended a command


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Raise KeyboardInterrupt on Ctrl-C, and on SIGTERM too, which then says what it was."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: Any) -> None:
        came.append(number)
        raise KeyboardInterrupt(SAID[number])

    came.clear()
    usual = {number: signal.signal(number, end) for number in SAID} | before
    try:
        yield
    finally:
        for number in SAID:
            signal.signal(number, usual[number])
