"""A softmax model from a table to labels, on the command line."""

import json

import numpy as np
import pandas as pd
import pytest
import zarr
from click.testing import CliRunner
from sklearn import metrics as theirs

from dasklasso.cli import main
from dasklasso.model.path import load_model

NAMES = np.array(["ash", "birch", "cedar"])


def run(*arguments, exit_code=0):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == exit_code, result.output
    return result


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder with a table of text labels, its store and a grouped softmax path."""
    folder = tmp_path_factory.mktemp("work")
    rng = np.random.default_rng(0)
    X = rng.standard_normal((240, 5))
    W = np.zeros((5, 3))
    W[:2] = [[2.0, 0.0, -2.0], [0.0, 2.0, 0.0]]
    frame = pd.DataFrame(X, columns=list("abcde"))
    frame["tree"] = NAMES[(X @ W + rng.gumbel(size=(240, 3))).argmax(axis=1)]
    frame.to_csv(folder / "t.csv", index=False)
    run("ingest", folder / "t.csv", folder / "s.zarr", "--target", "tree")
    options = ["--loss", "softmax", "--grouped", "--no-dashboard", "--tol", 1e-5, "--json"]
    grid = ["--n-alphas", 4, "--eps", 0.1]
    printed = run("path", folder / "s.zarr", *options, *grid, "--out", folder / "path").stdout
    (folder / "path.json").write_text(printed.splitlines()[-1])
    return folder


def rows_of(work):
    return pd.read_csv(work / "t.csv").drop(columns="tree").to_numpy().astype(np.float32)


def test_a_grouped_path_has_whole_features(work):
    summary, path = json.loads((work / "path.json").read_text()), load_model(work / "path")
    assert max(summary["dual_gap"]) <= 1e-5
    assert summary["n_nonzero"][0] == 0 < summary["n_nonzero"][1] < 5
    assert np.array_equal((path.coef != 0).any(axis=2), (path.coef != 0).all(axis=2))
    assert path.classes == (("ash", "birch", "cedar"),)
    assert path.penalty_options["grouped"] is True


@pytest.mark.parametrize("ending", ["csv", "parquet", "zarr"])
def test_labels_are_predicted(ending, work, tmp_path):
    path, out = load_model(work / "path"), tmp_path / f"p.{ending}"
    alpha = path.alphas[2]
    given = ["--alpha", alpha, "--no-dashboard", "--out", out]
    run("predict", work / "path", work / "s.zarr", *given)
    expected = path.predict(rows_of(work), alpha)
    if ending == "zarr":
        array = zarr.open_array(str(out), mode="r")
        assert np.array_equal(NAMES[array[:]], expected)
        assert array.attrs["classes"] == [NAMES.tolist()]
    else:
        found = (pd.read_csv if ending == "csv" else pd.read_parquet)(out)["prediction"]
        assert np.array_equal(found.to_numpy(dtype=str), expected)
    truth = pd.read_csv(work / "t.csv")["tree"].to_numpy(dtype=str)
    assert np.mean(expected == truth) > 0.6


def test_probabilities_have_a_column_for_each_class(work, tmp_path):
    path, out = load_model(work / "path"), tmp_path / "p.csv"
    given = ["--alpha", path.alphas[2], "--proba", "--no-dashboard", "--out", out]
    run("predict", work / "path", work / "s.zarr", *given)
    found = pd.read_csv(out)
    assert list(found.columns) == [f"prediction_{name}" for name in NAMES]
    assert np.allclose(found, path.predict_proba(rows_of(work), path.alphas[2]), rtol=1e-9)
    assert np.allclose(found.sum(axis=1), 1.0)


def test_show_has_a_coefficient_for_each_class(work):
    path = load_model(work / "path")
    printed = run("show", work / "path", "--alpha", path.alphas[2]).stdout
    assert "ash, birch, cedar" in printed
    assert all(f"coef {name}" in printed for name in NAMES)


def test_plan_counts_the_columns_of_all_classes(work, tmp_path):
    table = pd.read_csv(work / "t.csv")
    table["tree"] = table["tree"].map({name: k for k, name in enumerate(NAMES)})
    table.to_csv(tmp_path / "t.csv", index=False)
    run("ingest", tmp_path / "t.csv", tmp_path / "s.zarr", "--target", "tree")
    flops = {}
    for loss in ("softmax", "squared"):
        options = ["--loss", loss, "--solver", "fista", "--alpha", 0.1, "--json"]
        flops[loss] = json.loads(run("plan", tmp_path / "s.zarr", *options).stdout)["flops"]
    assert flops["softmax"] == 3 * flops["squared"]


def test_grouped_needs_softmax(work, tmp_path):
    options = ["--alpha", 0.1, "--grouped", "--out", tmp_path / "m"]
    result = run("fit", work / "s.zarr", *options, exit_code=2)
    assert "grouped: needs loss softmax, and loss is squared" in result.stderr


def test_scores_are_those_of_scikit_learn(work):
    path, truth = load_model(work / "path"), pd.read_csv(work / "t.csv")["tree"]
    arguments = ["score", work / "path", work / "s.zarr", "--no-dashboard", "--all-alphas"]
    found = json.loads(run(*arguments, "--json").stdout.splitlines()[-1])
    assert (found["scans"], found["undefined"]) == (1, {})
    hits = [theirs.accuracy_score(truth, path.predict(rows_of(work), a)) for a in path.alphas]
    assert found["metrics"]["accuracy"] == pytest.approx(hits)
    losses = [theirs.log_loss(truth, path.predict_proba(rows_of(work), a)) for a in path.alphas]
    assert found["metrics"]["log_loss"] == pytest.approx(losses, rel=1e-6)


def test_classes_and_calibration_of_one_alpha_are_printed(work):
    alpha = load_model(work / "path").alphas[2]
    given = ["--no-dashboard", "--alpha", alpha, "--bins", 4]
    printed = run("score", work / "path", work / "s.zarr", *given).stdout
    rows = [line.split() for line in printed.splitlines() if line.strip()]
    assert ["class", "share", "recall", "precision", "auc"] in rows
    assert [row[0] for row in rows if row[0] in NAMES] == NAMES.tolist()
    assert ["confidence", "rows", "mean", "confidence", "accuracy"] in rows
    assert [row[3] for row in rows if row[1:2] == ["to"]] == ["60"] * 4


def test_a_job_scores_a_softmax_model_and_refuses_labels_of_others(work, tmp_path):
    job = tmp_path / "job.toml"
    text = "[score]\nmodel = '{}/path'\nstore = '{}'\nall_alphas = true\ntable = '{}/t.csv'\n"
    job.write_text(text.format(work, work / "s.zarr", tmp_path) + "no_dashboard = true\n")
    run("run", job)
    assert pd.read_csv(tmp_path / "t.csv")["balanced_accuracy"].iloc[-1] > 0.5
    frame = pd.read_csv(work / "t.csv")
    frame.loc[7, "tree"] = "yew"
    frame.to_csv(tmp_path / "other.csv", index=False)
    run("ingest", tmp_path / "other.csv", tmp_path / "o.zarr", "--target", "tree")
    arguments = ["score", work / "path", tmp_path / "o.zarr", "--all-alphas", "--no-dashboard"]
    result = run(*arguments, exit_code=2)
    assert "row 7: target tree is yew, which is none of the model's classes" in result.stderr


def test_a_fold_that_outweighs_all_others_beyond_rounding_is_refused(tmp_path):
    rows = [f"{i % 7},{'abc'[i % 3]},{1e18 if i == 0 else 1e-18}" for i in range(30)]
    (tmp_path / "t.csv").write_text("\n".join(["x,y,w", *rows]))
    runner, store = CliRunner(), str(tmp_path / "s")
    options = ["--target", "y", "--weight", "w"]
    assert runner.invoke(main, ["ingest", str(tmp_path / "t.csv"), store, *options]).exit_code == 0
    options = ["--loss", "softmax", "--folds", "3", "--out", str(tmp_path / "m"), "--no-dashboard"]
    found = runner.invoke(main, ["cv", store, *options])
    assert found.exit_code == 2
    assert "which is lost in rounding" in found.stderr
