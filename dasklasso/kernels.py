"""Loops that NumPy has no words for, compiled by numba for problems that are large enough.

A kernel is registered where it is written, with every signature that it is called with, and its
module is listed here, so that ``dasklasso warm`` can compile all of them ahead. numba is imported
when the first kernel is called, not before: small problems do without it.

numba's cache on disk knows of changes to a kernel's own file only: a kernel calls no other function
of ours. What takes numba long is not used: array expressions, slices, structures.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

MODULES = (  # all that register kernels
    "dasklasso.solvers.quadratic.face_factor",
    "dasklasso.solvers.quadratic.groups",
    "dasklasso.solvers.quadratic.growing_factor",
    "dasklasso.solvers.quadratic.subproblem",
    "dasklasso.solvers.quadratic.sweep",
)


@dataclass
class Kernel:
    """A function of explicit loops, compiled for the types of its arguments when first called.

    Attributes
    ----------
    function : what is compiled
    signatures : all it is called with, in numba's notation
    reorders_sums : whether sums may be taken in another order than written, and products be fused
        with them; the arithmetic is exactly what is written otherwise
    """

    function: Callable[..., Any]
    signatures: tuple[str, ...]
    reorders_sums: bool = False
    _dispatcher: Any = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """The function's module and name."""
        return f"{self.function.__module__}.{self.function.__name__}"

    @property
    def dispatcher(self) -> Any:
        """The function in numba's hands; nothing is compiled yet."""
        if self._dispatcher is None:
            import numba

            # a wrapper for calls from C is not needed, and takes as long as the function itself
            options: dict[str, Any] = {
                "nogil": True,
                "error_model": "numpy",
                "no_cfunc_wrapper": True,
            }
            if self.reorders_sums:  # infinities and NaN keep their meaning
                options["fastmath"] = {"contract", "reassoc", "nsz"}
            try:
                self._dispatcher = numba.njit(cache=True, **options)(self.function)
            except RuntimeError:  # numba found no folder that it may write its cache to
                self._dispatcher = numba.njit(**options)(self.function)
        return self._dispatcher

    def __call__(self, *arguments: Any) -> Any:
        return (self._dispatcher or self.dispatcher)(*arguments)


@dataclass(frozen=True)
class Compiled:
    """What became of one signature of a kernel.

    Attributes
    ----------
    name : the kernel's
    signature : in numba's notation
    seconds : it took
    cached : whether it was on disk already
    """

    name: str
    signature: str
    seconds: float
    cached: bool


_REGISTERED: list[Kernel] = []


def kernel(*signatures: str, reorders_sums: bool = False) -> Callable[[Callable[..., Any]], Kernel]:
    """Register a function as a kernel with these signatures."""

    def register(function: Callable[..., Any]) -> Kernel:
        _REGISTERED.append(Kernel(function, signatures, reorders_sums))
        return _REGISTERED[-1]

    return register


def registered() -> list[Kernel]:
    """All kernels of the package."""
    for module in MODULES:
        import_module(module)
    return sorted(_REGISTERED, key=lambda one: one.name)


def compile_kernels(
    kernels: Iterable[Kernel] | None = None,
    wanted: Callable[[str], bool] = bool,
    report: Callable[[Compiled], None] | None = None,
) -> list[Compiled]:
    """Compile the kernels' signatures, or load what is on disk already.

    Parameters
    ----------
    kernels : all of the package by default
    wanted : says of a signature whether it is; all are by default
    report : called after each
    """
    done = []
    for one in registered() if kernels is None else kernels:
        for signature in filter(wanted, one.signatures):
            began, known = time.perf_counter(), _hits(one)
            one.dispatcher.compile(signature)
            seconds = time.perf_counter() - began
            done.append(Compiled(one.name, signature, seconds, _hits(one) > known))
            if report is not None:
                report(done[-1])
    return done


def _hits(one: Kernel) -> int:
    """How often a kernel was found on disk."""
    return sum(one.dispatcher.stats.cache_hits.values())
