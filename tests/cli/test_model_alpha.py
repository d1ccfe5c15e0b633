"""--alpha of what takes a saved model: min and 1se, and digits as a table shows them."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from dasklasso.cli import main
from dasklasso.dataset.generate import generate
from dasklasso.jobs.job import load_job
from dasklasso.model.path import load_model


def run(*arguments):
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert result.exit_code == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A store, and a model of it that was cross-validated."""
    folder = tmp_path_factory.mktemp("work")
    generate("tall", folder / "s.zarr", rows=120, features=6, seed=3)
    run("cv", folder / "s.zarr", "--n-alphas", 30, "--folds", 3, "--out", folder / "m", "--quiet")
    return folder


@pytest.fixture(scope="module")
def curve(work):
    best = load_model(work / "m").cross_validation.best
    assert best.alpha_1se > best.alpha_min
    return best


def typed(curve):
    """What may be typed, and the alpha that it means."""
    return [
        ("min", curve.alpha_min),
        ("1se", curve.alpha_1se),
        (f"{curve.alpha_1se:.4g}", curve.alpha_1se),
    ]


def test_score_takes_them(work, curve):
    for text, alpha in typed(curve):
        found = json.loads(run("score", work / "m", work / "s.zarr", "--alpha", text, "--json"))
        assert found["alpha"] == alpha


def test_predict_takes_them(work, curve, tmp_path):
    for text, alpha in typed(curve):
        predicted = []
        for which in (text, repr(alpha)):
            arguments = [work / "m", work / "s.zarr", "--out", tmp_path / "p.csv", "--overwrite"]
            run("predict", *arguments, "--alpha", which)
            predicted.append(np.loadtxt(tmp_path / "p.csv", delimiter=",", skiprows=1))
        np.testing.assert_array_equal(*predicted)


def test_show_takes_them(work, curve):
    for text, alpha in typed(curve):
        assert json.loads(run("show", work / "m", "--alpha", text, "--json"))["alpha"] == alpha


def test_picture_takes_them(work, curve, tmp_path):
    pytest.importorskip("matplotlib")
    arguments = [work / "m", "--shape", "2x3", "--out", tmp_path / "p", "--alpha", "1se"]
    run("picture", *arguments)
    assert [f.name for f in (tmp_path / "p").iterdir()] == [f"alpha-{curve.alpha_1se:.4g}.png"]


@pytest.mark.parametrize(("value", "kept"), [("0.5", "0.5"), ("1", "1"), ('"1se"', "1se")])
def test_a_job_takes_numbers_and_words(tmp_path, value, kept):
    (tmp_path / "job.toml").write_text(f"[score]\nstore='s'\nmodel='m'\nalpha={value}")
    assert load_job(tmp_path / "job.toml").stages["score"].alpha == kept
