"""Tables on standard output, whole also where it is not a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from dasklasso.cli.text import plain

_WIDE = 10_000  # characters: what is piped is never cut off


def print_table(
    title: str | None,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    left: Sequence[str] = (),
) -> None:
    """Print a table; columns are flush right, but for those named in ``left``."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    heading = None if title is None else Text(plain(title))
    table = Table(title=heading, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        flush = "left" if column in left else "right"
        table.add_column(Text(plain(column)), justify=flush, no_wrap=not sys.stdout.isatty())  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    width = None if sys.stdout.isatty() else _WIDE
    Console(width=width, highlight=False).print(table)


def print_pairs(pairs: Iterable[tuple[str, str]]) -> None:
    """Print names and values, one pair a line."""
    listed = list(pairs)
    width = max(len(name) for name, _ in listed)
    for name, value in listed:
        print(plain(f"{name:<{width}}  {value}"))
