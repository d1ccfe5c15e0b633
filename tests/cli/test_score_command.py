"""score: what it prints and writes, and what it refuses in a line."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from sklearn import metrics as theirs

from dasklasso.cli import main
from dasklasso.dataset.ingest.writer import StoreWriter
from dasklasso.model.path import load_model


def run(*arguments, exit_code=0):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == exit_code, result.output
    return result


def run_score(*arguments, exit_code=0):
    return run("score", *arguments, "--no-dashboard", exit_code=exit_code)


def run_json(*arguments):
    return json.loads(run_score(*arguments, "--json").stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder with a store of text labels, one of numbers, and a path fitted to each."""
    folder = tmp_path_factory.mktemp("work")
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 4)).astype(np.float32)
    frame = pd.DataFrame(X, columns=list("abcd"))
    frame["sick"] = np.where(rng.random(300) < 1 / (1 + np.exp(1 - 2 * X[:, 0])), "yes", "no")
    frame["size"] = 3 + X[:, 1] + rng.standard_normal(300)
    frame.to_csv(folder / "t.csv", index=False)
    for target, drop, options in (("sick", "size", ["--loss", "logistic"]), ("size", "sick", [])):
        store = folder / f"{target}.zarr"
        run("ingest", folder / "t.csv", store, "--target", target, "--drop", drop)
        grid = ["--n-alphas", 3, "--eps", 0.1, "--no-dashboard", "--out", folder / target]
        run("path", store, *options, *grid)
    return folder


def test_json_of_a_path_has_a_list_over_alphas_for_every_metric(work):
    found = run_json(work / "sick", work / "sick.zarr", "--all-alphas")
    path, frame = load_model(work / "sick"), pd.read_csv(work / "t.csv")
    X, sick = frame[list("abcd")].to_numpy().astype(np.float32), frame["sick"] == "yes"
    assert found["alphas"] == path.alphas.tolist()
    assert found["scans"] == 1
    expected = [theirs.roc_auc_score(sick, path.predict(X, alpha)) for alpha in path.alphas]
    assert found["metrics"]["auc"] == pytest.approx(expected, rel=1e-6)
    expected = [theirs.log_loss(sick, path.predict_proba(X, alpha)) for alpha in path.alphas]
    assert found["metrics"]["log_loss"] == pytest.approx(expected, rel=1e-6)


def test_json_of_one_alpha_has_numbers_and_the_calibration(work):
    alpha = load_model(work / "sick").alphas[1]
    found = run_json(work / "sick", work / "sick.zarr", "--alpha", alpha, "--bins", 3)
    every = run_json(work / "sick", work / "sick.zarr", "--all-alphas")["metrics"]
    assert found["metrics"] == pytest.approx({name: each[1] for name, each in every.items()})
    assert sum(row["rows"] for row in found["calibration"]) == found["n_rows"] == 300


def test_metrics_and_calibration_are_printed(work):
    output = run_score(work / "sick", work / "sick.zarr", "--alpha", 0.08).stdout
    assert "rows                300\n" in output
    assert "\nauc                 0." in output
    assert "observed rate" in output


def test_all_alphas_are_printed_line_by_line(work):
    rows = run_score(work / "size", work / "size.zarr", "--all-alphas").stdout.splitlines()
    first = [f"{alpha:.8g}" for alpha in load_model(work / "size").alphas]
    assert [row.split()[0] for row in rows if row.split()[:1] and row.split()[0] in first] == first


def test_tables_are_metrics_by_alpha_or_the_calibration(work, tmp_path):
    run_score(work / "sick", work / "sick.zarr", "--all-alphas", "--table", tmp_path / "m.csv")
    metrics = pd.read_csv(tmp_path / "m.csv")
    assert metrics["alpha"].tolist() == load_model(work / "sick").alphas.tolist()
    arguments = ["--alpha", 0.08, "--table", tmp_path / "c.parquet"]
    run_score(work / "sick", work / "sick.zarr", *arguments)
    assert pd.read_parquet(tmp_path / "c.parquet")["rows"].sum() == 300


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["size", "size.zarr", "--alpha", "9"], "alpha=9 is outside the fitted alphas"),
        (["size", "size.zarr"], "alpha is needed: the model has 3 alphas"),
        (["size", "size.zarr", "--alpha", "1", "--all-alphas"], "give one of them"),
        (["size", "none.zarr", "--all-alphas"], "none.zarr"),
        (["none", "size.zarr", "--all-alphas"], "none"),
        (["size", "size.zarr", "--all-alphas", "--table", "t.txt"], "tables are written to"),
        (["size", "size.zarr", "--all-alphas", "--memory", "1MiB"], "memory: 1,048,576 bytes"),
        (["sick", "size.zarr", "--all-alphas"], "are numbers, those of the model are text"),
    ],
)
def test_what_cannot_be_scored_exits_with_2_in_one_line(arguments, message, work, monkeypatch):
    monkeypatch.chdir(work)
    result = run_score(*arguments, exit_code=2)
    assert message in result.stderr
    assert result.stdout == ""


def test_a_store_without_a_target_or_with_other_features_is_refused(work, tmp_path):
    with StoreWriter(
        tmp_path / "bare.zarr", feature_names=list("abcd"), target_names=(), dtype="float32"
    ) as writer:
        writer.write(np.ones((5, 4)), None)
        writer.finish({})
    result = run_score(work / "size", tmp_path / "bare.zarr", "--all-alphas", exit_code=2)
    assert "bare.zarr has no array y: there is nothing to score against." in result.stderr
    frame = pd.read_csv(work / "t.csv").drop(columns="sick").rename(columns={"b": "z"})
    frame.to_csv(tmp_path / "other.csv", index=False)
    run("ingest", tmp_path / "other.csv", tmp_path / "other.zarr", "--target", "size")
    result = run_score(work / "size", tmp_path / "other.zarr", "--all-alphas", exit_code=2)
    assert "other.zarr: has no feature 'b', which" in result.stderr


def test_a_job_scores_the_model_that_it_made(work, tmp_path):
    (tmp_path / "job.toml").write_text(
        f"[fit]\nstore = '{work}/size.zarr'\nsolver = 'fista'\nalpha = 0.1\nout = '{tmp_path}/m'\n"
        f"no_dashboard = true\n[score]\nstore = '{work}/size.zarr'\nno_dashboard = true\n"
        f"table = '{tmp_path}/scores.json'\n"
    )
    command = [sys.executable, "-m", "dasklasso", "run", str(tmp_path / "job.toml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "[score]" in done.stdout
    assert "\nr2 " in done.stdout
    [row] = json.loads((tmp_path / "scores.json").read_text())
    assert row["alpha"] == 0.1
    assert 0 < row["r2"] < 1
