"""Small data are fitted by threads of the process: no port, no Dask, no library for others."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from dasklasso.dataset.dataset import from_arrays
from dasklasso.fit import fit_path, session
from dasklasso.options import FitOptions, RunOptions

# commands that are run one after the other; what was imported by the end of each, and where they
# listened
PROGRAM = """
import json, sys
opened = []
def watch(event, arguments):
    if event in ("socket.bind", "socket.connect"):
        opened.append(str(arguments[1]))
sys.addaudithook(watch)
from dasklasso.cli import main
modules = []
for command in json.loads(sys.argv[1]):
    main(command, standalone_mode=False)
    modules.append(sorted(sys.modules))
print(json.dumps({"opened": opened, "modules": modules}))
"""
CLUSTER = {"distributed", "bokeh", "tornado"}
SLOW = {"dask", "xarray", "pandas", "numba", "sklearn", "matplotlib"}  # to import
OF_FITS = {"dasklasso.solvers", "dasklasso.cross_validation.curves", "dasklasso.moments"}
OF_FOLDS = {"dasklasso.problem.folds", "dasklasso.scan.queries.held_out"}


def after(*commands):
    """What was opened and imported in a process that ran these commands."""
    program = [sys.executable, "-c", PROGRAM, json.dumps([list(map(str, c)) for c in commands])]
    done = subprocess.run(program, capture_output=True, text=True, timeout=300, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def store(make_store, regression):
    return make_store(*regression(60, 4))


def test_commands_on_a_small_store_open_no_port_and_import_no_cluster(store, tmp_path):
    model = tmp_path / "m"
    options = FitOptions(alphas=(0.1,))
    fit_path(store, options, RunOptions(in_process=True, keep_statistics=False)).save(model)
    found = after(
        ["show", model],
        ["predict", model, store.location, "--out", tmp_path / "p.csv"],
        ["fit", store.location, "--alpha", 0.1, "--no-stats", "--out", tmp_path / "again"],
        ["cv", store.location, "--no-stats", "--folds", 2, "--out", tmp_path / "c"],
        ["score", model, store.location],
    )
    assert found["opened"] == []
    shown, predicted, fitted, _, scored = map(set, found["modules"])
    assert not (CLUSTER | SLOW) & scored
    assert not (OF_FITS | OF_FOLDS | {"dasklasso.scan.engine", "pyarrow"}) & shown
    assert not (OF_FITS | OF_FOLDS) & predicted
    assert not OF_FOLDS & fitted


@pytest.fixture
def asked(monkeypatch):
    """Whether the runner that some data and options get is to do without a cluster."""
    found = {}
    monkeypatch.setattr(session, "runner_for", lambda **options: found.update(options))

    def ask(data, **run):
        session.open_runner(data, RunOptions(**run), None)
        return found["in_process"]

    return ask


def test_a_store_is_small_below_a_size(store, asked, monkeypatch):
    nbytes = 60 * 4 * store.X.dtype.itemsize
    monkeypatch.setattr(session, "SMALL_BYTES", nbytes + 1)
    assert asked(store)
    monkeypatch.setattr(session, "SMALL_BYTES", nbytes)
    assert not asked(store)
    assert asked(store, in_process=True)


@pytest.mark.parametrize(
    "run",
    [
        {"workers": 1},
        {"scheduler": "tcp://127.0.0.1:1"},
        {"device": "cuda"},
        {"dashboard": True},
        {"in_process": False},
    ],
)
def test_a_small_store_has_the_cluster_that_is_asked_for(store, asked, run):
    assert not asked(store, **run)


def test_arrays_need_no_cluster_whatever_their_size(regression, asked, monkeypatch):
    monkeypatch.setattr(session, "SMALL_BYTES", 0)
    assert asked(from_arrays(*regression(20, 3)))
