"""What commands print is lines of plain text, whatever things are called; errors are one line."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from dasklasso.cli import main
from dasklasso.cli.text import LONGEST_LINE, one_line, plain
from dasklasso.files.formulas import as_text

NAMES = ["=1+1", "[/x]", "b\x1b[31mred", "@d\u202e", "é數"]  # formula, markup, colour, direction


def run(*arguments, exit_code=0):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == exit_code, result.output
    return result


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder with the table t.csv, its stores s and c (of classes), and the model m."""
    work = tmp_path_factory.mktemp("messages")
    rng = np.random.default_rng(0)
    X = rng.standard_normal((90, 5))
    frame = pd.DataFrame(X, columns=NAMES)
    frame["[/y]"] = X @ [1, 2, -1, 1, 1] + rng.standard_normal(90)
    frame["kind"] = rng.choice(["u", "v", "=w"], 90)
    frame["id"] = [f"={i}" for i in range(88)] + ["-5", "+49 30"]
    frame.to_csv(work / "t.csv", index=False)
    run("ingest", work / "t.csv", work / "s", "--target", "[/y]", "--drop", "kind", "--drop", "id")
    run("ingest", work / "t.csv", work / "c", "--target", "kind", "--drop", "[/y]", "--drop", "id")
    run("fit", work / "s", "--alpha", 0.05, "--out", work / "m")
    return work


@pytest.mark.parametrize(
    "command",
    ["info {w}/s", "show {w}/m", "show {w}/m --schema", "score {w}/m {w}/s", "plan {w}/s",
     "fit {w}/s --alpha 1 --out {w}/'m\x1b[1m'", "info {w}/'\x1b[2J'"],
)  # fmt: skip
def test_no_name_reaches_the_terminal_as_anything_but_text(work, command):
    import shlex

    found = CliRunner().invoke(main, shlex.split(command.format(w=work)))
    assert found.exit_code in (0, 2)
    assert "\x1b" not in found.output
    assert "\u202e" not in found.output


def test_markup_is_text(work):
    assert "[/x]" in run("show", work / "m").stdout
    assert "target       [/y]" in run("info", work / "s").stdout


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a", "a"), ("é 数", "é 数"), ("a\x1bb", "a\\x1bb"), ("\x00\x7f\x9b", "\\x00\\x7f\\x9b"),
     ("a\nb\tc", "a\\nb\\tc"), ("\u2028\u202e", "\\u2028\\u202e"), ("\udc80", "\\udc80")],
)  # fmt: skip
def test_control_characters_are_spelled_out(text, shown):
    assert plain(text) == shown


def test_a_long_message_keeps_its_beginning_and_its_end():
    line = one_line("store: " + "x" * 5000 + "\n give another name.")
    assert len(line) == LONGEST_LINE
    assert line.startswith("store: xxx")
    assert line.endswith(" give another name.")


def test_a_terminal_without_unicode_gets_what_it_can_show(work):
    program = [sys.executable, "-m", "dasklasso", "show", str(work / "m")]
    plain_ascii = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    found = subprocess.run(program, capture_output=True, text=True, env=plain_ascii)
    assert (found.returncode, found.stderr) == (0, "")
    assert "\\xe9\\u6578" in found.stdout


# -- CSV --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "kept"),
    [("=1+1", "'=1+1"), ("@a", "'@a"), ("+a", "'+a"), ("-a", "'-a"), ("\ta", "'\ta"),
     ("\ra", "'\ra"), ("-1.5e3", "-1.5e3"), ("+7", "+7"), ("-inf", "-inf"), ("a=1", "a=1"),
     ("", ""), (-2.0, -2.0), (None, None)],
)  # fmt: skip
def test_only_text_that_a_spreadsheet_would_run_is_marked(value, kept):
    assert as_text(value) == kept


def test_names_and_ids_in_csv_are_no_formulas(work, tmp_path):
    run("show", work / "m", "--table", tmp_path / "f.csv")
    with open(tmp_path / "f.csv", newline="") as file:
        features = [row["feature"] for row in csv.DictReader(file)]
    assert sorted(features) == sorted(
        ["(intercept)", "'=1+1", "[/x]", NAMES[2], f"'{NAMES[3]}", "é數"]
    )
    run("predict", work / "m", work / "t.csv", "--id", "id", "--out", tmp_path / "p.csv")
    with open(tmp_path / "p.csv", newline="") as file:
        ids = [row["id"] for row in csv.DictReader(file)]
    assert ids == [f"'={i}" for i in range(88)] + ["-5", "'+49 30"]
    run("predict", work / "m", work / "t.csv", "--id", "id", "--out", tmp_path / "p.parquet")
    assert pd.read_parquet(tmp_path / "p.parquet").id[0] == "=0"


# -- options that cannot be used ----------------------------------------------------------------

REFUSED = {
    "--tol inf": "tol", "--tol nan": "tol", "--tol 0": "tol", "--tol -1": "tol",
    "--alpha inf": "alpha", "--alpha nan": "alpha", "--huber-delta inf": "huber-delta",
    "--l1-ratio nan": "l1-ratio", "--memory 1KiB": "memory", "--memory nan": "memory",
    "--checkpoint-seconds inf": "checkpoint-seconds", "--max-scans 0": "max-scans",
    "--solver none": "solver", "--no-such-option": "no-such-option",
}  # fmt: skip


