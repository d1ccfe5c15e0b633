"""Load a command when it is used, and end it with one line and an exit code where it fails."""

from __future__ import annotations

import errno
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from importlib import import_module
from typing import Any

import click

from dasklasso.cli.options import is_quiet
from dasklasso.cli.signals import SAID, came, ended_by_signals
from dasklasso.cli.text import one_line, sentence
from dasklasso.errors import ConvergenceWarning, DasklassoError, DataWarning
from dasklasso.files.regular import is_of_place, why


class Failure(click.ClickException):
    """An error that prints one line on standard error and has an exit code."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(one_line(message))
        self.exit_code = exit_code  # type: ignore[misc]


class Commands(click.Group):
    """A group whose command ``NAME`` is ``NAME_command`` of ``dasklasso.cli.MODULE``."""

    def __init__(self, *args: Any, modules: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._modules:
            return None
        module = import_module(f"dasklasso.cli.{self._modules[cmd_name]}")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def invoke(self, ctx: click.Context) -> Any:
        if ctx.params.get("traceback"):
            with _warnings_in_a_line(traceback=True), ended_by_signals():
                return super().invoke(ctx)
        try:
            with _warnings_in_a_line(traceback=False), _without_asyncio_log(), ended_by_signals():
                return super().invoke(ctx)
        except click.UsageError as error:
            command = error.ctx.command_path if error.ctx is not None else ctx.command_path
            said = error.format_message().rstrip(".")
            raise Failure(f"{said}. {command} --help says more.", 2) from error
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except DasklassoError as error:
            raise Failure(_said(error), error.exit_code) from error
        except KeyboardInterrupt as error:
            raise Failure(str(error) or "interrupted.") from error
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            if is_of_place(error):
                said = f"{error.filename}: cannot be opened: {why(error)}."
                raise Failure(" ".join([said, *_notes(error)]), 2) from error
            raise Failure(_said(error)) from error
        except Exception as error:
            if came:  # a library made another error of it
                raise Failure(SAID[came[-1]]) from error
            what = sentence(f"{type(error).__name__}: {_said(error)}")
            raise Failure(
                f"unexpected {what} dasklasso --traceback {ctx.invoked_subcommand} ... "
                "shows where it came from."
            ) from error


def _said(error: BaseException) -> str:
    """Return what an error says, and what was noted with it: what remains, how to go on."""
    return " ".join([sentence(str(error)), *_notes(error)])


def _notes(error: BaseException) -> list[str]:
    return list(map(sentence, getattr(error, "__notes__", ())))


@contextmanager
def _warnings_in_a_line(*, traceback: bool) -> Iterator[None]:
    """Print our own warnings as ``Warning: ...`` on standard error, without file and line."""
    with warnings.catch_warnings():
        usual: Callable[..., None] = warnings.showwarning

        def show(message: Any, category: type[Warning], *args: Any, **kwargs: Any) -> None:
            if issubclass(category, (DataWarning, ConvergenceWarning)):
                click.echo(one_line(f"Warning: {message}"), err=True)
            elif not is_quiet():
                usual(message, category, *args, **kwargs)

        warnings.showwarning = show
        warnings.simplefilter("always", DataWarning)
        if not traceback:
            # of numbers beyond what floats hold, which a result that is not finite tells of
            warnings.simplefilter("ignore", RuntimeWarning)
        with nullcontext() if traceback else _processes_too("ignore::RuntimeWarning"):
            yield


@contextmanager
def _processes_too(warning: str) -> Iterator[None]:
    """Have processes that are started meanwhile, such as workers, filter warnings too."""
    name = "PYTHONWARNINGS"
    before = os.environ.get(name)
    os.environ[name] = warning if not before else f"{before},{warning}"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@contextmanager
def _without_asyncio_log() -> Iterator[None]:
    """Silence asyncio's log of the tasks that are cut off when a cluster closes during a scan."""
    log = logging.getLogger("asyncio")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)
