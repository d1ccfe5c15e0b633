"""What a fit took is written beside the store, and the next plan of a like fit expects the same."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dasklasso.dataset.dataset import open_dataset
from dasklasso.dataset.generate import generate
from dasklasso.errors import DataWarning
from dasklasso.fit import fit_path
from dasklasso.fit.history import MOST_RUNS, RUNS, case_of_run, keep_run, with_history
from dasklasso.fit.plan import plan_fit
from dasklasso.options import FitOptions, RunOptions

OPTIONS = FitOptions(solver="fista", n_alphas=4, tol=1e-3, eps=0.1)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("stores") / "tall.zarr"
    generate("tall", path, rows=200, features=5, seed=1)
    return open_dataset(path)


@pytest.fixture
def run(tmp_path):
    return RunOptions(stats=str(tmp_path / "stats"), in_process=True)


def case_for(data, run, options=OPTIONS, **more):
    plan = plan_fit(data, options, run)
    return plan, case_of_run(plan, options, run, statistics_kept=False, **more)


def test_the_scans_of_a_fit_are_what_the_next_plan_expects(data, run):
    path = fit_path(data, OPTIONS, run)
    assert path.converged
    again = fit_path(data, OPTIONS, run)
    assert again.plan["scans"] == path.scans == again.scans
    assert f"{path.scans:.0f} scans in" in again.plan["note"]
    assert "guess" in path.plan["note"]
    assert "guess" not in again.plan["note"]


def test_a_fit_that_keeps_no_statistics_leaves_no_record(data, run, tmp_path):
    fit_path(data, OPTIONS, replace(run, keep_statistics=False))
    assert not (tmp_path / "stats").exists()


def test_a_fit_that_did_not_converge_is_no_record(data, run, tmp_path):
    path = fit_path(data, replace(OPTIONS, max_scans=2, tol=1e-12), run)
    assert not path.converged
    assert not (tmp_path / "stats" / RUNS).exists()


def test_scans_bytes_and_arithmetic_are_those_of_the_earlier_run(data, run):
    plan, case = case_for(data, run)
    keep_run(data, run, case, scans=3 * int(plan.scans), seconds=1.0)
    found = with_history(plan, data, run, case)
    assert found.scans == 3 * plan.scans
    assert found.scans_most >= found.scans >= found.scans_least
    assert found.bytes_to_read == 3 * plan.bytes_to_read
    assert found.flops == 3 * plan.flops


@pytest.mark.parametrize(
    "other", [{"n_alphas": 5}, {"standardize": True}, {"loss": "logistic"}, {"solver": "gram"}]
)
def test_a_run_of_another_kind_says_nothing(data, run, other):
    plan, case = case_for(data, run)
    keep_run(data, run, replace(case, **other), scans=1_234, seconds=1.0)
    assert with_history(plan, data, run, case) == plan


def test_the_most_alike_run_counts_and_of_these_the_last(data, run):
    plan, case = case_for(data, run)
    for scans, more in [(11, {}), (22, {}), (33, {"tol": 1e-9})]:
        keep_run(data, run, replace(case, **more), scans=scans, seconds=1.0)
    assert with_history(plan, data, run, case).scans == 22


def test_what_was_different_is_said(data, run):
    plan, case = case_for(data, run)
    keep_run(data, run, replace(case, tol=1e-9), scans=7, seconds=1.0)
    assert "(with other tol)" in with_history(plan, data, run, case).note


def test_seconds_are_those_of_a_run_on_the_same_workers(data, run):
    plan, case = case_for(data, run)
    plan = replace(plan, seconds=100.0)
    keep_run(data, run, case, scans=int(plan.scans), seconds=12.5)
    assert with_history(plan, data, run, case).seconds == 12.5
    elsewhere = replace(case, workers=7)
    assert with_history(plan, data, run, elsewhere).seconds == 100.0


def test_the_last_runs_are_kept(data, run, tmp_path):
    _, case = case_for(data, run)
    for scans in range(1, MOST_RUNS + 3):
        keep_run(data, run, case, scans=scans, seconds=1.0)
    kept = json.loads((tmp_path / "stats" / RUNS).read_text())["runs"]
    assert [one["scans"] for one in kept] == list(range(3, MOST_RUNS + 3))


@pytest.mark.parametrize(
    "text", ["", "{", '{"version": 2, "runs": [{"case": 1}]}', '{"a": 1}', "[" * 100_000], ids=len
)
def test_a_damaged_record_is_named_and_is_no_record(data, run, tmp_path, text):
    (tmp_path / "stats").mkdir()
    (tmp_path / "stats" / RUNS).write_text(text)
    plan, case = case_for(data, run)
    with pytest.warns(DataWarning, match="the history of fits is not used: .*runs.json"):
        assert with_history(plan, data, run, case) == plan
    keep_run(data, run, case, scans=5, seconds=1.0)
    assert with_history(plan, data, run, case).scans == 5


def test_a_record_that_was_altered_is_no_record(data, run, tmp_path):
    plan, case = case_for(data, run)
    keep_run(data, run, case, scans=5, seconds=1.0)
    path = tmp_path / "stats" / RUNS
    path.write_text(path.read_text().replace('"scans": 5', '"scans": 50'))
    with pytest.warns(DataWarning, match="was changed since it was written"):
        assert with_history(plan, data, run, case) == plan


def test_a_record_of_the_version_without_seals_is_left_behind(data, run, tmp_path):
    (tmp_path / "stats").mkdir()
    (tmp_path / "stats" / RUNS).write_text("[]")
    plan, case = case_for(data, run)
    assert with_history(plan, data, run, case) == plan


@pytest.mark.filterwarnings("ignore:the history of fits is not used")
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder nobody can write")
def test_a_folder_that_cannot_be_written_costs_no_fit(data, run):
    run = replace(run, stats="/proc/self/statistics")
    plan, case = case_for(data, run)
    keep_run(data, run, case, scans=5, seconds=1.0)
    assert with_history(plan, data, run, case) == plan
