"""Work of many problems in threads, side by side: reported on while it goes on, ended at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from typing import TypeVar

from dasklasso.scan.runners import threads_each
from dasklasso.scan.threads import blas_threads, with_threads

REPORT_SECONDS = 1.0  # between two reports

T = TypeVar("T")


def side_by_side(
    tasks: Sequence[Callable[[], T]],
    report: Callable[[int], None] | None = None,
    *,
    ending: Callable[[], None] | None = None,
) -> list[T]:
    """Run tasks in this process's threads, one thread of BLAS each.

    Where tasks are fewer than threads, each may take several
    (:func:`~dasklasso.scan.threads.in_parts`).

    Parameters
    ----------
    report : called with how many are done, every second, for as long as it takes
    ending : called when it is over, also where it is interrupted: tasks that run may end early

    Returns
    -------
    list of their results, in order
    """
    with blas_threads():
        threads = threads_each(None)
        each = max(1, threads // max(1, len(tasks)))
        pool = ThreadPoolExecutor(threads)
        try:
            running = [pool.submit(partial(with_threads, each, task)) for task in tasks]
            waiting = set(running)
            while waiting:
                finished, waiting = wait(waiting, timeout=REPORT_SECONDS)
                for one in finished:
                    one.result()  # a task that fails ends all others
                if report is not None and waiting:
                    report(len(running) - len(waiting))
            return [one.result() for one in running]
        finally:
            if ending is not None:
                ending()
            pool.shutdown(cancel_futures=True)
