"""Paths on wide data beside other libraries: what is measured, and that all are judged alike."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.linear_model import lasso_path

from dasklasso.bench.wide import WideShape, _Judge, _measured
from dasklasso.bench.wide_rival import NAMES, NOT_INSTALLED, RIVALS
from dasklasso.cli import main

SHAPE = WideShape(rows=30, features=60, n_alphas=4, eps=0.1, tol=1e-6, seed=0)


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 60)) + 3.0
    return X, X[:, 0] - X[:, 1] + 0.1 * rng.standard_normal(30)


def test_every_contender_is_a_process_that_is_measured_and_judged():
    small = ["--rows", "30", "--features", "200", "--n-alphas", "4", "--eps", "0.1"]
    run = CliRunner().invoke(main, ["bench", "wide", *small, "--rival", "sklearn", "--json"])
    assert run.exit_code == 0, run.output
    runs = json.loads(run.output)["runs"]
    assert [one["name"] for one in runs] == ["dasklasso", "sklearn"]
    for one in runs:
        assert one["outcome"] == "done"
        assert one["cpu_seconds"] > 0
        assert one["peak_memory_bytes"] > 1 << 20
        assert one["worst_gap"] <= 1e-6
    assert runs[0]["n_nonzero"] == runs[1]["n_nonzero"]


def test_the_judge_knows_exact_solutions_from_others(problem):
    X, y = problem
    judge = _Judge(X, y, SHAPE)
    centred = np.asfortranarray(X - X.mean(axis=0))
    coef = lasso_path(centred, y - y.mean(), alphas=judge.alphas, tol=1e-13, max_iter=100_000)[1].T
    assert judge.worst_gap(coef) <= 1e-10
    assert judge.worst_gap(1.1 * coef) > 1e-4


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("", "done"),
        (f"raise SystemExit({NOT_INSTALLED})", "not installed"),
        ("raise MemoryError('of 3 GB')", "failed: MemoryError: of 3 GB"),
    ],
)
def test_what_became_of_a_rival_is_said(tmp_path, code, outcome):
    run, _ = _measured("celer", [sys.executable, "-S", "-c", code], tmp_path, None)
    assert run.outcome == outcome


def test_a_rival_whose_time_is_over_is_ended(tmp_path):
    command = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
    assert _measured("celer", command, tmp_path, 0.0)[0].outcome == "out of time"


def test_every_rival_has_a_name():
    assert set(NAMES) == set(RIVALS)


def test_an_interpreter_is_given_with_its_rival():
    run = CliRunner().invoke(main, ["bench", "wide", "--python", "glmnet=python"])
    assert run.exit_code == 2
    assert "glmnet=python found, expected one of celer" in run.output
