"""The registry of solvers: a new one touches its own folder and one line of ``choices.SOLVERS``."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

from dasklasso.choices import SOLVERS
from dasklasso.errors import OptionError
from dasklasso.solvers.entry import Case, SolverEntry


def solver_entry(name: str) -> SolverEntry:
    """Return the entry of a solver.

    Raises
    ------
    OptionError
        When no solver has this name.
    """
    if name not in SOLVERS:
        raise OptionError(f"solver: {name!r} is none of {', '.join(SOLVERS)}")
    found = SOLVERS[name]
    entry: SolverEntry = import_module(found).ENTRY if isinstance(found, str) else found
    return entry


def solver_entries() -> Iterator[SolverEntry]:
    """All solvers, in the order in which "auto" prefers them."""
    for name in SOLVERS:
        yield solver_entry(name)


def register_solver(entry: SolverEntry) -> None:
    """Have a solver of one's own, by the name of its entry.

    Raises
    ------
    OptionError
        When the name is taken.
    """
    if entry.name in ("auto", *SOLVERS):
        raise OptionError(f"solver: {entry.name!r} is taken")
    SOLVERS[entry.name] = entry


def refusal(entry: SolverEntry, case: Case) -> str:
    """Say why a solver cannot do a case, naming one that can; "" where it can."""
    able = [
        other.name
        for other in solver_entries()
        if other.is_automatic(case.loss)
        and other is not entry
        and not other.requires.refusal("", case, "")
    ]
    return entry.requires.refusal(entry.name, case, able[0] if able else "")
