"""Progress of a run on standard error: a live line on a terminal, else a line now and then."""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING, Any

from dasklasso.cli.text import plain

if TYPE_CHECKING:
    from dasklasso.solvers.base import ScanEvent

PLAIN_SECONDS = 5.0  # between two plain lines: a log that can be read
LIVE_SECONDS = 0.1
_RATE_WINDOW = 10.0  # seconds over which GB/s is taken


class Estimate:
    """How far a run is, and how long it may take.

    A run is as far as the share of its alphas that are done, plus, for the alphas under way, the
    share of the digits that their gap has come down by: log(first gap/gap) / log(first gap/tol).

    Parameters
    ----------
    tol : float
        The gap that is aimed at.
    resumed : bool
        Whether an earlier run did a part. How fast a run is then follows from what is done since
        its first event: the seconds of an event do not count the earlier run.
    """

    def __init__(self, tol: float, *, resumed: bool = False) -> None:
        self._tol = tol
        self._start = None if resumed else (0.0, 0.0)  # seconds and share, where rates begin
        self._done = -1
        self._first_gap = math.inf

    def share(self, event: ScanEvent) -> float:
        """Between 0 and 1."""
        gap = event.worst_gap
        if event.n_done != self._done or not math.isfinite(self._first_gap):
            self._done, self._first_gap = event.n_done, gap
        part = 0.0
        if 0 < gap < self._first_gap < math.inf and self._first_gap > self._tol:
            part = math.log(self._first_gap / gap) / math.log(self._first_gap / self._tol)
        return min(1.0, (event.n_done + min(1.0, part)) / max(1, event.n_alphas))

    def seconds_left(self, event: ScanEvent) -> float | None:
        """None while there is too little to judge by."""
        if event.stage:  # of a stage in memory, whose share of the work is not known
            return None
        share = self.share(event)
        if self._start is None:
            self._start = (event.seconds, share)
        seconds, done = event.seconds - self._start[0], share - self._start[1]
        if done < 0.01 or event.scan < 2:
            return None
        return seconds * (1 - share) / done


class ScanProgress:
    """Shows scan events; a context manager that can be called with an event.

    Parameters
    ----------
    tol : float
        The gap that is aimed at.
    resumed : bool
        Whether an earlier run did a part, whose bytes and problems are in the events.
    quiet : bool
        Whether nothing is shown.
    """

    def __init__(self, *, tol: float, resumed: bool = False, quiet: bool = False) -> None:
        self._estimate = Estimate(tol, resumed=resumed)
        self._quiet = quiet
        # seconds and bytes of the last events; a run that is not resumed begins without bytes
        self._recent: deque[tuple[float, int]] = deque([] if resumed else [(0.0, 0)])
        self._live: Any = None
        self._next_show = 0.0
        self._unseen: str | None = None
        self._terminal = sys.stderr.isatty()

    def __enter__(self) -> ScanProgress:
        if self._terminal and not self._quiet:
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(stderr=True), transient=False, auto_refresh=False)
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._unseen is not None:
            self._show(self._unseen)
        if self._live is not None:
            self._live.stop()

    def announce(self, text: str) -> None:
        """Show a line that stays."""
        if self._quiet:
            return
        if self._live is not None:
            self._live.console.print(plain(text), soft_wrap=True, markup=False, highlight=False)
        else:
            print(plain(text), file=sys.stderr, flush=True)

    def __call__(self, event: ScanEvent) -> None:
        if self._quiet:
            return
        seconds_left = self._estimate.seconds_left(event)
        if not event.stage:  # which counts no bytes
            self._recent.append((event.seconds, event.bytes_read))
        while len(self._recent) > 2 and event.seconds - self._recent[0][0] > _RATE_WINDOW:
            self._recent.popleft()
        now = time.monotonic()
        if now < self._next_show:
            self._unseen = describe(event, self._rate(), seconds_left)
            return
        self._next_show = now + (LIVE_SECONDS if self._terminal else PLAIN_SECONDS)
        self._show(describe(event, self._rate(), seconds_left))

    def _rate(self) -> float | None:
        """Bytes a second over the last seconds; None after the first event of a resumed run."""
        if not self._recent:
            return None
        (first, before), (last, after) = self._recent[0], self._recent[-1]
        return (after - before) / (last - first) if last > first else None

    def _show(self, text: str) -> None:
        self._unseen = None
        if self._live is not None:
            from rich.text import Text

            self._live.update(Text(text), refresh=True)
        else:
            print(text, file=sys.stderr, flush=True)


def describe(event: ScanEvent, bytes_per_second: float | None, seconds_left: float | None) -> str:
    """One line: ``scan 12 | 3/20 alphas | gap 1.2e-04 | 17 nonzero | 1.31 GB/s | ETA 0:00:41``.

    Between scans: ``after scan 2, in memory | 3/20 alphas | 0:00:05 so far``.
    """
    if event.stage:
        return " | ".join(
            [
                f"after scan {event.scan}, {event.stage}",
                f"{event.n_done}/{event.n_alphas} alphas",
                f"{clock(event.seconds)} so far",
            ]
        )
    parts = [
        f"scan {event.scan}",
        f"{event.n_done}/{event.n_alphas} alphas",
        f"gap {event.worst_gap:.1e}",
        f"{event.n_nonzero:,} nonzero",
        *([] if bytes_per_second is None else [f"{bytes_per_second / 1e9:.2f} GB/s"]),
        f"{clock(event.seconds)} so far",
    ]
    if event.n_done < event.n_alphas:
        parts.append("ETA " + ("?" if seconds_left is None else clock(seconds_left)))
    return " | ".join(parts)


def clock(seconds: float) -> str:
    """``clock(3725) == "1:02:05"``."""
    whole = max(0, round(seconds))
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


class CountProgress:
    """Shows how much is done; a context manager that is called with (done, in all or None).

    Parameters
    ----------
    doing : str
        What is being done, "ingest".
    unit : str
        What is counted, "rows".
    quiet : bool
        Whether nothing is shown.
    """

    def __init__(self, doing: str, unit: str, *, quiet: bool = False) -> None:
        self._doing = doing
        self._quiet = quiet
        self._unit = unit
        self._bar: Any = None
        self._task: Any = None
        self._began = self._last = time.monotonic()

    def __enter__(self) -> CountProgress:
        if sys.stderr.isatty() and not self._quiet:
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
        elif not self._quiet and now - self._last >= PLAIN_SECONDS:
            self._last = now
            print(self._line(done, total, rate), file=sys.stderr, flush=True)

    def _line(self, done: int, total: int | None, rate: float) -> str:
        of = "" if total is None else f" of {total:,}"
        left = "" if total is None else f" | ETA {clock((total - done) / max(rate, 1e-9))}"
        return f"{self._doing} {done:,}{of} {self._unit} | {rate:,.0f} {self._unit}/s{left}"
