"""``dasklasso bench``: how fast a scan is on this machine."""

from __future__ import annotations

import json

import click

from dasklasso.cli import options
from dasklasso.cli.text import echo


@click.group(
    "bench",
    short_help="Measure scans on this machine.",
    epilog=options.example("dasklasso bench scan tall.zarr"),
)
def bench_command() -> None:
    """Measure scans side by side with the fastest bare loop over the same chunks.

    Thread settings of the environment apply to all contenders alike.
    """


@bench_command.command("scan", epilog=options.example("dasklasso bench scan tall.zarr --cold"))
@click.argument("store")
@click.option("--repeats", type=click.IntRange(min=1), default=7, show_default=True)
@click.option("--cold", is_flag=True, help="Drop the store from the page cache before each scan.")
@click.option("--dask-glm", is_flag=True, help="Also time dask-glm's proximal gradient.")
@options.as_json
def scan_command(store: str, repeats: int, cold: bool, dask_glm: bool, as_json: bool) -> None:
    """One gradient scan of STORE against bare loops over its chunks."""
    from dasklasso.bench.scan import bench_scan
    from dasklasso.cli.tables import print_table

    found = bench_scan(store, repeats=repeats, cold=cold, dask_glm=dask_glm)
    if as_json:
        echo(json.dumps(found.to_json()))
        return
    rows = [
        (
            one.name,
            f"{min(one.seconds):.3f}",
            f"{one.median:.3f}",
            f"{max(one.seconds):.3f}",
            f"{found.nbytes / one.median / 1e9:.2f}",
            f"{one.median / found.engine.median:.2f}",
        )
        for one in [found.engine, *found.rivals]
    ]
    print_table(
        f"{found.nbytes / 1e9:.2f} GB on {found.threads} threads, "
        f"{'cold disk' if cold else 'page cache'}",
        ("", "min s", "median s", "max s", "GB/s", "time / engine's"),
        rows,
        left=("",),
    )


@bench_command.command("overhead", epilog=options.example("dasklasso bench overhead"))
@click.option("--repeats", type=click.IntRange(min=1), default=30, show_default=True)
def overhead_command(repeats: int) -> None:
    """What a scan costs when there is nothing to read: ten bands of 100 rows."""
    from dasklasso.bench.scan import bench_overhead

    found = bench_overhead(repeats=repeats)
    echo(
        f"{found.name}: median {found.median * 1e3:.1f} ms a scan, "
        f"worst {max(found.seconds) * 1e3:.1f} ms"
    )
