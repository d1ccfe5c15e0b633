"""How many threads a product of matrices takes."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any

from threadpoolctl import ThreadpoolController


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
