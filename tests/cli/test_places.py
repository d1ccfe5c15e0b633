"""Commands refuse an output that is an input or a URL in a line, and leave everything as it was."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from click.testing import CliRunner

from dasklasso.cli import main


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder with the table t.csv, its store s, and a model m."""
    work = tmp_path_factory.mktemp("places")
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(60, 3))
    np.savetxt(work / "t.csv", rows, delimiter=",", header="a,b,y", comments="")
    assert run("ingest", work / "t.csv", work / "s", "--target", "y").exit_code == 0
    assert run("fit", work / "s", "--alpha", 0.1, "--out", work / "m").exit_code == 0
    return work


def digest(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


COMMANDS = {
    "predict over the store": "predict {m} {s} --out {s} --overwrite",
    "predict into the store": "predict {m} {s} --out {s}/p.csv",
    "predict over the table": "predict {m} {t} --out {t} --overwrite",
    "score over the table": "score {m} {t} --table {t} --overwrite",
    "show over the model": "show {m} --table {m}/model.json --overwrite",
    "fit over the store": "fit {s} --alpha 0.1 --out {s} --overwrite",
    "fit over the checkpoint": "fit {s} --alpha 0.1 --out {s}2 --checkpoint {s}",
    "model and table": "path {s} --out {w}/x.csv --table {w}/x.csv",
    "table within the model": "path {s} --out {w}/x --table {w}/x/t.csv",
    "model over the statistics": "fit {s} --alpha 0.1 --out {s}.stats --overwrite",
    "ingest over its table": "ingest {t} {t} --target y --overwrite",
    "ingest over its schema": "ingest {t} {s} --schema {s} --overwrite",
    "update with the store": "update {s} {s}",
    "a model to S3": "fit {s} --alpha 0.1 --out s3://bucket/m",
    "a store to S3": "ingest {t} s3://bucket/s --target y",
    "a synthetic store to S3": "generate tall s3:/bucket/s --rows 9 --features 2",
    "predictions to S3": "predict {m} {s} --out s3://bucket/p.csv",
    "no name": "predict {m} {s} --out ''",
    "a chained name": "fit {s} --alpha 0.1 --out a::b",
    "a chained input": "fit a::b --alpha 0.1 --out {w}/x",
    "a checkpoint in the store": "fit {s} --alpha 0.1 --out {w}/x --checkpoint {s}/c",
    "a checkpoint in the model": "fit {s} --alpha 0.1 --out {w}/x --checkpoint {m}",
    "statistics in the model": "fit {s} --alpha 0.1 --out {w}/x --stats {m}",
    "statistics in a file": "fit {s} --alpha 0.1 --out {w}/x --stats {t}",
    "a place within a file": "fit {t}/s --alpha 0.1 --out {w}/x",
    "a name that is too long": "fit " + "n" * 300 + " --alpha 0.1 --out {w}/x",
    "a table at a URL": "ingest s3://bucket/t.csv {w}/x --target y",
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_nothing_is_changed_and_a_line_says_why(work, command, tmp_path, monkeypatch):
    import shlex

    monkeypatch.chdir(tmp_path)
    before = digest(work)
    found = run(*shlex.split(command.format(m=work / "m", s=work / "s", t=work / "t.csv", w=work)))
    assert found.exit_code == 2, found.output
    assert found.stderr.startswith("Error: ")
    assert found.stderr.count("\n") == 1
    assert digest(work) == before
    assert list(tmp_path.iterdir()) == []


def test_a_file_url_and_a_home_folder_are_read_and_written(work, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(work))
    fit = ("fit", f"file://{work}/s", "--alpha", 0.1, "--out", f"file://{tmp_path}/m")
    assert run(*fit).exit_code == 0
    predict = ("predict", f"file://{tmp_path}/m", "~/t.csv", "--out", f"file://{tmp_path}/p.csv")
    assert run(*predict).exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m", "p.csv"]


JOB = """
[ingest]
source = "t.csv"
store = "{w}/new"
target = "y"
[fit]
alpha = 0.1
out = "{w}/new-m"
[predict]
out = "{w}/{out}"
overwrite = true
"""


@pytest.mark.parametrize(
    ("out", "named"),
    [("new-m", "[predict]"), ("t.csv", "[ingest] source"), ("new/p.csv", "[predict]")],
)
def test_a_job_is_refused_for_any_two_stages_whose_places_meet(work, out, named):
    (work / "job.toml").write_text(JOB.format(w=work, out=out))
    before = digest(work)
    found = run("run", work / "job.toml")
    assert found.exit_code == 2
    assert named in found.stderr
    assert found.stderr.count("\n") == 1
    assert digest(work) == before


@pytest.mark.parametrize(
    ("stage", "key"), [("path", "n_alphas=0"), ("path", "tol=nan"), ("score", "bins=0")]
)
def test_a_job_names_the_stage_of_an_option_that_cannot_be_used(work, stage, key):
    (work / "job.toml").write_text(f'[path]\nstore="s"\nout="{work}/n"\n[score]\nstore="s"\n')
    found = run("run", work / "job.toml", "--set", f"{stage}.{key}")
    assert found.exit_code == 2
    assert f"job.toml, [{stage}]: {key.split('=')[0]}" in found.stderr
