"""Killed with SIGKILL, mid-fit: a worker changes nothing; a whole fit resumes to the same bits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import psutil
import pytest

from dasklasso.fit import fit_path
from dasklasso.options import FitOptions, RunOptions

OPTIONS = FitOptions(n_alphas=2, eps=0.1, tol=1e-6, solver="fista")
SPLITS = {"one part": (None, 8 * 10 * 60), "split": (5, 8 * 5 * 60)}


@pytest.fixture(params=SPLITS)
def stored(request, make_store, tmp_path):
    columns, band_bytes = SPLITS[request.param]
    rng = np.random.default_rng(9)
    X = rng.standard_normal((240, 1)) + 0.5 * rng.standard_normal((240, 10))
    y = 3 * X[:, 0] - 2 * X[:, 4] + rng.standard_normal(240)
    path = tmp_path / "data.zarr"
    return make_store(X, y, path=path, chunk_rows=60, chunk_columns=columns), band_bytes


def worker_processes():
    """Children of this process that a LocalCluster started, without its helpers."""
    return [
        child
        for child in psutil.Process().children(recursive=True)
        if "spawn_main" in " ".join(child.cmdline())
    ]


def test_a_killed_worker_changes_nothing(stored):
    data, band_bytes = stored
    expected = fit_path(data, OPTIONS, RunOptions(in_process=True, band_bytes=band_bytes))
    killed = []

    def kill_one(event):
        if event.scan == 10:
            victim = worker_processes()[0]
            victim.send_signal(signal.SIGKILL)
            killed.append(victim.pid)

    run = RunOptions(workers=2, band_bytes=band_bytes, dashboard=False)
    found = fit_path(data, OPTIONS, run, progress=kill_one)
    assert len(killed) == 1
    assert not psutil.pid_exists(killed[0])
    assert found.scans == expected.scans
    assert np.array_equal(found.coef, expected.coef)
    assert np.array_equal(found.dual_gaps, expected.dual_gaps)


@pytest.mark.slow
def test_a_worker_killed_while_columns_are_called_in_changes_nothing(make_store):
    rng = np.random.default_rng(9)
    X = rng.standard_normal((60, 1)) + rng.standard_normal((60, 900))
    data = make_store(X, X[:, :4].sum(axis=1) + rng.standard_normal(60), chunk_columns=100)
    options = FitOptions(n_alphas=20, eps=0.02, tol=1e-8, solver="working_set")
    expected = fit_path(data, options, RunOptions(in_process=True))
    killed = []

    def kill_one(event):
        if event.scan == 2 and not killed:
            victim = worker_processes()[0]
            victim.send_signal(signal.SIGKILL)
            killed.append(victim.pid)

    found = fit_path(data, options, RunOptions(workers=2, dashboard=False), progress=kill_one)
    assert len(killed) == 1
    assert found.scans == expected.scans
    assert np.array_equal(found.coef, expected.coef)
    assert np.array_equal(found.dual_gaps, expected.dual_gaps)


FIT = """
    import os, sys
    from dasklasso.dataset.dataset import open_dataset
    from dasklasso.options import FitOptions, RunOptions
    from dasklasso.fit import fit_path

    def report(event):
        print(event.scan, flush=True)

    if __name__ == "__main__":
        store, state, band_bytes = sys.argv[1:]
        run = RunOptions(
            in_process=True, band_bytes=int(band_bytes), checkpoint=state, checkpoint_seconds=0.0
        )
        options = FitOptions(n_alphas=2, eps=0.1, tol=1e-6, solver="fista")
        fit_path(open_dataset(store), options, run, progress=report)
"""


def test_a_killed_fit_resumes_to_the_bits_of_an_uninterrupted_one(stored, tmp_path):
    data, band_bytes = stored
    expected = fit_path(data, OPTIONS, RunOptions(in_process=True, band_bytes=band_bytes))
    script = tmp_path / "fit.py"
    script.write_text(textwrap.dedent(FIT))
    state = tmp_path / "state"
    arguments = [sys.executable, str(script), data.location, str(state), str(band_bytes)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= 20:
                time.sleep(0.01)  # wherever it is: computing, or writing its checkpoint
                os.kill(process.pid, signal.SIGKILL)
                break
        process.wait()
    assert process.returncode == -signal.SIGKILL
    assert state.exists()

    seen = []
    run = RunOptions(
        in_process=True,
        band_bytes=band_bytes,
        checkpoint=str(state),
        checkpoint_seconds=1e9,
        resume=True,
    )
    found = fit_path(data, OPTIONS, run, progress=lambda event: seen.append(event.scan))
    assert 19 <= seen[0] < expected.scans
    assert found.scans == expected.scans
    assert np.array_equal(found.coef, expected.coef)
    assert np.array_equal(found.dual_gaps, expected.dual_gaps)


@pytest.mark.slow
@pytest.mark.parametrize("scan", [2, 5, 20, 40])
def test_whenever_a_worker_is_killed_nothing_changes(scan, stored):
    data, band_bytes = stored
    expected = fit_path(data, OPTIONS, RunOptions(in_process=True, band_bytes=band_bytes))

    def kill_one(event):
        if event.scan == scan:
            worker_processes()[-1].send_signal(signal.SIGKILL)

    run = RunOptions(workers=2, band_bytes=band_bytes, dashboard=False)
    found = fit_path(data, OPTIONS, run, progress=kill_one)
    assert np.array_equal(found.coef, expected.coef)