@pytest.mark.parametrize("option", REFUSED)
def test_an_option_that_cannot_be_used_is_named_in_a_line(work, tmp_path, option):
    found = run("fit", work / "s", "--alpha", 1, *option.split(), "--out", tmp_path / "x",
                exit_code=2)  # fmt: skip
    assert found.stderr.startswith("Error: ")
    assert found.stderr.count("\n") == 1
    assert REFUSED[option] in found.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("eps", ["nan", "0", "1", "inf"])
def test_a_grid_that_has_no_end_is_refused(work, tmp_path, eps):
    found = run("path", work / "s", "--eps", eps, "--out", tmp_path / "x", exit_code=2)
    assert "eps" in found.stderr
    assert found.stderr.count("\n") == 1


MISLED = {
    "select {w}/s --by bic --memory 1KiB --out {x}": "a selection by bic needs .* give more memory",
    "select {w}/s --by adaptive --initial lasso --initial-alpha 1000 --out {x}":
        "initial_alpha: 1000 found, at which the first estimate by lasso has no feature",
    "select {w}/s --by adaptive --power 100000 --out {x}": "power: 100000 found",
    "show {w}/t.csv": "t.csv is a file, expected the folder of a saved model",
    "plan {w}/s --criterion auc": "criterion: auc found, but loss squared has no labels",
    "predict {w}/m {w}/t.csv --out {x}.csv --scheduler tcp://no:1": "--scheduler: .* is a table",
    "predict {w}/m {w}/t.csv --out {x}.csv --workers 2": "--workers: .* is a table",
}  # fmt: skip


@pytest.mark.parametrize("command", MISLED)
def test_an_error_says_what_is_wrong_and_what_would_do(work, tmp_path, command):
    import re

    found = run(*command.format(w=work, x=tmp_path / "x").split(), exit_code=2)
    assert re.search(f"^Error: .*{MISLED[command]}", found.stderr.splitlines()[-1])


def test_weights_beyond_floats_are_said_to_be_the_weights(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.standard_normal(50), "y": rng.standard_normal(50), "w": 1e300})
    frame.to_csv(tmp_path / "t.csv", index=False)
    run("ingest", tmp_path / "t.csv", tmp_path / "s", "--target", "y", "--weight", "w")
    fit = ("fit", tmp_path / "s", "--alpha", 0.1, "--solver", "fista", "--out", tmp_path / "m")
    found = run(*fit, exit_code=2)
    assert "sample_weight sums to 5e+301" in found.stderr
    assert "divide all weights by one number" in found.stderr


def test_numbers_too_large_are_one_line_and_no_raw_warning(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 3))
    np.savez(tmp_path / "t.npz", X=X * 3e37, y=X[:, 0])
    run("ingest", tmp_path / "t.npz", tmp_path / "s")
    path = ("path", tmp_path / "s", "--solver", "fista", "--out", tmp_path / "m", "--quiet")
    with warnings.catch_warnings(record=True) as raw:
        warnings.simplefilter("always")
        found = run(*path, exit_code=2)
    assert found.stderr.count("\n") == 1
    assert [str(one.message) for one in raw if issubclass(one.category, RuntimeWarning)] == []


def test_what_is_not_defined_of_a_class_is_no_nan(work):
    run("fit", work / "c", "--loss", "softmax", "--alpha", 10, "--out", work / "zero")
    table = run("score", work / "zero", work / "c").stdout
    assert "nan" not in table
    assert " -" in table  # the precision of a class that is never predicted


# -- long tables --------------------------------------------------------------------------------


def test_of_many_features_the_first_are_printed_and_all_are_in_json(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 150))
    np.savez(tmp_path / "t.npz", X=X, y=X.sum(axis=1))
    run("ingest", tmp_path / "t.npz", tmp_path / "s")
    run("fit", tmp_path / "s", "--alpha", 0.01, "--out", tmp_path / "m")
    model = tmp_path / "m"
    for limit, shown in ((["--limit", 7], 7), ([], 100), (["--limit", "all"], 150)):
        lines = run("show", model, *limit).stdout.splitlines()
        assert sum(line.split()[:1] != [] and line.split()[0][0] == "x" for line in lines) == shown
        more = f"{150 - shown} more features, smaller: --limit all prints them."
        assert (lines[-1] == more) is (shown < 150)
    assert len(json.loads(run("show", model, "--json", "--limit", 7).stdout)["features"]) == 150


# -- signals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_program_is_loaded_ends_it_in_a_line(number):
    # the import of click, the first thing that is loaded, sends it
    code = (
        "import os, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == 'click': os.kill(os.getpid(), {int(number)})\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from dasklasso.__main__ import main\n"
        "main()\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, "info", "x"], capture_output=True, text=True
    )
    said = {signal.SIGINT: "interrupted.", signal.SIGTERM: "ended by SIGTERM."}[number]
    assert (found.returncode, found.stderr) == (1, f"Error: {said}\n")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_whenever_a_signal_comes_there_is_no_traceback(work, number):
    for k in range(25):
        command = [sys.executable, "-m", "dasklasso", "fit", str(work / "s"), "--alpha", "0.1",
                   "--overwrite", "--out", str(work / "signalled")]  # fmt: skip
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            time.sleep(0.1 + 0.05 * k)  # before that it is Python that begins
            process.send_signal(number)
            _, said = process.communicate(timeout=100)
        assert process.returncode in (0, 1)
        assert "Traceback" not in said
