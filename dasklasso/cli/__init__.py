"""The command line: ``dasklasso COMMAND``. Commands and what they import are loaded at use."""

from __future__ import annotations

import click

from dasklasso import __version__
from dasklasso.cli.commands import Commands

# command -> the module of this package that has it, in the order of --help
COMMANDS = {
    "ingest": "datasets",
    "update": "updating",
    "generate": "datasets",
    "info": "inspection",
    "verify": "inspection",
    "plan": "planning",
    "fit": "solve",
    "path": "solve",
    "cv": "solve",
    "select": "selecting",
    "predict": "models",
    "score": "scoring",
    "show": "models",
    "picture": "picturing",
    "run": "jobs",
    "bench": "benchmarks",
}


@click.group(cls=Commands, modules=COMMANDS, context_settings={"max_content_width": 100})
@click.option("--traceback", is_flag=True, help="Show where an error came from.")
@click.version_option(__version__, prog_name="dasklasso")
def main(traceback: bool) -> None:
    """L1-regularised models on data larger than memory.

    A table becomes a store (ingest), a store gives a model (fit, path, cv), a model predicts.
    Exit codes: 0 done, 1 the run failed or did not converge, 2 the input cannot be used.
    """
