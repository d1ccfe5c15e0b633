"""A logistic model from a table to probabilities, on the command line."""

import json

import numpy as np
import pandas as pd
import pytest
import zarr
from click.testing import CliRunner

from dasklasso.cli import main
from dasklasso.model.path import load_model


def run(*arguments, exit_code=0):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == exit_code, result.output
    return result


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder with a store of labels, a logistic path and a logistic and a squared model."""
    folder = tmp_path_factory.mktemp("work")
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 4))
    frame = pd.DataFrame(X, columns=list("abcd"))
    frame["sick"] = (rng.random(200) < 1 / (1 + np.exp(1 - 2 * X[:, 0]))).astype(int)
    frame.to_csv(folder / "t.csv", index=False)
    store = folder / "s.zarr"
    run("ingest", folder / "t.csv", store, "--target", "sick")
    options = ["--loss", "logistic", "--no-dashboard"]
    grid = ["--n-alphas", 4, "--eps", 0.1, "--json"]
    printed = run("path", store, *options, *grid, "--out", folder / "path").stdout
    (folder / "path.json").write_text(printed.splitlines()[-1])
    run("fit", store, *options, "--alpha", 0.05, "--out", folder / "fit")
    run("fit", store, "--alpha", 0.05, "--no-dashboard", "--out", folder / "squared")
    return folder


def test_a_path_is_solved_to_its_tolerance_by_newton(work):
    summary = json.loads((work / "path.json").read_text())
    assert summary["solver"] == "newton"
    assert max(summary["dual_gap"]) <= 1e-6
    assert summary["n_nonzero"][0] == 0 < summary["n_nonzero"][-1]


@pytest.mark.parametrize("ending", ["csv", "parquet", "zarr"])
def test_probabilities_are_of_the_label_1(ending, work, tmp_path):
    out = tmp_path / f"p.{ending}"
    run("predict", work / "fit", work / "s.zarr", "--proba", "--no-dashboard", "--out", out)
    read = {
        "csv": lambda: pd.read_csv(out)["prediction"].to_numpy(),
        "parquet": lambda: pd.read_parquet(out)["prediction"].to_numpy(),
        "zarr": lambda: zarr.open_array(str(out), mode="r")[:],
    }
    found = read[ending]()
    frame = pd.read_csv(work / "t.csv")
    X = frame.drop(columns="sick").to_numpy().astype(np.float32)
    assert np.allclose(found, load_model(work / "fit").predict_proba(X), rtol=1e-9)
    sick = frame["sick"] == 1
    assert found[sick].mean() > found[~sick].mean() + 0.1


def test_without_proba_predictions_are_linear(work, tmp_path):
    out = tmp_path / "p.csv"
    run("predict", work / "fit", work / "s.zarr", "--no-dashboard", "--out", out)
    X = pd.read_csv(work / "t.csv").drop(columns="sick").to_numpy().astype(np.float32)
    expected = load_model(work / "fit").predict(X)
    assert np.allclose(pd.read_csv(out)["prediction"], expected, rtol=1e-9)


def test_proba_is_refused_for_a_squared_model(work, tmp_path):
    out = tmp_path / "p.csv"
    arguments = [work / "squared", work / "s.zarr", "--proba", "--out", out]
    result = run("predict", *arguments, exit_code=2)
    assert "loss squared has no probabilities" in result.stderr
    assert not out.exists()


def test_cv_chooses_by_the_area_under_the_curve(work, tmp_path):
    arguments = [work / "s.zarr", "--loss", "logistic", "--criterion", "auc", "--folds", "3"]
    printed = run("cv", *arguments, "--out", tmp_path / "m", "--no-dashboard", "--json").stdout
    found = json.loads(printed.splitlines()[-1])
    assert found["solver"] == "newton"
    assert found["criterion"] == "auc"
    best = int(np.argmax(found["auc"]))
    assert found["alpha_selected"] == found["alphas"][best]
    assert np.allclose(found["auc"], found["mean_auc"])
    assert "mean_error" not in found


def test_cv_shows_the_area_itself(work, tmp_path):
    arguments = [work / "s.zarr", "--loss", "logistic", "--criterion", "auc", "--folds", "3"]
    arguments += ["--n-alphas", "5", "--out", tmp_path / "m", "--table", tmp_path / "c.csv"]
    printed = run("cv", *arguments, "--no-dashboard").stdout
    best = load_model(tmp_path / "m").cross_validation.best
    assert f"area under the curve {best.mean_score.max():.6g} +- " in printed
    table = pd.read_csv(tmp_path / "c.csv")
    assert np.allclose(table["mean_auc"], best.scores["auc"].mean(axis=1))
    assert np.allclose(table["auc_fold_2"], best.scores["auc"][:, 2])


def test_select_is_refused(work, tmp_path):
    arguments = [work / "s.zarr", "--loss", "logistic", "--by", "bic", "--out", tmp_path / "m"]
    result = run("select", *arguments, exit_code=2)
    assert "loss: logistic cannot select features" in result.stderr


def test_plan_knows_the_loss(work):
    printed = run("plan", work / "s.zarr", "--loss", "logistic", "--json").stdout
    assert json.loads(printed.splitlines()[-1])["solver"] == "newton"


def test_a_target_of_text_gives_a_model_of_its_classes(work, tmp_path):
    frame = pd.read_csv(work / "t.csv")
    frame["sick"] = np.where(frame.sick == 1, "yes", "no")
    frame.to_csv(tmp_path / "t.csv", index=False)
    run("ingest", tmp_path / "t.csv", tmp_path / "s", "--target", "sick")
    options = ["--loss", "logistic", "--no-dashboard", "--alpha", 0.05]
    run("fit", tmp_path / "s", *options, "--out", tmp_path / "model")
    path = load_model(tmp_path / "model")
    assert path.classes == (("no", "yes"),)
    assert np.array_equal(path.coef, load_model(work / "fit").coef)
    assert "no, yes" in run("show", tmp_path / "model").stdout


def test_class_weights_are_an_option_and_a_key_of_a_job(work, tmp_path):
    fit = ["fit", work / "s.zarr", "--loss", "logistic", "--no-dashboard", "--alpha", 0.05]
    run(*fit, "--class-weight", "0=1,1=4", "--out", tmp_path / "m")
    (tmp_path / "j.toml").write_text(
        f'[fit]\nstore = "{work}/s.zarr"\nloss = "logistic"\nalpha = [0.05]\nno_dashboard = true\n'
        f'class_weight = "1=4"\nout = "{tmp_path}/j"\n'
    )
    run("run", tmp_path / "j.toml")
    found, job = load_model(tmp_path / "m"), load_model(tmp_path / "j")
    assert np.array_equal(found.coef, job.coef)
    assert found.intercept[0] > load_model(work / "fit").intercept[0]
    refused = run(*fit, "--class-weight", "sick=2", "--out", tmp_path / "n", exit_code=2)
    assert "class_weight: sick is none of the classes: 0, 1" in refused.stderr
