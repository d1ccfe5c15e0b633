"""``dasklasso update``: append rows to a store."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import click

from dasklasso.choices import Missing
from dasklasso.cli import options
from dasklasso.cli.commands import Failure
from dasklasso.cli.messages import say
from dasklasso.cli.parameter_types import Size
from dasklasso.cli.text import echo
from dasklasso.errors import OptionError
from dasklasso.files.places import input_place

if TYPE_CHECKING:
    from dasklasso.dataset.ingest.append import UpdateReport
    from dasklasso.moments.append import StatisticsUpdate


@click.command(
    "update",
    short_help="Append the rows of a table to a store.",
    epilog=options.example("dasklasso update sales.zarr 'new/*.parquet'"),
)
@click.argument("store")
@click.argument("new_rows")
@click.option("--target", multiple=True, metavar="NAME", help="Column to predict; repeatable.")
@click.option("--weight", metavar="NAME", help="Column of sample weights.")
@click.option("--fold", metavar="NAME", help="Column of folds.")
@click.option("--offset", metavar="NAME", help="Column that is added to every prediction.")
@click.option("--drop", multiple=True, metavar="NAME", help="Column to leave out; repeatable.")
@click.option("--memory", type=Size(), default="1GiB", show_default=True)
@click.option(
    "--missing",
    type=options.choice(Missing),
    help="Refuse missing values, or fill in the means of the first ingest.",
)
@click.option("--dataset", metavar="PATH", help="HDF5, NPZ: the array that is X.")
@click.option("--stats", metavar="PATH", help="Where statistics are kept [default: STORE.stats].")
@options.quiet
@options.as_json
def update_command(
    store: str, new_rows: str, memory: str, dataset: str | None, as_json: bool, **values: Any
) -> None:
    """Append the rows of the table NEW_ROWS to the store STORE: all of them, or none.

    NEW_ROWS is what ingest takes, and has the columns that the store was made of, in any order.
    Options that are left out are as in that ingest. Whenever it is interrupted, STORE is whole:
    as it was, or with all the new rows. Statistics that are kept of STORE are brought up to date.
    """
    from dasklasso.cli.progress import CountProgress
    from dasklasso.moments.append import update_store
    from dasklasso.units import parse_size

    before = _identity(store)
    try:
        with CountProgress("update", "rows", quiet=options.is_quiet()) as progress:
            report, statistics = update_store(
                store,
                new_rows,
                memory=parse_size(memory),
                dataset_path=dataset,
                progress=progress,
                **values,
            )
    except KeyboardInterrupt as error:
        now = "is as it was" if _identity(store) == before else "has all of the new rows"
        raise Failure(f"{error or 'interrupted.'} {store} {now}.") from error
    say(report.warnings, report.notes)
    _report(report, statistics)
    if as_json:
        echo(json.dumps(_as_json(report, statistics)))


def _identity(store: str) -> tuple[int, int] | None:
    """Identify the folder of a store, which is another one once rows were appended."""
    try:
        found = os.stat(input_place(store, "store"))
    except (OSError, OptionError):
        return None  # the update says what is wrong
    return found.st_dev, found.st_ino


def _report(report: UpdateReport, statistics: StatisticsUpdate) -> None:
    rate = report.n_appended / max(report.seconds, 1e-9)
    echo(
        f"rows        {report.n_rows:,}, {report.n_appended:,} of them new, "
        f"in {report.seconds:.3g} s ({rate:,.0f} rows/s)"
    )
    echo(f"row chunks  {report.chunks_written:,} written, {report.chunks_linked:,} left alone")
    if statistics.updated or statistics.not_updated:
        left = (
            f", {len(statistics.not_updated)} to be computed again"
            if statistics.not_updated
            else ""
        )
        echo(f"statistics  {len(statistics.updated)} brought up to date{left}")
    echo(f"store       {report.store}")


def _as_json(report: UpdateReport, statistics: StatisticsUpdate) -> dict[str, Any]:
    return {
        "store": report.store,
        "rows_appended": report.n_appended,
        "rows": report.n_rows,
        "features": report.n_features,
        "chunks_written": report.chunks_written,
        "chunks_linked": report.chunks_linked,
        "seconds": report.seconds,
        "fingerprint": report.manifest.fingerprint,
        "statistics_carried": len(statistics.updated),
        "statistics_left": len(statistics.not_updated),
    }
