"""Errors of the command line: one line, the right exit code, no traceback."""

import atexit
import os
import re
import signal
import subprocess
import sys
import time
import warnings

import click
import pytest
from click.testing import CliRunner
from zarr.core import sync

from dasklasso import errors
from dasklasso.__main__ import _leave_loop_of_zarr
from dasklasso.cli import COMMANDS, main
from dasklasso.cli.commands import Commands


def program(*arguments, **options):
    command = [sys.executable, "-m", "dasklasso", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


def group_that(action):
    """A group like ours with the one command ``act``."""

    class Acting(Commands):
        def get_command(self, ctx, cmd_name):
            return click.Command("act", callback=action)

    group = Acting("dasklasso", modules={"act": "none"})
    group.params.append(click.Option(["--traceback"], is_flag=True))
    return group


def test_help_exits_0_and_lists_every_command():
    done = program("--help")
    assert done.returncode == 0
    assert all(f"\n  {name} " in done.stdout for name in COMMANDS)


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from dasklasso.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'dask', 'distributed', 'zarr', 'pandas', 'pyarrow', 'scipy', 'rich'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example_of_itself(name):
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0
    assert re.search(rf"Example:\n    dasklasso {name}\s", result.stdout)


@pytest.mark.parametrize(
    "arguments",
    [
        ["frobnicate"],
        ["info"],
        ["fit", "store", "--out", "m"],
        ["fit", "store", "--alpha", "-1", "--out", "m"],
        ["path", "store", "--l1-ratio", "2", "--out", "m"],
        ["path", "store", "--memory", "lots", "--out", "m"],
        ["info", "no-such-store"],
        ["show", "no-such-model"],
        ["run", "no-such-job.toml"],
    ],
)
def test_input_that_cannot_be_used_exits_2_with_an_error_line(arguments, tmp_path):
    done = program(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("Error: ")
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (errors.StoreError("X is not there.\nSecond line."), 2),
        (errors.ClusterError("tcp://nowhere does not answer."), 1),
        (OSError(28, "No space left on device"), 1),
        (OSError(13, "Permission denied", "a.csv"), 2),
        (OSError(40, "Too many levels of symbolic links", "loop"), 2),
        (KeyboardInterrupt(), 1),
    ],
)
def test_an_error_is_one_line_on_standard_error(error, exit_code):
    def act():
        raise error

    result = CliRunner().invoke(group_that(act), ["act"])
    assert result.exit_code == exit_code
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert len(result.stderr.splitlines()) == 1


def test_an_unexpected_error_exits_1_and_says_how_to_see_more():
    def act():
        raise ZeroDivisionError("division by zero")

    result = CliRunner().invoke(group_that(act), ["act"])
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: unexpected ZeroDivisionError: division by zero. "
        "dasklasso --traceback act ... shows where it came from.\n"
    )


def test_with_traceback_the_error_itself_comes_out():
    def act():
        raise ZeroDivisionError("division by zero")

    result = CliRunner().invoke(group_that(act), ["--traceback", "act"])
    assert isinstance(result.exception, ZeroDivisionError)


def test_workers_do_not_warn_of_numbers_beyond_what_floats_hold(monkeypatch):
    monkeypatch.delenv("PYTHONWARNINGS", raising=False)
    warns = "import warnings; warnings.warn('overflow', RuntimeWarning)"

    def start_a_worker():
        done = subprocess.run([sys.executable, "-c", warns], capture_output=True, check=True)
        click.echo(repr(done.stderr))

    assert CliRunner().invoke(group_that(start_a_worker), ["act"]).stdout == "b''\n"
    assert "PYTHONWARNINGS" not in os.environ


def test_what_an_error_says_ends_with_one_full_stop():
    def fail(text, *notes):
        error = errors.StoreError(text)
        for note in notes:
            error.add_note(note)
        raise error

    group = group_that(lambda: fail("job.toml is not UTF-8: byte 0..", "Moments are kept"))
    said = CliRunner().invoke(group, ["act"])
    assert said.stderr == "Error: job.toml is not UTF-8: byte 0. Moments are kept.\n"


def test_a_warning_about_the_data_is_one_line_and_no_error():
    def act():
        warnings.warn("3 columns\nare constant.", errors.DataWarning, stacklevel=1)

    result = CliRunner().invoke(group_that(act), ["act"])
    assert result.exit_code == 0
    assert result.stderr == "Warning: 3 columns are constant.\n"


def test_where_a_signal_ended_a_command_zarrs_loop_ends_with_the_process(monkeypatch):
    left = []
    monkeypatch.setattr(atexit, "unregister", left.append)
    _leave_loop_of_zarr()
    assert left == [sync.cleanup_resources]


def test_sigterm_ends_a_command_with_exit_1_and_what_it_holds_is_let_go(tmp_path):
    code = (
        "import sys, time, click, pathlib\n"
        "from dasklasso.cli.commands import Commands\n"
        "def act():\n"
        "    try:\n"
        "        pathlib.Path('begun').touch(); time.sleep(60)\n"
        "    finally:\n"
        "        pathlib.Path('cleaned').touch()\n"
        "class Acting(Commands):\n"
        "    def get_command(self, ctx, name): return click.Command('act', callback=act)\n"
        "Acting('dasklasso', modules={'act': ''})(['act'])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    while not (tmp_path / "begun").exists():
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGTERM)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 1
    assert stderr == "Error: ended by SIGTERM.\n"
    assert (tmp_path / "cleaned").exists()


QUIET = ("ingest", "update", "generate", "fit", "path", "cv", "select", "predict", "score", "run")


@pytest.mark.parametrize("name", QUIET)
def test_what_runs_for_long_can_be_quiet(name):
    assert "--quiet" in CliRunner().invoke(main, [name, "--help"]).stdout
