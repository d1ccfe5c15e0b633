"""Huber and Poisson models from a table to predictions, on the command line."""

import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from dasklasso.cli import main
from dasklasso.model.path import load_model


def run(*arguments, exit_code=0):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == exit_code, result.output
    return result


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder with stores of counts and of numbers, one with rows far off, and a model of each."""
    folder = tmp_path_factory.mktemp("work")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.standard_normal((200, 4)), columns=list("abcd"))
    frame["visits"] = rng.poisson(np.exp(0.5 + frame["a"]))
    frame["size"] = frame["a"] + rng.standard_t(1.0, 200)
    frame.to_csv(folder / "t.csv", index=False)
    for target, drop, options in (
        ("visits", "size", ["--loss", "poisson"]),
        ("size", "visits", ["--loss", "huber", "--huber-delta", 0.5]),
    ):
        store, model = folder / f"{target}.zarr", folder / target
        run("ingest", folder / "t.csv", store, "--target", target, "--drop", drop)
        fit = ["fit", store, *options, "--alpha", 0.05, "--no-dashboard", "--out", model, "--json"]
        (folder / f"{target}.json").write_text(run(*fit).stdout.splitlines()[-1])
    return folder


@pytest.mark.parametrize("target", ["visits", "size"])
def test_a_fit_reaches_its_tolerance(target, work):
    summary = json.loads((work / f"{target}.json").read_text())
    assert summary["solver"] == "newton"
    assert max(summary["dual_gap"]) <= 1e-6


def test_counts_are_predicted_as_means(work, tmp_path):
    out = tmp_path / "p.csv"
    run("predict", work / "visits", work / "visits.zarr", "--no-dashboard", "--out", out)
    found = pd.read_csv(out)["prediction"].to_numpy()
    X = pd.read_csv(work / "t.csv")[list("abcd")].to_numpy().astype(np.float32)
    path = load_model(work / "visits")
    assert np.allclose(found, np.exp(path.linear_prediction(X)), rtol=1e-9)


def test_the_saved_model_keeps_its_delta(work):
    assert load_model(work / "size").loss_value.delta == 0.5


@pytest.mark.parametrize("target", ["visits", "size"])
def test_a_model_is_scored_by_its_own_deviance(target, work):
    found = run("score", work / target, work / f"{target}.zarr", "--no-dashboard", "--json").stdout
    assert 0 < json.loads(found.splitlines()[-1])["metrics"]["deviance_explained"] < 1


@pytest.mark.parametrize("loss", ["huber", "poisson"])
def test_a_plan_names_the_solver(loss, work):
    plan = json.loads(run("plan", work / "visits.zarr", "--loss", loss, "--json").stdout)
    assert plan["solver"] == "newton"


def test_probabilities_of_counts_are_refused(work, tmp_path):
    arguments = ["predict", work / "visits", work / "visits.zarr", "--proba"]
    result = run(*arguments, "--out", tmp_path / "p.csv", exit_code=2)
    assert "loss poisson has no probabilities" in result.output


def test_numbers_below_zero_are_refused_by_row(work, tmp_path):
    arguments = ["fit", work / "size.zarr", "--loss", "poisson", "--alpha", 0.1, "--no-dashboard"]
    result = run(*arguments, "--out", tmp_path / "m", exit_code=2)
    assert "loss poisson expects numbers >= 0" in result.output


def test_a_job_gives_the_delta(work, tmp_path):
    job = tmp_path / "job.toml"
    job.write_text(
        f'[fit]\nstore = "{work}/size.zarr"\nloss = "huber"\nhuber_delta = 0.5\nalpha = [0.05]\n'
        f'no_dashboard = true\nout = "{tmp_path}/m"\n'
    )
    run("run", job)
    found, expected = load_model(tmp_path / "m"), load_model(work / "size")
    assert np.array_equal(found.coef, expected.coef)
