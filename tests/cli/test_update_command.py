"""update, as somebody at a terminal meets it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from dasklasso.cli import main
from dasklasso.dataset.dataset import open_dataset
from dasklasso.model.path import load_model

DATA = Path(__file__).parents[2] / "data"


def run(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture
def halves(tmp_path):
    frame = pd.read_csv(DATA / "diabetes.csv")
    frame[:300].to_csv(tmp_path / "old.csv", index=False)
    frame[300:].to_parquet(tmp_path / "new.parquet")
    result = run("ingest", tmp_path / "old.csv", tmp_path / "s", "--target", "target")
    assert result.exit_code == 0, result.stderr
    return tmp_path


def test_the_store_has_the_rows_of_both_tables(halves):
    result = run("update", halves / "s", halves / "new.parquet")
    assert result.exit_code == 0, result.stderr
    lines = dict(line.split("  ", 1) for line in result.stdout.splitlines())
    assert lines["rows"].strip().startswith("442, 142 of them new, in ")
    assert lines["store"].strip() == str(halves / "s")
    run("ingest", DATA / "diabetes.csv", halves / "t", "--target", "target")
    assert open_dataset(halves / "s").fingerprint == open_dataset(halves / "t").fingerprint
    assert run("verify", halves / "s").exit_code == 0


def test_the_store_itself_is_no_table_of_new_rows(halves):
    result = run("update", halves / "s", halves / "s")
    assert result.exit_code == 2
    assert "s is the store itself, expected a table of new rows" in result.stderr


@pytest.mark.parametrize(
    ("moment", "now"), [("before", "is as it was"), ("after", "has all of the new rows")]
)
def test_an_interrupted_update_says_what_the_store_is(halves, monkeypatch, moment, now):
    def interrupted(self, *arguments):
        raise KeyboardInterrupt("ended by SIGTERM.")

    monkeypatch.setattr(f"dasklasso.moments.append.StatisticsUpdate.{moment}_swap", interrupted)
    result = run("update", halves / "s", halves / "new.parquet")
    assert result.exit_code == 1
    assert result.stderr.endswith(f"Error: ended by SIGTERM. {halves / 's'} {now}.\n")
    assert open_dataset(halves / "s").n_rows == (300 if moment == "before" else 442)


def test_json_is_the_last_line(halves):
    result = run("update", halves / "s", halves / "new.parquet", "--json")
    found = json.loads(result.stdout.splitlines()[-1])
    assert (found["rows_appended"], found["rows"], found["features"]) == (142, 442, 10)
    assert found["fingerprint"] == open_dataset(halves / "s").fingerprint


def test_a_fit_of_the_updated_store_sees_all_the_rows(halves):
    run("update", halves / "s", halves / "new.parquet")
    run("ingest", DATA / "diabetes.csv", halves / "t", "--target", "target")
    for name in "st":
        fitted = run("fit", halves / name, "--alpha", 1, "--out", halves / f"{name}.model")
        assert fitted.exit_code == 0, fitted.stderr
    coefs = [load_model(halves / f"{name}.model").coef for name in "st"]
    np.testing.assert_allclose(*coefs, rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="bmi"), "column 'bmi' is a feature of"),
        (lambda t: t.assign(extra=1), "Leave it out: --drop extra"),
        (lambda t: t.rename(columns={"target": "y"}), "Name it: --target."),
    ],
)
def test_what_does_not_fit_is_said_in_one_line_and_exit_code_2(halves, change, message):
    change(pd.read_parquet(halves / "new.parquet")).to_parquet(halves / "odd.parquet")
    result = run("update", halves / "s", halves / "odd.parquet")
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert open_dataset(halves / "s").n_rows == 300


def test_a_store_that_is_not_there_is_named(halves):
    result = run("update", halves / "nowhere", halves / "new.parquet")
    assert result.exit_code == 2
    assert "nowhere does not exist" in result.stderr


def test_help_has_an_example():
    assert "dasklasso update sales.zarr 'new/*.parquet'" in run("update", "--help").stdout


def test_statistics_follow_an_update(halves):
    cv = ["cv", halves / "s", "--folds", 3, "--n-alphas", 5, "--json", "--out"]
    run(*cv, halves / "before")
    updated = run("update", halves / "s", halves / "new.parquet", "--json")
    assert json.loads(updated.stdout.splitlines()[-1])["statistics_carried"] == 1
    found = run(*cv, halves / "after")
    assert json.loads(found.stdout.splitlines()[-1])["scans"] == 1
    fresh = run(*cv, halves / "fresh", "--no-stats")
    assert json.loads(fresh.stdout.splitlines()[-1])["scans"] == 2
    after, anew = load_model(halves / "after"), load_model(halves / "fresh")
    np.testing.assert_allclose(
        after.cross_validation.best.error_path, anew.cross_validation.best.error_path, rtol=1e-10
    )
