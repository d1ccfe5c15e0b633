"""Data of a few KB: this package beside scikit-learn, and commands from prompt to prompt.

    python tests/benchmarks/small_data.py [--repeats 5]

Cross-validated paths of 100 alphas in 5 folds, the same alphas for both, each called once before
it is timed; commands in processes of their own. CPU seconds are of all threads and, unlike those of
the clock, hardly depend on what else the machine does. The least of several calls is printed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import sklearn.linear_model as theirs
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

import dasklasso
from dasklasso.dataset.ingest.ingest import ingest

Times = tuple[float, float]  # CPU seconds, seconds


def fastest(call: Callable[[], object], repeats: int) -> Times:
    """The least CPU seconds and seconds of some calls, after one that is not counted."""
    call()
    found = []
    for _ in range(repeats):
        cpu, clock = time.process_time(), time.perf_counter()
        call()
        found.append((time.process_time() - cpu, time.perf_counter() - clock))
    return min(cpu for cpu, _ in found), min(clock for _, clock in found)


def compare(name: str, one: Callable[[], object], other: Callable[[], object], n: int) -> None:
    """Print one line: ours, scikit-learn's, the ratios."""
    ours, reference = fastest(one, n), fastest(other, n)
    ratios = [a / b for a, b in zip(ours, reference, strict=True)]
    print(
        f"{name:32} {ours[0]:7.3f} {reference[0]:7.3f} {ratios[0]:7.2f} |"
        f" {ours[1]:7.3f} {reference[1]:7.3f} {ratios[1]:7.2f}",
        flush=True,
    )


def estimators(repeats: int) -> None:
    """Cross-validated paths on scikit-learn's own small tables."""
    print(
        f"{'':32} {'CPU s':>7} {'sklearn':>7} {'ratio':>7} | {'s':>7} {'sklearn':>7} {'ratio':>7}"
    )
    X, y = load_diabetes(return_X_y=True)
    compare(
        "LassoCV, diabetes",
        lambda: dasklasso.LassoCV(cv=5).fit(X, y),
        lambda: theirs.LassoCV(cv=5).fit(X, y),
        repeats,
    )
    X, y = load_breast_cancer(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    strengths = 1 / (len(y) * dasklasso.LogisticL1CV(cv=5).fit(X, y).alphas_)
    for solver in ("liblinear", "saga"):
        model = theirs.LogisticRegressionCV(Cs=strengths, cv=5, penalty="l1", solver=solver)
        compare(
            f"LogisticL1CV, cancer / {solver}",
            lambda: dasklasso.LogisticL1CV(cv=5).fit(X, y),
            lambda model=model: model.fit(X, y),
            min(repeats, 2),
        )
    X, y = load_iris(return_X_y=True)
    strengths = 1 / (len(y) * dasklasso.LogisticL1CV(cv=5).fit(X, y).alphas_)
    model = theirs.LogisticRegressionCV(Cs=strengths, cv=5, penalty="l1", solver="saga")
    compare(
        "LogisticL1CV, iris / saga",
        lambda: dasklasso.LogisticL1CV(cv=5).fit(X, y),
        lambda: model.fit(X, y),
        min(repeats, 2),
    )


def command(arguments: str, folder: str) -> Times:
    """CPU seconds, user and system, and seconds of one command."""
    before, clock = os.times(), time.perf_counter()
    program = [sys.executable, "-m", "dasklasso", *arguments.split()]
    subprocess.run(program, cwd=folder, check=True, capture_output=True)
    after = os.times()
    cpu = after.children_user + after.children_system
    return cpu - before.children_user - before.children_system, time.perf_counter() - clock


def commands(repeats: int) -> None:
    """Commands on a store of diabetes."""
    with tempfile.TemporaryDirectory() as folder:
        X, y = load_diabetes(return_X_y=True)
        np.savetxt(table := Path(folder, "t.csv"), np.column_stack([X, y]), delimiter=",")
        names = ",".join([*(f"x{j}" for j in range(X.shape[1])), "y"])
        table.write_text(f"{names}\n{table.read_text()}")
        ingest(str(table), str(Path(folder, "s.zarr")), target=("y",))
        print(f"\n{'':32} {'CPU s':>7} | {'s':>7}")
        for arguments in (
            "fit s.zarr --alpha 0.1 --out m --no-stats --overwrite",
            "cv s.zarr --out c --no-stats --overwrite",
            "predict m s.zarr --out p.csv --overwrite",
            "show m",
        ):
            command(arguments, folder)
            found = [command(arguments, folder) for _ in range(repeats)]
            cpu, clock = (min(times) for times in zip(*found, strict=True))
            print(f"dasklasso {arguments.split()[0]:22} {cpu:7.3f} | {clock:7.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    estimators(options.repeats)
    commands(options.repeats)


if __name__ == "__main__":
    main()
