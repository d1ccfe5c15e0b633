"""select: what it is asked, what it prints and writes, and what it refuses in a line."""

import json
from typing import get_args

import numpy as np
import pyarrow.csv
import pytest
from click.testing import CliRunner

from dasklasso.cli import main
from dasklasso.dataset.generate import generate
from dasklasso.jobs.select_stage import By
from dasklasso.model.path import load_model

N_FEATURES = 20


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("stores") / "tall.zarr"
    generate("tall", path, rows=400, features=N_FEATURES, seed=1)
    return path


def run(*arguments):
    return CliRunner().invoke(main, ["select", *map(str, arguments), "--no-dashboard"])


def run_json(*arguments):
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


class Recorder:
    """Stands where select_features is: keeps what it was given, and goes no further."""

    def __call__(self, data, options, selection, run, *, progress=None, announce=None):
        self.options, self.selection, self.run = options, selection, run
        raise KeyboardInterrupt


@pytest.fixture
def asked(monkeypatch):
    recorder = Recorder()
    monkeypatch.setattr("dasklasso.selection.select.select_features", recorder)
    return recorder


@pytest.mark.parametrize("by", ["bic", "relaxed", "adaptive"])
def test_the_model_that_is_saved_is_the_one_that_is_printed(by, store, tmp_path):
    summary = run_json(store, "--by", by, "--out", tmp_path / "m")
    path = load_model(tmp_path / "m")
    coef = path.coefficients_at()[0].toarray()[0]
    assert summary["alpha_selected"] == path.alpha_selected == summary["chosen"]["alpha"]
    assert summary["n_selected"] == np.count_nonzero(coef)
    assert summary["features"][0]["coef"] == coef[np.argmax(np.abs(coef))]
    assert summary["model"] == str(tmp_path / "m")


@pytest.mark.parametrize("by", get_args(By))
def test_every_way_to_select_reports_what_it_chose(by, store, tmp_path):
    out = [] if by == "stability" else ["--out", tmp_path / "m"]
    result = run(store, "--by", by, *out, "--n-alphas", 9)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[0].split()[1].startswith(by)


@pytest.mark.parametrize(("by", "scans"), [("bic", 1), ("stability", 0)])
def test_where_moments_are_kept_only_a_certificate_is_read(by, scans, store, tmp_path):
    out = [] if by == "stability" else ["--out", tmp_path / "m", "--overwrite"]
    arguments = [store, "--by", by, *out, "--stats", tmp_path / "stats"]
    found = [run_json(*arguments)["scans"] for _ in range(2)]
    assert found == [scans + 1, scans]


def test_stability_prints_its_features_and_the_bound(store):
    result = run(store, "--by", "stability", "--false", 0.5)
    summary = run_json(store, "--by", "stability", "--false", 0.5)
    assert result.exit_code == 0
    assert f"{summary['chosen']['expected_false']:.3g} features expected at most" in result.stdout
    assert all(row["feature"] in result.stdout for row in summary["features"])


def test_stability_has_a_table_of_features_and_no_model(store, tmp_path):
    summary = run_json(store, "--by", "stability", "--table", tmp_path / "t.csv")
    rows = pyarrow.csv.read_csv(tmp_path / "t.csv").to_pylist()
    assert summary["model"] is None
    assert len(rows) == N_FEATURES
    assert sum(row["selected"] for row in rows) == summary["n_selected"]


def test_a_criterion_has_a_table_of_alphas(store, tmp_path):
    files = ["--out", tmp_path / "m", "--table", tmp_path / "t.csv"]
    run_json(store, "--by", "aic", "--n-alphas", 9, *files)
    rows = pyarrow.csv.read_csv(tmp_path / "t.csv").to_pylist()
    np.testing.assert_allclose([row["alpha"] for row in rows], load_model(tmp_path / "m").alphas)


def test_what_was_selected_is_printed_with_its_gap_and_cost(store, tmp_path):
    result = run(store, "--by", "bic", "--out", tmp_path / "m", "--no-stats")
    names = [line.split()[0] for line in result.stdout.splitlines() if line.strip()]
    assert names[:6] == ["by", "alpha", "selected", "gap", "cost", "model"]
    assert "2 scans" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ([], {"noise_variance": None, "ebic_gamma": 1.0, "n_pairs": 50}),
        (["--noise-variance", "estimated"], {"noise_variance": "estimated"}),
        (["--noise-variance", 2.5], {"noise_variance": 2.5}),
        (["--gammas", 0, "--gammas", 0.3], {"gammas": (0.0, 0.3)}),
        (["--initial", "ridge", "--initial-alpha", 0.1], {"initial": "ridge"}),
        (["--power", 2], {"power": 2.0}),
        (["--threshold", 0.9], {"threshold": 0.9}),
        (["--false", 2.5], {"expected_false": 2.5}),
        (["--bound", "r-concave"], {"bound": "r-concave"}),
        (["--half-samples", 40], {"n_pairs": 20}),
    ],
)
def test_options_reach_the_selection(asked, store, tmp_path, arguments, options):
    run(store, "--by", "bic", "--out", tmp_path / "m", *arguments)
    assert {name: getattr(asked.selection, name) for name in options} == options


def test_folds_reach_the_selection(asked, store, tmp_path):
    folds = ["--folds", 3, "--fold-kind", "contiguous", "--seed", 4, "--rule", "1se"]
    run(store, "--by", "relaxed", "--out", tmp_path / "m", *folds)
    cv = asked.selection.cv
    assert (cv.folds, cv.kind, cv.seed, cv.rule) == (3, "contiguous", 4, "1se")


def test_the_grid_and_the_model_reach_the_fit(asked, store, tmp_path):
    options = ["--n-alphas", 7, "--eps", 0.1, "--standardize", "--l1-ratio", 0.5]
    run(store, "--by", "bic", "--out", tmp_path / "m", *options)
    found = asked.options
    assert (found.n_alphas, found.eps, found.standardize, found.l1_ratio) == (7, 0.1, True, 0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--by", "cp", "--out", "m"], "Invalid value for '--by': 'cp' is not one of"),
        (["--by", "bic"], "--out MODEL is needed: bic has a model to save."),
        (["--by", "stability", "--out", "m"], "--out: stability has no model."),
        (["--by", "stability", "--threshold", 0.4], "Invalid value for '--threshold': 0.4"),
        (["--by", "stability", "--half-samples", 33], "half_samples: 33 found"),
        (["--by", "stability", "--table", "t.xlsx"], "t.xlsx: tables are written to"),
        (["--by", "bic", "--out", "m", "--noise-variance", "big"], "noise_variance: 'big' found"),
        (["--by", "bic", "--out", "m", "--solver", "fista"], "solver: fista cannot select"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_in_a_line(store, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    result = run(store, *arguments)
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith(f"Error: {message}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("there", ["m", "t.csv"])
def test_what_exists_is_refused_before_any_work(asked, store, tmp_path, there):
    (tmp_path / there).write_text("kept")
    files = ["--out", tmp_path / "m", "--table", tmp_path / "t.csv"]
    result = run(store, "--by", "bic", *files)
    assert result.exit_code == 2
    assert f"{there} exists already" in result.stderr
    assert not hasattr(asked, "options")


def test_a_gap_above_the_tolerance_exits_1_and_the_model_is_saved(store, tmp_path):
    # one read is the one for the moments: nothing can be certified
    arguments = ["--max-scans", 1, "--no-stats", "--out", tmp_path / "m"]
    result = run(store, "--by", "bic", *arguments)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith("Error: not converged: 100 of 100 alphas")
    assert (tmp_path / "m").is_dir()
