"""The command line: ``dasklasso COMMAND``. Commands and what they import are loaded at use."""

from __future__ import annotations

import click

from dasklasso import __version__
from dasklasso.cli.commands import Commands

# command -> the module of this package that has it, in the order of --help
COMMANDS = {
    "ingest": "ingest",
    "update": "update",
    "generate": "ingest",
    "info": "inspect",
    "verify": "inspect",
    "plan": "plan",
    "fit": "fit",
    "path": "fit",
    "cv": "fit",
    "select": "select",
    "predict": "predict",
    "score": "score",
    "show": "show",
    "picture": "picture",
    "run": "run",
    "warm": "warm",
    "bench": "bench",
}


@click.group(cls=Commands, modules=COMMANDS, context_settings={"max_content_width": 100})
@click.option("--traceback", is_flag=True, help="Show where an error came from.")
@click.version_option(__version__, prog_name="dasklasso")
def main(traceback: bool) -> None:
    """L1-regularised models on data larger than memory.

    A table becomes a store (ingest), a store gives a model (fit, path, cv), a model predicts.
    Exit codes: 0 done, 1 the run failed or did not converge, 2 the input cannot be used.
    """
