"""Lines on standard error: warnings, and notes that ``--quiet`` leaves out."""

from __future__ import annotations

from collections.abc import Sequence

from dasklasso.cli.options import is_quiet
from dasklasso.cli.text import echo, one_line


def say(warnings: Sequence[str] = (), notes: Sequence[str] = ()) -> None:
    """Print warnings, and unless the command is quiet notes, to standard error, a line each."""
    for warning in warnings:
        echo(one_line(f"Warning: {warning}"), err=True)
    for note in () if is_quiet() else notes:
        echo(one_line(f"Note: {note}"), err=True)
