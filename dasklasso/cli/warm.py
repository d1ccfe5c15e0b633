"""``dasklasso warm``: compile ahead what fits may compile."""

from __future__ import annotations

import time

import click

from dasklasso.cli import options
from dasklasso.cli.text import echo


@click.command(
    "warm",
    short_help="Compile ahead what fits may compile.",
    epilog=options.example("dasklasso warm\nNUMBA_CACHE_DIR=/var/cache/dasklasso dasklasso warm"),
)
def warm_command() -> None:
    """Compile every loop that a fit may compile, once for an installation.

    What is compiled stays on disk, beside the package or in the folder that NUMBA_CACHE_DIR names,
    which must be the same when fits run. Without this, fits of 256 features or more compile what
    they need, which takes them a second or two the first time.
    """
    from dasklasso.kernels import Compiled, compile_kernels

    def told(one: Compiled) -> None:
        matrix = "float32" if "float32" in one.signature else "float64"
        what = "was there" if one.cached else "compiled"
        name = one.name.removeprefix("dasklasso.")
        echo(f"{name:<48} {matrix}  {what:<9}  {one.seconds:.2f} s")

    began = time.perf_counter()
    done = compile_kernels(report=told)
    echo(f"{len(done)} loops ready in {time.perf_counter() - began:.1f} s")
