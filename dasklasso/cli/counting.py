"""Progress of work that is counted, in rows or chunks: a bar on a terminal, else lines."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

from dasklasso.cli.progress import PLAIN_SECONDS, clock


class CountProgress:
    """Shows how much is done; a context manager that is called with (done, in all or None).

    Parameters
    ----------
    doing : str
        What is being done, "ingest".
    unit : str
        What is counted, "rows".
    """

    def __init__(self, doing: str, unit: str) -> None:
        self._doing = doing
        self._unit = unit
        self._bar: Any = None
        self._task: Any = None
        self._began = self._last = time.monotonic()

    def __enter__(self) -> CountProgress:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn(f"{{task.completed:,.0f}} {self._unit}"),
                TextColumn("{task.fields[rate]}"),
                TextColumn("ETA"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task(self._doing, total=None, rate="")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, done: int, total: int | None) -> None:
        now = time.monotonic()
        rate = done / max(now - self._began, 1e-9)
        if self._bar is not None:
            text = f"{rate:,.0f} {self._unit}/s"
            self._bar.update(self._task, completed=done, total=total, rate=text)
        elif now - self._last >= PLAIN_SECONDS:
            self._last = now
            print(self._line(done, total, rate), file=sys.stderr, flush=True)

    def _line(self, done: int, total: int | None, rate: float) -> str:
        of = "" if total is None else f" of {total:,}"
        left = "" if total is None else f" | ETA {clock((total - done) / max(rate, 1e-9))}"
        return f"{self._doing} {done:,}{of} {self._unit} | {rate:,.0f} {self._unit}/s{left}"
