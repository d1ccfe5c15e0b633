"""How many threads a product of matrices takes, and a task's own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import lru_cache
from threading import local
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

T = TypeVar("T")
P = TypeVar("P")
_own = local()


def blas_threads(threads: int = 1) -> AbstractContextManager[Any]:
    """A context in which each product takes so many threads: one, where several run at once."""
    limits: AbstractContextManager[Any] = _controller(len(sys.modules)).limit(
        limits=threads, user_api="blas"
    )
    return limits


@lru_cache(maxsize=1)
def _controller(n_modules: int) -> ThreadpoolController:
    # it searches all that is loaded, for milliseconds; a new library comes with a new module
    return ThreadpoolController()


def with_threads(threads: int, task: Callable[[], T]) -> T:
    """Run a task, which may take so many threads where :func:`in_parts` is called."""
    _own.threads = threads
    try:
        return task()
    finally:
        _own.threads = 1


def in_parts(function: Callable[[P], object], parts: Sequence[P]) -> None:
    """Call a function for each part, in the threads that this task may take.

    What the parts are must not depend on how many threads there are: then the bits do not.
    """
    threads = min(getattr(_own, "threads", 1), len(parts))
    if threads <= 1:
        for part in parts:
            function(part)
        return
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(function, parts):
            pass


def slices(n: int, width: int) -> list[slice]:
    """Cut 0..n into runs of so many, the last one shorter."""
    return [slice(start, min(start + width, n)) for start in range(0, n, width)]
