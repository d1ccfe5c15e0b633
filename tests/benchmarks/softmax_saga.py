"""A softmax path of 20 alphas, whole command, beside scikit-learn's saga at one of them in memory.

    python tests/benchmarks/softmax_saga.py STORE [--at 10] [--epochs 4] [--minutes 15] [--scaled]

STORE has labels of classes, as the train.zarr of ``pipelines/fashion_mnist.toml``. In turns, each
in a process of its own: ``dasklasso path --loss softmax`` down to a thousandth of the largest alpha
at a gap of 1e-5; ``dasklasso fit`` at alpha number AT of that path; and there scikit-learn's
``LogisticRegression(solver="saga")`` with an l1 penalty, with EPOCHS and each time twice as many,
from zero, until its objective is at most ours and 1e-5 of the null model's loss, or the minutes are
over. With ``--scaled`` its columns are divided by their largest value: that is the same problem,
and suits it much better, for the intercept is then of their size. Where other work shares the
cores, processor seconds are what to compare. Exits 1 where a gap of ours is above 1e-5, a path has
more than 25 scans, or saga is less than 10 times slower at one alpha.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from processes import run

TOL = 1e-5

SAGA = """
import json, sys, time, warnings
import numpy as np, sklearn
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression
folder, epochs, (alpha, target, limit, scaled) = (
    sys.argv[1], int(sys.argv[2]), map(float, sys.argv[3:7])
)
X, y = np.load(folder + "/X.npy").astype(np.float32), np.load(folder + "/y.npy")
size = X.max() if scaled else 1.0
X /= size
alpha /= size  # of weights that are as many times larger
new = tuple(map(int, sklearn.__version__.split(".")[:2])) >= (1, 8)
penalty = {"l1_ratio": 1.0} if new else {"penalty": "l1"}
warnings.simplefilter("ignore")
spent, objective = 0.0, np.inf
while True:
    model = LogisticRegression(
        C=1 / (len(y) * alpha), solver="saga", max_iter=epochs, tol=0.0, random_state=0, **penalty
    )
    wall, cpu = time.perf_counter(), time.process_time()
    model.fit(X, y)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    p = X.astype(np.float64) @ model.coef_.T + model.intercept_
    losses = logsumexp(p, axis=1) - p[np.arange(len(y)), np.searchsorted(model.classes_, y)]
    objective = losses.mean() + alpha * np.abs(model.coef_).sum()
    print(json.dumps([epochs, wall, cpu, objective]))
    spent += wall
    if objective <= target or spent + 2 * wall > limit:
        break
    epochs *= 2
"""


def ours(store: Path, *arguments: str) -> tuple[dict[str, Any], float, float]:
    """Run a command of ours: its summary, seconds, processor seconds; says what it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as folder:
        peak, seconds, output = run(
            sys.executable, "-m", "dasklasso", arguments[0], str(store), *arguments[1:],
            "--loss", "softmax", "--tol", f"{TOL:g}", "--out", f"{folder}/model",
            "--no-dashboard", "--json",
        )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    found = json.loads(output.splitlines()[-1])
    print(
        f"dasklasso {arguments[0]:4}  {seconds:7.1f} s, {busy:7.1f} s of processors, "
        f"{found['scans']:g} scans, worst gap {max(found['dual_gap']):.1e}, "
        f"peak {peak / 1e6:,.0f} MB",
        flush=True,
    )
    return found, seconds, busy


def saga(
    folder: str, alpha: float, target: float, *, epochs: int, minutes: float, scaled: bool
) -> tuple[bool, float, float]:
    """Whether saga got there, and the seconds and processor seconds of the last attempt."""
    numbers = epochs, alpha, target, 60 * minutes, int(scaled)
    _, _, output = run(sys.executable, "-c", SAGA, folder, *map(str, numbers))
    for line in output.splitlines():
        epochs, seconds, busy, objective = json.loads(line)
        print(
            f"saga {epochs:5.0f} epochs  {seconds:7.1f} s, {busy:7.1f} s of processors, "
            f"objective {objective:.8f}, {objective - target:+.1e} from the target",
            flush=True,
        )
    return objective <= target, seconds, busy


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("--at", type=int, default=10, help="number of the alpha, the largest is 0")
    parser.add_argument("--epochs", type=int, default=4, help="of saga's first attempt")
    parser.add_argument("--minutes", type=float, default=15, help="that saga may take in all")
    parser.add_argument("--scaled", action="store_true", help="saga's columns, by their largest")
    options = parser.parse_args()
    path, path_seconds, path_busy = ours(options.store, "path", "--n-alphas", "20", "--eps", "1e-3")
    alpha = path["alphas"][options.at]
    one, seconds, busy = ours(options.store, "fit", "--alpha", repr(alpha))
    group = zarr.open_group(str(options.store), mode="r")
    y = np.asarray(group["y"][:]).ravel()
    share = np.unique(y, return_counts=True)[1] / len(y)
    null = -float(share @ np.log(share))
    target = min(one["objective"][0], path["objective"][options.at]) + TOL * null
    print(
        f"alpha {alpha:.6g}, {alpha / path['alphas'][0]:.3f} of the largest: objective "
        f"{path['objective'][options.at]:.8f} of the path, {one['objective'][0]:.8f} alone; "
        f"target {target:.8f}",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/X.npy", group["X"][:])
        np.save(f"{folder}/y.npy", y)
        there, saga_seconds, saga_busy = saga(
            folder,
            alpha,
            target,
            epochs=options.epochs,
            minutes=options.minutes,
            scaled=options.scaled,
        )
    print(
        f"saga at one alpha takes {'' if there else 'more than '}"
        f"{saga_seconds / seconds:.1f} times as long as ours ({saga_busy / busy:.1f} of processor "
        f"seconds), {saga_seconds / path_seconds:.2f} times as long as our whole path "
        f"({saga_busy / path_busy:.2f})"
    )
    gaps = path["dual_gap"] + one["dual_gap"]
    return 0 if max(gaps) <= TOL and path["scans"] <= 25 and saga_busy >= 10 * busy else 1


if __name__ == "__main__":
    sys.exit(main())
