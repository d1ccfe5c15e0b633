"""``dasklasso bench wide``: a path on wide data beside other libraries, each a whole process.

What is measured of a contender is its wall time, CPU time and peak memory, start and load
included; how exact it was is judged of all alike, in float64 and over all features. A rival that
misses the tolerance runs again with a tenth of it, for as long as its time lasts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil

from dasklasso.bench import wide_rival
from dasklasso.dataset.dataset import open_dataset
from dasklasso.dataset.generate import generate
from dasklasso.fit.peak_memory import tree_memory
from dasklasso.model.path import load_model
from dasklasso.storage.zarr_blocks import read_rows

SAMPLE_SECONDS = 0.05  # between two looks at a process's memory
COLUMNS_AT_ONCE = 4096  # whose products with residuals are judged at a time
MOST_ATTEMPTS = 3  # of a rival that misses the tolerance


@dataclass(frozen=True)
class WideRun:
    """What one contender took, and how exact it was.

    Attributes
    ----------
    name : str
    outcome : "done", "not installed", "out of time", or "failed" with what it said last
    seconds, cpu_seconds : wall time, and CPU time of all its processes
    peak_memory_bytes : anonymous and shared memory of its processes
    worst_gap : largest relative duality gap of all alphas, recomputed
    n_nonzero : coefficients at the last alpha
    scans : reads of X, where it counts them
    """

    name: str
    outcome: str
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0
    worst_gap: float | None = None
    n_nonzero: int | None = None
    scans: float | None = None


@dataclass(frozen=True)
class WideShape:
    """A problem: rows, features, alphas down to ``eps`` of the largest, tolerance, seed."""

    rows: int
    features: int
    n_alphas: int
    eps: float
    tol: float
    seed: int

    @property
    def nbytes(self) -> int:
        """Bytes of X in float32."""
        return 4 * self.rows * self.features


def bench_wide(
    shape: WideShape,
    rivals: Sequence[str],
    *,
    seconds: float = 600.0,
    pythons: Mapping[str, str] | None = None,
    memory: str | None = None,
) -> list[WideRun]:
    """Generate data, run ``dasklasso path`` and every rival on it, and judge all of them.

    Parameters
    ----------
    rivals : of "celer", "adelie", "sklearn"
    seconds : most for each rival
    pythons : the interpreter that has a rival installed, where it is not this one
    memory : limit that ``dasklasso path`` is given
    """
    with TemporaryDirectory(prefix="dasklasso-bench-") as scratch:
        folder = Path(scratch)
        store = folder / "wide.zarr"
        generate("wide", store, rows=shape.rows, features=shape.features, seed=shape.seed)
        X, y = _as_npy(store, folder)
        judge = _Judge(X, y, shape)
        found = [_ours(store, folder, shape, judge, memory)]
        for name in rivals:
            python = (pythons or {}).get(name, sys.executable)
            found.append(_rival(name, python, folder, shape, judge, seconds))
    return found


def _as_npy(store: Path, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Write X and y as the rivals read them: columns one after the other."""
    data = open_dataset(str(store))
    shape = data.X.shape
    X = np.lib.format.open_memmap(
        folder / "X.npy", mode="w+", dtype=data.X.dtype, shape=shape, fortran_order=True
    )
    rows, columns = data.X.row_bounds, data.X.column_bounds
    for i in range(len(rows) - 1):
        for j in range(len(columns) - 1):
            X[rows[i] : rows[i + 1], columns[j] : columns[j + 1]] = data.X.block(i, j)
    X.flush()
    assert data.y is not None
    y = read_rows(data.y, 0, data.n_rows)[:, 0].astype(np.float64)
    np.save(folder / "y.npy", y)
    return np.load(folder / "X.npy", mmap_mode="r"), y


