"""A logistic path of 100 alphas, whole command against adelie's grpnet in memory.

    python tests/benchmarks/logistic_path.py STORE [--folds K] [--adelie PYTHON] [--tol TOL ...]

STORE is what ``dasklasso generate logistic STORE --rows 400000 --features 500`` makes. In turns,
each in a process of its own: ``dasklasso path --loss logistic`` (or ``cv`` with ``--folds``), 100
alphas down to a thousandth at a gap of 1e-6; and, where PYTHON is an interpreter that has adelie
(it needs NumPy 1.26, so an environment of its own), its ``grpnet`` on standardised columns with
all cores, loading included, for each tolerance; its worst relative gap is computed here, from the
coefficients it leaves. Exits 1 where a gap of ours is above 1e-6 or scans are above 12 (15 with
folds).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import zarr
from processes import run

ADELIE = """
import sys, time
import numpy as np, adelie as ad
folder, tol, threads = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
began = time.perf_counter()
X = np.asfortranarray(np.load(folder + "/X.npy", mmap_mode="r"))
X -= X.mean(axis=0, dtype=np.float64).astype(X.dtype)
X /= X.std(axis=0, dtype=np.float64).astype(X.dtype)
y = np.load(folder + "/y.npy").astype(X.dtype)
loaded = time.perf_counter() - began
state = ad.grpnet(
    X, ad.glm.binomial(y, dtype=X.dtype.type), lmda_path_size=100, min_ratio=1e-3, early_exit=False,
    tol=tol, n_threads=threads, progress_bar=False,
)
seconds = time.perf_counter() - began
np.savez(folder + "/found.npz", coef=state.betas.toarray(), intercept=state.intercepts,
         alphas=state.lmdas)
print(loaded, seconds)
"""


def worst_gap(folder: str) -> float:
    """The largest gap, over the null model's loss, of what adelie left: by scaling its dual."""
    X = np.load(f"{folder}/X.npy").astype(np.float64)
    y = np.load(f"{folder}/y.npy")
    X -= X.mean(axis=0)
    X /= X.std(axis=0)
    found = np.load(f"{folder}/found.npz")
    mean = y.mean()
    null = -mean * np.log(mean) - (1 - mean) * np.log(1 - mean)
    worst = 0.0
    for w, b, alpha in zip(found["coef"], found["intercept"], found["alphas"], strict=True):
        p = X @ w + b
        for _ in range(5):  # the best intercept for these coefficients: its dual sums to zero
            q = 1 / (1 + np.exp(-p))
            p -= (q - y).mean() / (q * (1 - q)).mean()
        theta = y - 1 / (1 + np.exp(-p))
        s = min(1.0, alpha / np.abs(X.T @ theta / len(y)).max())
        t = np.clip(y - s * theta, 1e-300, 1 - 1e-16)
        dual = -np.mean(t * np.log(t) + (1 - t) * np.log1p(-t))
        primal = np.mean(np.logaddexp(0, p) - y * p) + alpha * np.abs(w).sum()
        worst = max(worst, (primal - dual) / null)
    return worst


def ours(store: Path, folds: int | None, memory: str) -> bool:
    """Run our command, print what it took: whether it did what it is to do."""
    with tempfile.TemporaryDirectory() as folder:
        kind = ["path"] if folds is None else ["cv", "--folds", str(folds)]
        peak, seconds, output = run(
            sys.executable, "-m", "dasklasso", kind[0], str(store), *kind[1:],
            "--loss", "logistic", "--standardize", "--eps", "1e-3", "--out", f"{folder}/model",
            "--memory", memory, "--no-dashboard", "--json",
        )  # fmt: skip
    found = json.loads(output.splitlines()[-1])
    print(
        f"dasklasso {kind[0]}  {seconds:6.2f} s in all, {found['seconds']:6.2f} after start-up, "
        f"{found['scans']:g} scans, worst gap {max(found['dual_gap']):.1e}, "
        f"peak {peak / 1e6:,.0f} MB",
        flush=True,
    )
    few = found["scans"] <= (12 if folds is None else 15)
    return bool(few and max(found["dual_gap"]) <= 1e-6)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("--folds", type=int)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--memory", default="1.5GB")
    parser.add_argument("--adelie", metavar="PYTHON")
    parser.add_argument("--tol", type=float, nargs="*", default=[1e-7, 1e-10])
    options = parser.parse_args()
    good = True
    with tempfile.TemporaryDirectory() as folder:
        if options.adelie:
            group = zarr.open_group(str(options.store), mode="r")
            np.save(f"{folder}/X.npy", group["X"][:])
            np.save(f"{folder}/y.npy", group["y"][:].ravel())
        for _ in range(options.repeats):
            good = ours(options.store, options.folds, options.memory) and good
            for tol in options.tol if options.adelie else []:
                peak, _, output = run(options.adelie, "-c", ADELIE, folder, str(tol), "2")
                loaded, seconds = (float(part) for part in output.split())
                print(
                    f"adelie {tol:g}  {seconds:6.2f} s, {loaded:.2f} s of it loading, worst gap "
                    f"{worst_gap(folder):.1e}, peak {peak / 1e6:,.0f} MB",
                    flush=True,
                )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
