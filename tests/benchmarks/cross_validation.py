"""Cross-validation out of core against what the hardware allows, and against scikit-learn.

    python tests/benchmarks/cross_validation.py STORE [--cold] [--repeats 3] [--scikit-learn]

STORE is what ``dasklasso generate tall STORE --rows 1000000 --features 500`` makes. In turns, each
in a process of its own: ``dasklasso cv`` (5 folds, 100 alphas down to a thousandth, every alpha
certified), whole command and peak memory of its process tree; two bare reads of X through zarr and
one bare XᵀX, on as many threads; and, if asked, scikit-learn's LassoCV(n_jobs=2) with its load.
Exits 1 where there are not exactly two scans, or a gap is above 1e-6.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from processes import drop_from_cache, run

BARE = """
import sys, time
from concurrent.futures import ThreadPoolExecutor
import numpy as np, zarr
from threadpoolctl import threadpool_limits
X = zarr.open_group(sys.argv[1], mode="r")["X"]
rows = X.chunks[0]
threads = int(sys.argv[2])
starts = range(0, X.shape[0], rows)
def read(start):
    X[start : start + rows]
def product(block):
    return block.T @ block
with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
    began = time.perf_counter()
    for _ in range(2):
        list(pool.map(read, starts))
    reads = time.perf_counter() - began
    block = X[:rows]
    began = time.perf_counter()
    total = 0
    for part in pool.map(product, [block] * len(starts)):
        total = total + part
    print(reads, time.perf_counter() - began)
"""

SCIKIT_LEARN = """
import sys
import numpy as np, zarr
from sklearn.linear_model import LassoCV
group = zarr.open_group(sys.argv[1], mode="r")
X, y = group["X"][:], group["y"][:].astype("float32")
model = LassoCV(n_jobs=2, cv=5, eps=1e-3).fit(X, y.ravel())
print(model.alpha_, model.dual_gap_)
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--scikit-learn", action="store_true")
    parser.add_argument("--memory", default="1.5GB")
    options = parser.parse_args()
    threads = len(os.sched_getaffinity(0))
    commands, solves, bares, peaks, good = [], [], [], [], True
    for _ in range(options.repeats):
        with tempfile.TemporaryDirectory() as folder:
            if options.cold:
                drop_from_cache(options.store)
            arguments = ["cv", str(options.store), "--out", f"{folder}/model", "--json"]
            where = ["--stats", f"{folder}/stats", "--no-dashboard", "--memory", options.memory]
            peak, seconds, output = run(sys.executable, "-m", "dasklasso", *arguments, *where)
            shutil.rmtree(folder, ignore_errors=True)
            os.mkdir(folder)
        found = json.loads(output.splitlines()[-1])
        commands.append(seconds)
        solves.append(found["seconds"])
        peaks.append(peak)
        good = good and found["scans"] == 2 and max(found["dual_gap"]) <= 1e-6
        print(
            f"dasklasso cv   {seconds:6.2f} s in all, {found['seconds']:6.2f} s after start-up, "
            f"{found['scans']:g} scans, worst gap {max(found['dual_gap']):.1e}, "
            f"peak {peak / 1e6:,.0f} MB, planned {found['plan']['seconds']}",
            flush=True,
        )
        if options.cold:
            drop_from_cache(options.store)
        _, _, output = run(sys.executable, "-c", BARE, str(options.store), str(threads))
        reads, product = (float(part) for part in output.split())
        bares.append(reads + product)
        print(f"bare           {reads:6.2f} s two reads + {product:.2f} s XtX", flush=True)
    ratio = statistics.median(solves) / statistics.median(bares)
    print(f"after start-up / bare = {ratio:.2f}")
    if options.scikit_learn:
        peak, seconds, output = run(sys.executable, "-c", SCIKIT_LEARN, str(options.store))
        print(
            f"scikit-learn   {seconds:6.2f} s, peak {peak / 1e6:,.0f} MB: "
            f"{seconds / statistics.median(commands):.1f} x the whole command"
        )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
