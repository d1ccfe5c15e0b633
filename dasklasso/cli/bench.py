"""``dasklasso bench``: how fast a scan is on this machine, and a path beside other libraries."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click

from dasklasso.bench.wide_rival import NAMES as RIVALS
from dasklasso.cli import options
from dasklasso.cli.parameter_types import Finite
from dasklasso.cli.text import echo


@click.group(
    "bench",
    short_help="Measure scans and paths on this machine.",
    epilog=options.example("dasklasso bench scan tall.zarr"),
)
def bench_command() -> None:
    """Measure scans beside bare loops over the same chunks, and paths beside other libraries.

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


def _pythons(
    context: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    found = dict(value.partition("=")[::2] for value in values)
    for name, python in found.items():
        if name not in RIVALS or not python:
            raise click.BadParameter(
                f"{name}={python} found, expected one of {', '.join(RIVALS)}, = and an interpreter"
            )
    return found


@bench_command.command(
    "wide", epilog=options.example("dasklasso bench wide --rows 1000 --features 20000")
)
@click.option("--rows", type=click.IntRange(min=2), default=1_000, show_default=True)
@click.option("--features", type=click.IntRange(min=1), default=20_000, show_default=True)
@click.option("--n-alphas", type=click.IntRange(min=1), default=100, show_default=True)
@click.option(
    "--eps", type=Finite(0.0, 1.0, min_open=True, max_open=True), default=0.01, show_default=True
)
@click.option(
    "--tol", type=Finite(0.0, 1.0, min_open=True, max_open=True), default=1e-6, show_default=True
)
@click.option("--seed", type=click.IntRange(min=0), default=71, show_default=True)
@click.option(
    "--rival",
    "rivals",
    type=click.Choice(RIVALS),
    multiple=True,
    default=RIVALS,
    show_default=True,
    help="Compare with it; again for each.",
)
@click.option(
    "--seconds",
    type=click.IntRange(min=1),
    default=600,
    show_default=True,
    help="Most that each rival may take.",
)
@click.option(
    "--python",
    "pythons",
    multiple=True,
    metavar="RIVAL=FILE",
    callback=_pythons,
    help="The interpreter that has a rival, where it is not this one; again for each.",
)
@click.option("--memory", help="Limit of dasklasso, like 1.5GiB.")
@options.as_json
def wide_command(
    rivals: tuple[str, ...],
    seconds: int,
    pythons: dict[str, str],
    memory: str | None,
    as_json: bool,
    **shape: Any,
) -> None:
    """A path on data that are wider than long, beside celer, adelie and scikit-learn.

    The data are generated. Each contender is a process of its own: its time and memory are those
    of the whole of it, start and load included. The gap is recomputed in float64 over all features.
    """
    from dasklasso.bench.wide import WideShape, bench_wide
    from dasklasso.cli.tables import print_table
    from dasklasso.units import format_size

    problem = WideShape(**shape)
    found = bench_wide(problem, rivals, seconds=seconds, pythons=pythons, memory=memory)
    if as_json:
        echo(json.dumps({**asdict(problem), "runs": [asdict(one) for one in found]}))
        return
    rows = [
        (
            one.name,
            one.outcome,
            f"{one.seconds:.1f}",
            f"{one.cpu_seconds:.1f}",
            format_size(one.peak_memory_bytes),
            "" if one.worst_gap is None else f"{one.worst_gap:.1e}",
            "" if one.n_nonzero is None else f"{one.n_nonzero:,}",
            "" if one.scans is None else f"{one.scans:.3g}",
        )
        for one in found
    ]
    print_table(
        f"{problem.rows:,} x {problem.features:,} float32 ({format_size(problem.nbytes)}), "
        f"{problem.n_alphas} alphas to {problem.eps:g} of the largest, gap {problem.tol:g}",
        ("", "outcome", "wall s", "CPU s", "peak memory", "worst gap", "nonzero", "scans"),
        rows,
        left=("", "outcome"),
    )
