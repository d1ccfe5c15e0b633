"""show prints what a saved model holds."""

import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy.sparse import csr_array

from dasklasso.cli import main
from dasklasso.cross_validation.error_curve import CrossValidation
from dasklasso.cross_validation.record import CvRecord
from dasklasso.model.path import FittedPath, load_model


def saved(folder, dense, alphas, *, selected=None, targets=("y",), **more):
    k = len(targets)
    shape = (len(alphas), k)
    FittedPath(
        alphas=np.asarray(alphas),
        coef_rows=csr_array(np.asarray(dense, dtype=float)),
        intercepts=np.full(shape, 1.5),
        dual_gaps=np.full(shape, 2e-7),
        objectives=np.full(shape, 0.25),
        y_is_vector=k == 1,
        feature_names=("age", "bmi", "[bold]s1"),
        target_names=targets,
        loss="squared",
        l1_ratio=1.0,
        penalty_options={},
        alpha_selected=selected,
        solver="fista",
        tol=1e-6,
        scans=8.0,
        bytes_read=1000,
        seconds=0.5,
        peak_memory_bytes=10**8,
        fingerprint="abc",
        versions={},
        **more,
    ).save(folder)
    return folder


@pytest.fixture
def single(tmp_path):
    return saved(tmp_path / "m", [[0.5, 0.0, -2.0]], [0.1])


@pytest.fixture
def grid(tmp_path):
    return saved(tmp_path / "g", [[0.0, 0.0, 0.0], [0.5, 0.0, -2.0]], [1.0, 0.1])


def show(*arguments):
    result = CliRunner().invoke(main, ["show", *map(str, arguments)])
    assert result.exit_code == 0, result.stderr
    return result.stdout


def features_in(output):
    lines = [line.split() for line in output.splitlines()]
    return [(line[0], float(line[1])) for line in lines if line and line[0] in ("age", "[bold]s1")]


def test_selected_features_are_listed_by_size_with_their_coefficients(single):
    assert features_in(show(single)) == [("[bold]s1", -2.0), ("age", 0.5)]


def test_the_gap_and_the_intercept_are_shown(single):
    output = show(single)
    assert "dual gap   2e-07" in output
    assert "intercept  1.5" in output
    assert "selected   2 of 3 features" in output


def test_top_keeps_the_largest_and_says_what_it_leaves_out(single):
    output = show(single, "--top", 1)
    assert features_in(output) == [("[bold]s1", -2.0)]
    assert "1 more features, smaller." in output


def test_a_path_without_a_selected_alpha_lists_its_alphas(grid):
    rows = [line.split() for line in show(grid).splitlines()]
    assert [row[:2] for row in rows if row[2:] == ["2e-07", "0.25"]] == [["1", "0"], ["0.1", "2"]]


def test_at_one_alpha_of_the_path_its_features_are_shown(grid):
    assert features_in(show(grid, "--alpha", 0.1)) == [("[bold]s1", -2.0), ("age", 0.5)]


def test_the_selected_alpha_is_shown_without_asking(tmp_path):
    dense = [[0.0, 0.0, 0.0], [0.5, 0.0, 0.0], [1.0, 1.0, 1.0]]
    folder = saved(tmp_path / "m", dense, [1.0, 0.1, 0.01], selected=0.1)
    assert features_in(show(folder)) == [("age", 0.5)]


def test_an_alpha_between_two_is_said_to_have_no_certificate(grid):
    output = show(grid, "--alpha", 0.55)
    assert "none: interpolated between two alphas" in output
    assert features_in(output) == [("[bold]s1", -1.0), ("age", 0.25)]


def test_an_alpha_outside_the_path_exits_2(grid):
    result = CliRunner().invoke(main, ["show", str(grid), "--alpha", "5"])
    assert result.exit_code == 2
    assert "outside the fitted alphas, 0.1 to 1" in result.stderr


def test_a_model_that_selects_nothing_is_shown_as_such(grid):
    assert "selected   0 of 3 features" in show(grid, "--alpha", 1)


def test_several_targets_have_a_column_each(tmp_path):
    folder = saved(tmp_path / "m", [[0.5, 0, 0], [0, 0, -1]], [0.1], targets=("u", "v"))
    output = show(folder)
    assert "coef u" in output
    assert "coef v" in output
    assert features_in(output) == [("[bold]s1", 0.0), ("age", 0.5)]


