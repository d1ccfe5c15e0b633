"""plan, as somebody at a terminal meets it."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from dasklasso.cli import main
from dasklasso.cli.fit import cv_command, path_command
from dasklasso.cli.plan import plan_command
from dasklasso.dataset.generate import generate
from dasklasso.fit.machine import Machine


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("stores") / "tall.zarr"
    generate("tall", path, rows=4_000, features=30, seed=1)
    return path


@pytest.fixture(autouse=True)
def _machine(monkeypatch):
    """A machine that is always as fast."""
    monkeypatch.setattr(
        "dasklasso.fit.machine.measure_machine", lambda *_: Machine(2e9, 9e10, 4e10)
    )


def run(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


def planned(*arguments):
    result = run("plan", *arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def test_a_plan_is_printed_as_pairs(store):
    result = run("plan", store)
    assert result.exit_code == 0, result.stderr
    found = dict(line.split("  ", 1) for line in result.stdout.splitlines())
    names = ["solver", "data", "alphas", "scans", "read", "compute", "memory", "a worker", "time"]
    assert list(found) == names
    assert found["solver"].strip().startswith("gram: squared loss")
    assert "reads 2 GB/s, computes 90 GFLOP/s in float32, 40 in float64" in found["time"]


@pytest.mark.parametrize("loss", ["logistic", "huber"])
def test_a_solver_that_nobody_asked_for_has_another_reason(loss, tmp_path):
    path = tmp_path / "l.zarr"
    generate("logistic", path, rows=400, features=5, seed=1)
    assert planned(path, "--loss", loss, "--folds", 5)["why"].startswith(f"loss {loss}, ")


def test_json_has_the_plan_and_the_machine(store):
    found = planned(store)
    assert (found["solver"], found["scans"]) == ("gram", 2)
    assert found["machine"]["bytes_per_second"] == 2e9
    assert found["seconds"] > 0


@pytest.mark.parametrize(
    ("arguments", "figures"),
    [
        ([], {"n_alphas": 100, "n_folds": 1}),
        (["--n-alphas", 7], {"n_alphas": 7}),
        (["--alpha", 1, "--alpha", 0.5], {"n_alphas": 2}),
        (["--folds", 5], {"n_folds": 5, "solver": "gram"}),
        (["--solver", "fista", "--max-scans", 5], {"solver": "fista", "scans": 5}),
        (["--memory", "2GiB"], {"memory_limit": 2 << 30}),
        (["--workers", 2], {"workers": 2}),
    ],
)
def test_options_reach_the_plan(store, arguments, figures):
    found = planned(store, *arguments)
    assert {name: found[name] for name in figures} == figures


def test_a_scan_less_is_planned_where_statistics_are_kept(store, monkeypatch):
    monkeypatch.setattr("dasklasso.fit.statistics.are_stored", lambda *_: True)
    assert planned(store)["scans"] == 1


def test_the_machine_of_a_scheduler_is_not_measured(store):
    found = planned(store, "--scheduler", "tcp://elsewhere:8786")
    assert found["machine"] is None
    assert found["seconds"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--folds", 200, "--memory", "360MiB"], "but gram needs"),
        (["--memory", "1MiB"], "but fista needs"),
        (["--folds", 5_000], "folds: 5000 found"),
        (["--folds", 5, "--solver", "fista"], "fista cannot cross-validate"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_in_a_line(store, arguments, message):
    result = run("plan", store, *arguments)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr


def test_a_grid_and_alphas_exclude_each_other(store):
    result = run("plan", store, "--alpha", 1, "--n-alphas", 5)
    assert result.exit_code == 2
    assert "give one of them" in result.stderr


def test_a_store_that_is_not_there_exits_2(tmp_path):
    result = run("plan", tmp_path / "nothing")
    assert result.exit_code == 2
    assert "does not exist" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_nothing_is_written(store):
    before = sorted(store.parent.rglob("*"))
    run("plan", store)
    assert sorted(store.parent.rglob("*")) == before


# what a plan has no use for: it writes nothing but what it prints, and resumes nothing
NOT_OF_PLAN = {
    "out",
    "table",
    "overwrite",
    "checkpoint",
    "checkpoint_seconds",
    "resume",
    "quiet",
}


def test_plan_has_the_options_of_path_and_cv():
    def names(command):
        return {option.name for option in command.params}

    assert names(plan_command) == (names(path_command) | names(cv_command)) - NOT_OF_PLAN


@pytest.mark.parametrize(
    "arguments",
    [["--folds", 5], ["--fold-kind", "contiguous"], ["--rule", "1se"], ["--l1-ratios", 0.5]],
)
def test_an_option_of_cv_plans_a_cross_validation(store, arguments):
    assert planned(store, *arguments)["n_folds"] == 5


def test_scans_that_are_not_certain_are_a_range(store):
    found = planned(store, "--solver", "fista")
    shown = next(x for x in run("plan", store, "--solver", "fista").stdout.splitlines()
                 if x.startswith("scans"))  # fmt: skip
    assert f"({found['scans_least']:,} to {found['scans_most']:,})" in shown


def test_a_plan_expects_what_an_earlier_fit_took(tmp_path):
    path = tmp_path / "s.zarr"
    generate("tall", path, rows=300, features=5, seed=1)
    options = [path, "--solver", "fista", "--n-alphas", 4, "--eps", 0.1, "--tol", 1e-3]
    before = planned(*options)
    fit = run("path", *options, "--out", tmp_path / "m", "--json")
    assert fit.exit_code == 0, fit.stderr
    after = planned(*options)
    assert after["scans"] == json.loads(fit.stdout.splitlines()[-1])["scans"] != before["scans"]
    assert after["note"].startswith("scans as in a run of ")


def test_every_l1_ratio_of_a_loss_without_moments_is_planned(tmp_path):
    path = tmp_path / "l.zarr"
    generate("logistic", path, rows=400, features=5, seed=1)
    logistic = [path, "--loss", "logistic", "--folds", 3]
    one = planned(*logistic)["scans"]
    three = planned(*logistic, "--l1-ratios", 0.3, "--l1-ratios", 0.6, "--l1-ratios", 1)["scans"]
    assert three == 1 + 3 * (one - 1)  # the scan at zero is shared
