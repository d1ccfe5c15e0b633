"""Small data are fitted by threads of the process: no cluster, no port, none of their libraries."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from dasklasso.dataset.dataset import from_arrays
from dasklasso.fit import session
from dasklasso.options import RunOptions

# commands that are run one after the other; then what they imported, and where they listened
PROGRAM = """
import json, sys
opened = []
def watch(event, arguments):
    if event in ("socket.bind", "socket.connect"):
        opened.append(str(arguments[1]))
sys.addaudithook(watch)
from dasklasso.__main__ import leave_out_others
leave_out_others()
from dasklasso.cli import main
for command in json.loads(sys.argv[1]):
    main(command, standalone_mode=False)
modules = sorted({name.partition(".")[0] for name, one in sys.modules.items() if one})
print(json.dumps({"opened": opened, "modules": modules}))
"""
CLUSTER = {"distributed", "bokeh", "tornado"}
SLOW = {"xarray", "pandas", "numba"}  # to import


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
    found = after(
        ["fit", store.location, "--alpha", 0.1, "--no-stats", "--out", model],
        ["cv", store.location, "--no-stats", "--folds", 2, "--out", tmp_path / "c"],
        ["predict", model, store.location, "--out", tmp_path / "p.csv"],
        ["score", model, store.location],
        ["show", model],
    )
    assert found["opened"] == []
    assert not (CLUSTER | SLOW) & set(found["modules"])


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