def test_json_is_one_object_with_the_features(single):
    lines = show(single, "--json").splitlines()
    shown = json.loads(lines[-1])
    assert shown["features"] == [
        {"feature": "[bold]s1", "coef": [-2.0]},
        {"feature": "age", "coef": [0.5]},
    ]
    assert (shown["alpha"], shown["intercept"]) == (0.1, [1.5])
    assert shown["dual_gap"] == [2e-7]
    assert shown["n_nonzero"] == [2]


def test_json_of_a_path_has_every_alpha(grid):
    shown = json.loads(show(grid, "--json").splitlines()[-1])
    assert shown["alphas"] == load_model(grid).alphas.tolist()
    assert shown["intercepts"] == [[1.5], [1.5]]
    assert "features" not in shown


def test_the_intercept_and_the_features_are_written_as_a_table(single, tmp_path):
    show(single, "--table", tmp_path / "f.csv")
    assert pd.read_csv(tmp_path / "f.csv").to_dict("records") == [
        {"feature": "(intercept)", "coef": 1.5},
        {"feature": "[bold]s1", "coef": -2.0},
        {"feature": "age", "coef": 0.5},
    ]


def test_the_alphas_are_written_as_a_table(grid, tmp_path):
    show(grid, "--table", tmp_path / "a.parquet")
    found = pd.read_parquet(tmp_path / "a.parquet")
    assert found["alpha"].tolist() == load_model(grid).alphas.tolist()
    assert found["intercept"].tolist() == [1.5, 1.5]


def test_all_alphas_are_shown_though_one_is_selected(single):
    assert "objective" in show(single, "--alphas")


@pytest.fixture
def scaled(tmp_path):
    """A model whose larger coefficient is of the column that varies less."""
    scales = np.array([10.0, 1.0, 0.5])
    return saved(tmp_path / "s", [[0.5, 0.0, -2.0]], [0.1], feature_scales=scales)


def test_coefficients_are_sorted_by_their_size_times_the_columns_standard_deviation(scaled):
    rows = [line.split() for line in show(scaled).splitlines()]
    assert [row for row in rows if row[:1] in (["age"], ["[bold]s1"])] == [
        ["age", "0.5", "5"],
        ["[bold]s1", "-2", "-1"],
    ]


def test_a_table_and_json_have_coefficients_times_standard_deviations(scaled, tmp_path):
    show(scaled, "--table", tmp_path / "f.parquet")
    found = pd.read_parquet(tmp_path / "f.parquet")
    assert found["feature"].tolist() == ["(intercept)", "age", "[bold]s1"]
    assert found["coef_x_sd"].tolist()[1:] == [5.0, -1.0]
    shown = json.loads(show(scaled, "--json").splitlines()[-1])
    assert [row["coef_x_sd"] for row in shown["features"]] == [[5.0], [-1.0]]


@pytest.mark.parametrize(("word", "alpha"), [("min", 0.1), ("1se", 1.0)])
def test_the_alphas_of_a_cross_validation_have_words(tmp_path, word, alpha):
    curve = CrossValidation(
        alphas=np.array([1.0, 0.1]),
        l1_ratio=1.0,
        error_path=np.array([[1.1, 2.0], [1.0, 2.0]]),
        fold_weights=np.ones(2),
        gap=np.zeros((2, 2)),
    )
    record = CvRecord("random", 2, 0, "min", (curve,))
    dense = [[0.0, 0.0, 0.0], [0.5, 0.0, -2.0]]
    folder = saved(tmp_path / "m", dense, [1.0, 0.1], cross_validation=record)
    assert f"alpha      {alpha:g}" in show(folder, "--alpha", word)


def test_a_word_needs_a_cross_validated_model(grid):
    result = CliRunner().invoke(main, ["show", str(grid), "--alpha", "1se"])
    assert result.exit_code == 2
    assert "was not cross-validated, so it has no alpha_1se" in result.stderr


@pytest.mark.parametrize("text", ["best", "-1", "nan", "0.1.2"])
def test_an_alpha_that_is_neither_a_number_nor_a_word_is_refused(grid, text):
    result = CliRunner().invoke(main, ["show", str(grid), "--alpha", text])
    assert result.exit_code == 2
    assert "expected a number of 0 or more, 'min' or '1se'" in result.stderr
