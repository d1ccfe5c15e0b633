"""SIGTERM in the middle of long work in memory: the process ends soon, and says what is kept."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from dasklasso.dataset.ingest.ingest import ingest

SOON = 60.0  # seconds, on a machine that has other things to do

FITS = {
    "newton": (
        ["path", "--loss", "logistic", "--eps", "1e-4", "--tol", "1e-10"],
        "in memory",
        "Nothing was kept: there was no --checkpoint.",
    ),
    "gram": (
        ["cv", "--folds", "20", "--eps", "1e-6", "--tol", "1e-12"],
        "scan 1",
        r"Second moments of the data are kept in .*s\.stats: the same command reads them\.",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("solver", FITS)
def test_work_in_memory_ends_soon_and_nothing_is_half_written(tmp_path, solver):
    command, sign, kept = FITS[solver]
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((3000, 1)) + 0.3 * rng.standard_normal((3000, 600))).astype("f4")
    y = X @ rng.standard_normal(600) + rng.standard_normal(3000)
    np.savez(tmp_path / "t.npz", X=X, y=y if solver == "gram" else (y > 0).astype(float))
    ingest(tmp_path / "t.npz", tmp_path / "s")
    program = [sys.executable, "-m", "dasklasso", command[0], str(tmp_path / "s"), *command[1:]]
    program += ["--out", str(tmp_path / "m")]
    with subprocess.Popen(program, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any(sign in line for line in process.stderr)
        time.sleep(0.5)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        said = process.stderr.read()
        process.wait(timeout=SOON)
        assert time.monotonic() - began < SOON
    assert process.returncode == 1
    assert re.fullmatch(f"Error: ended by SIGTERM. {kept}", said.splitlines()[-1])
    assert {path.name for path in tmp_path.iterdir()} <= {"t.npz", "s", "s.stats"}
