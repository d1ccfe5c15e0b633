"""An update killed with SIGKILL, wherever it is, leaves the old store or the new one, whole."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import zarr

from dasklasso.dataset.dataset import open_dataset
from dasklasso.dataset.ingest.append import append_rows
from dasklasso.dataset.ingest.writer import StoreWriter
from dasklasso.dataset.verify import verify
from dasklasso.files.atomic import restore

N_OLD, N_NEW = 450, 500

# Every call that changes what is on the disk is counted; at the chosen one: SIGKILL. One process
# imports everything, and forks (before it has threads) one process for each call to die at.
UPDATE = """
    import os, signal, sys
    from dasklasso.files import renames as partial
    from dasklasso.dataset.ingest.append import append_rows

    source, swap, *stores = sys.argv[1:]
    calls = at = 0

    def deadly(function):
        def call(*arguments, **options):
            global calls
            calls += 1
            if calls == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)
        return call

    if swap == "two steps":
        partial._rename = None
    elif partial._rename is not None:
        partial._rename = deadly(partial._rename)
    for name in ("link", "rename", "mkdir", "fsync", "replace", "rmdir", "unlink"):
        setattr(os, name, deadly(getattr(os, name)))
    for store in stores:
        at = int(store.rpartition("-")[2])
        child = os.fork()
        if child == 0:
            append_rows(store, source, memory=16 << 20)
            print(calls, flush=True)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert at == 0 or os.WIFSIGNALED(status), store
"""


def update(script: Path, source: Path, swap: str, stores: list[Path]) -> str:
    arguments = [sys.executable, str(script), str(source), swap, *map(str, stores)]
    return subprocess.run(arguments, stdout=subprocess.PIPE, text=True, check=True).stdout


def make_store(path: Path, X: np.ndarray, y: np.ndarray) -> Path:
    names = [f"x{j}" for j in range(X.shape[1])]
    with StoreWriter(
        path, feature_names=names, target_names=["y"], dtype=X.dtype, chunk_rows=100
    ) as writer:
        writer.write(X, y)
        writer.finish({})
    return path


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(N_OLD + N_NEW, 6)), rng.normal(size=N_OLD + N_NEW)


@pytest.fixture
def prepared(tmp_path, rows):
    script = tmp_path / "update.py"
    script.write_text(textwrap.dedent(UPDATE))
    np.savez(tmp_path / "new.npz", X=rows[0][N_OLD:], y=rows[1][N_OLD:])
    return script, tmp_path / "new.npz"


def rows_of_a_whole_store(store: Path, rows: tuple[np.ndarray, np.ndarray]) -> int:
    """How many rows the store has, which must be all right and among those it may have."""
    data = open_dataset(store)
    assert data.n_rows in (N_OLD, N_OLD + N_NEW)
    assert verify(store).faults == ()
    group = zarr.open_group(store, mode="r")
    for name, values in zip("Xy", rows, strict=True):
        np.testing.assert_array_equal(group[name][...], values[: data.n_rows])
    return data.n_rows


@pytest.mark.parametrize("swap", ["exchange", "two steps"])
def test_killed_at_any_change_of_the_disk_the_store_is_whole(tmp_path, rows, prepared, swap):
    script, source = prepared
    old = rows[0][:N_OLD], rows[1][:N_OLD]
    unharmed = make_store(tmp_path / "s-0", *old)
    n_calls = int(update(script, source, swap, [unharmed]))
    assert rows_of_a_whole_store(unharmed, rows) == N_OLD + N_NEW

    # every one near the swap, and some of those before it
    chosen = {1, *range(2, n_calls - 40, 20), *range(n_calls - 40, n_calls + 1)}
    sound = make_store(tmp_path / "sound", *old)
    stores = [shutil.copytree(sound, tmp_path / f"s-{at}") for at in sorted(chosen)]
    update(script, source, swap, stores)
    seen = set()
    for store in stores:
        if swap == "two steps" and not store.exists():
            assert restore(store)
        found = rows_of_a_whole_store(store, rows)
        if found == N_OLD:
            append_rows(store, source)  # what was left lying about is in nobody's way
            assert rows_of_a_whole_store(store, rows) == N_OLD + N_NEW
            left = {path.name for path in tmp_path.glob(f"{store.name}.*")}
            assert left == set()
        seen.add(found)
    assert seen == {N_OLD, N_OLD + N_NEW}


@pytest.mark.slow
def test_killed_at_any_time_the_store_is_whole(tmp_path, rows, prepared):
    script, source = prepared

    def start(store: Path) -> subprocess.Popen[bytes]:
        make_store(store, rows[0][:N_OLD], rows[1][:N_OLD])
        return subprocess.Popen([sys.executable, str(script), str(source), "exchange", str(store)])

    began = time.perf_counter()
    assert start(tmp_path / "s-0").wait() == 0
    took = time.perf_counter() - began
    for k in range(40):
        store = tmp_path / f"{k}-0"
        with start(store) as process:
            time.sleep(took * random.Random(k).uniform(0.6, 1.1))
            for child in psutil.Process(process.pid).children():
                child.kill()
        rows_of_a_whole_store(store, rows)
