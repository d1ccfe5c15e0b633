"""From a table to predictions, by commands: where signals matter, programs of their own."""

import json
import signal
import subprocess
import sys
import time
from contextlib import chdir
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zarr
from click.testing import CliRunner

from dasklasso.cli import main
from dasklasso.model.path import load_model

ROOT = Path(__file__).parents[2]


def start(*arguments, cwd):
    command = [sys.executable, "-m", "dasklasso", *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=cwd, stdout=pipe, stderr=pipe, text=True)


def program(*arguments, cwd):
    process = start(*arguments, cwd=cwd)
    stdout, stderr = process.communicate(timeout=200)
    assert process.returncode == 0, stderr
    assert "Traceback" not in stderr
    return stdout, stderr


def command(*arguments, cwd, exit_code=0):
    """Run a command in this process: the same but for the start of a program, which takes long."""
    with chdir(cwd):
        done = CliRunner().invoke(main, [str(one) for one in arguments])
    assert done.exit_code == exit_code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder with a store of the diabetes data and a path of 5 alphas fitted to it."""
    folder = tmp_path_factory.mktemp("work")
    table = ROOT / "data/diabetes.csv"
    command("ingest", table, "d.zarr", "--target", "target", cwd=folder)
    options = ["--n-alphas", 5, "--standardize", "--no-dashboard", "--json"]
    stdout, stderr = program("path", "d.zarr", *options, "--out", "model", cwd=folder)
    (folder / "path.json").write_text(stdout.splitlines()[-1])
    (folder / "path.err").write_text(stderr)
    return folder


@pytest.fixture(scope="module")
def table():
    frame = pd.read_csv(ROOT / "data/diabetes.csv")
    return frame.drop(columns="target").astype(np.float32), frame["target"].to_numpy()


def test_the_gap_that_is_printed_is_the_gap(work, table):
    path, summary = load_model(work / "model"), json.loads((work / "path.json").read_text())
    X, y = table[0].to_numpy().astype(np.float64), table[1]
    n, scale = len(y), X.std(axis=0)
    Z = (X - X.mean(axis=0)) / scale
    null = 0.5 * np.mean((y - y.mean()) ** 2)
    for i, alpha in enumerate(path.alphas):
        w = path.coef[i] * scale
        r = y - path.predict(X, alpha)
        primal = 0.5 * r @ r / n + alpha * np.abs(w).sum()
        theta = (r - r.mean()) / n
        theta *= min(1.0, alpha / np.abs(Z.T @ theta).max())
        dual = theta @ (y - y.mean()) - 0.5 * n * theta @ theta
        assert (primal - dual) / null <= path.tol * 1.01
        assert summary["objective"][i] == pytest.approx(primal, rel=1e-9)
    assert max(summary["dual_gap"]) <= path.tol


def test_the_summary_agrees_with_the_model(work):
    path, summary = load_model(work / "model"), json.loads((work / "path.json").read_text())
    assert summary["alphas"] == path.alphas.tolist()
    assert summary["n_nonzero"] == path.n_nonzero.tolist()
    assert summary["n_nonzero"][0] == 0
    assert summary["model"] == "model"
    assert summary["scans"] > 0
    assert summary["bytes_read"] > 0


def test_progress_is_lines_where_there_is_no_terminal(work):
    last = (work / "path.err").read_text().splitlines()[-1]
    assert last.startswith("scan ")
    assert "5/5 alphas" in last
    assert "\x1b" not in last


@pytest.mark.parametrize("suffix", [".zarr", ".parquet", ".csv"])
def test_predictions_out_of_core_are_those_in_memory(work, table, suffix):
    alpha = load_model(work / "model").alphas[3]
    name = f"p{suffix}"
    options = ["--alpha", alpha, "--no-dashboard", "--out", name]
    command("predict", "model", "d.zarr", *options, cwd=work)
    if suffix == ".zarr":
        found = zarr.open_array(str(work / name), mode="r")[:]
    else:
        frame = pd.read_csv(work / name) if suffix == ".csv" else pd.read_parquet(work / name)
        found = frame["prediction"].to_numpy()
    expected = load_model(work / "model").predict(table[0], alpha)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_predicting_without_an_alpha_asks_for_one(work):
    _, stderr = command("predict", "model", "d.zarr", "--out", "none.csv", cwd=work, exit_code=2)
    assert "alpha is needed: the model has 5 alphas" in stderr
    assert not (work / "none.csv").exists()


def test_predicting_for_other_features_is_refused(work, tmp_path):
    (tmp_path / "t.csv").write_text("a,b,y\n1,2,3\n2,1,4\n")
    command("ingest", tmp_path / "t.csv", tmp_path / "t.zarr", "--target", "y", cwd=tmp_path)
    arguments = ["predict", "model", tmp_path / "t.zarr", "--alpha", 1, "--out", "none.csv"]
    _, stderr = command(*arguments, cwd=work, exit_code=2)
    assert "t.zarr: has no features 'age', 'sex', 'bmi'" in stderr


def test_a_fit_that_runs_out_of_scans_exits_1_and_is_saved(work, tmp_path):
    options = ["--alpha", 0.01, "--max-scans", 3, "--solver", "fista", "--no-dashboard", "--json"]
    arguments = ["fit", work / "d.zarr", *options, "--out", "m"]
    stdout, stderr = command(*arguments, cwd=tmp_path, exit_code=1)
    assert stderr.splitlines()[-1].startswith("Error: not converged: 1 of 1 alphas")
    summary = json.loads(stdout.splitlines()[-1])
    assert summary["dual_gap"][0] > 1e-6
    assert load_model(tmp_path / "m").dual_gap.tolist() == summary["dual_gap"]


def test_a_store_with_a_missing_chunk_exits_2_and_leaves_no_model(tmp_path):
    sizes = ["--rows", 300, "--features", 5, "--chunk-rows", 100]
    command("generate", "tall", "t.zarr", *sizes, cwd=tmp_path)
    (tmp_path / "t.zarr/X/c/1/0").unlink()
    arguments = ["fit", "t.zarr", "--alpha", 1, "--no-dashboard", "--out", "m"]
    _, stderr = command(*arguments, cwd=tmp_path, exit_code=2)
    assert "c/1/0" in stderr
    assert "rows 100-199" in stderr
    assert not (tmp_path / "m").exists()


def test_a_run_ended_by_sigterm_resumes_to_the_same_bits(tmp_path):
    sizes = ["--rows", 2000, "--features", 200, "--chunk-rows", 500]
    command("generate", "tall", "t.zarr", *sizes, cwd=tmp_path)
    fit = ["path", "t.zarr", "--n-alphas", 10, "--tol", 1e-8, "--solver", "fista", "--no-dashboard"]
    keep = ["--checkpoint", "ck", "--checkpoint-seconds", 0]
    process = start(*fit, *keep, "--out", "m", cwd=tmp_path)
    deadline = time.monotonic() + 60
    while not (tmp_path / "ck" / "state.zarr").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1, stderr
    assert "The checkpoint is in ck" in stderr
    assert "Traceback" not in stderr
    assert not (tmp_path / "m").exists()
    command(*fit, *keep, "--resume", "--out", "m", cwd=tmp_path)
    command(*fit, "--out", "whole", cwd=tmp_path)
    resumed, whole = load_model(tmp_path / "m"), load_model(tmp_path / "whole")
    np.testing.assert_array_equal(resumed.coef, whole.coef)
    np.testing.assert_array_equal(resumed.intercept, whole.intercept)


def test_cross_validation_is_two_scans_and_says_so(work, tmp_path):
    options = ["--folds", 4, "--rule", "1se", "--no-dashboard", "--stats", tmp_path / "stats"]
    out = ["--out", tmp_path / "m", "--table", tmp_path / "curve.csv"]
    stdout, stderr = command("cv", work / "d.zarr", *options, *out, cwd=tmp_path)
    lines = dict(line.split(maxsplit=1) for line in stdout.splitlines())
    assert lines["cost"].startswith("2 scans, ")
    assert lines["planned"].startswith("2 scans, ")
    assert lines["folds"].startswith("4 random; alpha_min ")
    path, curve = load_model(tmp_path / "m"), pd.read_csv(tmp_path / "curve.csv")
    assert path.alpha_selected == path.cross_validation.best.alpha_1se
    np.testing.assert_allclose(curve["mean_mse"], path.cross_validation.best.mean_error)
    assert "scan 2 | 100/100 alphas" in stderr
    command("predict", "m", work / "d.zarr", "--out", "p.csv", cwd=tmp_path)


def test_a_second_cross_validation_reads_only_to_certify(work, tmp_path):
    options = ["--no-dashboard", "--stats", "stats", "--json", "--folds", 3]
    command("cv", work / "d.zarr", *options, "--out", "a", cwd=tmp_path)
    again = [*options, "--l1-ratios", 0.5, "--l1-ratios", 1, "--n-alphas", 30, "--out", "b"]
    stdout, _ = command("cv", work / "d.zarr", *again, cwd=tmp_path)
    found = json.loads(stdout.splitlines()[-1])
    assert found["scans"] == 1
    assert found["plan"]["scans"] == 1
    assert max(found["dual_gap"]) <= 1e-6


def test_a_run_killed_while_it_certifies_has_its_statistics(tmp_path):
    sizes = ["--rows", 20_000, "--features", 200]
    command("generate", "tall", "t.zarr", *sizes, cwd=tmp_path)
    path = ["path", "t.zarr", "--no-dashboard", "--json"]
    process = start(*path, "--out", "m", cwd=tmp_path)
    deadline = time.monotonic() + 100
    kept = f"t.zarr.stats/{'[0-9a-f]' * 32}"  # whole: what is being written has another name
    while not any(tmp_path.glob(kept)) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    process.communicate()
    stdout, _ = command(*path, "--out", "m", "--overwrite", cwd=tmp_path)
    assert json.loads(stdout.splitlines()[-1])["scans"] == 1


def test_the_quickstart_runs_and_runs_again(tmp_path):
    job = ROOT / "pipelines/quickstart.toml"
    for run in (program, command):
        stdout, _ = run("run", job, cwd=tmp_path)
        assert [line for line in stdout.splitlines() if line.startswith("[")] == [
            "[ingest]",
            "[path]",
            "[predict]",
        ]
    path = load_model(tmp_path / "out/quickstart/model")
    assert len(path.alphas) == 20
    assert path.converged
    assert len(pd.read_csv(tmp_path / "out/quickstart/predictions.csv")) == 442


def test_a_job_overwrites_nothing_it_was_not_told_to(tmp_path):
    job = ROOT / "pipelines/quickstart.toml"
    (tmp_path / "out/quickstart/model").mkdir(parents=True)
    keep = ["--set", "path.overwrite=false"]
    _, stderr = command("run", job, *keep, cwd=tmp_path, exit_code=2)
    assert "out/quickstart/model exists already" in stderr
    assert not (tmp_path / "out/quickstart/diabetes.zarr").exists()