class _Judge:
    """Duality gaps of any coefficients, in float64 over all features."""

    def __init__(self, X: np.ndarray, y: np.ndarray, shape: WideShape) -> None:
        self._X, self._y = X, y - y.mean()
        n = len(y)
        self._mean = np.concatenate(
            [block.mean(axis=0, dtype=np.float64) for _, block in self._blocks()]
        )
        largest = max(
            float(np.abs(block.astype(np.float64).T @ self._y).max()) for _, block in self._blocks()
        )
        self.alphas = largest / n * np.geomspace(1.0, shape.eps, shape.n_alphas)
        self.null_loss = 0.5 * float(self._y @ self._y) / n

    def worst_gap(self, coef: np.ndarray) -> float:
        """Return the largest gap, relative to the null loss, of (n_alphas, n_features)."""
        n, y = len(self._y), self._y
        fitted = np.zeros((n, len(coef)))
        for where, block in self._blocks():
            used = np.flatnonzero(coef[:, where].any(axis=0))
            some = block[:, used].astype(np.float64) - self._mean[where][used]
            fitted += some @ coef[:, where][:, used].T
        residuals = y[:, None] - fitted
        residuals -= residuals.mean(axis=0)
        size = np.zeros(len(coef))
        for where, block in self._blocks():
            v = (block.astype(np.float64) - self._mean[where]).T @ residuals / n
            np.maximum(size, np.abs(v).max(axis=0), out=size)
        squares, along = np.sum(residuals**2, axis=0) / n, y @ residuals / n
        primal = 0.5 * squares + self.alphas * np.abs(coef).sum(axis=1)
        bound = self.alphas / np.maximum(size, np.finfo(float).tiny)
        scale = np.clip(along / np.maximum(squares, np.finfo(float).tiny), -bound, bound)
        dual = scale * along - 0.5 * scale**2 * squares
        return float(np.max((primal - dual) / self.null_loss))

    def _blocks(self) -> Any:
        for start in range(0, self._X.shape[1], COLUMNS_AT_ONCE):
            where = slice(start, start + COLUMNS_AT_ONCE)
            yield where, self._X[:, where]


def _ours(
    store: Path, folder: Path, shape: WideShape, judge: _Judge, memory: str | None
) -> WideRun:
    model = folder / "model"
    command = [sys.executable, "-m", "dasklasso", "path", str(store), "--out", str(model)]
    command += ["--solver", "working_set", "--n-alphas", str(shape.n_alphas)]
    command += ["--eps", repr(shape.eps), "--tol", repr(shape.tol)]
    command += ["--quiet", "--json", "--no-stats", "--no-dashboard"]
    command += [] if memory is None else ["--memory", memory]
    run, said = _measured("dasklasso", command, folder, None)
    if run.outcome != "done":
        return run
    scans = float(json.loads(said.strip().splitlines()[-1])["scans"])
    coef = load_model(model).coef_rows.toarray()
    return _judged(run, coef, judge, scans)


def _rival(
    name: str, python: str, folder: Path, shape: WideShape, judge: _Judge, seconds: float
) -> WideRun:
    """Run a rival, again with a tenth of the tolerance where it misses the one asked for."""
    out, tol, left, run = folder / f"{name}.npy", shape.tol, seconds, WideRun(name, "out of time")
    for _ in range(MOST_ATTEMPTS):
        job = {
            "rival": name, "X": str(folder / "X.npy"), "y": str(folder / "y.npy"),
            "alphas": judge.alphas.tolist(), "tol": tol, "out": str(out),
        }  # fmt: skip
        path = folder / f"{name}.json"
        path.write_text(json.dumps(job), encoding="utf-8")
        again, _ = _measured(name, [python, wide_rival.__file__, str(path)], folder, left)
        if again.outcome != "done":
            return run if run.outcome == "done" else again
        run = _judged(again, np.load(out), judge)
        left -= run.seconds
        if left <= 0 or run.worst_gap is None or run.worst_gap <= shape.tol:
            break
        tol *= 0.1
    return run


def _judged(run: WideRun, coef: np.ndarray, judge: _Judge, scans: float | None = None) -> WideRun:
    found = asdict(run) | {"worst_gap": judge.worst_gap(coef), "scans": scans}
    return WideRun(**found | {"n_nonzero": int(np.count_nonzero(coef[-1]))})


def _measured(
    name: str, command: Sequence[str], folder: Path, seconds: float | None
) -> tuple[WideRun, str]:
    """Run a command: what it took, and its standard output."""
    out, err = folder / f"{name}.out", folder / f"{name}.err"
    began, peak, late = time.perf_counter(), 0, False
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(command, stdout=stdout, stderr=stderr)
        ended = threading.Event()
        usage: list[Any] = []

        def wait() -> None:
            usage.extend(os.wait4(process.pid, 0)[1:])
            ended.set()

        threading.Thread(target=wait, daemon=True).start()
        while not ended.wait(SAMPLE_SECONDS):
            with suppress(psutil.Error):
                peak = max(peak, tree_memory(process.pid))
            if seconds is not None and not late and time.perf_counter() - began > seconds:
                late = True
                process.kill()
    taken = time.perf_counter() - began
    code = os.waitstatus_to_exitcode(usage[0])
    process.returncode = code  # it was waited for elsewhere
    outcome = "done"
    if late:
        outcome = "out of time"
    elif code == wide_rival.NOT_INSTALLED and name in wide_rival.RIVALS:
        outcome = "not installed"
    elif code:
        last = err.read_text(errors="replace").strip().splitlines()[-1:]
        outcome = f"failed: {' '.join(last)}"
    cpu = usage[1].ru_utime + usage[1].ru_stime
    return WideRun(name, outcome, taken, cpu, peak), out.read_text(errors="replace")
