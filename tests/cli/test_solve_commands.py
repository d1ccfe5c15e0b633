"""fit and path: what they hand to the solver, and what they say of its answer."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.sparse import csr_array

from dasklasso.cli import main
from dasklasso.dataset.generate import generate
from dasklasso.errors import (
    CheckpointError,
    ChunkMissing,
    OptionError,
    StoreError,
    WriteFailed,
)
from dasklasso.model.path import FittedPath, load_model
from dasklasso.solvers.base import ScanEvent
from dasklasso.solvers.checkpoint import STATE

N_FEATURES = 3


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("stores") / "tall.zarr"
    generate("tall", path, rows=40, features=N_FEATURES, seed=1)
    return path


class Solver:
    """Stands where fit_path is: keeps what it was given, answers with the gap it was told."""

    def __init__(self):
        self.gap = 1e-9
        self.raises = None
        self.writes = None  # a file, while it runs

    def __call__(self, data, options, run, *, progress=None, announce=None):
        self.options, self.run = options, run
        announce("Dashboard: http://127.0.0.1:8787/status")
        progress(ScanEvent(1, 0, 1, self.gap, 2, 1000, 0.5))
        if self.writes is not None:
            self.writes.parent.mkdir(parents=True)
            self.writes.write_text("{}")
        if self.raises is not None:
            raise self.raises
        alphas = np.asarray(options.alphas or np.geomspace(1, 0.1, options.n_alphas))
        shape = (len(alphas), 1)
        return FittedPath(
            alphas=alphas,
            coef_rows=csr_array(np.ones((len(alphas), N_FEATURES))),
            intercepts=np.zeros(shape),
            dual_gaps=np.full(shape, self.gap),
            objectives=np.ones(shape),
            y_is_vector=True,
            feature_names=data.feature_names,
            target_names=data.target_names,
            loss=options.loss,
            l1_ratio=options.l1_ratio,
            penalty_options={},
            alpha_selected=None,
            solver="fista",
            tol=options.tol,
            scans=7.0,
            bytes_read=1000,
            seconds=0.5,
            peak_memory_bytes=10**8,
            fingerprint=data.fingerprint,
            versions={},
        )


@pytest.fixture
def solver(monkeypatch):
    standing_in = Solver()
    monkeypatch.setattr("dasklasso.fit.fit_path", standing_in)
    return standing_in


def run(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


def test_fit_asks_for_each_alpha_once_the_largest_first(solver, store, tmp_path):
    alphas = ["--alpha", 0.1, "--alpha", 0.5, "--alpha", 0.1]
    assert run("fit", store, *alphas, "--out", tmp_path / "m").exit_code == 0
    assert solver.options.alphas == (0.5, 0.1)


def test_path_asks_for_a_grid(solver, store, tmp_path):
    grid = ["--n-alphas", 7, "--eps", 0.01]
    assert run("path", store, *grid, "--out", tmp_path / "m").exit_code == 0
    assert (solver.options.alphas, solver.options.n_alphas) == (None, 7)
    assert solver.options.eps == 0.01


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ([], {"fit_intercept": True, "tol": 1e-6, "solver": "auto", "l1_ratio": 1.0}),
        (["--l1-ratio", 0.5], {"l1_ratio": 0.5}),
        (["--no-intercept"], {"fit_intercept": False}),
        (["--standardize"], {"standardize": True}),
        (["--positive"], {"positive": True}),
        (["--solver", "fista"], {"solver": "fista"}),
        (["--tol", 1e-9], {"tol": 1e-9}),
        (["--max-scans", 5], {"max_scans": 5}),
        (["--solver", "prox_sgd"], {"epochs": 20, "batch_size": 256, "seed": 0}),
        (["--epochs", 3, "--batch-size", 7], {"epochs": 3, "batch_size": 7}),
        (["--seed", 2], {"seed": 2}),
    ],
)
def test_options_reach_the_solver(solver, store, tmp_path, arguments, options):
    assert run("fit", store, "--alpha", 1, "--out", tmp_path / "m", *arguments).exit_code == 0
    assert {name: getattr(solver.options, name) for name in options} == options


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ([], {"memory": None, "workers": None, "dashboard": None, "resume": False}),
        (["--memory", "1.5GiB"], {"memory": 3 << 29}),
        (["--workers", 2], {"workers": 2}),
        (["--scheduler", "tcp://h:1"], {"scheduler": "tcp://h:1"}),
        (["--device", "cuda"], {"device": "cuda"}),
        (["--dashboard"], {"dashboard": True}),
        (["--no-dashboard"], {"dashboard": False}),
        (["--checkpoint", "ck", "--resume"], {"checkpoint": "ck", "resume": True}),
        (["--checkpoint-seconds", 5], {"checkpoint_seconds": 5.0}),
    ],
)
def test_options_reach_the_cluster(solver, store, tmp_path, arguments, options):
    assert run("fit", store, "--alpha", 1, "--out", tmp_path / "m", *arguments).exit_code == 0
    assert {name: getattr(solver.run, name) for name in options} == options


def test_penalty_factors_come_from_the_file(solver, store, tmp_path):
    (tmp_path / "f.csv").write_text("feature,factor\nx1,0\n")
    arguments = ["--penalty-factor", tmp_path / "f.csv", "--out", tmp_path / "m"]
    assert run("fit", store, "--alpha", 1, *arguments).exit_code == 0
    assert solver.options.penalty_factor.tolist() == [1.0, 0.0, 1.0]


def test_json_is_the_last_line_of_standard_output_and_complete(solver, store, tmp_path):
    result = run("fit", store, "--alpha", 0.5, "--out", tmp_path / "m", "--json")
    summary = json.loads(result.stdout.splitlines()[-1])
    assert set(summary) == {
        "solver",
        "scans",
        "bytes_read",
        "seconds",
        "peak_memory_bytes",
        "alphas",
        "alpha_selected",
        "n_nonzero",
        "dual_gap",
        "objective",
        "deviance_explained",
        "intercepts",
        "model",
        "plan",
    }
    assert summary["alphas"] == [0.5]
    assert summary["model"] == str(tmp_path / "m")


def test_progress_and_the_dashboard_are_on_standard_error(solver, store, tmp_path):
    result = run("fit", store, "--alpha", 0.5, "--out", tmp_path / "m", "--json")
    assert "Dashboard: http://127.0.0.1:8787/status" in result.stderr
    assert "scan 1 | 0/1 alphas" in result.stderr
    assert len(result.stdout.splitlines()) == 1


def test_quiet_leaves_standard_error_empty(solver, store, tmp_path):
    result = run("fit", store, "--alpha", 0.5, "--out", tmp_path / "m", "--quiet")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert "model " in result.stdout


def test_a_gap_above_the_tolerance_exits_1_says_so_and_saves_the_model(solver, store, tmp_path):
    solver.gap = 3e-4
    result = run("fit", store, "--alpha", 0.5, "--out", tmp_path / "m", "--json")
    assert result.exit_code == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith("Error: not converged: 1 of 1 alphas have a gap above 1e-06")
    assert f"The model is saved in {tmp_path / 'm'}" in last
    assert json.loads(result.stdout.splitlines()[-1])["dual_gap"] == [3e-4]
    assert load_model(tmp_path / "m").dual_gap == [3e-4]


def test_interrupted_with_a_checkpoint_it_says_where_it_is(solver, store, tmp_path):
    solver.raises = KeyboardInterrupt()
    arguments = ["--out", tmp_path / "m", "--checkpoint", tmp_path / "ck"]
    result = run("fit", store, "--alpha", 0.5, *arguments)
    last = result.stderr.splitlines()[-1]
    assert last == f"Error: interrupted. Nothing was kept yet in {tmp_path / 'ck'}."
    solver.writes = tmp_path / "ck" / STATE / "zarr.json"
    result = run("fit", store, "--alpha", 0.5, *arguments)
    assert result.exit_code == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith(f"Error: interrupted. The checkpoint is in {tmp_path / 'ck'}")
    assert "--resume" in last
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("error", "note"),
    [
        (CheckpointError("ck: belongs to another problem"), ""),
        (OptionError("out: c.csv is also the table"), ""),
        (StoreError("X/c/0/0 is damaged"), " The checkpoint is in {ck}: the same command with"),
    ],
    ids=["a refused checkpoint", "refused options", "a damaged store"],
)
def test_only_what_was_not_refused_is_to_be_run_again(error, note, solver, store, tmp_path):
    solver.raises = error
    solver.writes = tmp_path / "ck" / STATE / "zarr.json"
    arguments = ["--out", tmp_path / "m", "--checkpoint", tmp_path / "ck"]
    last = run("fit", store, "--alpha", 0.5, *arguments).stderr.splitlines()[-1]
    assert last.startswith(f"Error: {error}.{note.format(ck=tmp_path / 'ck')}")
    assert last.count("same command") == (note != "")


@pytest.mark.parametrize(
    ("error", "advised"),
    [(ChunkMissing("X/c/0/0 is not in the store"), False), (WriteFailed("m: no space"), True)],
    ids=["a damaged store", "a full disk"],
)
def test_kept_moments_are_no_help_where_the_store_is_damaged(
    error, advised, solver, store, tmp_path
):
    solver.raises = error
    solver.writes = tmp_path / "kept" / "moments" / "zarr.json"
    arguments = ["--out", tmp_path / "m", "--stats", tmp_path / "kept"]
    last = run("fit", store, "--alpha", 0.5, *arguments).stderr.splitlines()[-1]
    assert last.startswith(f"Error: {error}")
    assert ("the same command reads them" in last) is advised


def test_a_fit_that_ran_out_of_scans_says_how_to_go_on_over_its_model(solver, store, tmp_path):
    solver.gap = 3e-4
    command = ["fit", store, "--alpha", 0.5, "--max-scans", 1, "--out", tmp_path / "m"]
    command += ["--checkpoint", tmp_path / "ck"]
    last = run(*command).stderr.splitlines()[-1]
    assert "--resume, --overwrite and more --max-scans go on from there" in last
    solver.gap = 1e-9
    assert run(*command, "--resume", "--overwrite").exit_code == 0


def test_interrupted_without_a_checkpoint_it_says_that_nothing_was_kept(solver, store, tmp_path):
    solver.raises = KeyboardInterrupt("ended by SIGTERM.")
    result = run("fit", store, "--alpha", 0.5, "--out", tmp_path / "m")
    assert result.exit_code == 1
    last = result.stderr.splitlines()[-1]
    assert last == "Error: ended by SIGTERM. Nothing was kept: there was no --checkpoint."


def test_an_existing_model_is_refused_before_the_fit(solver, store, tmp_path):
    arguments = ["fit", store, "--alpha", 0.5, "--out", tmp_path / "m"]
    assert run(*arguments).exit_code == 0
    del solver.options
    refused = run(*arguments)
    assert refused.exit_code == 2
    assert "exists already" in refused.stderr
    assert not hasattr(solver, "options")
    assert run(*arguments, "--overwrite").exit_code == 0


def test_resume_without_a_checkpoint_is_refused(solver, store, tmp_path):
    result = run("fit", store, "--alpha", 0.5, "--out", tmp_path / "m", "--resume")
    assert result.exit_code == 2
    assert "--resume needs --checkpoint" in result.stderr
