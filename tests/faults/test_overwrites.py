"""Results are overwritten again and again by one process while others read them: no read fails."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from scipy.sparse import csr_array

from dasklasso.model.path import FittedPath, load_model

# One process imports everything and forks a writer and readers. Version k of everything has k in
# all its parts, so that a reader tells a mixture of two versions from either.
PROGRAM = """
    import json, os, sys, time
    from pathlib import Path

    import numpy as np
    from click.testing import CliRunner
    from scipy.sparse import csr_array

    from dasklasso.cli import main
    from dasklasso.files import renames
    from dasklasso.files.predictions import write_predictions
    from dasklasso.model.path import FittedPath, load_model

    folder, times, swap = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    model, rows, end = folder / "m", 1000, folder / "end"
    if swap == "two steps":
        renames._rename = None

    def write(k):
        blocks = [(0, rows, np.full((rows, 1), float(k)), ())]
        for name in ("p.csv", "p.parquet"):
            write_predictions(folder / name, blocks, n_rows=rows, target_names=None,
                              attributes={}, overwrite=True)
        FittedPath(
            alphas=np.array([0.5]), coef_rows=csr_array(np.full((1, 40), float(k))),
            intercepts=np.array([[float(k)]]), dual_gaps=np.zeros((1, 1)),
            objectives=np.ones((1, 1)), y_is_vector=True, target_names=("y",), loss="squared",
            feature_names=tuple(f"x{j}" for j in range(40)), l1_ratio=1.0,
            penalty_options={}, alpha_selected=None, solver="gram", tol=1e-6, scans=1,
            bytes_read=1, seconds=float(k), peak_memory_bytes=1, fingerprint="f", versions={},
        ).save(model, overwrite=True)

    def read_csv():
        head, *lines = (folder / "p.csv").read_text().split()
        return {float(line) for line in lines}, len(lines) == rows

    def read_parquet():
        import pyarrow.parquet as pq

        with open(folder / "p.parquet", "rb") as file:
            values = pq.read_table(file)["prediction"].to_numpy()
        return set(values.tolist()), len(values) == rows

    def read_model():
        found = load_model(model)
        return {found.seconds, *found.coef.ravel(), *found.intercept.ravel()}, True

    def read_show():
        shown = CliRunner().invoke(main, ["show", str(model), "--json"])
        if shown.exit_code:
            return shown.output, False
        found = json.loads(shown.stdout)
        coefs = {one["coef"][0] for one in found["features"]}
        return {found["seconds"], found["intercept"][0], *coefs}, len(found["features"]) == 40

    def reader(read):
        read()  # what is imported late
        os.write(ready, b".")
        reads, failed, ended = 0, [], False
        while not ended:
            ended = end.exists()  # so that each reads at least once
            try:
                values, whole = read()
                if not whole or len(values) != 1:
                    failed.append(f"mixed: {values}")
            except Exception as error:
                failed.append(f"{type(error).__name__}: {error}")
            reads += 1
        (folder / f"{read.__name__}.json").write_text(json.dumps([reads, failed]))

    write(1)
    waiting, ready = os.pipe()
    children = []
    for read in (read_csv, read_parquet, read_model, read_show):
        child = os.fork()
        if child == 0:
            reader(read)
            os._exit(0)
        children.append(child)
    for _ in children:
        os.read(waiting, 1)
    for k in range(2, times + 2):
        write(k)
    end.touch()
    for child in children:
        os.waitpid(child, 0)
"""


def overwrite(folder, times, swap):
    program = [sys.executable, "-c", textwrap.dedent(PROGRAM), str(folder), str(times), swap]
    subprocess.run(program, check=True, timeout=3600)
    found = {path.stem: json.loads(path.read_text()) for path in folder.glob("read_*.json")}
    left = {path.name for path in folder.iterdir()} - {"end", *(f"{name}.json" for name in found)}
    assert left == {"m", "p.csv", "p.parquet"}
    return found


def test_no_read_fails_while_results_are_overwritten(tmp_path):
    found = overwrite(tmp_path, 6, "two steps")  # the harder way
    assert len(found) == 4
    assert all(reads > 0 for reads, _ in found.values())
    assert {name: failed for name, (_, failed) in found.items() if failed} == {}


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("swap", ["exchange", "two steps"])
def test_no_read_fails_in_a_thousand_overwrites(tmp_path, swap):
    found = overwrite(tmp_path, 1000, swap)
    print({name: reads for name, (reads, _) in found.items()})
    assert {name: failed[:3] for name, (_, failed) in found.items() if failed} == {}


# Every call that changes what is on the disk is counted; at the chosen one: SIGKILL.
KILLED = """
    import os, signal, sys
    from dataclasses import replace

    import scipy.sparse, zarr, zarr.codecs  # once, for all children

    from dasklasso.files import renames
    from dasklasso.model.path import load_model

    swap, *models = sys.argv[1:]
    calls = at = 0

    def deadly(function):
        def call(*arguments, **options):
            global calls
            calls += 1
            if calls == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)
        return call

    renames._rename = None if swap == "two steps" else deadly(renames._rename)
    for name in ("rename", "mkdir", "replace", "rmdir", "unlink"):
        setattr(os, name, deadly(getattr(os, name)))
    for model in models:
        at = int(model.rpartition("-")[2])
        child = os.fork()
        if child == 0:
            replace(load_model(model), seconds=2.0).save(model, overwrite=True)
            print(calls, flush=True)
            os._exit(0)
        os.waitpid(child, 0)
"""


@pytest.mark.slow  # a sample of it is in tests/files/test_atomic.py
@pytest.mark.parametrize("swap", ["exchange", "two steps"])
def test_killed_at_any_change_of_the_disk_a_model_is_the_old_or_the_new(tmp_path, swap):
    path = FittedPath(
        alphas=np.array([0.5]), coef_rows=csr_array(np.ones((1, 3))), intercepts=np.ones((1, 1)),
        dual_gaps=np.zeros((1, 1)), objectives=np.ones((1, 1)), y_is_vector=True,
        feature_names=("a", "b", "c"), target_names=("y",), loss="squared", l1_ratio=1.0,
        penalty_options={}, alpha_selected=None, solver="gram", tol=1e-6, scans=1, bytes_read=1,
        seconds=1.0, peak_memory_bytes=1, fingerprint="f", versions={},
    )  # fmt: skip
    program = [sys.executable, "-c", textwrap.dedent(KILLED), swap]

    def overwritten(*models):
        for model in models:
            path.save(model)
        return subprocess.check_output([*program, *map(str, models)], text=True, timeout=120)

    n_calls = int(overwritten(tmp_path / "m-0"))
    # every one near the swap, and some of those before it
    chosen = {1, *range(2, n_calls - 16, 12), *range(n_calls - 16, n_calls + 1)}
    models = [tmp_path / f"m-{at}" for at in sorted(chosen)]
    overwritten(*models)
    seen = set()
    for model in models:
        seen.add(load_model(model).seconds)
        path.save(model, overwrite=True)  # what was left is in nobody's way
    assert seen == {1.0, 2.0}
    assert {entry.name for entry in tmp_path.iterdir()} == {"m-0", *(one.name for one in models)}
