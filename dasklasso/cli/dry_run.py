"""``dasklasso ingest --dry-run``: what each column of a table would become."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dasklasso.cli.tables import print_table
from dasklasso.cli.text import echo

if TYPE_CHECKING:
    from dasklasso.dataset.ingest.inspect_table import Inspection

MOST_COLUMNS = 50  # printed; a schema that is written has all
_MOST_REASONS = 10  # of columns that cannot be used as they are
_WIDEST = 60  # characters of a cell


def print_inspection(found: Inspection, schema_out: str | None) -> None:
    """Print what a dry run found: the columns, and what must be said of some of them."""
    rows = "" if found.n_rows is None else f" of {found.n_rows:,}"
    echo(
        f"table     {found.path}: {found.format}, {len(found.columns):,} columns, by a sample of "
        f"{found.n_sampled:,}{rows} rows"
    )
    if found.dialect:
        echo(f"read as   {found.dialect}")
    cells = [
        (
            _short(column.name),
            column.role,
            column.type,
            _short(column.becomes),
            f"{column.missing:,}" if column.missing else "",
            column.precision,
        )
        for column in found.columns[:MOST_COLUMNS]
    ]
    names = ("column", "role", "type", "becomes", "missing", "holds")
    print_table(None, names, cells, left=("column", "role", "type", "becomes", "holds"))
    if len(found.columns) > MOST_COLUMNS:
        where = f"{schema_out} has" if schema_out else "--schema-out FILE has"
        echo(f"... {len(found.columns) - MOST_COLUMNS:,} more columns: {where} all.")
    undecided = [column for column in found.columns if column.why]
    for column in undecided[:_MOST_REASONS]:
        echo(f"undecided {column.name or repr(column.name)} {column.why}")
    if len(undecided) > _MOST_REASONS:
        echo(f"... {len(undecided) - _MOST_REASONS:,} more columns are undecided.")


def _short(text: str) -> str:
    text = text if text.isprintable() else repr(text)
    return text if len(text) <= _WIDEST else text[: _WIDEST - 3] + "..."
